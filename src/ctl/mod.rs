//! `ovn-peerctl`: the commands of operators and tenants, as a client of the control socket.
//!
//! Owns the command line, its tables and its exit codes. Shows the daemon's views; decides nothing,
//! writes to no northbound, and reads no declarations but those that `plan --config` and `apply`
//! name. May not touch the engine.
//!
//! Exit codes: 0 done, and for `plan` nothing would change; 1 an error, and for `status`,
//! `diagnostics` and `reload` one in the settings or in a file, for `confirm` without a word that
//! something is held, for `take-over` a link that is not taken over; 2 `plan`: a row or a state would change, or withdrawals
//! are held, `discover --check`: something differs; 3 no such
//! half; 4 no daemon answers at the socket; 5 another half is in the way, or the half has changed meanwhile or is kept
//! in a file; 6 a half that has not come to a state in time; 7 `why`: it does not pass or that is not sure, `verify`: something
//! is found.
//!
//! Invariants: control characters in tenants' texts are escaped for the terminal; JSON on standard
//! output is the daemon's own; errors appear on standard error and say what to do.

mod arguments;
mod catalog;
mod change;
mod change_error;
mod client;
mod complete;
mod discover;
mod document;
mod edit;
mod error;
mod event_stream;
mod follow;
mod format;
mod half;
mod list;
mod monitor;
mod names;
mod output;
mod plan;
mod render;
mod send;
mod sheet;
mod store;
mod store_arguments;
mod table;
mod take_over;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod trace;
mod trace_output;
mod wait;
mod why;
mod why_words;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as UsageKind;
use jiff::Timestamp;
use tokio::runtime;

use crate::control::{Candidate, Confirmation, Confirmed, Reloaded, Verify};
use crate::daemon;
use crate::daemon::candidate::candidate_of;
use crate::daemon::files::{Files, read_settings};
use crate::declare::Severity;
use crate::view::{
    AttentionView, DiagnosticsView, HalfDetail, HalfView, HeldView, HostView, PlanView, StatusView,
    VerifyView,
};

use arguments::{Arguments, Command, HostCommand};
use client::ControlClient;
use error::CtlError;
use format::Format;
use output::Output;

/// `plan`: something would change.
const CHANGES: u8 = 2;
/// An error; also a wrong command line, because clap's own 2 would mean "changes".
const FAILURE: u8 = 1;

/// Runs one command line, the program's name included.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(usage) => return misused(&usage, asks_for_json(&words)),
    };
    let format = arguments.format;
    let outcome = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CtlError::Runtime)
        .and_then(|runtime| runtime.block_on(obey(arguments)));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error, format);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The command line, for its manual page.
#[cfg(test)]
pub(crate) fn command_line() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

async fn obey(arguments: Arguments) -> Result<u8, CtlError> {
    let Arguments { socket, format, quiet, color, command } = arguments;
    let output = Output::new(format, quiet, color);
    if format == Format::Csv && !command.lists() {
        return Err(CtlError::NoList);
    }
    let client = ControlClient::new(socket);
    let now = Timestamp::now();
    match command {
        Command::List(arguments) => {
            let mut halves: Vec<HalfView> = client.get(&arguments.path()).await?;
            arguments.sort(&mut halves);
            let has_footer = output.is_for_people() && !arguments.no_headers;
            let attention = match has_footer {
                true => client.get("/v1/attention").await?,
                false => AttentionView::default(),
            };
            output.list(
                &halves,
                |halves| list::records(halves, &arguments),
                |halves, width| list::table(halves, &attention, &arguments, width, now),
            )?;
        }
        Command::Show { half, rows } => {
            let half = half.resolve(&client).await?;
            let half: HalfDetail = client.get(&half.path()).await?;
            output.show(&half, |half, width| half::half(half, rows, width, now))?;
        }
        Command::Store(command) => store::obey(&client, &output, command).await?,
        Command::Catalog(command) => catalog::obey(&client, &output, command, now).await?,
        Command::Why(arguments) => return why::obey(&client, &output, arguments).await,
        Command::Verify { sample, offline, config } => {
            let verified: VerifyView = if offline {
                daemon::verify::offline(&config, Verify { sample }).await?
            } else {
                let query = client::query(&[("sample", sample.map(|it| it.to_string()))]);
                client.get_long(&format!("/v1/verify{query}")).await?
            };
            output.show(&verified, render::verified)?;
            return Ok(if verified.found.is_empty() { 0 } else { why::FOUND });
        }
        Command::Discover(arguments) => return discover::obey(&output, arguments).await,
        Command::Monitor(arguments) => monitor::monitor(&client, &output, arguments).await?,
        Command::Complete { words } => {
            let root = <Arguments as clap::CommandFactory>::command();
            return Ok(complete::complete(root, &words, &client).await);
        }
        Command::Diagnostics => {
            let found: DiagnosticsView = client.get("/v1/diagnostics").await?;
            output.list(&found, render::diagnostic_records, render::diagnostics)?;
            return Ok(verdict(found.errors));
        }
        Command::Status => {
            let status: StatusView = client.get("/v1/status").await?;
            output.show(&status, |status, width| render::status(status, width, now))?;
            return Ok(verdict(status.errors));
        }
        Command::Plan { config, rows } => {
            let plan: PlanView = match config {
                None => client.get_long("/v1/plan").await?,
                Some(config) => client.post_json("/v1/plan", &candidate(&config)?).await?,
            };
            output.show(&plan, |plan, width| plan::plan(plan, rows, width))?;
            return Ok(if plan.is_empty() { 0 } else { CHANGES });
        }
        Command::Token(command) => token::obey(&client, &output, command, now).await?,
        Command::Host(HostCommand::List) => {
            let hosts: Vec<HostView> = client.get("/v1/hosts").await?;
            output.list(
                &hosts,
                |hosts| render::host_records(hosts),
                |hosts, width| render::hosts(hosts, width),
            )?;
        }
        Command::Host(HostCommand::Forget { name }) => {
            let path = client::path(&["v1", "hosts", &name]);
            let host: HostView = client.delete(&path).await?;
            output.show(&host, |host, _| render::forgotten(host))?;
        }
        Command::TakeOver { half, all, dry_run } => {
            return take_over::obey(&client, &output, half, all, dry_run).await;
        }
        Command::Reload => {
            let reloaded: Reloaded = client.post_long("/v1/reload").await?;
            output.show(&reloaded, render::reloaded)?;
            return Ok(verdict(reloaded.errors));
        }
        Command::Confirm { seen: None, project } => {
            let query = client::query(&[("project", project)]);
            let held: HeldView = client.get(&format!("/v1/withdrawals{query}")).await?;
            output.show(&held, render::held)?;
            return Ok(verdict(held.halves));
        }
        Command::Confirm { seen: Some(seen), project } => {
            let confirmation = Confirmation { project, seen };
            let confirmed: Confirmed =
                client.post_json("/v1/withdrawals/confirm", &confirmation).await?;
            output.show(&confirmed, render::confirmed)?;
        }
    }
    Ok(0)
}

/// The exit code: whether the settings and the files have errors, or withdrawals are held; as of
/// `ovn-peerd check`.
fn verdict(errors: usize) -> u8 {
    if errors == 0 { 0 } else { FAILURE }
}

/// The declarations that a settings file names.
fn candidate(config: &Path) -> Result<Candidate, CtlError> {
    let (settings, diagnostics) = read_settings(config);
    if diagnostics.iter().any(|it| it.severity == Severity::Error) {
        return Err(CtlError::Settings { diagnostics });
    }
    Ok(candidate_of(Files::new(&settings.paths).read_all(|found| found.source)))
}

/// Prints what is wrong with the command line, or the help that was asked for.
fn misused(usage: &clap::Error, in_json: bool) -> ExitCode {
    if matches!(usage.kind(), UsageKind::DisplayHelp | UsageKind::DisplayVersion) {
        drop(usage.print());
        return ExitCode::SUCCESS;
    }
    if in_json {
        let text = usage.to_string();
        let message = text.split("\n\n").next().unwrap_or_default();
        let message = message.trim_start_matches("error: ").to_owned();
        complain(&CtlError::Usage { message }, Format::Json);
    } else {
        drop(usage.print());
    }
    ExitCode::from(FAILURE)
}

/// Whether a command line that is wrong asks for JSON all the same.
fn asks_for_json(words: &[OsString]) -> bool {
    words.iter().any(|word| word == "--format=json")
        || words.windows(2).any(|pair| pair == ["--format", "json"])
}

/// Prints the chain of causes once, and what to do.
fn complain(error: &CtlError, format: Format) {
    let json = (format == Format::Json).then(|| serde_json::to_string(&error.body()).ok());
    let text = json.flatten().unwrap_or_else(|| {
        let mut text = format!("ovn-peerctl: {}", error.chain());
        for diagnostic in error.diagnostics() {
            text.push_str(&format!("\n  {}", diagnostic.to_string().replace('\n', "\n  ")));
        }
        text + "\n  " + &error.next_step()
    });
    drop(writeln!(io::stderr().lock(), "{}", text::plain(&text)));
}
