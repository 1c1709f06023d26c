//! What the client's handle shares with the connection that is there: when the server was heard last, and what it sends while
//! the handle's user is busy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::inbox::{Inbox, lock};

/// Shared by the connection, which writes it, and the client's handle.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    since: Instant,
    /// In milliseconds since then.
    heard: Arc<AtomicU64>,
    /// Of the last connection, while there is one.
    inbox: Arc<Mutex<Weak<Inbox>>>,
}

impl Contact {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), heard: Arc::default(), inbox: Arc::default() }
    }

    /// There is a connection.
    pub(super) fn made(&self, inbox: &Arc<Inbox>) {
        *lock(&self.inbox) = Arc::downgrade(inbox);
        self.heard();
    }

    /// Something came.
    pub(super) fn heard(&self) {
        let milliseconds = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(milliseconds, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub(super) fn heard_ago(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(heard)
    }

    /// Does some work, while what comes is read.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let inbox = lock(&self.inbox).upgrade();
        match inbox {
            Some(inbox) => inbox.during(work),
            None => work(),
        }
    }
}
