//! How much of what the server has sent may wait for the user.
//!
//! Messages are counted from the moment they are read until the user has their event. Where that is too
//! much, nothing more is read. So the server has to wait, and joins the changes that it has yet to send
//! (ovsdb-server(7), monitors); one that gets no answer to its probes meanwhile ends the session, and the
//! next one continues where that one ended. Nothing is lost, and no memory fills.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a message counts for at least, in bytes: what is kept of it beside its text.
const LEAST: usize = 256;

/// What waits for the user, of all sessions of a client.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    free: Arc<Semaphore>,
    most: u32,
}

/// The place of a message in the backlog; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "its end counts")] OwnedSemaphorePermit);

impl Backlog {
    /// For so many bytes at the most.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(LEAST, Semaphore::MAX_PERMITS);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let permits = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(permits)), most }
    }

    /// A place for a message of so many bytes, once there is one. One that is larger than all that may wait has it to itself.
    pub(super) async fn place(&self, bytes: usize) -> Option<Place> {
        let size = u32::try_from(bytes.max(LEAST)).unwrap_or(u32::MAX).min(self.most);
        self.acquire(size).await
    }

    /// Waits until the user has taken everything.
    pub(super) async fn taken(&self) {
        drop(self.acquire(self.most).await);
    }

    async fn acquire(&self, size: u32) -> Option<Place> {
        // It is never closed.
        Arc::clone(&self.free).acquire_many_owned(size).await.ok().map(Place)
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
        let (small, large) = (backlog.place(1).await, backlog.place(700).await);
        assert!(waits(backlog.place(45)).await && waits(backlog.taken()).await);
        drop(small);
        assert!(!waits(backlog.place(45)).await);
        drop(large);
        assert!(!waits(backlog.taken()).await);
        // It would never fit.
        let huge = backlog.place(1 << 40).await;
        assert!(waits(backlog.place(1)).await);
        drop(huge);
        assert!(!waits(backlog.taken()).await);
    }
}
