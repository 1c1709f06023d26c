//! When the server was heard last: the one thing that a session tells without an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by the connection, which writes it, and the client's handle.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    since: Instant,
    /// In milliseconds since then.
    at: Arc<AtomicU64>,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), at: Arc::default() }
    }

    /// Something came.
    pub(super) fn now(&self) {
        let milliseconds = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.at.store(milliseconds, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub(super) fn ago(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.at.load(Ordering::Relaxed)))
    }
}
