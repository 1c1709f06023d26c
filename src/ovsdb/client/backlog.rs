//! Bounds how many bytes of received messages wait for the user.
//!
//! A message counts from the moment it is read until the user has its event. At the bound the
//! client stops reading. The server then waits, and joins the changes that it has yet to send
//! (ovsdb-server(7), monitors). If its probes get no answer meanwhile, it ends the session, and the
//! next session continues where this one ended. So nothing is lost, and memory is bounded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The least that a message counts for, in bytes: the memory that it needs besides its text.
const LEAST: usize = 256;

/// Counts what waits for the user, of all sessions of a client.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    free: Arc<Semaphore>,
    most: u32,
}

/// The share of a message in the backlog; dropping it releases the share.
#[derive(Debug)]
pub(super) struct Share(
    #[expect(dead_code, reason = "dropping it releases the share")] OwnedSemaphorePermit,
);

impl Backlog {
    /// A backlog of at most this many bytes.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(LEAST, Semaphore::MAX_PERMITS);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let permits = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(permits)), most }
    }

    /// Waits for the share of a message of this many bytes. A message that is larger than the whole
    /// backlog takes all of it.
    pub(super) async fn share(&self, bytes: usize) -> Option<Share> {
        let size = u32::try_from(bytes.max(LEAST)).unwrap_or(u32::MAX).min(self.most);
        self.acquire(size).await
    }

    /// Waits until the user has received everything.
    pub(super) async fn emptied(&self) {
        drop(self.acquire(self.most).await);
    }

    async fn acquire(&self, size: u32) -> Option<Share> {
        // It is never closed.
        Arc::clone(&self.free).acquire_many_owned(size).await.ok().map(Share)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn waits<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::ZERO, future).await.is_err()
    }

    #[tokio::test]
    async fn what_is_full_has_no_place_until_one_is_given_back() {
        let backlog = Backlog::new(1000);
        let (small, large) = (backlog.share(1).await, backlog.share(700).await);
        assert!(waits(backlog.share(45)).await && waits(backlog.emptied()).await);
        drop(small);
        assert!(!waits(backlog.share(45)).await);
        drop(large);
        assert!(!waits(backlog.emptied()).await);
        // It would never fit.
        let huge = backlog.share(1 << 40).await;
        assert!(waits(backlog.share(1)).await);
        drop(huge);
        assert!(!waits(backlog.emptied()).await);
    }
}
