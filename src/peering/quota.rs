//! How many halves of a network and of a project count.
//!
//! Linked halves keep their places, even if the limit is lowered below their number: a limit cuts
//! no peering. The other places are assigned by name. Adding or removing a half costs the logarithm
//! of their number. Without a limit no state is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::declare::{HalfKey, LimitGroup, NetworkKey, Quotas};

/// A limit that leaves a half without a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The limit of one network's halves.
    Network(u32),
    /// The limit of one project's halves.
    Project(u32),
}

/// The places of all halves.
#[derive(Debug)]
pub(super) struct Places {
    limits: Quotas,
    networks: BTreeMap<NetworkKey, LimitGroup<HalfKey>>,
    projects: BTreeMap<Arc<str>, LimitGroup<HalfKey>>,
}

impl Default for Places {
    fn default() -> Self {
        Self { limits: Quotas::NONE, networks: BTreeMap::new(), projects: BTreeMap::new() }
    }
}

impl Places {
    /// Sets other limits and all halves, each with whether it is linked.
    pub(super) fn configure<'a>(
        &mut self,
        limits: Quotas,
        halves: impl Iterator<Item = (&'a HalfKey, bool)>,
    ) {
        *self = Self { limits, ..Self::default() };
        if limits == Quotas::NONE {
            return;
        }
        for (half, stands) in halves {
            self.place(half, stands);
        }
    }

    /// The limits in effect.
    #[must_use]
    pub(super) fn limits(&self) -> Quotas {
        self.limits
    }

    /// Notes a new half, or a change of whether it is linked. Returns the halves that gain or lose
    /// a place, which may include this one.
    pub(super) fn place(&mut self, half: &HalfKey, stands: bool) -> BTreeSet<HalfKey> {
        self.change(half, |group, moved| group.put(half, stands, moved))
    }

    /// A half went.
    pub(super) fn remove(&mut self, half: &HalfKey) -> BTreeSet<HalfKey> {
        self.change(half, |group, _| group.take(half))
    }

    /// The limit that leaves this half without a place.
    #[must_use]
    pub(super) fn over(&self, half: &HalfKey) -> Option<Over> {
        let network = self.limits.per_network.filter(|_| {
            self.networks.get(&half.network).is_some_and(|group| group.is_outside(half))
        });
        let project = self.limits.per_project.filter(|_| {
            self.projects.get(&half.network.project).is_some_and(|group| group.is_outside(half))
        });
        network.map(Over::Network).or(project.map(Over::Project))
    }

    fn change(
        &mut self,
        half: &HalfKey,
        alter: impl Fn(&mut LimitGroup<HalfKey>, &mut BTreeSet<HalfKey>),
    ) -> BTreeSet<HalfKey> {
        let mut moved = BTreeSet::new();
        if let Some(limit) = self.limits.per_network {
            let group = self.networks.entry(half.network.clone()).or_default();
            alter(group, &mut moved);
            group.fill(limit, &mut moved);
            if group.is_empty() {
                self.networks.remove(&half.network);
            }
        }
        if let Some(limit) = self.limits.per_project {
            let group = self.projects.entry(Arc::clone(&half.network.project)).or_default();
            alter(group, &mut moved);
            group.fill(limit, &mut moved);
            if group.is_empty() {
                self.projects.remove(&half.network.project);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(network: &str, name: &str) -> HalfKey {
        HalfKey::new(NetworkKey::new("p", network), name)
    }

    fn over(places: &Places, names: &[&str]) -> String {
        let over = |name: &&&str| places.over(&half("n", name)).is_some();
        names.iter().filter(over).copied().collect::<Vec<_>>().join("")
    }

    #[test]
    fn places_go_to_those_that_stand_and_then_by_name() {
        let mut places = Places::default();
        let limits = Quotas { per_network: Some(2), ..Quotas::NONE };
        places.configure(limits, std::iter::empty());
        let all = ["a", "b", "c", "d"];
        for name in ["d", "c"] {
            assert!(places.place(&half("n", name), false).is_empty());
        }
        assert_eq!(places.place(&half("n", "d"), true), BTreeSet::new());
        assert_eq!(places.place(&half("n", "a"), false), BTreeSet::from([half("n", "c")]));
        assert_eq!(places.place(&half("n", "b"), false), BTreeSet::from([half("n", "b")]));
        assert_eq!(over(&places, &all), "bc");
        assert_eq!(places.remove(&half("n", "a")), BTreeSet::from([half("n", "b")]));
        assert_eq!(over(&places, &all), "c");
        // A half that is no longer linked waits for a place again.
        assert_eq!(
            places.place(&half("n", "d"), false),
            BTreeSet::from([half("n", "c"), half("n", "d")])
        );
        assert_eq!(over(&places, &all), "d");
        // Each network has places of its own, and a project's limit counts all of them.
        let limits = Quotas { per_project: Some(1), ..Quotas::NONE };
        let halves = [half("m", "x"), half("n", "a")];
        places.configure(limits, halves.iter().map(|half| (half, false)));
        assert_eq!(places.over(&halves[0]), None);
        assert_eq!(places.over(&halves[1]), Some(Over::Project(1)));
    }

    #[test]
    fn a_lower_limit_cuts_nothing_that_stands() {
        let mut places = Places::default();
        let names = ["a", "b", "c"].map(|name| half("n", name));
        let limits = Quotas { per_network: Some(1), per_project: Some(0), ..Quotas::NONE };
        places.configure(limits, names.iter().map(|half| (half, *half.name != *"b")));
        assert_eq!(over(&places, &["a", "b", "c"]), "b");
        places.configure(Quotas::NONE, names.iter().map(|half| (half, false)));
        assert_eq!(over(&places, &["a", "b", "c"]), "");
    }
}
