//! Reads the northbound once, for commands that need no daemon: by a connection of its own, without a lock, and without a
//! write.

use std::path::Path;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::files::read_settings;
use crate::declare::{Diagnostic, Settings, Severity};
use crate::ovsdb::client::RemoteError;
use crate::ovsdb::{self, Client, Config, Event, Store};

/// How long the northbound may take until all of it is read.
const READ_TIME: Duration = Duration::from_secs(60);
/// How long the exit waits for the client's thread.
const LAST_WORK: Duration = Duration::from_secs(1);
/// What to do about settings with errors.
pub(super) const NAME_SETTINGS: &str =
    "Name the daemon's settings with --config; `ovn-peerd check --config FILE` checks them.";

/// Why the northbound is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
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

impl ReadError {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Remote(_) => "Correct `remotes` under [northbound].",
            Self::Client(_) => "Is there memory, and are there threads left?",
            Self::NotRead { .. } => {
                "Does ovsdb-server run, and may you read it? `ovn-nbctl --db=REMOTE show` tries the same."
            }
        }
    }
}

/// The settings, unless they have errors.
pub(super) fn settings(config: &Path) -> Result<Settings, Vec<Diagnostic>> {
    let (settings, diagnostics) = read_settings(config);
    match diagnostics.iter().any(|it| it.severity == Severity::Error) {
        true => Err(diagnostics),
        false => Ok(settings),
    }
}

/// A northbound that is being read.
pub(super) struct Once<S> {
    client: Client<S>,
    until: Instant,
    last: String,
}

impl<S: Store> Once<S> {
    pub(super) fn connect(config: Config) -> Result<Self, ReadError> {
        let client = ovsdb::connect(Config { lock: None, identity: None, ..config })?;
        Ok(Self { client, until: Instant::now() + READ_TIME, last: "no answer".to_owned() })
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Result<Event<S>, ReadError> {
        let event = time::timeout_at(self.until, self.client.next()).await;
        let Ok(Some(event)) = event else {
            return Err(ReadError::NotRead { last: std::mem::take(&mut self.last) });
        };
        if let Event::Disconnected { error, .. } = &event {
            self.last.clone_from(error);
        }
        Ok(event)
    }

    pub(super) async fn close(self) {
        self.client.close(LAST_WORK).await;
    }
}
