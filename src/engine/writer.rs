//! Which transactions are under way, which units wait, and for what: the state behind `submit` and
//! `results`.
//!
//! One refused unit must not delay the others. So a refused batch is halved until the refused unit
//! is alone in its transaction. Then that unit waits, and the server's error is its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::declare::Host;
use crate::northbound::{Id, Touched, UnitId};
use crate::now::Now;
use crate::ovsdb::{Operation, TransactError};

use super::Deadline;
use super::damping::Damping;

/// The most groups in one transaction. ovsdb-server is fastest with some 100 kB at a time, which
/// stay in the caches of the processor. In a transaction of 256 groups each row costs it twice as
/// much, and it answers no other client meanwhile. ovn-northd applies together whatever is
/// committed while it recomputes.
const MOST_GROUPS: usize = 16;
/// Two, so that the server has the next transaction at hand when it has finished the last one.
const MOST_UNDER_WAY: usize = 2;
/// The pause after a transaction that failed for a passing reason. It doubles up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The pause after repeated failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How long a unit that the server refuses waits, unless it changes before.
pub(super) const REFUSAL_PAUSE: Duration = Duration::from_secs(30);

/// What this instance may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// It holds the lock: everything of ours.
    #[default]
    Active,
    /// Another instance does: what this host declares, and nothing else.
    Standby,
}

/// A transaction to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Identifies the result.
    pub id: u64,
    /// What to do, as one transaction: all or nothing.
    pub operations: Vec<Operation>,
}

/// The subject of a transaction under way.
#[derive(Debug)]
pub(super) enum Work {
    /// Units, and the number of their groups.
    Units(BTreeSet<UnitId>, usize),
    /// Hosts whose declarations are dropped.
    Hosts(BTreeSet<Host>),
    /// A change of the store.
    Store,
    /// Registrations of older versions.
    Versions,
    /// Counters of hosts, and nothing else.
    Counters,
    /// `nb_cfg` alone, to learn whether ovn-northd has acted.
    Raise,
    /// Nothing. It only asks whether the server answers.
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
    /// None until the server has reported who holds the lock.
    pub(super) role: Option<Role>,
    /// The differences that a standby found and may not repair. They are for the active instance,
    /// or for us once we are active.
    pub(super) deferred: BTreeSet<UnitId>,
    /// Hosts whose declarations are to be dropped.
    pub(super) forgotten: BTreeSet<Host>,
    /// Transactions by id, two at most. Their units do not depend on each other.
    pub(super) under_way: BTreeMap<u64, Work>,
    /// Transactions since whose start no row has changed.
    idle: BTreeSet<u64>,
    /// Whether a dirty unit waits for the end of one of them.
    pub(super) waits: bool,
    last_id: u64,
    /// The number of groups that makes a transaction full: [`MOST_GROUPS`], except in tests.
    full: usize,
    /// The most groups in the next transaction. There are fewer while we search for the refused
    /// unit.
    pub(super) most_groups: usize,
    pause: Duration,
    paused_until: Option<Duration>,
    refused: BTreeMap<UnitId, Refusal>,
    /// What the server refused while this host held the lock. It would refuse that to any other
    /// holder too.
    pub(super) refused_as_holder: BTreeSet<UnitId>,
    /// What the server has just refused to this host as a standby, once.
    refused_once: Option<BTreeSet<UnitId>>,
    /// Units with a row that somebody else changed.
    pub(super) suspects: BTreeSet<UnitId>,
    /// Networks whose registration the server did not insert: a row with its name exists, without
    /// our tag.
    untagged: BTreeSet<Id>,
    /// Networks of that kind whose tag we have restored since.
    tagged: BTreeSet<Id>,
    /// Limits the units that are written again and again.
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
    /// Rows changed. Somebody else changed them, unless a transaction of ours is under way.
    pub(super) fn suspect(&mut self, touched: &Touched) {
        if self.under_way.is_empty() && self.role == Some(Role::Active) {
            self.suspects.extend(&touched.units);
        }
    }

    /// Rows have changed, perhaps by a transaction under way.
    pub(super) fn rows_changed(&mut self) {
        self.idle.clear();
    }

    /// A transaction has ended. Returns whether rows have changed since it was sent.
    pub(super) fn had_effect(&mut self, id: u64) -> bool {
        !self.idle.remove(&id)
    }

    /// This instance has got or lost the lock. With the lock, the deferred units are ours to write:
    /// it returns those.
    pub(super) fn take_role(&mut self, held: bool) -> BTreeSet<UnitId> {
        self.role = Some(if held { Role::Active } else { Role::Standby });
        if held {
            return std::mem::take(&mut self.deferred);
        }
        self.suspects.clear();
        // That is for the new holder to find out.
        self.untagged.clear();
        BTreeSet::new()
    }

    /// How many units wait for the active instance, without those that it cannot repair as far as
    /// we know. It counts up to `most`.
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

    /// The role in which this instance may send something now; none if it may not.
    pub(super) fn free(&self) -> Option<Role> {
        let free = self.under_way.is_empty() || self.has_room();
        self.role.filter(|_| free && self.paused_until.is_none())
    }

    /// Whether a second transaction may be sent, so that the server has the next one at hand. That
    /// needs full transactions, and no search for a refused unit.
    fn has_room(&self) -> bool {
        let full = |work: &Work| matches!(work, Work::Units(_, groups) if *groups >= self.full);
        let much = self.under_way.values().all(full);
        let well = self.role == Some(Role::Active) && !self.is_searching();
        self.under_way.len() < MOST_UNDER_WAY && much && well && !self.waits
    }

    /// Whether smaller transactions search for a refused unit.
    pub(super) fn is_searching(&self) -> bool {
        self.most_groups < self.full
    }

    /// The server refused a transaction of this many groups. Starts the search for the refused
    /// unit.
    pub(super) fn search(&mut self, groups: usize) {
        self.most_groups = (groups / 2).min(self.full / 2).max(1);
    }

    /// Sets how many groups make a transaction full.
    pub(super) fn fill_with(&mut self, groups: usize) {
        (self.full, self.most_groups) = (groups, groups);
    }

    /// Whether a unit waits for the active instance.
    pub(super) fn is_deferred(&self, unit: UnitId) -> bool {
        self.deferred.contains(&unit)
    }

    /// Returns the units whose pause is over.
    pub(super) fn wake(&mut self, now: Now) -> Vec<UnitId> {
        if self.paused_until.is_some_and(|until| until <= now.since_start) {
            self.paused_until = None;
        }
        let due = self.refused.iter().filter(|(_, refusal)| refusal.until <= now.since_start);
        let due: Vec<UnitId> = due.map(|(unit, _)| *unit).chain(self.damping.due()).collect();
        for unit in &due {
            self.refused.remove(unit);
        }
        due
    }

    /// There is a new session, and the server may accept by now what it refused before.
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

    /// The server's error about a unit that it refuses.
    pub(super) fn refusal(&self, unit: UnitId) -> Option<&Refusal> {
        self.refused.get(&unit)
    }

    /// Whether a unit waits, because the server refuses it or because it is damped.
    pub(super) fn waits(&self, unit: UnitId) -> bool {
        self.refused.contains_key(&unit) || self.damping.is_waiting(unit)
    }

    /// All units that the server refuses and that wait for another try.
    pub(super) fn refused(&self) -> impl Iterator<Item = UnitId> {
        self.refused.keys().copied()
    }

    /// Whether a transaction under way writes a unit.
    pub(super) fn is_under_way(&self, unit: UnitId) -> bool {
        self.written().any(|units| units.contains(&unit))
    }

    /// All units of the transactions under way.
    pub(super) fn units_under_way(&self) -> impl Iterator<Item = UnitId> {
        self.written().flatten().copied()
    }

    fn written(&self) -> impl Iterator<Item = &BTreeSet<UnitId>> {
        self.under_way.values().filter_map(|work| match work {
            Work::Units(units, _) => Some(units),
            Work::Hosts(_)
            | Work::Store
            | Work::Versions
            | Work::Counters
            | Work::Raise
            | Work::Question => None,
        })
    }

    /// A unit is about to be sent again.
    pub(super) fn retry(&mut self, unit: UnitId) {
        self.refused.remove(&unit);
    }

    /// A unit has no differences.
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

    /// Another host may have inserted first what this standby inserts, and we see that row by now.
    /// So the first refusal is ignored. If the server refuses the same units twice in a row, it has
    /// another reason.
    pub(super) fn overlooks(&mut self, units: &BTreeSet<UnitId>) -> bool {
        if self.role != Some(Role::Standby) {
            return false;
        }
        let refused_once = self.refused_once.take();
        let fresh = refused_once.as_ref() != Some(units);
        self.refused_once = fresh.then(|| units.clone());
        fresh
    }

    /// The server refuses a unit that was alone in its transaction. A standby tries again sooner,
    /// because others write too.
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

    /// Takes the registrations whose tag is to be restored.
    pub(super) fn take_untagged(&mut self) -> BTreeSet<Id> {
        let untagged = std::mem::take(&mut self.untagged);
        self.tagged.extend(&untagged);
        untagged
    }

    /// The server refuses a registration because its name exists already. It may be one of ours
    /// that lost its tag, so that we do not see it. The name is ours, so we restore the tag, once.
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
        // A transaction that was under way beside it fails for the same reason.
        if self.paused_until.is_none() {
            self.paused_until = Some(now.since_start + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A transaction of this many groups was committed.
    pub(super) fn succeeded(&mut self, groups: usize) {
        self.pause = FIRST_PAUSE;
        self.refused_once = None;
        // A larger transaction was under way before the search. Its success proves nothing about
        // the refused unit.
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
