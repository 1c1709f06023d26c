//! Which units go into one transaction.
//!
//! A batch is made of groups, each of which must be committed whole: a pair with its networks
//! where those change, a network that changes with all its pairs. Many groups share a transaction,
//! because ovn-northd recomputes everything for each. A network that is new binds nobody, unless
//! something is refused: its first pair brings it along, and the others may follow.

use std::collections::{BTreeMap, BTreeSet};

use crate::northbound::{Id, Northbound, UnitId};
use crate::peering::Node;
use crate::program::Transaction;

use super::state::{Patch, State, Unit, UnitChanges};
use super::takeover::scattered;
use super::writer::MOST_GROUPS;

/// What this instance may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// It holds the lock: everything of ours.
    #[default]
    Active,
    /// Another instance does: what this host declares, and nothing else.
    Standby,
}

/// What goes into one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Units that differ.
    pub(super) units: BTreeSet<Unit>,
    /// Units found to be as they shall be.
    pub(super) clean: BTreeSet<Unit>,
    /// Units that differ, which is for the active instance to mend.
    pub(super) parked: BTreeSet<Unit>,
    /// Units that wait for a transaction under way, with all that is to be committed together with them.
    pub(super) aside: BTreeSet<Unit>,
    /// How many groups it is made of.
    pub(super) groups: usize,
    role: Role,
    /// Whether a network that is new binds its pairs, too.
    whole: bool,
    transaction: Transaction,
    patches: BTreeMap<Id, Patch>,
}

impl Batch {
    /// Takes groups of dirty units, until so many of them differ. What was taken is dirty no more; what is
    /// bound to a unit that is `under_way` stays so.
    pub(super) fn gather(
        state: &mut State,
        northbound: &Northbound,
        most_groups: usize,
        role: Role,
        under_way: impl Fn(&Unit) -> bool,
    ) -> Self {
        let whole = role == Role::Standby || most_groups < MOST_GROUPS;
        let mut batch = Self { role, whole, ..Self::default() };
        let from = batch.place(state, most_groups);
        while batch.groups < most_groups {
            let next = from.as_ref().and_then(|from| state.dirty.range(from..).next());
            let Some(unit) = next.or(state.dirty.first()).cloned() else { break };
            state.dirty.remove(&unit);
            let before = batch.units.len();
            batch.take_group(unit, state, northbound, &under_way);
            if batch.units.len() > before {
                batch.groups += 1;
            }
        }
        state.dirty.extend(batch.aside.iter().cloned());
        batch
    }

    /// Where to begin. Standbys with the same files begin at different places: of two that insert the
    /// same registration one is refused, and with it all that it sent.
    fn place(&self, state: &State, most_groups: usize) -> Option<Unit> {
        let many =
            u64::try_from(state.dirty.len()).ok().filter(|_| state.dirty.len() > most_groups)?;
        let place = scattered(state.roll.host()).checked_rem(many)?;
        let place = usize::try_from(place).ok().filter(|_| self.role == Role::Standby)?;
        state.dirty.iter().nth(place).cloned()
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

    fn take_group(
        &mut self,
        first: Unit,
        state: &mut State,
        northbound: &Northbound,
        under_way: &impl Fn(&Unit) -> bool,
    ) {
        let mut queue = vec![first];
        let mut group = Vec::new();
        while let Some(unit) = queue.pop() {
            let held = |unit: &Unit| self.aside.contains(unit) || under_way(unit);
            let bound = bound(&unit);
            let before = alias(&unit, state);
            let mut waits = bound.iter().chain(&before).chain([&unit]).any(held);
            let changes =
                if waits { UnitChanges::default() } else { state.changes(&unit, northbound) };
            let differs = changes.differs(northbound);
            let binds = differs && (self.whole || !is_new(&unit, northbound));
            let pairs = if binds { pairs_of(&unit, state) } else { Vec::new() };
            waits |= pairs.iter().any(held);
            // What is queued is dirty no more: no unit is taken twice.
            let bound = bound.into_iter().chain(pairs);
            queue.extend(bound.filter(|unit| state.dirty.remove(unit)));
            group.push((unit, changes, differs));
            if waits {
                self.aside.extend(group.into_iter().map(|(unit, ..)| unit).chain(queue));
                return;
            }
        }
        for (unit, changes, differs) in group {
            if differs {
                self.take(unit, changes, state, northbound);
            } else {
                self.clean.insert(unit);
            }
        }
    }

    /// A unit that differs.
    fn take(&mut self, unit: Unit, changes: UnitChanges, state: &State, northbound: &Northbound) {
        let changes = match self.role {
            Role::Active => changes,
            Role::Standby => changes.own(state.roll.host(), northbound),
        };
        if changes.differs(northbound) {
            self.units.insert(unit);
            self.add(changes);
        } else {
            self.parked.insert(unit);
        }
    }

    fn add(&mut self, changes: UnitChanges) {
        self.transaction.rows.extend(changes.rows);
        self.transaction.lent.extend(changes.lent);
        for (network, patch) in changes.patches {
            self.patches.entry(network).or_default().merge(patch);
        }
    }
}

impl UnitChanges {
    /// Whether anything is to be written. Records of a registration that is not there yet are.
    pub(super) fn differs(&self, northbound: &Northbound) -> bool {
        let missing = |patch: &Patch| !patch.removed && patch.base.is_none();
        !self.rows.is_empty()
            || !self.lent.is_empty()
            || self.patches.iter().any(|(network, patch)| {
                missing(patch) || !patch.diff(*network, northbound).is_empty()
            })
    }
}

/// What goes with a unit wherever it is dirty: a pair stands on its networks.
fn bound(unit: &Unit) -> Vec<Unit> {
    match unit {
        Unit::Pair(key) => vec![Unit::Network(key.a().clone()), Unit::Network(key.b().clone())],
        Unit::Network(_) | Unit::Orphan(_) => Vec::new(),
    }
}

/// Only a network that changes binds its pairs together.
fn pairs_of(unit: &Unit, state: &State) -> Vec<Unit> {
    let Unit::Network(key) = unit else { return Vec::new() };
    let pairs = state.resolver.networks().node(key).into_iter().flat_map(Node::pairs);
    pairs.cloned().map(Unit::Pair).collect()
}

/// Whether it is a network without a registration: nothing stands on it yet.
fn is_new(unit: &Unit, northbound: &Northbound) -> bool {
    matches!(unit, Unit::Network(key) if northbound.registration(Id::of_network(key)).is_none())
}

/// As what its rows were written before it was declared.
fn alias(unit: &Unit, state: &State) -> Option<Unit> {
    let id = match unit {
        Unit::Pair(key) => UnitId::Peering(state.resolver.id(key)?),
        Unit::Network(key) => UnitId::Network(Id::of_network(key)),
        Unit::Orphan(_) => return None,
    };
    Some(Unit::Orphan(id))
}
