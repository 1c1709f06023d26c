//! `verify` without a daemon: reads the settings, the files and the northbound once, and writes
//! nothing.
//!
//! It asks for no lock, so it may run beside any daemon. What the northbound remembers of other hosts
//! counts as for a daemon of this host.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{self, Instant};

use crate::control::Verify;
use crate::declare::{Diagnostic, Severity};
use crate::engine::{Engine, Event};
use crate::northbound::Northbound;
use crate::now::Now;
use crate::ovsdb::{self, Client, Config};
use crate::view::VerifyView;

use super::files::{Files, read_settings};
use super::northbound::client_config;
use super::northbound::host_name;

/// How long the northbound may take until all of it is read.
const READ_TIME: Duration = Duration::from_secs(60);

/// Why it cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The settings have errors.
    #[error("the settings have errors: {}", first(.0))]
    Settings(Vec<Diagnostic>),
    /// The host has no name.
    #[error("this host has no name")]
    NoHost,
    /// A remote of the northbound cannot be read.
    #[error("the northbound's remote is wrong")]
    Remote(#[from] ovsdb::client::RemoteError),
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

impl OfflineError {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Settings(_) => {
                "Name the daemon's settings with --config; `ovn-peerd check --config FILE` checks them."
            }
            Self::NoHost => "Set `host` under [daemon].",
            Self::Remote(_) => "Correct `remotes` under [northbound].",
            Self::Client(_) => "Is there memory, and are there threads left?",
            Self::NotRead { .. } => {
                "Does ovsdb-server run, and may you read it? `ovn-nbctl --db=REMOTE show` tries the same."
            }
        }
    }
}

fn first(diagnostics: &[Diagnostic]) -> String {
    diagnostics.first().map(ToString::to_string).unwrap_or_default()
}

/// Verifies by the files that these settings name, and the northbound.
///
/// # Errors
/// The settings, or the northbound, cannot be read.
pub async fn offline(config: &Path, asked: Verify) -> Result<VerifyView, OfflineError> {
    let (settings, diagnostics) = read_settings(config);
    if diagnostics.iter().any(|it| it.severity == Severity::Error) {
        return Err(OfflineError::Settings(diagnostics));
    }
    let host = settings.daemon.host.clone().or_else(host_name).ok_or(OfflineError::NoHost)?;
    // Without locks: it only reads.
    let config = Config { lock: None, identity: None, ..client_config(&settings, &host)? };
    let mut client: Client<Northbound> = ovsdb::connect(config)?;
    let mut engine = Engine::new(&settings, host);
    let started = Instant::now();
    let now = || Now { wall: Timestamp::now(), since_start: started.elapsed() };
    let reading = Files::new(&settings.paths).read_all(|found| found.source.parse());
    engine.handle(Event::Reading(reading), now());
    let mut last = "no answer".to_owned();
    while !engine.is_synced() || engine.is_deciding() {
        if engine.is_synced() {
            engine.handle(Event::Tick, now());
            continue;
        }
        let event = time::timeout_at(started + READ_TIME, client.next()).await;
        let Ok(Some(event)) = event else { return Err(OfflineError::NotRead { last }) };
        if let ovsdb::Event::Disconnected { error, .. } = &event {
            last.clone_from(error);
        }
        engine.handle(Event::Northbound(event), now());
    }
    let verified = engine.plan_basis(now()).verify(None, asked.pairs());
    client.close(Duration::from_secs(1)).await;
    verified
        .ok_or_else(|| OfflineError::NotRead { last: "a newer version writes there".to_owned() })
}
