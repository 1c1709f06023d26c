//! What is in effect, what it asks for, and which units are to be compared with the northbound.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::declare::{Book, Changed, HalfKey, NetworkKey, PeeringKey, Settings};
use crate::northbound::registration::{half_key, half_names};
use crate::northbound::tables::address_set;
use crate::northbound::{Family, HalfRecord, Id, NetworkRecord, Northbound, RecordedState, UnitId};
use crate::peering::{Local, Resolved, Resolver};
use crate::program::{self, Base, Entries, RegistrationDiff, RowDiff};

/// Something that is compared with the northbound as a whole. Orphans sort first: what is no
/// longer wanted goes before, or together with, what it stood on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Rows of ours that nothing declared asks for.
    Orphan(UnitId),
    /// A pair of networks: link rows, and the records of its halves.
    Pair(PeeringKey),
    /// A network: its registration and its own guard.
    Network(NetworkKey),
}

/// A registration as a unit wants it changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    pub(super) base: Option<Base>,
    pub(super) entries: Entries,
    pub(super) removed: bool,
}

/// What a unit wants changed.
#[derive(Debug, Default)]
pub(super) struct UnitChanges {
    pub(super) rows: Vec<RowDiff>,
    pub(super) patches: BTreeMap<Id, Patch>,
}

impl Patch {
    pub(super) fn merge(&mut self, other: Self) {
        self.base = self.base.take().or(other.base);
        self.entries.extend(other.entries);
        self.removed |= other.removed;
    }

    pub(super) fn diff(&self, network: Id, northbound: &Northbound) -> Vec<RegistrationDiff> {
        if self.removed {
            return program::registration_removal(network, northbound);
        }
        program::registration_diff(network, self.base.as_ref(), &self.entries, northbound)
    }
}

/// Declarations, rules and what is dirty.
#[derive(Debug)]
pub(super) struct State {
    pub(super) host: String,
    pub(super) book: Book,
    pub(super) resolver: Resolver,
    pub(super) dirty: BTreeSet<Unit>,
    /// Whether the northbound has been read once; before, the rules know of no declaration.
    pub(super) begun: bool,
    /// Since when each half stands where it stands.
    since: BTreeMap<HalfKey, (RecordedState, Timestamp)>,
}

impl State {
    pub(super) fn new(settings: &Settings, host: String) -> Self {
        Self::with(Book::new(settings), host)
    }

    pub(super) fn with(book: Book, host: String) -> Self {
        let (resolver, dirty) = (Resolver::default(), BTreeSet::new());
        Self { host, book, resolver, dirty, begun: false, since: BTreeMap::new() }
    }

    pub(super) fn declared(&mut self, changed: &Changed) {
        if !self.begun {
            return;
        }
        self.resolver.declared(&self.book, &changed.networks, &changed.halves);
        for half in &changed.halves {
            if self.book.half(half).is_none() {
                self.since.remove(half);
            }
        }
    }

    /// Takes everything in the book to the rules, and from here on what changes there.
    pub(super) fn declare_all(&mut self) {
        self.begun = true;
        let networks = self.book.networks().map(|network| network.key.clone()).collect();
        let halves = self.book.halves().map(|half| half.key.clone()).collect();
        self.declared(&Changed { networks, halves, ..Changed::default() });
    }

    /// Applies the rules to what is dirty there; what they touched is then dirty here.
    pub(super) fn resolve(&mut self, northbound: &Northbound, now: Timestamp) -> Resolved {
        let resolved = self.resolver.resolve(&self.book, northbound);
        for pair in &resolved.pairs {
            let halves: Vec<HalfKey> = self.resolver.halves_of(pair).cloned().collect();
            for half in halves {
                self.note_since(&half, now);
            }
        }
        self.dirty.extend(resolved.orphans.iter().copied().map(Unit::Orphan));
        self.dirty.extend(resolved.pairs.iter().cloned().map(Unit::Pair));
        self.dirty.extend(resolved.networks.iter().cloned().map(Unit::Network));
        resolved
    }

    /// What is recorded counts; else what was noted; else it is so since now.
    fn note_since(&mut self, half: &HalfKey, now: Timestamp) {
        let Some(verdict) = self.resolver.verdict(half) else { return };
        let state = verdict.standing.recorded();
        let recorded = self.record(half).filter(|record| record.state == state);
        let noted = self.since.get(half).filter(|(noted, _)| *noted == state).map(|(_, at)| *at);
        let since = recorded.map(|record| record.since).or(noted).unwrap_or(now);
        self.since.insert(half.clone(), (state, since));
    }

    /// Since when a half stands where it stands.
    pub(super) fn since(&self, half: &HalfKey) -> Option<Timestamp> {
        self.since.get(half).map(|(_, since)| *since)
    }

    /// What is recorded of a half, if it is about its present target.
    fn record(&self, half: &HalfKey) -> Option<&HalfRecord> {
        let target = &self.book.half(half)?.target;
        self.resolver.record(half).filter(|record| record.targets(target))
    }

    /// What a unit wants changed in the northbound.
    pub(super) fn changes(&self, unit: &Unit, northbound: &Northbound) -> UnitChanges {
        match unit {
            Unit::Orphan(id) => orphan_changes(*id, northbound),
            Unit::Pair(key) => self.pair_changes(key, northbound),
            Unit::Network(key) => self.network_changes(key, northbound),
        }
    }

    fn pair_changes(&self, key: &PeeringKey, northbound: &Northbound) -> UnitChanges {
        let mut changes = UnitChanges::default();
        let Some(id) = self.resolver.id(key) else { return changes };
        let desired = self.resolver.link(key).map(program::link_rows).unwrap_or_default();
        changes.rows = program::diff(UnitId::Peering(id), desired, northbound);
        for half in self.resolver.halves_of(key) {
            let network = Id::of_network(&half.network);
            let Some(text) = self.record_text(half) else { continue };
            let missing = northbound.address_set(network, Family::Ip4).is_none();
            let current = northbound.half_record_text(network, &half.name);
            if missing || current != Some(text.as_str()) {
                let patch = changes.patches.entry(network).or_default();
                patch.entries.insert(half_key(&half.name), Some(text));
            }
        }
        changes
    }

    fn record_text(&self, key: &HalfKey) -> Option<String> {
        let half = self.book.half(key)?;
        let file = self.book.origin_of_half(key)?;
        let (state, since) = self.since.get(key)?.clone();
        let was_linked = self.record(key).is_some_and(|record| record.was_linked);
        Some(HalfRecord::new(half, file, &self.host, state, since, was_linked).to_text())
    }

    fn network_changes(&self, key: &NetworkKey, northbound: &Northbound) -> UnitChanges {
        let id = Id::of_network(key);
        let node = self.resolver.networks().node(key);
        let Some(node) = node.filter(|node| !node.halves().is_empty()) else {
            return orphan_changes(UnitId::Network(id), northbound);
        };
        let ready = match node.local() {
            Some(Local::Ready(ready)) => Some(ready),
            Some(Local::Fault(_)) | None => None,
        };
        let guard = ready.filter(|_| node.is_linked());
        let desired = guard.map(|ready| program::guard_rows(id, ready)).unwrap_or_default();
        let binding = self.book.network(key).zip(self.book.origin_of_network(key));
        let base = Base {
            label: key.to_string(),
            prefixes: ready.map(|ready| ready.prefixes.clone()).unwrap_or_default(),
            record: NetworkRecord::new(key, binding).to_text(),
        };
        let entries = stale_entries(id, key, node.halves(), northbound);
        let patch = Patch { base: Some(base), entries, removed: false };
        UnitChanges {
            rows: program::diff(UnitId::Network(id), desired, northbound),
            patches: BTreeMap::from([(id, patch)]),
        }
    }
}

fn orphan_changes(unit: UnitId, northbound: &Northbound) -> UnitChanges {
    let rows = program::diff(unit, Vec::new(), northbound);
    let patches = match unit {
        UnitId::Peering(_) => BTreeMap::new(),
        UnitId::Network(id) => BTreeMap::from([(id, Patch { removed: true, ..Patch::default() })]),
    };
    UnitChanges { rows, patches }
}

/// Records of halves that are not declared any more.
fn stale_entries(
    id: Id,
    network: &NetworkKey,
    halves: &[HalfKey],
    northbound: &Northbound,
) -> Entries {
    let Some((_, row)) = northbound.address_set(id, Family::Ip4) else { return Entries::new() };
    let names = half_names(row_tags(row));
    names
        .filter(|name| {
            let key = HalfKey { network: network.clone(), name: (*name).into() };
            halves.binary_search(&key).is_err()
        })
        .map(|name| (half_key(name), None))
        .collect()
}

fn row_tags(row: &crate::ovsdb::Row) -> &crate::ovsdb::Value {
    crate::northbound::router::cell(row, address_set::EXTERNAL_IDS)
}
