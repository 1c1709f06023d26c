//! Reads what discovery needs: the northbound once, by a connection of its own, and the tools' sockets.
//!
//! It asks for no lock, and writes nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::files::{Files, read_settings};
use super::northbound::client_config;
use super::tool_api;
use crate::declare::{
    Diagnostic, Directory, LocalDeclarations, Settings, Severity, Tool, ToolSettings,
};
use crate::discover::{Bound, Difference, Found, Maker, Rows, WANTED, check, find};
use crate::ovsdb::client::RemoteError;
use crate::ovsdb::{self, Client, Config, Event, Replica};

/// How long the northbound may take until all of it is read.
const READ_TIME: Duration = Duration::from_secs(60);

/// Why nothing can be discovered.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The settings have errors.
    #[error("the settings have errors")]
    Settings(Vec<Diagnostic>),
    /// The files of networks.d have errors.
    #[error("the files of networks.d have errors")]
    Files(Vec<Diagnostic>),
    /// A remote of the northbound cannot be read.
    #[error("the northbound's remote is wrong")]
    Remote(#[from] RemoteError),
    /// No thread for the connection.
    #[error("cannot start the northbound client")]
    Client(#[from] std::io::Error),
    /// The northbound was not read in time.
    #[error("the northbound was not read within {} s: {last}", READ_TIME.as_secs())]
    NotRead {
        /// The last error.
        last: String,
    },
}

impl DiscoverError {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Settings(_) => {
                "Name the daemon's settings with --config; `ovn-peerd check --config FILE` checks them."
            }
            Self::Files(_) => "Correct the file first; `ovn-peerd check` lists all that is wrong.",
            Self::Remote(_) => "Correct `remotes` under [northbound].",
            Self::Client(_) => "Is there memory, and are there threads left?",
            Self::NotRead { .. } => {
                "Does ovsdb-server run, and may you read it? `ovn-nbctl --db=REMOTE show` tries the same."
            }
        }
    }
}

/// Finds networks by the northbound that these settings name, and by the tools on this host.
///
/// # Errors
/// The settings, or the northbound, cannot be read.
pub async fn discover(config: &Path, only: Option<Maker>) -> Result<Found, DiscoverError> {
    let settings = settings(config)?;
    let northbound = client_config(&settings, "")?;
    look(northbound, &settings.tools, &asked(only), only).await
}

/// Compares the networks of the operator's files with what is found.
///
/// # Errors
/// The settings, the files or the northbound cannot be read.
pub async fn compare(config: &Path, only: Option<Maker>) -> Result<Vec<Difference>, DiscoverError> {
    let settings = settings(config)?;
    let northbound = client_config(&settings, "")?;
    let reading = Files::new(&settings.paths).read_all(|found| found.source.parse());
    let mut local = LocalDeclarations::new(&settings);
    local.apply(reading);
    let is_of_networks = |it: &&Diagnostic| {
        it.severity == Severity::Error && Path::new(&*it.file).starts_with(&settings.paths.networks)
    };
    let faults: Vec<Diagnostic> = local.diagnostics().filter(is_of_networks).cloned().collect();
    if !faults.is_empty() {
        return Err(DiscoverError::Files(faults));
    }
    // All makers: a binding may have got the router of another one.
    let tools: BTreeSet<Tool> = Tool::ALL.into_iter().collect();
    let found = look(northbound, &settings.tools, &tools, None).await?;
    let bound = local.networks().map(|network| {
        let file = local.origin_of_network(&network.key);
        let file = file.filter(|file| file.directory == Directory::Networks);
        Bound { network, file: file.map_or("", |file| &file.name) }
    });
    let bound: Vec<Bound<'_>> = bound.collect();
    Ok(check(&found, &bound, only))
}

fn settings(config: &Path) -> Result<Settings, DiscoverError> {
    let (settings, diagnostics) = read_settings(config);
    match diagnostics.iter().any(|it| it.severity == Severity::Error) {
        true => Err(DiscoverError::Settings(diagnostics)),
        false => Ok(settings),
    }
}

fn asked(only: Option<Maker>) -> BTreeSet<Tool> {
    let is_asked = |tool: &Tool| only.is_none_or(|only| only == Maker::Tool(*tool));
    Tool::ALL.into_iter().filter(is_asked).collect()
}

/// Reads the northbound, asks these tools, and finds what they have made.
pub(super) async fn look(
    northbound: Config,
    settings: &ToolSettings,
    tools: &BTreeSet<Tool>,
    only: Option<Maker>,
) -> Result<Found, DiscoverError> {
    let mut answers = Vec::new();
    for tool in tools {
        answers.extend(tool_api::ask(*tool, settings).await);
    }
    // Afterwards: what a tool says it has is in the northbound by then.
    let rows = read(northbound).await?;
    Ok(find(&rows, &answers, only))
}

/// Reads the northbound once.
async fn read(northbound: Config) -> Result<Rows, DiscoverError> {
    let config = Config { lock: None, identity: None, wanted: WANTED, ..northbound };
    let mut client: Client<Replica> = ovsdb::connect(config)?;
    let until = Instant::now() + READ_TIME;
    let mut last = "no answer".to_owned();
    let rows = loop {
        match time::timeout_at(until, client.next()).await {
            Ok(Some(Event::Snapshot { rows, .. })) => break Rows::read(&rows),
            Ok(Some(Event::Disconnected { error, .. })) => last = error,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(DiscoverError::NotRead { last }),
        }
    };
    client.close(Duration::from_secs(1)).await;
    Ok(rows)
}
