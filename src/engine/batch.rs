//! Which units go into one transaction.
//!
//! A batch is made of groups, each of which must be committed whole: a pair with its networks
//! where those change, a network that changes with all its pairs. Several groups share a transaction,
//! because each one costs the server and ovn-northd something. A network that is new binds nobody, unless
//! something is refused: its first pair brings it along, and the others may follow. What is refused
//! waits, but not while something is to stand on it, nor while what it stands on is to go: a group
//! is refused whole.
//!
//! Whose group is next says the queue. A pair of which only records differ takes along the others
//! that are recorded in the same registration: it costs the server as much to write one of these as
//! to write all of them.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::declare::PeeringKey;
use crate::northbound::declared::Entry;
use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{Id, Northbound, UnitId};
use crate::peering::Node;
use crate::program::{DesiredRow, Parent, RegistrationDiff, RowDiff, Transaction};

use super::damping::Trace;
use super::state::{Patch, State, UnitChanges};
use super::writer::Writer;

/// Bytes of records that count as one.
const RECORD: usize = 512;
/// What a group with rows of a link counts for, in records.
const GROUP: usize = 64;
/// Units that are found to wait for a transaction under way, before no more are looked at.
const MOST_POSTPONED: usize = 64;

/// What this instance may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// It holds the lock: everything of ours.
    #[default]
    Active,
    /// Another instance does: what this host declares, and nothing else.
    Standby,
}

/// How much goes into one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) role: Role,
    /// So many groups at the most.
    pub(super) most_groups: usize,
    /// Whether a network that is new binds its pairs, too: while what is refused is looked for.
    pub(super) whole: bool,
}

/// What goes into one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Units that differ.
    pub(super) units: BTreeSet<UnitId>,
    /// Units found to be as they shall be.
    pub(super) clean: BTreeSet<UnitId>,
    /// Units that differ, which is for the active instance to mend.
    pub(super) deferred: BTreeSet<UnitId>,
    /// Units that wait for a transaction under way, with all that is to be committed together with them.
    pub(super) postponed: BTreeSet<UnitId>,
    /// Units that differ, and are damped.
    pub(super) held: BTreeSet<UnitId>,
    /// What is written, by units.
    pub(super) traces: BTreeMap<UnitId, Trace>,
    /// How many groups it is made of.
    pub(super) groups: usize,
    /// How much these are, in records.
    size: usize,
    /// Units of a transaction under way.
    under_way: BTreeSet<UnitId>,
    /// Whether a link that nobody declares any more is among those, or among those that wait.
    link_goes: bool,
    /// Units that are refused or damped and wait, but for those that were taken.
    refused: BTreeSet<UnitId>,
    /// Units that were refused, and have not been found to be as they shall be since.
    refused_as_holder: BTreeSet<UnitId>,
    role: Role,
    /// Whether a network that is new binds its pairs, too.
    whole: bool,
    /// Whether pairs of which only records differ count for less than a group.
    together: bool,
    transaction: Transaction,
    patches: BTreeMap<Id, Patch>,
}

impl Batch {
    /// Takes groups of dirty units, until so many of them differ. What was taken is dirty no more; what is
    /// bound to a unit that the `writer` has under way stays so.
    pub(super) fn gather(
        state: &mut State,
        northbound: &Northbound,
        extent: Extent,
        writer: &Writer,
    ) -> Self {
        let Extent { role, most_groups, whole } = extent;
        let together = !whole && most_groups > 1;
        let under_way: BTreeSet<UnitId> = writer.units_under_way().collect();
        let link_goes = under_way.iter().any(|unit| is_leaving_link(*unit, state));
        let refused = writer.refused().chain(writer.damping.waiting()).collect();
        let refused_as_holder = writer.refused_as_holder.clone();
        let mut batch = Self {
            role,
            whole,
            together,
            under_way,
            link_goes,
            refused,
            refused_as_holder,
            ..Self::default()
        };
        let most = most_groups.saturating_mul(GROUP);
        // Standbys with the same files begin at different places: of two that insert the same
        // registration one is refused, and with it all that it sent.
        let from = (role == Role::Standby).then(|| Id::of_host(state.declarations.host()));
        while batch.size < most && batch.postponed.len() < MOST_POSTPONED {
            let Some((unit, place)) = state.dirty.pop(from) else { break };
            let mut next = Some(unit);
            while let Some(unit) = next.take() {
                let only_recorded = batch.holds(unit, state, northbound, writer)
                    || batch.take_group(unit, state, northbound);
                if batch.together && only_recorded && batch.size < most {
                    next = state.dirty.pop_beside(&place);
                }
            }
        }
        state.mark_dirty(batch.postponed.iter().copied(), Some(northbound));
        batch.held.retain(|unit| batch.refused.contains(unit));
        batch
    }

    /// The transaction; none if nothing differs.
    pub(super) fn transaction(self, northbound: &Northbound) -> Option<Transaction> {
        let mut transaction = self.transaction;
        for (network, patch) in &self.patches {
            transaction.registrations.extend(patch.diff(*network, northbound));
        }
        transaction.declares_only = self.role == Role::Standby;
        (!transaction.is_empty()).then_some(transaction)
    }

    /// Whether a unit that differs has to wait as it was written again and again. Something else may take it along.
    fn holds(
        &mut self,
        unit: UnitId,
        state: &State,
        northbound: &Northbound,
        writer: &Writer,
    ) -> bool {
        if !writer.damping.pauses(unit) {
            return false;
        }
        let changes = self.permitted(state.changes(unit, northbound), state, northbound);
        let holds = changes.differs(northbound) && {
            let trace = Trace::of(unit, &changes, state, northbound);
            !writer.damping.lets_through(unit, trace)
        };
        if holds {
            self.held.insert(unit);
            self.refused.insert(unit);
        }
        holds
    }

    /// Takes a unit and all that is bound to it. Tells whether only records differ.
    fn take_group(&mut self, first: UnitId, state: &mut State, northbound: &Northbound) -> bool {
        self.refused.remove(&first);
        let mut queue = vec![first];
        let mut group = Vec::new();
        while let Some(unit) = queue.pop() {
            let bound = bound(unit, state);
            let mut waits = self.follows(unit) || bound.iter().any(|unit| self.is_held(*unit));
            let changes =
                if waits { UnitChanges::default() } else { state.changes(unit, northbound) };
            let differs = changes.differs(northbound);
            let binds =
                differs && (self.whole || changes.binds(northbound) && !is_new(unit, northbound));
            let pairs = if binds { self.bound_pairs(unit, state, northbound) } else { Vec::new() };
            let standing = standing(unit, &changes, northbound);
            waits |= pairs.iter().chain(&standing).any(|unit| self.is_held(*unit));
            let all_well = self.refused.is_empty() && self.refused_as_holder.is_empty();
            let builds = all_well || changes.builds(northbound);
            for unit in bound {
                // What only goes does not wait for what is refused.
                let bars = !builds && self.refused_as_holder.contains(&unit);
                if !bars && self.claim(unit, builds, state) {
                    queue.push(unit);
                }
            }
            queue.extend(pairs.into_iter().filter(|unit| self.claim(*unit, false, state)));
            queue.extend(standing.into_iter().filter(|unit| self.claim(*unit, true, state)));
            group.push((unit, changes, differs));
            if waits {
                for unit in group.into_iter().map(|(unit, ..)| unit).chain(queue) {
                    self.link_goes |= is_leaving_link(unit, state);
                    self.postponed.insert(unit);
                }
                return false;
            }
        }
        let mut sizes = Vec::new();
        for (unit, changes, differs) in group {
            if differs {
                sizes.extend(self.take(unit, changes, state, northbound));
            } else {
                self.clean.insert(unit);
            }
        }
        let size: Option<usize> = sizes.iter().copied().sum();
        let counts = usize::from(!sizes.is_empty());
        self.groups += counts;
        self.size += counts * size.filter(|_| self.together).unwrap_or(GROUP);
        size.is_some()
    }

    /// Only a network that changes binds its pairs together: those of which a link stands, or shall.
    fn bound_pairs(&self, unit: UnitId, state: &State, northbound: &Northbound) -> Vec<UnitId> {
        let has_link = |unit: &UnitId| {
            let UnitId::Peering(id) = unit else { return false };
            let pair = state.resolver.pair_with(*id);
            pair.is_some_and(|pair| state.resolver.link(pair).is_some())
                || northbound.rows_of(*unit).next().is_some()
        };
        let mut pairs = pairs_of(unit, state);
        pairs.retain(|unit| self.whole || has_link(unit));
        pairs
    }

    /// Whether a unit is to be taken: one that is dirty, or `recalled` from those that are refused. What is
    /// queued is neither any more: no unit is taken twice.
    fn claim(&mut self, unit: UnitId, recalled: bool, state: &mut State) -> bool {
        let dirty = state.dirty.remove(unit).is_some();
        let refused = (dirty || recalled) && self.refused.remove(&unit);
        dirty || refused
    }

    /// Whether a unit has to wait for the end of a transaction under way.
    fn is_held(&self, unit: UnitId) -> bool {
        self.postponed.contains(&unit) || self.under_way.contains(&unit)
    }

    /// The same, of one that is to be taken. The uplink anti-spoof of a network stays until the links are gone that
    /// nobody declares any more: whose those are is not known.
    fn follows(&self, unit: UnitId) -> bool {
        self.is_held(unit) || self.link_goes && matches!(unit, UnitId::Network(_))
    }

    /// A unit that differs: how many records are written for it; none in place of a number where
    /// rows are, too.
    fn take(
        &mut self,
        unit: UnitId,
        changes: UnitChanges,
        state: &State,
        northbound: &Northbound,
    ) -> Option<Option<usize>> {
        let changes = self.permitted(changes, state, northbound);
        if !changes.differs(northbound) {
            self.deferred.insert(unit);
            return None;
        }
        self.traces.insert(unit, Trace::of(unit, &changes, state, northbound));
        self.units.insert(unit);
        let size = changes.records();
        self.add(changes);
        Some(size)
    }

    /// What of some changes this instance may write.
    fn permitted(
        &self,
        changes: UnitChanges,
        state: &State,
        northbound: &Northbound,
    ) -> UnitChanges {
        match self.role {
            Role::Active => changes,
            Role::Standby => changes.own(state.declarations.host(), northbound),
        }
    }

    fn add(&mut self, changes: UnitChanges) {
        self.transaction.rows.extend(changes.rows);
        self.transaction.borrowed.extend(changes.borrowed);
        for (network, patch) in changes.patches {
            self.patches.entry(network).or_default().merge(patch);
        }
    }
}

impl UnitChanges {
    /// What of this a host writes that does not hold the lock: its own declarations, and in a
    /// registration that is gone those of all hosts.
    pub(super) fn own(mut self, host: &str, northbound: &Northbound) -> Self {
        self.rows.clear();
        self.borrowed.clear();
        for (network, patch) in &mut self.patches {
            patch.removed = false;
            let registration = northbound.registration(*network);
            // One that somebody deleted is put back whole: who comes first says it for all.
            let whole = registration.is_none();
            patch.entries.retain(|key, _| {
                Entry::parse(key).is_some_and(|entry| whole || entry.host() == host)
            });
            // What it has said already does not make the unit its own to mend.
            if let Some(tags) = registration {
                patch.entries.retain(|key, text| tags.get(key).as_deref() != text.as_deref());
            }
            if registration.is_some() || patch.entries.is_empty() {
                patch.base = None;
            }
        }
        self.patches.retain(|_, patch| !patch.entries.is_empty());
        self
    }

    /// Whether anything is to be written. Records of a registration that is not there yet are.
    pub(super) fn differs(&self, northbound: &Northbound) -> bool {
        let missing = |patch: &Patch| !patch.removed && patch.base.is_none();
        !self.rows.is_empty()
            || !self.borrowed.is_empty()
            || self.patches.iter().any(|(network, patch)| {
                missing(patch) || !patch.diff(*network, northbound).is_empty()
            })
    }

    /// How many records of ordinary size it sets, if it does nothing else.
    fn records(&self) -> Option<usize> {
        let entries = self.patches.values().flat_map(|patch| &patch.entries);
        let bytes = entries.map(|(key, text)| key.len() + text.as_ref().map_or(0, String::len));
        let is_all = self.rows.is_empty() && self.borrowed.is_empty();
        is_all.then(|| 1 + bytes.sum::<usize>() / RECORD)
    }

    /// Whether it needs what it stands on: its rows, unless they only go, and records without a registration.
    fn builds(&self, northbound: &Northbound) -> bool {
        let goes = |row: &RowDiff| matches!(row, RowDiff::Delete { .. });
        let unregistered = |network: &Id| northbound.registration(*network).is_none();
        let records = self.rows.is_empty() && self.patches.keys().any(unregistered);
        records || !self.rows.iter().all(goes)
    }

    /// Whether what stands on it must follow at once: not for its policies and records alone.
    fn binds(&self, northbound: &Northbound) -> bool {
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

    /// The routers that lose policies, and get no others for them.
    fn losing_policies(&self) -> BTreeSet<Uuid> {
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

/// Whether it is a link that nobody declares any more.
fn is_leaving_link(unit: UnitId, state: &State) -> bool {
    matches!(unit, UnitId::Peering(id) if state.resolver.pair_with(id).is_none())
}

/// What goes with a unit wherever it is dirty: a pair stands on its networks.
fn bound(unit: UnitId, state: &State) -> Vec<UnitId> {
    let UnitId::Peering(id) = unit else { return Vec::new() };
    let networks = state.resolver.pair_with(id).into_iter().flat_map(|key| [key.a(), key.b()]);
    networks.map(|key| UnitId::Network(Id::of_network(key))).collect()
}

impl State {
    /// The pairs that a unit is, or that stand on it.
    pub(super) fn pairs_with(&self, unit: UnitId) -> Vec<PeeringKey> {
        let pairs = pairs_of(unit, self).into_iter().chain([unit]);
        let pairs = pairs.filter_map(|unit| match unit {
            UnitId::Peering(id) => self.resolver.pair_with(id).cloned(),
            UnitId::Network(_) => None,
        });
        pairs.collect()
    }
}

/// The pairs of a network.
fn pairs_of(unit: UnitId, state: &State) -> Vec<UnitId> {
    let UnitId::Network(id) = unit else { return Vec::new() };
    let networks = state.resolver.networks();
    let node = networks.key_of(id).and_then(|key| networks.node(key));
    let pairs = node.into_iter().flat_map(Node::pairs);
    pairs.filter_map(|pair| state.resolver.id(pair).map(UnitId::Peering)).collect()
}

/// The links on a network that is to lose its uplink anti-spoof: as long as they stand, it stays.
fn standing(unit: UnitId, changes: &UnitChanges, northbound: &Northbound) -> Vec<UnitId> {
    if !matches!(unit, UnitId::Network(_)) {
        return Vec::new();
    }
    let links =
        changes.losing_policies().into_iter().flat_map(|router| northbound.peerings_on(router));
    links.map(UnitId::Peering).collect()
}

/// Whether it is a network without a registration: nothing stands on it yet.
fn is_new(unit: UnitId, northbound: &Northbound) -> bool {
    matches!(unit, UnitId::Network(id) if northbound.registration(id).is_none())
}
