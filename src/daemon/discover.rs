//! Reads what discovery needs: the northbound once, and the tools' sockets.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::Files;
use super::northbound::client_config;
use super::once::{NAME_SETTINGS, Once, ReadError, settings};
use super::tool_api;
use crate::declare::{Diagnostic, Directory, LocalDeclarations, Severity, Tool, ToolSettings};
use crate::discover::{Bound, Difference, Found, Maker, Rows, WANTED, check, find};
use crate::ovsdb::{Config, Event, Replica};

/// Why nothing can be discovered.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The settings have errors.
    #[error("the settings have errors")]
    Settings(Vec<Diagnostic>),
    /// The files of networks.d have errors.
    #[error("the files of networks.d have errors")]
    Files(Vec<Diagnostic>),
    /// The northbound is not read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl DiscoverError {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Settings(_) => NAME_SETTINGS,
            Self::Files(_) => "Correct the file first; `ovn-peerd check` lists all that is wrong.",
            Self::Read(error) => error.next_step(),
        }
    }
}

/// Finds networks by the northbound that these settings name, and by the tools on this host.
///
/// # Errors
/// The settings, or the northbound, cannot be read.
pub async fn discover(config: &Path, only: Option<Maker>) -> Result<Found, DiscoverError> {
    let settings = settings(config).map_err(DiscoverError::Settings)?;
    let northbound = client_config(&settings, "").map_err(ReadError::from)?;
    look(northbound, &settings.tools, &asked(only), only).await
}

/// Compares the networks of the operator's files with what is found.
///
/// # Errors
/// The settings, the files or the northbound cannot be read.
pub async fn compare(config: &Path, only: Option<Maker>) -> Result<Vec<Difference>, DiscoverError> {
    let settings = settings(config).map_err(DiscoverError::Settings)?;
    let northbound = client_config(&settings, "").map_err(ReadError::from)?;
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
async fn read(northbound: Config) -> Result<Rows, ReadError> {
    let mut once: Once<Replica> = Once::connect(Config { wanted: WANTED, ..northbound })?;
    let rows = loop {
        if let Event::Snapshot { rows, .. } = once.next().await? {
            break Rows::read(&rows);
        }
    };
    once.close().await;
    Ok(rows)
}
