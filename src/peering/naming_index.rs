//! Which pairs have to do with which names, so that a change marks those pairs alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::declare::{NetworkKey, PeeringKey};
use crate::northbound::End;

use super::outcome::Link;
use super::pair::key_of_end;
use super::pairs_by::PairsBy;

/// The pairs with names.
#[derive(Debug, Default)]
pub(super) struct NamingIndex {
    /// What each pair has here, to find it again.
    pairs: BTreeMap<PeeringKey, Entries>,
    /// By a switch whose names were read.
    switches: PairsBy<Uuid>,
    /// By a network, and a name that its guests are told.
    claimed: PairsBy<(NetworkKey, Arc<str>)>,
    /// By network.
    networks: PairsBy<NetworkKey>,
}

/// What a pair has in the index.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entries {
    switches: BTreeSet<Uuid>,
    claimed: BTreeSet<(NetworkKey, Arc<str>)>,
}

impl Entries {
    /// Those of a link; none if it has no names.
    fn of(link: &Link) -> Option<Self> {
        let namings = End::BOTH.map(|end| link.end(end).naming.as_deref());
        if namings.iter().all(Option::is_none) {
            return None;
        }
        let mut entries = Self::default();
        for (end, naming) in End::BOTH.into_iter().zip(namings) {
            let Some(naming) = naming else { continue };
            let network = key_of_end(&link.key, end);
            entries.switches.extend(naming.read.iter().copied());
            let claimed = naming.claimed.iter().map(|name| (network.clone(), Arc::clone(name)));
            entries.claimed.extend(claimed);
        }
        Some(entries)
    }
}

impl NamingIndex {
    /// Whether no pair has any.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Notes the link of a pair. Returns the other pairs that may tell a name which this one gained or
    /// lost; with `moved`, or has.
    pub(super) fn set(
        &mut self,
        key: &PeeringKey,
        link: Option<&Link>,
        moved: bool,
    ) -> BTreeSet<PeeringKey> {
        let new = link.and_then(Entries::of);
        let mut rivals = BTreeSet::new();
        let old = self.pairs.remove(key);
        if old == new && !moved {
            self.pairs.extend(new.map(|new| (key.clone(), new)));
            return rivals;
        }
        let none = Entries::default();
        let (before, after) = (old.as_ref().unwrap_or(&none), new.as_ref().unwrap_or(&none));
        for claim in before.claimed.union(&after.claimed) {
            if moved || !before.claimed.contains(claim) || !after.claimed.contains(claim) {
                let others = self.claimed.of(claim);
                rivals.extend(others.filter(|other| *other != key).cloned());
            }
        }
        if let Some(old) = &old {
            old.switches.iter().for_each(|switch| self.switches.remove(switch, key));
            old.claimed.iter().for_each(|claim| self.claimed.remove(claim, key));
            [key.a(), key.b()].into_iter().for_each(|it| self.networks.remove(it, key));
        }
        if let Some(new) = new {
            new.switches.iter().for_each(|switch| self.switches.add(switch, key));
            new.claimed.iter().for_each(|claim| self.claimed.add(claim, key));
            [key.a(), key.b()].into_iter().for_each(|it| self.networks.add(it, key));
            self.pairs.insert(key.clone(), new);
        }
        rivals
    }

    /// The pairs that may tell guests of a network this name.
    pub(super) fn claiming(
        &self,
        network: &NetworkKey,
        name: &Arc<str>,
    ) -> impl Iterator<Item = &PeeringKey> {
        self.claimed.of(&(network.clone(), Arc::clone(name)))
    }

    /// The pairs that a change of the northbound concerns because of names: of the switches that it
    /// names, and of networks that may have lost or gained switches.
    pub(super) fn concerned(
        &self,
        named: &BTreeSet<Uuid>,
        moved: &[&NetworkKey],
    ) -> BTreeSet<PeeringKey> {
        let by_switches = named.iter().flat_map(|switch| self.switches.of(switch));
        let by_networks = moved.iter().flat_map(|network| self.networks.of(network));
        by_switches.chain(by_networks).cloned().collect()
    }
}
