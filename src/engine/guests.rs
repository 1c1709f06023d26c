//! What guests are told, as far as it must be remembered: since when it is what it is, and what is
//! lent for it.
//!
//! Both stand in the network's registration, which counts. What is remembered here puts them back
//! when somebody deletes them while this instance runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::declare::{NetworkKey, TellGuests};
use crate::northbound::lent::{Cell, LentRecord};
use crate::northbound::registration::GUESTS_KEY;
use crate::northbound::{GuestRecord, Id, Northbound, UnitId};
use crate::peering::{LinkEnd, Resolved, Told, Untold};
use crate::view::{GuestsView, Viewer};

use super::Engine;
use super::state::State;

/// What is remembered of networks whose guests are told of routes, or were.
#[derive(Debug, Default)]
pub(super) struct Guests {
    noted: BTreeMap<NetworkKey, GuestRecord>,
    untold: BTreeMap<NetworkKey, Vec<Untold>>,
    lent: BTreeMap<Id, BTreeMap<Cell, LentRecord>>,
    /// Networks of which something else is not told than before.
    altered: BTreeSet<NetworkKey>,
}

impl Guests {
    /// The entry of a network's registration, if it has one.
    pub(super) fn entry(&self, key: &NetworkKey) -> Option<(String, Option<String>)> {
        let record = self.noted.get(key)?;
        Some((GUESTS_KEY.to_owned(), Some(record.to_text())))
    }

    /// What is recorded of cells that are lent for a network. A record that somebody deleted counts
    /// as long as the cell holds what it says.
    pub(super) fn lent(&self, id: Id, northbound: &Northbound) -> BTreeMap<Cell, LentRecord> {
        let mut records = northbound.lent_records(id);
        for (cell, record) in self.lent.get(&id).into_iter().flatten() {
            if !records.contains_key(cell)
                && northbound.text_of(cell).as_deref() == Some(&record.ours)
            {
                records.insert(cell.clone(), record.clone());
            }
        }
        records
    }

    /// The networks of which something else is not told than when this was last asked.
    pub(super) fn take_altered(&mut self) -> BTreeSet<NetworkKey> {
        std::mem::take(&mut self.altered)
    }

    fn knows(&self, key: &NetworkKey) -> bool {
        self.noted.contains_key(key) || self.untold.contains_key(key)
    }

    /// Nothing is declared of a network any more: what its guests were told is over.
    pub(super) fn forget(&mut self, key: &NetworkKey) {
        self.noted.remove(key);
        self.untold.remove(key);
    }

    fn remember(&mut self, id: Id, northbound: &Northbound) {
        let mut records = self.lent(id, northbound);
        records.retain(|cell, _| cell.key.is_some());
        if records.is_empty() {
            self.lent.remove(&id);
        } else {
            self.lent.insert(id, records);
        }
    }

    /// Since when: what is recorded counts; else what was noted; else it is so since now.
    fn note(&mut self, key: &NetworkKey, told: Told, past: Option<GuestRecord>, now: Timestamp) {
        let Told { dhcp, ra, untold, .. } = told;
        if self.untold.get(key).map_or(&[][..], Vec::as_slice) != untold {
            self.altered.insert(key.clone());
        }
        if untold.is_empty() {
            self.untold.remove(key);
        } else {
            self.untold.insert(key.clone(), untold);
        }
        let noted = self.noted.get(key);
        if past.is_none() && noted.is_none() && dhcp.is_empty() && ra.is_empty() {
            return;
        }
        let same = |record: &&GuestRecord| record.dhcp == dhcp && record.ra == ra;
        let since = past.as_ref().filter(same).or(noted.filter(same)).map_or(now, |it| it.since);
        self.noted.insert(key.clone(), GuestRecord { since, dhcp, ra });
    }
}

impl State {
    /// Notes what the guests of these networks are told now.
    pub(super) fn note_guests(
        &mut self,
        resolved: &Resolved,
        northbound: &Northbound,
        now: Timestamp,
    ) {
        for key in &resolved.networks {
            let id = Id::of_network(key);
            if !self.is_registered(id, key) {
                self.guests.forget(key);
                self.guests.remember(id, northbound);
                continue;
            }
            let past = northbound.guest_record(id);
            let tells = self
                .resolver
                .networks()
                .ready(key)
                .is_some_and(|it| it.network.tell_guests != TellGuests::default());
            if !tells && past.is_none() && !self.guests.knows(key) {
                continue;
            }
            self.guests.remember(id, northbound);
            let told = self.told(key, northbound);
            self.guests.note(key, told, past, now);
        }
        let orphans = resolved.orphans.iter();
        let orphans: BTreeSet<Id> = orphans
            .filter_map(|unit| match unit {
                UnitId::Network(id) => Some(*id),
                UnitId::Peering(_) => None,
            })
            .filter(|id| self.guests.lent.contains_key(id))
            .collect();
        for id in orphans {
            self.guests.remember(id, northbound);
        }
    }

    /// What a network's guests are to be told.
    pub(super) fn told(&self, key: &NetworkKey, northbound: &Northbound) -> Told {
        let node = self.resolver.networks().node(key).filter(|node| node.is_registered());
        let Some((node, ready)) = node.and_then(|node| Some((node, node.ready()?))) else {
            return Told::default();
        };
        if ready.network.tell_guests == TellGuests::default() {
            return Told::default();
        }
        let links = node.linked().iter().filter_map(|pair| self.resolver.link(pair));
        let links: Vec<[&LinkEnd; 2]> = links.map(|link| link.ends_from(key)).collect();
        let records = self.guests.lent(Id::of_network(key), northbound);
        crate::peering::tell::tell(ready, &links, &records, northbound)
    }
}

impl Engine {
    /// What is shown of a network's guests; none where they are told of nothing, and never were.
    pub(super) fn guests_view(&self, key: &NetworkKey) -> Option<GuestsView> {
        let record = self.state.guests.noted.get(key)?;
        let list = |prefixes: &BTreeSet<ipnet::IpNet>| prefixes.iter().copied().collect();
        Some(GuestsView { since: record.since, dhcp: list(&record.dhcp), ra: list(&record.ra) })
    }

    /// Since when a network's guests are told what they are told now.
    pub(super) fn guests_since(&self, key: &NetworkKey) -> Option<Timestamp> {
        self.state.guests.noted.get(key).map(|record| record.since)
    }

    /// What the guests of a network are not told of, and why.
    pub(super) fn untold(&self, key: &NetworkKey, viewer: &Viewer) -> Vec<String> {
        let untold = self.state.guests.untold.get(key).into_iter().flatten();
        let shown = untold.filter(|it| viewer.is_operator() || !it.of_operator);
        shown.map(|it| it.text.clone()).collect()
    }
}
