//! How many connections a client may hold. Operators, tenants and strangers have separate limits,
//! so that no kind can lock another one out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER};

/// How many strangers the log names; any local user can be one.
const MOST_STRANGERS_LOGGED: usize = 64;

/// The limits of one kind of client: of all together, and of each user.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimits {
    all: Arc<Semaphore>,
    most_of_user: usize,
    by_user: Arc<Mutex<BTreeMap<u32, Arc<Semaphore>>>>,
}

/// The permit of one connection; dropping it releases it.
#[derive(Debug)]
pub(super) struct Permit {
    _of_all: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    /// The limits of tenants.
    pub(super) fn new() -> Self {
        Self::of(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER)
    }

    pub(super) fn of(most: usize, most_of_user: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), most_of_user, by_user: Arc::default() }
    }

    /// The permit for another connection of this user, if the limits allow it.
    pub(super) fn acquire(&self, uid: u32) -> Option<Permit> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.retain(|_, permits| permits.available_permits() < self.most_of_user);
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let permits =
            by_user.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(self.most_of_user)));
        let of_user = Arc::clone(permits).try_acquire_owned().ok()?;
        Some(Permit { _of_all: of_all, _of_user: of_user })
    }
}

/// The strangers that the log has named: each once, even if it connects often.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<BTreeSet<u32>>>);

impl Strangers {
    /// Whether the log is to name this one.
    pub(super) fn is_new(&self, uid: u32) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < MOST_STRANGERS_LOGGED && logged.insert(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionLimits, MOST_STRANGERS_LOGGED, Strangers};
    use crate::control::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER};

    #[test]
    fn one_user_cannot_use_the_others_connections_and_leaving_frees_them() {
        let limits = ConnectionLimits::new();
        let greedy: Vec<_> = (0..MAX_CONNECTIONS).map_while(|_| limits.acquire(1)).collect();
        assert_eq!(greedy.len(), MAX_CONNECTIONS_PER_USER);
        assert!(limits.acquire(2).is_some());
        let others: Vec<_> = (2..).map_while(|uid| limits.acquire(uid)).collect();
        assert_eq!(greedy.len() + others.len(), MAX_CONNECTIONS);
        drop(greedy);
        assert!(limits.acquire(1).is_some());
        drop(others);
        assert!(limits.acquire(1).is_some());
        assert_eq!(limits.by_user.lock().unwrap().len(), 1, "nobody is remembered who has left");
    }

    #[test]
    fn a_stranger_is_logged_once_and_not_all_are() {
        let strangers = Strangers::default();
        assert!(strangers.is_new(1) && !strangers.is_new(1));
        assert!((2..).take(10 * MOST_STRANGERS_LOGGED).any(|uid| !strangers.is_new(uid)));
    }
}
