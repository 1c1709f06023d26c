//! What a newer version of the daemon keeps: registrations that this one leaves alone, and every peering that touches one.
//!
//! Nothing of it is written here, nor decided; what stands of it keeps its prefixes. Until the other side is seen to have
//! consented, an owner is told of the version of its own network's registration only.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::declare::{NetworkKey, PeeringKey, RouterRef};
use crate::northbound::declared::network_of;
use crate::northbound::{End, Id, Northbound, Touched, UnitId};

use super::outcome::{Standing, Verdict};
use super::pair::key_of_end;
use super::resolver::Resolver;
use super::telling::verdict;
use crate::view::Reason;

/// The registrations of a newer version.
#[derive(Debug, Default)]
pub struct Newer {
    registrations: BTreeMap<Id, Registration>,
    /// How many of them name each router.
    routers: BTreeMap<Box<str>, usize>,
}

/// A registration of a newer version, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The version.
    pub version: u32,
    /// Whom it speaks for.
    pub network: Option<NetworkKey>,
    router: Option<Box<str>>,
}

/// A peering that a newer version keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whether it is the registration of each end, A first.
    pub ends: [bool; 2],
    /// Whether rows of the peering are there: both sides have consented then.
    pub stands: bool,
}

impl Newer {
    /// Looks at all registrations.
    pub(super) fn review_all(&mut self, northbound: &Northbound) {
        for unit in northbound.inventory().units() {
            if let UnitId::Network(id) = unit {
                self.review(id, northbound);
            }
        }
    }

    /// Looks at a registration; tells whether its version is another than before.
    fn review(&mut self, id: Id, northbound: &Northbound) -> bool {
        let found = northbound.newer(UnitId::Network(id)).map(|version| Registration {
            version,
            network: northbound.registration(id).and_then(network_of),
            router: northbound.network_record(id).and_then(|record| record.router).map(Into::into),
        });
        if self.registrations.get(&id) == found.as_ref() {
            return false;
        }
        let before = self.registrations.remove(&id);
        let version =
            |registration: &Option<Registration>| registration.as_ref().map(|it| it.version);
        let differs = version(&before) != version(&found);
        if let Some(router) = before.and_then(|before| before.router)
            && let Some(count) = self.routers.get_mut(&router)
        {
            *count -= 1;
            if *count == 0 {
                self.routers.remove(&router);
            }
        }
        if let Some(found) = found {
            if let Some(router) = &found.router {
                *self.routers.entry(router.clone()).or_default() += 1;
            }
            self.registrations.insert(id, found);
        }
        differs
    }

    /// All of them.
    pub fn registrations(&self) -> impl ExactSizeIterator<Item = &Registration> {
        self.registrations.values()
    }

    /// Whose they are.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.registrations.keys().copied()
    }

    /// One of them.
    #[must_use]
    pub fn registration(&self, id: Id) -> Option<&Registration> {
        self.registrations.get(&id)
    }

    /// What is kept of a peering, if anything is.
    #[must_use]
    pub fn of_pair(&self, key: &PeeringKey, id: Id, northbound: &Northbound) -> Option<Kept> {
        let unit = UnitId::Peering(id);
        let ends = End::BOTH
            .map(|end| self.registrations.contains_key(&Id::of_network(key_of_end(key, end))));
        if ends == [false, false] && northbound.newer(unit).is_none() {
            return None;
        }
        Some(Kept { ends, stands: northbound.rows_of(unit).next().is_some() })
    }

    /// Whether the rows of a peering of which nothing else is known may be kept: they are on a router of one of these; or
    /// one of these does not say in a known way which router is its, or that one is gone.
    #[must_use]
    pub fn may_keep(&self, peering: Id, northbound: &Northbound) -> bool {
        let unit = UnitId::Peering(peering);
        if northbound.newer(unit).is_some() {
            return true;
        }
        if self.registrations.is_empty() {
            return false;
        }
        let named: usize = self.routers.values().sum();
        let is_named = |router: Uuid| {
            let name = northbound.router_name(router);
            name.is_some_and(|name| self.routers.contains_key(&*name))
                || self.routers.contains_key(router.to_string().as_str())
        };
        let mut routers: Vec<Uuid> = northbound
            .rows_of(unit)
            .filter_map(|(_, row, _)| northbound.inventory().router_of(row))
            .collect();
        routers.sort_unstable();
        routers.dedup();
        let is_missed = |name: &str| {
            let by_uuid = || northbound.router_name(name.parse().ok()?);
            northbound.routers(&RouterRef::Name(name.into())).next().is_none()
                && by_uuid().is_none()
        };
        // Rows on one router alone: what was on the other one went with it.
        let of_missed = || routers.len() < 2 && self.routers.keys().any(|name| is_missed(name));
        named < self.registrations.len() || routers.iter().copied().any(is_named) || of_missed()
    }
}

impl Kept {
    /// Whether the owner of the half at an end is told, where the other side's half is not seen.
    pub(super) fn concerns(self, end: End) -> bool {
        let [a, b] = self.ends;
        self.stands
            || match end {
                End::A => a,
                End::B => b,
            }
    }
}

impl Resolver {
    /// Registrations changed: where one became a newer version's, or ceased to be, all that touches it is looked at again.
    pub(super) fn review_newer(&mut self, touched: &Touched, northbound: &Northbound) {
        let networks = touched.units.iter().filter_map(|unit| match unit {
            UnitId::Network(id) => Some(*id),
            UnitId::Peering(_) => None,
        });
        let differing: Vec<Id> = networks.filter(|id| self.newer.review(*id, northbound)).collect();
        for id in &differing {
            let named = self.newer.registration(*id).and_then(|newer| newer.network.as_ref());
            let Some(network) = self.networks.key_of(*id).or(named) else { continue };
            for pair in self.networks.pairs_of(network) {
                self.mark(&pair);
            }
        }
        if differing.iter().any(|id| self.newer.registration(*id).is_none()) {
            // What was kept because it might be theirs is not any more.
            self.mark_orphans(northbound);
        }
    }
}

/// The verdict on a half of a peering that a newer version keeps.
pub(super) fn kept() -> Verdict {
    verdict(
        Standing::Failed(Reason::NewerVersion),
        "a newer version of ovn-peerd has written what this peering stands on; this one leaves it as it is".into(),
        "upgrade ovn-peerd on this host".into(),
    )
}
