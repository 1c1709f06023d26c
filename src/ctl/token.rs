//! `token create`, `list` and `revoke`: the tokens of the network API, which the settings have.
//!
//! Only the digest of a secret is kept, so that nobody reads it again, and an operator puts it into the
//! settings: who may speak for a project is written where all other rights are.

use std::fmt::Write as _;

use clap::Subcommand;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Serialize;
use toml::{Table, Value};

use super::catalog::records;
use super::client::ControlClient;
use super::error::CtlError;
use super::output::Output;
use super::table::{Cell, Kind, Table as Lines};
use crate::api::secret;
use crate::view::TokenView;

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token: print its secret, once, and the block for the settings.
    ///
    /// It asks no daemon and changes nothing.
    Create {
        /// Its name.
        name: String,
        /// The project that it speaks for.
        #[arg(long, required_unless_present = "operator", conflicts_with = "operator")]
        project: Option<String>,
        /// Let it speak for every project.
        #[arg(long)]
        operator: bool,
        /// Let it change nothing.
        #[arg(long)]
        read_only: bool,
        /// How long it is valid, such as 90d.
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        expires: Option<SignedDuration>,
    },
    /// List the tokens.
    List,
    /// Show what to remove so that a token is not valid any more.
    Revoke {
        /// Its name.
        name: String,
    },
}

impl TokenCommand {
    /// Whether its answer is a list.
    pub(super) fn lists(&self) -> bool {
        match self {
            Self::List => true,
            Self::Create { .. } | Self::Revoke { .. } => false,
        }
    }
}

/// A token that was made.
#[derive(Serialize)]
struct NewToken {
    name: String,
    /// Shown once.
    secret: String,
    /// For the settings.
    block: String,
}

fn parse_time(text: &str) -> Result<SignedDuration, String> {
    let example = || "write a number and a unit, such as 90d or 36h".to_owned();
    let span: Span = text.parse().map_err(|_| example())?;
    let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| example())?;
    if time.is_positive() { Ok(time) } else { Err(example()) }
}

pub(super) async fn obey(
    client: &ControlClient,
    output: &Output,
    command: TokenCommand,
    now: Timestamp,
) -> Result<(), CtlError> {
    match command {
        TokenCommand::Create { name, project, operator: _, read_only, expires } => {
            let until = expires.map(|time| now.checked_add(time)).transpose();
            let until = until.map_err(|error| CtlError::Usage { message: error.to_string() })?;
            let token = create(name, project, read_only, until)?;
            output.show(&token, |token, _| created(token))
        }
        TokenCommand::List => {
            let tokens: Vec<TokenView> = client.get("/v1/tokens").await?;
            output.list(&tokens, |all| records(all), |all, width| table(all, width, now))
        }
        TokenCommand::Revoke { name } => {
            let tokens: Vec<TokenView> = client.get("/v1/tokens").await?;
            let token = tokens.into_iter().find(|token| token.name == name);
            let token = token.ok_or(CtlError::NoToken { name })?;
            output.show(&token, |token, _| revoked(token))
        }
    }
}

fn create(
    name: String,
    project: Option<String>,
    read_only: bool,
    expires: Option<Timestamp>,
) -> Result<NewToken, CtlError> {
    let secret = secret::new().map_err(CtlError::Random)?;
    let mut keys = Table::new();
    keys.insert("name".to_owned(), name.as_str().into());
    match project {
        Some(project) => keys.insert("project".to_owned(), project.into()),
        None => keys.insert("operator".to_owned(), true.into()),
    };
    if read_only {
        keys.insert("read_only".to_owned(), true.into());
    }
    if let Some(at) = expires.and_then(|until| format!("{until:.0}").parse().ok()) {
        keys.insert("expires".to_owned(), Value::Datetime(at));
    }
    keys.insert("sha256".to_owned(), secret::digest(&secret).into());
    let mut block = String::from("[[token]]\n");
    for key in ["name", "project", "operator", "read_only", "expires", "sha256"] {
        if let Some(value) = keys.get(key) {
            let _ = writeln!(block, "{key} = {value}");
        }
    }
    Ok(NewToken { name, secret, block })
}

fn created(token: &NewToken) -> String {
    format!(
        "The secret of token {}, which is shown this once:\n\n{}\n\n\
         Add this to ovn-peerd.toml on every host that serves the API, and run `ovn-peerctl reload` there:\n\n{}",
        token.name, token.secret, token.block
    )
}

fn table(tokens: &[TokenView], width: Option<usize>, now: Timestamp) -> String {
    if tokens.is_empty() {
        return "There are no tokens; `ovn-peerctl token create` makes one.\n".to_owned();
    }
    let mut lines = Lines::new([
        ("NAME", Kind::Name),
        ("PROJECT", Kind::Name),
        ("RIGHTS", Kind::Word),
        ("EXPIRES", Kind::Word),
        ("DECLARED", Kind::Text),
    ]);
    for token in tokens {
        let expires = match token.expires {
            None => "never".to_owned(),
            Some(until) if until <= now => "expired".to_owned(),
            Some(until) => format!("{until:.0}"),
        };
        lines.row([
            Cell::new(&token.name),
            Cell::new(token.project.as_deref().unwrap_or("all")),
            Cell::new(if token.read_only { "read" } else { "write" }),
            Cell::new(&expires),
            Cell::new(&token.place),
        ]);
    }
    lines.lines(true, width)
}

fn revoked(token: &TokenView) -> String {
    format!(
        "Token {} is valid until its [[token]] is gone: remove it at {}, and on every other host \
         that serves the API, and run `ovn-peerctl reload` there.\n",
        token.name, token.place
    )
}
