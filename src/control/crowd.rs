//! Places: who may hold how many connections. Operators, tenants and strangers have places apart, so
//! that none of them keeps another kind out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER};

/// Of so many strangers the log tells; any local user can be one.
const MOST_STRANGERS_TOLD: usize = 64;

/// Places of one kind of client: so many of all, and so many of each user.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    all: Arc<Semaphore>,
    most_of_user: usize,
    by_user: Arc<Mutex<BTreeMap<u32, Arc<Semaphore>>>>,
}

/// One connection's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_user: OwnedSemaphorePermit,
}

impl Crowd {
    /// Of tenants.
    pub(super) fn new() -> Self {
        Self::of(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER)
    }

    pub(super) fn of(most: usize, most_of_user: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), most_of_user, by_user: Arc::default() }
    }

    /// A place for one more connection of this user, if there is one.
    pub(super) fn enter(&self, uid: u32) -> Option<Place> {
        let mut by_user = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        by_user.retain(|_, places| places.available_permits() < self.most_of_user);
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let places =
            by_user.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(self.most_of_user)));
        let of_user = Arc::clone(places).try_acquire_owned().ok()?;
        Some(Place { _of_all: of_all, _of_user: of_user })
    }
}

/// The strangers that the log has told of: each once, however often it knocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<BTreeSet<u32>>>);

impl Strangers {
    /// Whether to tell of this one.
    pub(super) fn is_new(&self, uid: u32) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST_STRANGERS_TOLD && told.insert(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowd, MOST_STRANGERS_TOLD, Strangers};
    use crate::control::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER};

    #[test]
    fn one_user_cannot_take_the_others_places_and_leaving_frees_them() {
        let crowd = Crowd::new();
        let greedy: Vec<_> = (0..MAX_CONNECTIONS).map_while(|_| crowd.enter(1)).collect();
        assert_eq!(greedy.len(), MAX_CONNECTIONS_PER_USER);
        assert!(crowd.enter(2).is_some());
        let others: Vec<_> = (2..).map_while(|uid| crowd.enter(uid)).collect();
        assert_eq!(greedy.len() + others.len(), MAX_CONNECTIONS);
        drop(greedy);
        assert!(crowd.enter(1).is_some());
        drop(others);
        assert!(crowd.enter(1).is_some());
        assert_eq!(crowd.by_user.lock().unwrap().len(), 1, "nobody is remembered who has left");
    }

    #[test]
    fn a_stranger_is_told_of_once_and_not_all_are() {
        let strangers = Strangers::default();
        assert!(strangers.is_new(1) && !strangers.is_new(1));
        assert!((2..).take(10 * MOST_STRANGERS_TOLD).any(|uid| !strangers.is_new(uid)));
    }
}
