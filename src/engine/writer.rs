//! What is under way, what waits, and for what: the state behind `submit`.
//!
//! One refused unit must not hold up the others: a refused batch is halved until the unit that is
//! refused stands alone; that one waits, with the server's words as its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::declare::Host;
use crate::northbound::{Id, Northbound, Touched, UnitId};
use crate::now::Now;
use crate::ovsdb::{Operation, TransactError};

use super::Deadline;
use super::batch::Role;
use super::damping::Damping;
use super::state::State;

/// Groups in one transaction at the most. ovsdb-server is quickest with some 100 kB at a time: what it makes of them stays
/// in its processor's caches; rows of 256 groups cost it twice as much each, and it answers nobody else meanwhile. What is
/// committed while ovn-northd recomputes it takes in together.
const MOST_GROUPS: usize = 16;
/// So that the server has the next transaction at hand when it is done with the last one.
const MOST_UNDER_WAY: usize = 2;
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

/// What a transaction under way is about.
#[derive(Debug)]
pub(super) enum Work {
    /// Units, in so many groups.
    Units(BTreeSet<UnitId>, usize),
    /// Hosts that are forgotten.
    Hosts(BTreeSet<Host>),
    /// Registrations of older versions.
    Versions,
    /// `nb_cfg` alone: ovn-northd is asked whether it has acted.
    Raise,
    /// Nothing: the server is asked whether it lives.
    Question,
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
    pub(super) deferred: BTreeSet<UnitId>,
    /// Hosts whose declarations are to be dropped.
    pub(super) forgotten: BTreeSet<Host>,
    /// Transactions by their ids: two at the most, of units that have nothing to do with each other.
    pub(super) under_way: BTreeMap<u64, Work>,
    /// Those of them since whose begin no row has changed.
    idle: BTreeSet<u64>,
    /// Whether something that is dirty waits for the end of one of them.
    pub(super) waits: bool,
    last_id: u64,
    /// How many groups make a transaction full: [`MOST_GROUPS`], but in tests.
    full: usize,
    /// Groups in the next one at the most: fewer while what is refused is looked for.
    pub(super) most_groups: usize,
    pause: Duration,
    paused_until: Option<Duration>,
    refused: BTreeMap<UnitId, Refusal>,
    /// What was refused to this host while it held the lock: no other holder would fare better.
    pub(super) refused_as_holder: BTreeSet<UnitId>,
    /// What was refused to this host as a standby just now, once.
    refused_once: Option<BTreeSet<UnitId>>,
    /// Units of which somebody else changed a row.
    pub(super) suspects: BTreeSet<UnitId>,
    /// Networks whose registration cannot be inserted, as its name is there without our tag.
    untagged: BTreeSet<Id>,
    /// The same, whose tag has been put back since.
    tagged: BTreeSet<Id>,
    /// Units that are written again and again.
    pub(super) damping: Damping,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            role: None,
            deferred: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            under_way: BTreeMap::new(),
            idle: BTreeSet::new(),
            waits: false,
            last_id: 0,
            full: MOST_GROUPS,
            most_groups: MOST_GROUPS,
            pause: FIRST_PAUSE,
            paused_until: None,
            refused: BTreeMap::new(),
            refused_as_holder: BTreeSet::new(),
            refused_once: None,
            suspects: BTreeSet::new(),
            untagged: BTreeSet::new(),
            tagged: BTreeSet::new(),
            damping: Damping::default(),
        }
    }
}

impl Writer {
    /// Rows changed: by us, if a transaction is under way, else by somebody else.
    pub(super) fn suspect(&mut self, touched: &Touched) {
        if self.under_way.is_empty() && self.role == Some(Role::Active) {
            self.suspects.extend(&touched.units);
        }
    }

    /// Rows have changed, which may be what is under way.
    pub(super) fn rows_changed(&mut self) {
        self.idle.clear();
    }

    /// A transaction has ended; tells whether rows have changed since it was sent.
    pub(super) fn had_effect(&mut self, id: u64) -> bool {
        !self.idle.remove(&id)
    }

    /// The lock came or went. What was left to its holder is ours to do now.
    pub(super) fn take_role(
        &mut self,
        held: bool,
        state: &mut State,
        northbound: Option<&Northbound>,
    ) {
        self.role = Some(if held { Role::Active } else { Role::Standby });
        if held {
            state.mark_dirty(std::mem::take(&mut self.deferred), northbound);
        } else {
            self.suspects.clear();
            // That is for the new holder to find out.
            self.untagged.clear();
        }
    }

    /// How much is left to the active instance that it can mend, for all we know; more than `most` is not
    /// counted.
    pub(super) fn waits_for_holder(&self, most: usize) -> usize {
        if self.refused_as_holder.is_empty() {
            return self.deferred.len().min(most);
        }
        self.deferred
            .iter()
            .filter(|unit| !self.refused_as_holder.contains(unit))
            .take(most)
            .count()
    }

    /// Whether this instance may send something now, as what.
    pub(super) fn free(&self) -> Option<Role> {
        let free = self.under_way.is_empty() || self.has_room();
        self.role.filter(|_| free && self.paused_until.is_none())
    }

    /// Whether a second transaction may be sent, so that the server has the next one at hand: of much
    /// that is to be done, and while nothing is refused.
    fn has_room(&self) -> bool {
        let full = |work: &Work| matches!(work, Work::Units(_, groups) if *groups >= self.full);
        let much = self.under_way.values().all(full);
        let well = self.role == Some(Role::Active) && !self.is_searching();
        self.under_way.len() < MOST_UNDER_WAY && much && well && !self.waits
    }

    /// Whether what is refused is looked for, by smaller transactions.
    pub(super) fn is_searching(&self) -> bool {
        self.most_groups < self.full
    }

    /// A transaction of so many groups was refused: what is refused is looked for.
    pub(super) fn search(&mut self, groups: usize) {
        self.most_groups = (groups / 2).min(self.full / 2).max(1);
    }

    /// A transaction is full with so many groups.
    pub(super) fn fill_with(&mut self, groups: usize) {
        (self.full, self.most_groups) = (groups, groups);
    }

    /// Whether a unit is left to the active instance.
    pub(super) fn is_deferred(&self, unit: UnitId) -> bool {
        self.deferred.contains(&unit)
    }

    /// Lets what has waited long enough be tried again.
    pub(super) fn wake(&mut self, state: &mut State, northbound: Option<&Northbound>, now: Now) {
        if self.paused_until.is_some_and(|until| until <= now.since_start) {
            self.paused_until = None;
        }
        let due: Vec<UnitId> = self
            .refused
            .iter()
            .filter(|(_, refusal)| refusal.until <= now.since_start)
            .map(|(unit, _)| *unit)
            .collect();
        for unit in due.into_iter().chain(self.damping.due()) {
            self.refused.remove(&unit);
            state.mark_dirty([unit], northbound);
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
        let deadlines = pause.into_iter().chain(refusal).chain(self.damping.deadline());
        deadlines.min_by_key(|deadline| deadline.at)
    }

    /// What the server said of a unit that it refuses.
    pub(super) fn refusal(&self, unit: UnitId) -> Option<&Refusal> {
        self.refused.get(&unit)
    }

    /// All units that the server refuses, and that wait for that.
    pub(super) fn refused(&self) -> impl Iterator<Item = UnitId> {
        self.refused.keys().copied()
    }

    /// Whether a unit is being written.
    pub(super) fn is_under_way(&self, unit: UnitId) -> bool {
        self.written().any(|units| units.contains(&unit))
    }

    /// All units that are being written.
    pub(super) fn units_under_way(&self) -> impl Iterator<Item = UnitId> {
        self.written().flatten().copied()
    }

    fn written(&self) -> impl Iterator<Item = &BTreeSet<UnitId>> {
        self.under_way.values().filter_map(|work| match work {
            Work::Units(units, _) => Some(units),
            Work::Hosts(_) | Work::Versions | Work::Raise | Work::Question => None,
        })
    }

    /// A unit is about to be sent again.
    pub(super) fn retry(&mut self, unit: UnitId) {
        self.refused.remove(&unit);
    }

    /// A unit was found to be as it shall be.
    pub(super) fn rest(&mut self, unit: UnitId) {
        self.refused.remove(&unit);
        self.deferred.remove(&unit);
        self.refused_as_holder.remove(&unit);
        self.suspects.remove(&unit);
        self.damping.rest(unit);
        if let UnitId::Network(network) = unit {
            self.tagged.remove(&network);
        }
    }

    /// What a standby inserts another host may have inserted first; that is seen by now. Twice in a
    /// row it is something else.
    pub(super) fn overlooks(&mut self, units: &BTreeSet<UnitId>) -> bool {
        if self.role != Some(Role::Standby) {
            return false;
        }
        let refused_once = self.refused_once.take();
        let fresh = refused_once.as_ref() != Some(units);
        self.refused_once = fresh.then(|| units.clone());
        fresh
    }

    /// The server refuses a unit that stood alone. A standby tries again sooner: others write, too.
    pub(super) fn refuse(&mut self, unit: UnitId, error: &TransactError, now: Now) {
        let until = if self.role == Some(Role::Active) {
            self.refused_as_holder.insert(unit);
            now.since_start + REFUSAL_PAUSE
        } else {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            now.since_start + self.pause
        };
        self.refused.insert(unit, Refusal { error: error.to_string(), until });
    }

    /// Registrations of which the tag is to be put back.
    pub(super) fn take_untagged(&mut self) -> BTreeSet<Id> {
        let untagged = std::mem::take(&mut self.untagged);
        self.tagged.extend(&untagged);
        untagged
    }

    /// What is refused for a name that is there already may be a registration of ours that lost
    /// its tag, and with it our sight: its name is ours, so the tag is put back. Once.
    pub(super) fn suspect_names(
        &mut self,
        units: &BTreeSet<UnitId>,
        error: &TransactError,
    ) -> bool {
        let TransactError::Rejected(rejection) = error else { return false };
        if rejection.error != "constraint violation" || self.role != Some(Role::Active) {
            return false;
        }
        let networks = units.iter().filter_map(|unit| match unit {
            UnitId::Network(network) => Some(*network),
            UnitId::Peering(_) => None,
        });
        let fresh: Vec<Id> = networks.filter(|network| !self.tagged.contains(network)).collect();
        self.untagged.extend(&fresh);
        !fresh.is_empty()
    }

    pub(super) fn submission(&mut self, work: Work, operations: Vec<Operation>) -> Submission {
        self.last_id += 1;
        let id = self.last_id;
        self.under_way.insert(id, work);
        self.idle.insert(id);
        Submission { id, operations }
    }

    pub(super) fn pause(&mut self, now: Now) {
        // What was under way beside it fails for the same reason.
        if self.paused_until.is_none() {
            self.paused_until = Some(now.since_start + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A transaction of so many groups was committed.
    pub(super) fn succeeded(&mut self, groups: usize) {
        self.pause = FIRST_PAUSE;
        self.refused_once = None;
        // One that was under way beside a refused one says nothing of that.
        if groups <= self.most_groups {
            self.most_groups = (self.most_groups * 2).min(self.full);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active() -> Writer {
        Writer { role: Some(Role::Active), ..Writer::default() }
    }

    fn send(writer: &mut Writer, groups: usize) -> u64 {
        writer.submission(Work::Units(BTreeSet::new(), groups), Vec::new()).id
    }

    #[test]
    fn a_second_transaction_is_sent_beside_a_full_one_only() {
        let mut writer = active();
        send(&mut writer, MOST_GROUPS - 1);
        assert_eq!(writer.free(), None);
        let mut writer = active();
        let first = send(&mut writer, MOST_GROUPS);
        assert_eq!(writer.free(), Some(Role::Active));
        writer.waits = true;
        assert_eq!(writer.free(), None, "all that is dirty waits for the first");
        writer.waits = false;
        send(&mut writer, MOST_GROUPS);
        assert_eq!(writer.free(), None, "two are enough");
        writer.under_way.remove(&first);
        assert_eq!(writer.free(), Some(Role::Active));
        writer.role = Some(Role::Standby);
        assert_eq!(writer.free(), None);
    }

    #[test]
    fn what_is_refused_is_looked_for_with_one_transaction_at_a_time() {
        let mut writer = active();
        send(&mut writer, MOST_GROUPS);
        writer.most_groups = MOST_GROUPS / 2;
        assert_eq!(writer.free(), None);
        writer.succeeded(MOST_GROUPS);
        assert_eq!(writer.most_groups, MOST_GROUPS / 2, "it was sent before that");
        writer.succeeded(MOST_GROUPS / 2);
        assert_eq!(writer.most_groups, MOST_GROUPS);
    }
}
