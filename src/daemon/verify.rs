//! `verify` without a daemon: reads the settings, the files and the northbound once. It may run beside any
//! daemon. What the northbound remembers of other hosts counts as for a daemon of this host.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use crate::control::Verify;
use crate::declare::Diagnostic;
use crate::engine::{Engine, Event};
use crate::northbound::Northbound;
use crate::now::Now;
use crate::view::VerifyView;

use super::files::Files;
use super::northbound::{client_config, host_name};
use super::once::{NAME_SETTINGS, Once, ReadError, settings};

/// Why it cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The settings have errors.
    #[error("the settings have errors: {}", first(.0))]
    Settings(Vec<Diagnostic>),
    /// The host has no name.
    #[error("this host has no name")]
    NoHost,
    /// The northbound is not read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl OfflineError {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Settings(_) => NAME_SETTINGS,
            Self::NoHost => "Set `host` under [daemon].",
            Self::Read(error) => error.next_step(),
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
    let settings = settings(config).map_err(OfflineError::Settings)?;
    let host = settings.daemon.host.clone().or_else(host_name).ok_or(OfflineError::NoHost)?;
    let northbound = client_config(&settings, &host).map_err(ReadError::from)?;
    let mut once: Once<Northbound> = Once::connect(northbound)?;
    let mut engine = Engine::new(&settings, host);
    let started = Instant::now();
    let now = || Now { wall: Timestamp::now(), since_start: started.elapsed() };
    let reading = Files::new(&settings.paths).read_all(|found| found.source.parse());
    engine.handle(Event::Reading(reading), now());
    while !engine.is_synced() || engine.is_deciding() {
        let event = match engine.is_synced() {
            true => Event::Tick,
            false => Event::Northbound(once.next().await?),
        };
        engine.handle(event, now());
    }
    let verified = engine.plan_basis(now()).verify(None, asked.pairs());
    once.close().await;
    let newer = || ReadError::NotRead { last: "a newer version writes there".to_owned() };
    verified.ok_or_else(|| newer().into())
}
