//! How many connections a client may hold: each client, and all of a kind together, so that no kind
//! can lock another one out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of one kind of client: of all together, and of each one, by what tells them apart.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits<K> {
    all: Arc<Semaphore>,
    most_of_one: usize,
    by_client: Arc<Mutex<BTreeMap<K, Arc<Semaphore>>>>,
}

/// The permit of one connection; dropping it releases it.
#[derive(Debug)]
pub(crate) struct Permit {
    _of_all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
}

impl<K: Ord> ConnectionLimits<K> {
    pub(crate) fn of(most: usize, most_of_one: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), most_of_one, by_client: Arc::default() }
    }

    /// The permit for another connection of this client, if the limits allow it.
    pub(crate) fn acquire(&self, client: K) -> Option<Permit> {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        by_client.retain(|_, permits| permits.available_permits() < self.most_of_one);
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let permits =
            by_client.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.most_of_one)));
        let of_one = Arc::clone(permits).try_acquire_owned().ok()?;
        Some(Permit { _of_all: of_all, _of_one: of_one })
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionLimits;

    #[test]
    fn one_client_cannot_use_the_others_connections_and_leaving_frees_them() {
        const MOST: usize = 64;
        const MOST_OF_ONE: usize = 16;
        let limits = ConnectionLimits::of(MOST, MOST_OF_ONE);
        let greedy: Vec<_> = (0..MOST).map_while(|_| limits.acquire(1)).collect();
        assert_eq!(greedy.len(), MOST_OF_ONE);
        assert!(limits.acquire(2).is_some());
        let others: Vec<_> = (2..).map_while(|client| limits.acquire(client)).collect();
        assert_eq!(greedy.len() + others.len(), MOST);
        drop(greedy);
        assert!(limits.acquire(1).is_some());
        drop(others);
        assert!(limits.acquire(1).is_some());
        assert_eq!(limits.by_client.lock().unwrap().len(), 1, "nobody is remembered who has left");
    }
}
