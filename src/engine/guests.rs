//! The routes that guests get, as far as these must be remembered: since when they are what they
//! are, and what is borrowed for them.
//!
//! Both stand in the network's registration, which counts. What is remembered here puts them back
//! when somebody deletes them while this instance runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::declare::{NetworkKey, TellGuests};
use crate::northbound::borrowed::{BorrowedRecord, Field, borrowed_records};
use crate::northbound::registration::GUESTS_KEY;
use crate::northbound::{GuestRecord, Id, Northbound, UnitId};
use crate::peering::guest_routes::guest_routes;
use crate::peering::{GuestRoutes, Omitted, Resolver, end_of};
use crate::view::{GuestsView, Viewer};

/// What is remembered of networks whose guests get routes, or did.
#[derive(Debug, Default)]
pub(super) struct Guests {
    noted: BTreeMap<NetworkKey, GuestRecord>,
    omitted: BTreeMap<NetworkKey, Vec<Omitted>>,
    borrowed: BTreeMap<Id, BTreeMap<Field, BorrowedRecord>>,
    /// Networks whose guests do not get something else than before.
    altered: BTreeSet<NetworkKey>,
}

impl Guests {
    /// The entry of a network's registration, if it has one.
    pub(super) fn entry(&self, key: &NetworkKey) -> Option<(String, Option<String>)> {
        let record = self.noted.get(key)?;
        Some((GUESTS_KEY.to_owned(), Some(record.to_text())))
    }

    /// What is recorded of fields that are borrowed for a network. A record that somebody deleted
    /// counts as long as the field holds what it says.
    pub(super) fn borrowed(
        &self,
        id: Id,
        northbound: &Northbound,
    ) -> BTreeMap<Field, BorrowedRecord> {
        let mut records = borrowed_records(id, northbound);
        for (field, record) in self.borrowed.get(&id).into_iter().flatten() {
            if !records.contains_key(field) && field.text(northbound) == Some(&record.ours) {
                records.insert(field.clone(), record.clone());
            }
        }
        records
    }

    /// The networks whose guests do not get something else than when this was last asked.
    pub(super) fn take_altered(&mut self) -> BTreeSet<NetworkKey> {
        std::mem::take(&mut self.altered)
    }

    fn knows(&self, key: &NetworkKey) -> bool {
        self.noted.contains_key(key) || self.omitted.contains_key(key)
    }

    /// Nothing is declared of a network any more: the routes that its guests had are over.
    pub(super) fn forget(&mut self, key: &NetworkKey) {
        self.noted.remove(key);
        self.omitted.remove(key);
    }

    fn remember(&mut self, id: Id, northbound: &Northbound) {
        let mut records = self.borrowed(id, northbound);
        records.retain(|field, _| field.key().is_some());
        if records.is_empty() {
            self.borrowed.remove(&id);
        } else {
            self.borrowed.insert(id, records);
        }
    }

    /// Since when: what is recorded counts; else what was noted; else it is so since now.
    fn note(
        &mut self,
        key: &NetworkKey,
        routes: GuestRoutes,
        past: Option<GuestRecord>,
        now: Timestamp,
    ) {
        let GuestRoutes { dhcp, ra, omitted, .. } = routes;
        if self.omitted.get(key).map_or(&[][..], Vec::as_slice) != omitted {
            self.altered.insert(key.clone());
        }
        if omitted.is_empty() {
            self.omitted.remove(key);
        } else {
            self.omitted.insert(key.clone(), omitted);
        }
        let noted = self.noted.get(key);
        if past.is_none() && noted.is_none() && dhcp.is_empty() && ra.is_empty() {
            return;
        }
        let same = |record: &&GuestRecord| record.dhcp == dhcp && record.ra == ra;
        let since = past.as_ref().filter(same).or(noted.filter(same)).map_or(now, |it| it.since);
        self.noted.insert(key.clone(), GuestRecord { since, dhcp, ra });
    }

    /// Notes which routes the guests of these networks get now; beside each, whether it is to have
    /// a registration.
    pub(super) fn review(
        &mut self,
        networks: &[(&NetworkKey, bool)],
        resolver: &Resolver,
        northbound: &Northbound,
        now: Timestamp,
    ) {
        for (key, is_registered) in networks {
            let id = Id::of_network(key);
            if !is_registered {
                self.forget(key);
                self.remember(id, northbound);
                continue;
            }
            let past = northbound.guest_record(id);
            let asks = resolver
                .networks()
                .ready(key)
                .is_some_and(|it| it.network.tell_guests != TellGuests::default());
            if !asks && past.is_none() && !self.knows(key) {
                continue;
            }
            self.remember(id, northbound);
            let routes = self.wanted(key, resolver, northbound);
            self.note(key, routes, past, now);
        }
    }

    /// Nobody declares these units: what is borrowed for them counts as long as it is there.
    pub(super) fn review_orphans<'a>(
        &mut self,
        orphans: impl Iterator<Item = &'a UnitId>,
        northbound: &Northbound,
    ) {
        for unit in orphans {
            if let UnitId::Network(id) = unit
                && self.borrowed.contains_key(id)
            {
                self.remember(*id, northbound);
            }
        }
    }

    /// The routes that a network's guests are to get.
    pub(super) fn wanted(
        &self,
        key: &NetworkKey,
        resolver: &Resolver,
        northbound: &Northbound,
    ) -> GuestRoutes {
        let node = resolver.networks().node(key).filter(|node| node.is_registered());
        let Some((node, ready)) = node.and_then(|node| Some((node, node.ready()?))) else {
            return GuestRoutes::default();
        };
        if ready.network.tell_guests == TellGuests::default() {
            return GuestRoutes::default();
        }
        let links = node.linked().iter().filter_map(|pair| resolver.link(pair));
        let links: Vec<_> = links.map(|link| (link, end_of(&link.key, key))).collect();
        let records = self.borrowed(Id::of_network(key), northbound);
        guest_routes(ready, &links, &records, northbound)
    }

    /// What is shown of a network's guests; none where they get no routes, and never did.
    pub(super) fn view(&self, key: &NetworkKey) -> Option<GuestsView> {
        let record = self.noted.get(key)?;
        let list = |prefixes: &BTreeSet<ipnet::IpNet>| prefixes.iter().copied().collect();
        Some(GuestsView { since: record.since, dhcp: list(&record.dhcp), ra: list(&record.ra) })
    }

    /// Since when a network's guests get the routes that they get now.
    pub(super) fn since(&self, key: &NetworkKey) -> Option<Timestamp> {
        self.noted.get(key).map(|record| record.since)
    }

    /// Routes that the guests of a network do not get, and why.
    pub(super) fn omitted(&self, key: &NetworkKey, viewer: &Viewer) -> Vec<String> {
        let omitted = self.omitted.get(key).into_iter().flatten();
        let shown = omitted.filter(|it| viewer.is_operator() || !it.of_operator);
        shown.map(|it| it.text.clone()).collect()
    }
}
