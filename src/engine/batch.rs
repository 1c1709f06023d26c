//! Which units go into one transaction.
//!
//! A batch is made of groups, each of which must be committed whole: a pair with its networks
//! where those change, a network that changes with all its pairs. Many groups share a transaction,
//! because ovn-northd recomputes everything for each.

use std::collections::{BTreeMap, BTreeSet};

use crate::northbound::{Id, Northbound};
use crate::program::Transaction;

use super::state::{Patch, State, Unit, UnitChanges};
use super::takeover::scattered;

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
    /// How many groups it is made of.
    pub(super) groups: usize,
    role: Role,
    transaction: Transaction,
    patches: BTreeMap<Id, Patch>,
}

impl Batch {
    /// Takes groups of dirty units, until so many of them differ. What was taken is dirty no more.
    pub(super) fn gather(
        state: &mut State,
        northbound: &Northbound,
        most_groups: usize,
        role: Role,
    ) -> Self {
        let mut batch = Self { role, ..Self::default() };
        let from = batch.place(state, most_groups);
        while batch.groups < most_groups {
            let next = from.as_ref().and_then(|from| state.dirty.range(from..).next());
            let Some(unit) = next.or(state.dirty.first()).cloned() else { break };
            state.dirty.remove(&unit);
            let before = batch.units.len();
            batch.take_group(unit, state, northbound);
            if batch.units.len() > before {
                batch.groups += 1;
            }
        }
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

    fn take_group(&mut self, first: Unit, state: &mut State, northbound: &Northbound) {
        let mut queue = vec![first];
        while let Some(unit) = queue.pop() {
            let changes = state.changes(&unit, northbound);
            let differs = changes.differs(northbound);
            let with = match &unit {
                Unit::Orphan(_) => Vec::new(),
                Unit::Pair(key) => {
                    vec![Unit::Network(key.a().clone()), Unit::Network(key.b().clone())]
                }
                // Only a network that changes binds its pairs together.
                Unit::Network(key) if differs => state
                    .resolver
                    .networks()
                    .node(key)
                    .map(|node| node.pairs().iter().cloned().map(Unit::Pair).collect())
                    .unwrap_or_default(),
                Unit::Network(_) => Vec::new(),
            };
            // What is queued is dirty no more: no unit is taken twice.
            queue.extend(with.into_iter().filter(|unit| state.dirty.remove(unit)));
            if !differs {
                self.clean.insert(unit);
                continue;
            }
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
