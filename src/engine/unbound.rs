//! Limits the registrations of networks that no host binds.
//!
//! A tenant's file may name any network, and each registration is a row in both databases. So only
//! a limited number of a project's unbound networks is registered. They are registered at all
//! because the binding may come from another host: the registration shows that host that somebody
//! declares something of the network. When a host binds one of them, the next one gets its place.
//! An existing registration is kept: the limit removes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::declare::{LimitGroup, NetworkKey};

/// The most networks of one project: 128 rows.
pub(super) const MOST_OF_PROJECT: u32 = 64;

/// Networks that somebody declares something of and nobody binds, by project.
#[derive(Debug, Default)]
pub(super) struct Unbound {
    projects: BTreeMap<Arc<str>, LimitGroup<NetworkKey>>,
}

impl Unbound {
    /// A network's declarations or its registration changed. Returns the networks, perhaps itself,
    /// whose permission to be registered changed.
    pub(super) fn review(
        &mut self,
        key: &NetworkKey,
        is_unbound: bool,
        has_registration: bool,
    ) -> BTreeSet<NetworkKey> {
        let mut moved = BTreeSet::new();
        if !is_unbound && !self.group(key).is_some_and(|group| group.contains(key)) {
            return moved;
        }
        let group = self.projects.entry(Arc::clone(&key.project)).or_default();
        if is_unbound {
            group.put(key, has_registration, &mut moved);
        } else {
            moved.extend(group.is_outside(key).then(|| key.clone()));
            group.take(key);
        }
        group.fill(MOST_OF_PROJECT, &mut moved);
        if group.is_empty() {
            self.projects.remove(&key.project);
        }
        moved
    }

    /// Whether a network waits for a place.
    pub(super) fn waits(&self, key: &NetworkKey) -> bool {
        self.group(key).is_some_and(|group| group.is_outside(key))
    }

    fn group(&self, key: &NetworkKey) -> Option<&LimitGroup<NetworkKey>> {
        self.projects.get(&key.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> NetworkKey {
        NetworkKey::new("p", format!("n{number:03}").as_str())
    }

    #[test]
    fn places_go_to_those_that_are_registered_and_then_by_name() {
        let mut unbound = Unbound::default();
        for number in 1..=MOST_OF_PROJECT {
            assert!(unbound.review(&key(number), true, false).is_empty());
        }
        assert_eq!(unbound.review(&key(900), true, false), BTreeSet::from([key(900)]));
        assert!(unbound.waits(&key(900)) && !unbound.waits(&key(MOST_OF_PROJECT)));
        // When the first one is bound, the next one gets its place, and a bound one needs none.
        assert_eq!(unbound.review(&key(1), false, true), BTreeSet::from([key(900)]));
        assert!(!unbound.waits(&key(900)));
        // A registered network keeps its place.
        for number in 2..=MOST_OF_PROJECT {
            assert!(unbound.review(&key(number), true, true).is_empty());
        }
        assert_eq!(unbound.review(&key(0), true, false), BTreeSet::from([key(900)]), "by name");
        assert!(unbound.waits(&key(900)) && !unbound.waits(&key(0)));
        // A network that waits may be registered when somebody binds it.
        assert_eq!(unbound.review(&key(900), false, false), BTreeSet::from([key(900)]));
        assert!(!unbound.waits(&key(900)));
    }
}
