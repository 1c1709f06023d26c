//! Whom the log has named as strangers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// How many strangers the log names; any local user can be one.
const MOST_STRANGERS_LOGGED: usize = 64;

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
    use super::{MOST_STRANGERS_LOGGED, Strangers};

    #[test]
    fn a_stranger_is_logged_once_and_not_all_are() {
        let strangers = Strangers::default();
        assert!(strangers.is_new(1) && !strangers.is_new(1));
        assert!((2..).take(10 * MOST_STRANGERS_LOGGED).any(|uid| !strangers.is_new(uid)));
    }
}
