//! The transaction under way, and what becomes of it.
//!
//! One refused unit must not hold up the others: a refused batch is halved until the unit that is
//! refused stands alone; that one waits, with the server's words as its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::declare::{Host, NetworkKey};
use crate::northbound::{Id, Touched, UnitId};
use crate::now::Now;
use crate::ovsdb::{Operation, OperationResult, TransactError};
use crate::program;

use super::batch::{Batch, Role};
use super::state::{State, Unit};
use super::{Deadline, Engine};

/// Groups in one transaction at the most. ovn-northd recomputes everything for each transaction,
/// so many; ovsdb-server answers nobody else while it commits one, so not all.
const MOST_GROUPS: usize = 256;
/// After a transaction that failed for something that passes; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// After repeated failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How long a unit that the server refuses waits, unless something of it changes before.
const REFUSAL_PAUSE: Duration = Duration::from_secs(30);

/// A transaction to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Comes back with the result.
    pub id: u64,
    /// What to do, all or nothing.
    pub operations: Vec<Operation>,
}

#[derive(Debug)]
struct UnderWay {
    id: u64,
    units: BTreeSet<Unit>,
    groups: usize,
}

/// A unit that the server refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: String,
    until: Duration,
}

/// What is under way and what waits.
#[derive(Debug)]
pub(super) struct Writer {
    /// None until the server has told who holds the lock.
    pub(super) role: Option<Role>,
    /// What a standby found to differ: for the active instance to mend, or for us once we are it.
    parked: BTreeSet<Unit>,
    /// Hosts whose declarations are to be dropped.
    pub(super) forgotten: BTreeSet<Host>,
    /// Those of the transaction under way.
    forgetting: BTreeSet<Host>,
    under_way: Option<UnderWay>,
    last_id: u64,
    most_groups: usize,
    pause: Duration,
    paused_until: Option<Duration>,
    refused: BTreeMap<Unit, Refusal>,
    /// Units of which somebody else changed a row.
    suspects: BTreeSet<UnitId>,
    /// Networks whose registration cannot be inserted, as its name is there without our tag.
    untagged: BTreeSet<NetworkKey>,
    /// The same, whose tag has been put back since.
    tagged: BTreeSet<NetworkKey>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            role: None,
            parked: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            forgetting: BTreeSet::new(),
            under_way: None,
            last_id: 0,
            most_groups: MOST_GROUPS,
            pause: FIRST_PAUSE,
            paused_until: None,
            refused: BTreeMap::new(),
            suspects: BTreeSet::new(),
            untagged: BTreeSet::new(),
            tagged: BTreeSet::new(),
        }
    }
}

impl Writer {
    /// Rows changed: by us, if a transaction is under way, else by somebody else.
    pub(super) fn suspect(&mut self, touched: &Touched) {
        if self.under_way.is_none() && self.role == Some(Role::Active) {
            self.suspects.extend(&touched.units);
        }
    }

    /// The lock came or went. What was left to its holder is ours to do now.
    pub(super) fn take_role(&mut self, held: bool, state: &mut State) {
        self.role = Some(if held { Role::Active } else { Role::Standby });
        if held {
            state.dirty.append(&mut self.parked);
        } else {
            self.suspects.clear();
        }
    }

    /// Whether anything is left to the active instance.
    pub(super) fn waits_for_holder(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Whether a unit is left to the active instance.
    pub(super) fn is_parked(&self, unit: &Unit) -> bool {
        self.parked.contains(unit)
    }

    /// Lets what has waited long enough be tried again.
    pub(super) fn wake(&mut self, state: &mut State, now: Now) {
        if self.paused_until.is_some_and(|until| until <= now.since_start) {
            self.paused_until = None;
        }
        let due: Vec<Unit> = self
            .refused
            .iter()
            .filter(|(_, refusal)| refusal.until <= now.since_start)
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in due {
            self.refused.remove(&unit);
            state.dirty.insert(unit);
        }
    }

    /// Another session: what was refused may have been granted meanwhile.
    pub(super) fn connected(&mut self) {
        self.refused.values_mut().for_each(|refusal| refusal.until = Duration::ZERO);
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let pause = self.paused_until.map(|at| Deadline { at, why: "a transaction failed" });
        let refusals = self.refused.values().map(|refusal| refusal.until);
        let refusal = refusals.min().map(|at| Deadline { at, why: "a unit was refused" });
        pause.into_iter().chain(refusal).min_by_key(|deadline| deadline.at)
    }

    /// What the server said of a unit that it refuses.
    pub(super) fn refusal(&self, unit: &Unit) -> Option<&Refusal> {
        self.refused.get(unit)
    }

    /// Whether a unit is being written.
    pub(super) fn is_under_way(&self, unit: &Unit) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.units.contains(unit))
    }

    /// What is refused for a name that is there already may be a registration of ours that lost
    /// its tag, and with it our sight: its name is ours, so the tag is put back. Once.
    fn suspect_names(&mut self, units: &BTreeSet<Unit>, error: &TransactError) -> bool {
        let TransactError::Rejected(rejection) = error else { return false };
        if rejection.error != "constraint violation" {
            return false;
        }
        let networks = units.iter().filter_map(|unit| match unit {
            Unit::Network(network) => Some(network),
            Unit::Pair(_) | Unit::Orphan(_) => None,
        });
        let fresh: Vec<NetworkKey> =
            networks.filter(|network| !self.tagged.contains(network)).cloned().collect();
        self.untagged.extend(fresh.iter().cloned());
        !fresh.is_empty()
    }

    fn submission(
        &mut self,
        units: BTreeSet<Unit>,
        groups: usize,
        operations: Vec<Operation>,
    ) -> Submission {
        self.last_id += 1;
        let id = self.last_id;
        self.under_way = Some(UnderWay { id, units, groups });
        Submission { id, operations }
    }

    fn pause(&mut self, now: Now) {
        self.paused_until = Some(now.since_start + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn succeeded(&mut self) {
        self.pause = FIRST_PAUSE;
        self.paused_until = None;
        self.most_groups = (self.most_groups * 2).min(MOST_GROUPS);
    }
}

impl Engine {
    /// The next transaction to be sent; none while one is under way or there is nothing to write.
    pub fn poll(&mut self, now: Now) -> Option<Submission> {
        let submission = self.prepare();
        self.watch_holder(now);
        submission
    }

    fn prepare(&mut self) -> Option<Submission> {
        let may_write = self.connection.synced
            && self.state.begun
            && self.writer.under_way.is_none()
            && self.writer.paused_until.is_none();
        let role = self.writer.role.filter(|_| may_write)?;
        let northbound = self.northbound.as_ref()?;
        let forgetting = super::hosts::forget(self.writer.forgotten.iter(), northbound);
        if !forgetting.is_empty() {
            self.writer.forgetting = std::mem::take(&mut self.writer.forgotten);
            self.counters.transactions += 1;
            return Some(self.writer.submission(BTreeSet::new(), 1, forgetting));
        }
        self.writer.forgotten.clear();
        if self.state.dirty.is_empty() {
            return None;
        }
        let untagged = std::mem::take(&mut self.writer.untagged);
        if !untagged.is_empty() {
            self.writer.tagged.extend(untagged.iter().cloned());
            self.counters.transactions += 1;
            let operations = program::tag_registrations(untagged.iter().map(Id::of_network));
            let units = untagged.into_iter().map(Unit::Network).collect();
            return Some(self.writer.submission(units, 1, operations));
        }
        let most_groups = self.writer.most_groups;
        let mut batch = Batch::gather(&mut self.state, northbound, most_groups, role);
        self.counters.peerings_compared +=
            (batch.units.len() + batch.clean.len() + batch.parked.len()) as u64;
        for unit in &batch.parked {
            if let Unit::Pair(pair) = unit {
                self.notices.pair(pair.clone());
            }
        }
        self.writer.parked.append(&mut batch.parked);
        self.troubles.clean(&batch.clean);
        for unit in &batch.clean {
            self.writer.refused.remove(unit);
            self.writer.parked.remove(unit);
            if let Unit::Network(network) = unit {
                self.writer.tagged.remove(network);
            }
            if let Some(id) = id_of(unit, &self.state) {
                self.writer.suspects.remove(&id);
            }
            if let Unit::Pair(pair) = unit
                && self.state.resolver.link(pair).is_some()
            {
                self.progress.committed(pair, northbound.nb_cfg());
                self.notices.pair(pair.clone());
            }
        }
        let suspects = &self.writer.suspects;
        let drifted: Vec<UnitId> = batch
            .units
            .iter()
            .filter_map(|unit| id_of(unit, &self.state))
            .filter(|id| suspects.contains(id))
            .collect();
        let acted = self.progress.sequence(northbound.nb_cfg(), northbound.sb_cfg());
        self.notices.pairs(acted);
        let (units, groups) = (batch.units.clone(), batch.groups);
        let transaction = batch.transaction(northbound)?;
        for unit in drifted {
            self.writer.suspects.remove(&unit);
            self.counters.drift_repaired += 1;
            self.notices.drift(unit);
        }
        for unit in &units {
            self.writer.refused.remove(unit);
            if let Unit::Pair(pair) = unit {
                self.notices.pair(pair.clone());
            }
        }
        self.counters.transactions += 1;
        Some(self.writer.submission(units, groups, transaction.operations()))
    }

    pub(super) fn transacted(
        &mut self,
        id: u64,
        result: Result<Vec<OperationResult>, TransactError>,
        now: Now,
    ) {
        let Some(done) = self.writer.under_way.take_if(|under_way| under_way.id == id) else {
            return;
        };
        let pairs = done.units.iter().filter_map(|unit| match unit {
            Unit::Pair(pair) => Some(pair.clone()),
            Unit::Network(_) | Unit::Orphan(_) => None,
        });
        self.notices.pairs(pairs);
        // Compared once more in any case: only what the northbound holds counts.
        self.state.dirty.extend(done.units.iter().cloned());
        let forgot = std::mem::take(&mut self.writer.forgetting);
        let Err(error) = result else {
            self.writer.succeeded();
            let writer = &self.writer;
            self.troubles.written(&done.units, |unit| writer.refusal(unit).is_some());
            return;
        };
        if error.is_retryable() {
            self.writer.forgotten.extend(forgot);
        }
        self.counters.transactions_failed += 1;
        if self.troubles.note(&error, &done.units, now.wall) {
            self.notices.transaction_failed(&error);
        }
        // What a standby inserts another host may have inserted first.
        if error.is_retryable() || self.writer.role == Some(Role::Standby) {
            self.writer.pause(now);
        } else if done.groups > 1 && !error.is_forbidden() {
            self.writer.most_groups = (done.groups / 2).max(1);
        } else if !self.writer.suspect_names(&done.units, &error) {
            let until = now.since_start + REFUSAL_PAUSE;
            for unit in done.units {
                self.state.dirty.remove(&unit);
                let refusal = Refusal { error: error.to_string(), until };
                self.writer.refused.insert(unit, refusal);
            }
        }
    }
}

/// The unit of rows that a unit is compared with; none of a pair that nobody declares any more.
fn id_of(unit: &Unit, state: &State) -> Option<UnitId> {
    match unit {
        Unit::Orphan(orphan) => Some(*orphan),
        Unit::Pair(key) => state.resolver.id(key).map(UnitId::Peering),
        Unit::Network(key) => Some(UnitId::Network(Id::of_network(key))),
    }
}
