//! What a unit wants changed in the northbound: rows, borrowed fields, registrations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{HalfKey, NetworkKey, PeeringKey, RejectionKey};
use crate::northbound::declared::{self, Entry};
use crate::northbound::others;
use crate::northbound::registration::{half_key, half_name, half_names};
use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{End, Id, NetworkRecord, Northbound, UnitId};
use crate::ovsdb::ValueRef;
use crate::peering::{Link, Node, end_of, key_of_end};
use crate::program::{
    self, Base, BorrowedDiff, DesiredRow, Entries, Parent, RegistrationDiff, Replaced, RowDiff,
    Unit, Wants,
};

use super::state::State;

/// Bytes of records that count as one.
const RECORD: usize = 512;

/// The changes of a registration that a unit wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    pub(super) base: Option<Base>,
    pub(super) entries: Entries,
    pub(super) removed: bool,
}

/// The changes that a unit wants.
#[derive(Debug, Default)]
pub(super) struct UnitChanges {
    pub(super) rows: Vec<RowDiff>,
    pub(super) borrowed: Vec<BorrowedDiff>,
    /// Rows of others whose place its rows take.
    pub(super) replaced: Option<Replaced>,
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

impl UnitChanges {
    /// The part of these changes that a host without the lock writes: its own declarations, and
    /// those of all hosts in a registration that was deleted, or in a northbound that is `older`
    /// than known.
    pub(super) fn own(mut self, host: &str, older: bool, northbound: &Northbound) -> Self {
        self.rows.clear();
        self.borrowed.clear();
        self.replaced = None;
        for (network, patch) in &mut self.patches {
            patch.removed = false;
            let registration = northbound.registration(*network);
            // A deleted registration is restored whole: the first host restores the declarations of
            // all.
            let whole = older || registration.is_none();
            patch.entries.retain(|key, _| {
                Entry::parse(key).is_some_and(|entry| whole || entry.host() == host)
            });
            // An entry that is written already gives this host nothing to repair.
            if let Some(tags) = registration {
                patch.entries.retain(|key, text| tags.get(key) != text.as_deref());
            }
            if registration.is_some() || patch.entries.is_empty() {
                patch.base = None;
            }
        }
        self.patches.retain(|_, patch| !patch.entries.is_empty());
        self
    }

    /// Whether anything is to be written. A missing registration always is.
    pub(super) fn differs(&self, northbound: &Northbound) -> bool {
        let missing = |patch: &Patch| !patch.removed && patch.base.is_none();
        !self.rows.is_empty()
            || self.replaced.is_some()
            || !self.borrowed.is_empty()
            || self.patches.iter().any(|(network, patch)| {
                missing(patch) || !patch.diff(*network, northbound).is_empty()
            })
    }

    /// Whether it changes entries of halves.
    pub(super) fn sets_halves(&self, northbound: &Northbound) -> bool {
        let mut patches = self.patches.iter();
        patches.any(|(network, patch)| {
            let registration = northbound.registration(*network);
            let set = |key: &str| registration.and_then(|tags| tags.get(key));
            let mut entries = patch.entries.iter();
            entries.any(|(key, text)| is_of_half(key) && set(key) != text.as_deref())
        })
    }

    /// How many records of ordinary size it sets; none if it does anything else.
    pub(super) fn records(&self) -> Option<usize> {
        let entries = self.patches.values().flat_map(|patch| &patch.entries);
        let bytes = entries.map(|(key, text)| key.len() + text.as_ref().map_or(0, String::len));
        let is_all = self.rows.is_empty() && self.borrowed.is_empty();
        is_all.then(|| 1 + bytes.sum::<usize>() / RECORD)
    }

    /// Whether it needs the networks of its pair: it does if it inserts or updates rows, or sets
    /// records in a registration that does not exist.
    pub(super) fn builds(&self, northbound: &Northbound) -> bool {
        let goes = |row: &RowDiff| matches!(row, RowDiff::Delete { .. });
        let unregistered = |network: &Id| northbound.registration(*network).is_none();
        let records = self.rows.is_empty() && self.patches.keys().any(unregistered);
        records || !self.rows.iter().all(goes)
    }

    /// Whether the units that depend on it must follow in the same transaction. Changes of policies
    /// or of records alone do not require that.
    pub(super) fn binds(&self, northbound: &Northbound) -> bool {
        let table = |row: &RowDiff| match row {
            RowDiff::Insert(row) | RowDiff::Update { row, .. } => row.table,
            RowDiff::Delete { table, .. } => *table,
        };
        let visible = |(network, patch): (&Id, &Patch)| {
            patch.removed
                || patch.diff(*network, northbound).iter().any(RegistrationDiff::is_visible)
        };
        !self.borrowed.is_empty()
            || self.rows.iter().any(|row| table(row) != ROUTER_POLICY)
            || self.patches.iter().any(visible)
    }

    /// The routers that lose policies and get no others instead.
    pub(super) fn losing_policies(&self) -> BTreeSet<Uuid> {
        let (mut losing_policies, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for diff in &self.rows {
            match diff {
                RowDiff::Delete { table: ROUTER_POLICY, parent, .. } => {
                    losing_policies.extend(*parent);
                }
                RowDiff::Insert(DesiredRow { parent: Some(Parent::Router(router)), .. }) => {
                    kept.insert(router.uuid);
                }
                RowDiff::Insert(_) | RowDiff::Update { .. } | RowDiff::Delete { .. } => {}
            }
        }
        losing_policies.retain(|router| !kept.contains(router));
        losing_policies
    }
}

/// Whether it is the key of an entry of a half: its record, or what a host declares of it.
fn is_of_half(key: &str) -> bool {
    half_name(key).is_some() || matches!(Entry::parse(key), Some(Entry::Half(..)))
}

/// The changes that a unit wants in the northbound.
pub(super) fn unit_changes(unit: UnitId, state: &State, northbound: &Northbound) -> UnitChanges {
    match unit {
        UnitId::Peering(id) => match state.resolver.pair_with(id) {
            Some(key) => pair_changes(state, id, key, northbound),
            None => orphan_changes(state, unit, northbound),
        },
        UnitId::Network(id) => match state.network_of(id) {
            Some(key) => network_changes(state, id, key, northbound),
            None => orphan_changes(state, unit, northbound),
        },
    }
}

/// Those of a pair: rows of its link, and the records of its halves.
fn pair_changes(state: &State, id: Id, key: &PeeringKey, northbound: &Northbound) -> UnitChanges {
    let mut changes = UnitChanges::default();
    let link = state.resolver.link(key);
    let desired = link.map(|link| program::wants(&Unit::Link(link)).rows).unwrap_or_default();
    changes.rows = program::diff(UnitId::Peering(id), desired, northbound);
    changes.replaced = link.and_then(|link| {
        let ready = |end| state.resolver.networks().node(key_of_end(key, end))?.ready();
        let (a, b) = (ready(End::A)?, ready(End::B)?);
        program::replaced(id, &link.replaces, [&a.router, &b.router], northbound)
    });
    for half in state.resolver.halves_of(key) {
        let network = Id::of_network(&half.network);
        if !state.is_registered(network, &half.network) {
            continue;
        }
        let registration = northbound.registration(network);
        for (key, text) in half_entries(state, half) {
            if !registration.is_some_and(|tags| tags.holds(&key, &text)) {
                let patch = changes.patches.entry(network).or_default();
                patch.entries.insert(key, Some(text));
            }
        }
    }
    changes
}

/// A half's record, and what this host declares of it.
fn half_entries(state: &State, key: &HalfKey) -> impl Iterator<Item = (String, String)> {
    let declarations = &state.declarations;
    let own = declarations.own_half(key).zip(declarations.local.origin_of_half(key));
    let own = own.map(|(half, file)| declared::half_entry(declarations.host(), half, file));
    let record = state.resolver.noted(key).map(|record| (half_key(&key.name), record.to_text()));
    own.into_iter().chain(record)
}

/// Those of a network: its registration, and the rows of the network itself.
fn network_changes(
    state: &State,
    id: Id,
    key: &NetworkKey,
    northbound: &Northbound,
) -> UnitChanges {
    if !state.is_registered(id, key) {
        return orphan_changes(state, UnitId::Network(id), northbound);
    }
    let node = state.resolver.networks().node(key);
    let node = node.filter(|node| node.is_registered());
    let ready = node.and_then(Node::ready);
    let routes = state.guests.wanted(key, &state.resolver, northbound);
    let network = program::Network {
        id,
        linked: ready.filter(|_| node.is_some_and(Node::is_linked)),
        remote: &|| remote_prefixes(state, key, node),
        behind: state.resolver.networks().behind(key),
        guests: &routes,
    };
    let Wants { rows: desired, borrowed, .. } = program::wants(&Unit::Network(network));
    let rows = program::diff(UnitId::Network(id), desired, northbound);
    let records = state.guests.borrowed(id, northbound);
    let (borrowed, borrowed_entries) = program::borrowed_changes(id, borrowed, records, northbound);
    let router = ready.map(|ready| ready.network.router.to_string());
    let recorded = || northbound.network_record(id).and_then(|record| record.router);
    let base = Base {
        label: key.to_string(),
        prefixes: ready.map(|ready| ready.prefixes.to_vec()).unwrap_or_default(),
        // A router that is missed for a while is still the one.
        record: NetworkRecord::new(key, router.or_else(recorded)).to_text(),
    };
    let mut entries = network_entries(state, key, node, northbound);
    entries.extend(borrowed_entries);
    entries.extend(state.guests.entry(key));
    let patch = Patch { base: Some(base), entries, removed: false };
    let patches = BTreeMap::from([(id, patch)]);
    UnitChanges { rows, borrowed, patches, replaced: None }
}

/// The prefixes that a network's router reaches over links of ours.
fn remote_prefixes(state: &State, key: &NetworkKey, node: Option<&Node>) -> BTreeSet<IpNet> {
    let pairs = node.map(Node::linked).unwrap_or_default();
    let links = pairs.iter().filter_map(|pair| state.resolver.link(pair));
    let of_link = |link: &Link| {
        let reached = link.reached(end_of(&link.key, key));
        link.remote_of(key).prefixes.iter().copied().chain(reached).collect::<Vec<_>>()
    };
    links.flat_map(of_link).collect()
}

/// The entries that this host declares of a network, those that it declares no more, and the
/// records of halves that nobody declares. A deleted registration is restored with the entries of
/// all hosts.
fn network_entries(
    state: &State,
    key: &NetworkKey,
    node: Option<&Node>,
    northbound: &Northbound,
) -> Entries {
    let declarations = &state.declarations;
    let (local, host) = (&declarations.local, declarations.host());
    let binding = declarations.own_network(key).map(Arc::as_ref);
    let binding = binding.zip(local.origin_of_network(key));
    let rejections = local.rejections_of(key).filter_map(|rejection| {
        let rejection = declarations.own_rejection(&rejection.key)?;
        let file = local.origin_of_rejection(&rejection.key)?;
        Some(declared::rejection_entry(host, &rejection.key, file))
    });
    let mut own: Vec<(String, String)> = rejections.collect();
    let mut halves = local.halves_of(key).filter(|half| declarations.own_half(&half.key).is_some());
    let speaks = binding.is_some() || !own.is_empty() || halves.next().is_some();
    let rules = declarations.rules.own();
    let host_entry = || declared::host_entry(host, key, binding, rules);
    own.extend((node.is_some() && speaks).then(host_entry));
    let mut entries: Entries = own.into_iter().map(|(entry, text)| (entry, Some(text))).collect();
    let ended = state.history.of(key);
    let ended = ended.map(|(half, record)| (half_key(&half.name), Some(record.to_text())));
    entries.extend(ended);
    let Some(tags) = northbound.registration(Id::of_network(key)) else {
        let others = others::entries_of_others(key, &declarations.others(key), rules);
        entries.extend(others.into_iter().map(|(entry, text)| (entry, Some(text))));
        return entries;
    };
    let half = |name: &str| HalfKey::new(key.clone(), name);
    let stale = declared::keys_of(tags, host).filter(|entry| match Entry::parse(entry) {
        Some(Entry::Half(_, name)) => declarations.own_half(&half(name)).is_none(),
        Some(Entry::Rejection(_, from)) => {
            let rejection = RejectionKey { network: key.clone(), from };
            declarations.own_rejection(&rejection).is_none()
        }
        Some(Entry::Host(_)) | None => !entries.contains_key(*entry),
    });
    let stale: Vec<String> = stale.map(str::to_owned).collect();
    let halves = node.map(Node::halves).unwrap_or_default();
    let over = half_names(tags).filter(|name| {
        let half = half(name);
        halves.binary_search(&half).is_err() && state.history.get(&half).is_none()
    });
    let over: Vec<String> = over.map(half_key).collect();
    entries.extend(stale.into_iter().chain(over).map(|key| (key, None)));
    entries.extend(restored_entries(state, key, tags));
    entries
}

/// The declarations of all hosts that are to be restored in a northbound that is older than known.
/// Those of this host's halves are among them, so that the network alone shows whether anything is
/// left to restore.
fn restored_entries(state: &State, key: &NetworkKey, tags: ValueRef<'_>) -> Entries {
    if state.recency.older().is_none() {
        return Entries::new();
    }
    let declarations = &state.declarations;
    let (host, others) = (declarations.host(), declarations.others(key));
    let rules = declarations.rules.own();
    let own = declarations.local.halves_of(key).filter_map(|half| {
        let half = declarations.own_half(&half.key)?;
        let file = declarations.local.origin_of_half(&half.key)?;
        let (entry, text) = declared::half_entry(host, half, file);
        Some((entry, Some(text)))
    });
    let others = others::entries_to_restore(host, key, tags, &others, rules);
    others.into_iter().chain(own).collect()
}

/// Those of a unit that nobody declares: its rows are deleted. Of a registration this host first
/// deletes its own entries, so that no host restores it; then the row, unless another host has an
/// entry there.
fn orphan_changes(state: &State, unit: UnitId, northbound: &Northbound) -> UnitChanges {
    let rows = program::diff(unit, Vec::new(), northbound);
    let UnitId::Network(id) = unit else {
        return UnitChanges { rows, ..UnitChanges::default() };
    };
    let tags = northbound.registration(id);
    let own = tags.into_iter().flat_map(|tags| declared::keys_of(tags, state.declarations.host()));
    let mut entries: Entries = own.map(|key| (key.to_owned(), None)).collect();
    let named = tags.and_then(|tags| Some((declared::network_of(tags)?, tags)));
    let named = named.filter(|(key, _)| Id::of_network(key) == id);
    entries.extend(named.into_iter().flat_map(|(key, tags)| restored_entries(state, &key, tags)));
    let removed = entries.is_empty() && !tags.is_some_and(declared::is_declared);
    let records = state.guests.borrowed(id, northbound);
    let (borrowed, borrowed_entries) =
        program::borrowed_changes(id, Vec::new(), records, northbound);
    entries.extend(borrowed_entries);
    let patch = Patch { base: None, entries, removed };
    let patches = BTreeMap::from([(id, patch)]);
    UnitChanges { rows, borrowed, patches, replaced: None }
}
