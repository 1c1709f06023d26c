//! Which pairs have to do with which names, so that a change marks those pairs alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::declare::{NetworkKey, PeeringKey};
use crate::northbound::{End, Northbound, Touched};

use super::network::Networks;
use super::outcome::Link;
use super::pair::key_of_end;

/// The pairs with names.
#[derive(Debug, Default)]
pub(super) struct NamingIndex {
    /// What each pair has here, to find it again.
    pairs: BTreeMap<PeeringKey, Entries>,
    /// By a switch whose names were read.
    switches: BTreeMap<Uuid, BTreeSet<PeeringKey>>,
    /// By a network, and a name that its guests are told.
    claimed: BTreeMap<(NetworkKey, Arc<str>), BTreeSet<PeeringKey>>,
    /// By network.
    networks: BTreeMap<NetworkKey, BTreeSet<PeeringKey>>,
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
                let others = self.claimed.get(claim).into_iter().flatten();
                rivals.extend(others.filter(|other| *other != key).cloned());
            }
        }
        if let Some(old) = &old {
            old.switches.iter().for_each(|switch| remove(&mut self.switches, switch, key));
            old.claimed.iter().for_each(|claim| remove(&mut self.claimed, claim, key));
            [key.a(), key.b()].into_iter().for_each(|it| remove(&mut self.networks, it, key));
        }
        if let Some(new) = new {
            new.switches.iter().for_each(|switch| add(&mut self.switches, switch, key));
            new.claimed.iter().for_each(|claim| add(&mut self.claimed, claim, key));
            [key.a(), key.b()].into_iter().for_each(|it| add(&mut self.networks, it, key));
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
        self.claimed.get(&(network.clone(), Arc::clone(name))).into_iter().flatten()
    }

    /// The pairs that a change of the northbound concerns because of names.
    pub(super) fn concerned(
        &self,
        touched: &Touched,
        networks: &Networks,
        northbound: &Northbound,
    ) -> BTreeSet<PeeringKey> {
        let mut found = BTreeSet::new();
        if self.pairs.is_empty() {
            return found;
        }
        let pairs = touched.named.iter().filter_map(|switch| self.switches.get(switch));
        found.extend(pairs.flatten().cloned());
        // They may have lost or gained switches.
        let routers = touched.routers.iter();
        let sharing = routers.flat_map(|router| networks.sharing(*router, northbound));
        found.extend(sharing.filter_map(|it| self.networks.get(it)).flatten().cloned());
        found
    }
}

fn add<K: Ord + Clone>(map: &mut BTreeMap<K, BTreeSet<PeeringKey>>, key: &K, pair: &PeeringKey) {
    map.entry(key.clone()).or_default().insert(pair.clone());
}

fn remove<K: Ord>(map: &mut BTreeMap<K, BTreeSet<PeeringKey>>, key: &K, pair: &PeeringKey) {
    let Some(pairs) = map.get_mut(key) else { return };
    pairs.remove(pair);
    if pairs.is_empty() {
        map.remove(key);
    }
}
