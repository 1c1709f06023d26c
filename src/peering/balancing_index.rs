//! Which pairs have to do with which load balancers, so that a change marks those pairs alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{NetworkKey, PeeringKey};
use crate::northbound::{End, TouchedBalancers};

use super::outcome::Link;
use super::pair::key_of_end;
use super::pairs_by::PairsBy;
use super::prefix::{PrefixIndex, Prefixes};

/// The pairs with load balancers.
#[derive(Debug, Default)]
pub(super) struct BalancingIndex {
    /// What each pair has here, to find it again.
    pairs: BTreeMap<PeeringKey, Entries>,
    /// By a row that is exported.
    rows: PairsBy<Uuid>,
    /// By a name that is exported, whether or not there is such a row.
    names: PairsBy<String>,
    /// By a virtual address that guests may use.
    addresses: PairsBy<IpAddr>,
    /// By network, and the virtual addresses that its guests may use.
    claimed: PrefixIndex<NetworkKey, PeeringKey>,
    /// By network.
    networks: PairsBy<NetworkKey>,
}

/// What a pair has in the index.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entries {
    rows: BTreeSet<Uuid>,
    names: BTreeSet<String>,
    claimed: BTreeSet<(NetworkKey, IpAddr)>,
}

impl Entries {
    fn of(link: &Link) -> Option<Self> {
        let mut entries = Self::default();
        for end in End::BOTH {
            let Some(balancing) = link.end(end).balancing.as_deref() else { continue };
            let network = key_of_end(&link.key, end);
            entries.rows.extend(balancing.rows.iter().copied());
            entries.names.extend(balancing.exported.iter().cloned());
            entries.claimed.extend(balancing.claimed.iter().map(|it| (network.clone(), *it)));
        }
        (entries != Self::default()).then_some(entries)
    }
}

impl BalancingIndex {
    /// Whether no pair has any.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Notes the link of a pair. Returns the other pairs that may use an address which this one
    /// gained or lost; with `moved`, or has.
    pub(super) fn set(
        &mut self,
        key: &PeeringKey,
        link: Option<&Link>,
        moved: bool,
    ) -> BTreeSet<PeeringKey> {
        let new = link.and_then(Entries::of);
        if self.pairs.is_empty() && new.is_none() {
            return BTreeSet::new();
        }
        let old = self.pairs.remove(key);
        let none = Entries::default();
        let (before, after) = (old.as_ref().unwrap_or(&none), new.as_ref().unwrap_or(&none));
        let mut rivals = BTreeSet::new();
        for (network, address) in before.claimed.union(&after.claimed) {
            let kept = before.claimed.contains(&(network.clone(), *address))
                && after.claimed.contains(&(network.clone(), *address));
            if !kept || moved {
                let prefix = IpNet::from(*address);
                let others = self.claiming(network, &prefix);
                rivals.extend(others.filter(|other| *other != key).cloned());
            }
        }
        if old != new {
            self.remove(key, old);
            self.add(key, new.as_ref());
        }
        self.pairs.extend(new.map(|new| (key.clone(), new)));
        rivals
    }

    fn remove(&mut self, key: &PeeringKey, old: Option<Entries>) {
        let Some(old) = old else { return };
        old.rows.iter().for_each(|row| self.rows.remove(row, key));
        old.names.iter().for_each(|name| self.names.remove(name, key));
        for (network, address) in old.claimed {
            self.claimed.remove(&network, &address.into(), key.clone());
            self.addresses.remove(&address, key);
        }
        [key.a(), key.b()].into_iter().for_each(|network| self.networks.remove(network, key));
    }

    fn add(&mut self, key: &PeeringKey, new: Option<&Entries>) {
        let Some(new) = new else { return };
        new.rows.iter().for_each(|row| self.rows.add(row, key));
        new.names.iter().for_each(|name| self.names.add(name, key));
        for (network, address) in &new.claimed {
            self.claimed.insert(network, &(*address).into(), key.clone());
            self.addresses.add(address, key);
        }
        [key.a(), key.b()].into_iter().for_each(|network| self.networks.add(network, key));
    }

    /// The pairs whose guests may use an address in this prefix at a network.
    pub(super) fn claiming(
        &self,
        network: &NetworkKey,
        prefix: &IpNet,
    ) -> impl Iterator<Item = &PeeringKey> {
        self.claimed.overlapping(network, prefix)
    }

    /// The other pairs whose guests may use an address in prefixes that a pair wants, or wanted, at
    /// each of its ends.
    pub(super) fn beside(
        &self,
        key: &PeeringKey,
        old: &[Prefixes; 2],
        new: &[Prefixes; 2],
    ) -> BTreeSet<PeeringKey> {
        let mut found = BTreeSet::new();
        if self.pairs.is_empty() {
            return found;
        }
        for ((end, old), new) in End::BOTH.into_iter().zip(old).zip(new) {
            let network = key_of_end(key, end);
            for prefix in old.iter().chain(new.iter()) {
                let others = self.claiming(network, prefix);
                found.extend(others.filter(|other| *other != key).cloned());
            }
        }
        found
    }

    /// The pairs that a change of the northbound concerns because of load balancers; `moved` may have
    /// lost or gained balancers or switches.
    pub(super) fn concerned(
        &self,
        balancers: &TouchedBalancers,
        moved: &[&NetworkKey],
    ) -> BTreeSet<PeeringKey> {
        let mut found = BTreeSet::new();
        for name in &balancers.names {
            found.extend(self.names.of(&String::from(&**name)));
        }
        found.extend(balancers.rows.iter().flat_map(|row| self.rows.of(row)));
        found.extend(balancers.addresses.iter().flat_map(|address| self.addresses.of(address)));
        found.extend(moved.iter().flat_map(|network| self.networks.of(network)));
        found.into_iter().cloned().collect()
    }
}
