//! What is sent next, and what becomes of it.
//!
//! Registrations of older versions that are raised, hosts that are forgotten, tags that are put back, or a batch of units; and where nothing is to be sent, a
//! standby's question whether the server lives. One of these is under way at a time; but beside a full batch
//! the next one may be, of units that have nothing to do with the first.

use std::collections::BTreeSet;

use crate::declare::PeeringKey;
use crate::northbound::owner::host_lock;
use crate::northbound::{Northbound, UnitId};
use crate::now::Now;
use crate::ovsdb::{Operation, OperationResult, TransactError};
use crate::program::{self, Transaction};

use super::batch::{Batch, Extent, Role};
use super::damping::Trace;
use super::progress::Stage;
use super::state::State;
use super::takeover::turns_before;
use super::writer::{Submission, Work};
use super::{Engine, hosts};

impl Engine {
    /// Takes a transaction for full that has so many groups of units, instead of 16: with few, a second one is
    /// under way beside it nearly always. For tests; operators have no such choice.
    pub fn fill_transactions_with(&mut self, groups: usize) {
        self.writer.fill_with(groups.max(1));
    }

    /// The next transaction to be sent; none while enough is under way or there is nothing to write.
    pub fn poll(&mut self, now: Now) -> Option<Submission> {
        let submission = self.write(now);
        // What is found to be as it shall be waits for ovn-northd from now on.
        self.watch_northd(now);
        self.watch_holder(now);
        submission.or_else(|| self.ask(now))
    }

    /// Whether this instance may write at all.
    fn may_write(&self) -> bool {
        self.connection.synced
            && self.state.begun
            && !self.is_deciding()
            && self.newer.is_none()
            && self.identity.may_write()
    }

    fn write(&mut self, now: Now) -> Option<Submission> {
        let role = self.writer.free().filter(|_| self.may_write())?;
        let northbound = self.northbound.take()?;
        let special = if self.writer.under_way.is_empty() {
            let versions = self.write_versions(&northbound);
            let hosts = versions.or_else(|| self.write_forgetting(&northbound));
            hosts.or_else(|| self.write_tags(role))
        } else {
            None
        };
        let rows = special.or_else(|| self.write_batch(role, &northbound));
        self.northbound = Some(northbound);
        let mut submission = rows.or_else(|| self.ask_northd(now));
        if let Some(submission) = submission.as_mut().filter(|_| self.identity.is_held()) {
            // The server sees to it that one instance speaks for a host.
            let lock = host_lock(self.state.declarations.host());
            submission.operations.insert(0, Operation::Assert { lock });
        }
        self.counters.transactions += u64::from(submission.is_some());
        submission
    }

    fn write_forgetting(&mut self, northbound: &Northbound) -> Option<Submission> {
        let hosts = std::mem::take(&mut self.writer.forgotten);
        let operations = hosts::forget(hosts.iter(), northbound);
        (!operations.is_empty()).then(|| self.writer.submission(Work::Hosts(hosts), operations))
    }

    fn write_tags(&mut self, role: Role) -> Option<Submission> {
        if role == Role::Standby || self.state.dirty.is_empty() {
            return None;
        }
        let untagged = self.writer.take_untagged();
        if untagged.is_empty() {
            return None;
        }
        let operations = program::tag_registrations(untagged.iter().copied());
        let units: BTreeSet<UnitId> = untagged.into_iter().map(UnitId::Network).collect();
        let traces = units.iter().map(|unit| (*unit, Trace::of_tag())).collect();
        let submission = self.writer.submission(Work::Units(units, 1), operations);
        self.writer.damping.sent(submission.id, traces);
        // Whether there was such a row shows when it is inserted once more.
        self.writer.rows_changed();
        Some(submission)
    }

    fn write_batch(&mut self, role: Role, northbound: &Northbound) -> Option<Submission> {
        if self.state.dirty.is_empty() {
            return None;
        }
        let writer = &self.writer;
        let (most_groups, whole) = (writer.most_groups, writer.is_searching());
        let extent = Extent { role, most_groups, whole };
        let mut batch = Batch::gather(&mut self.state, northbound, extent, writer);
        let damped = self.writer.damping.hold(std::mem::take(&mut batch.held));
        self.note_damped(&damped);
        let traces = std::mem::take(&mut batch.traces);
        self.writer.waits = !batch.postponed.is_empty();
        let compared = batch.units.len() + batch.clean.len() + batch.deferred.len();
        self.counters.peerings_compared += compared as u64;
        self.troubles.clean(&batch.clean);
        self.note_clean(&batch.clean);
        self.changes.pairs(pairs(&batch.deferred, &self.state));
        self.writer.deferred.extend(&batch.deferred);
        let acted = self.progress.sequence(northbound.nb_cfg(), northbound.sb_cfg());
        self.changes.pairs(acted);
        let (units, groups) = (batch.units.clone(), batch.groups);
        let mut transaction = batch.transaction(northbound)?;
        transaction.awaited = role == Role::Active && self.brings_link(&units);
        let mut altered = BTreeSet::new();
        for unit in &units {
            self.writer.retry(*unit);
            if self.writer.suspects.remove(unit) {
                self.counters.drift_repaired += 1;
                if self.writer.damping.cause(*unit).is_none() {
                    altered.insert(*unit);
                }
            }
        }
        self.drift.sent(&transaction.rows, &altered);
        self.changes.pairs(pairs(&units, &self.state));
        let work = Work::Units(units, groups);
        let submission = self.writer.submission(work, transaction.operations());
        self.writer.damping.sent(submission.id, traces);
        Some(submission)
    }

    /// Whether links are written for the first time: they are active once OVN has acted on that.
    fn brings_link(&self, units: &BTreeSet<UnitId>) -> bool {
        pairs(units, &self.state).any(|pair| {
            self.state.resolver.link(&pair).is_some()
                && self.progress.stage(&pair) == Stage::Uncommitted
        })
    }

    /// Units that are as they shall be: a link among them is committed.
    fn note_clean(&mut self, units: &BTreeSet<UnitId>) {
        for unit in units {
            self.writer.rest(*unit);
        }
        let linked = |pair: &PeeringKey| self.state.resolver.link(pair).is_some();
        for pair in pairs(units, &self.state).filter(linked) {
            self.progress.committed(&pair);
            self.changes.pair(pair);
        }
        self.note_changed(units.iter().copied());
    }

    /// What changed of these units waits for OVN. What is written again and again does once that is
    /// over: whoever undoes it must not make ovn-northd be asked each time.
    pub(super) fn note_changed(&mut self, units: impl Iterator<Item = UnitId>) {
        for unit in units.filter(|unit| self.writer.damping.cause(*unit).is_none()) {
            let Some(target) = self.progress.settled(unit) else { continue };
            for pair in self.state.pairs_with(unit) {
                self.progress.changed_until(&pair, target);
            }
        }
    }

    /// Whether this instance writes, and nothing is under way or waits for a pause to end.
    pub(super) fn may_ask_northd(&self) -> bool {
        let alone = self.writer.under_way.is_empty();
        self.may_write() && alone && self.writer.free() == Some(Role::Active)
    }

    /// Asks ovn-northd whether it has acted on what changed.
    fn ask_northd(&mut self, now: Now) -> Option<Submission> {
        if !self.may_ask_northd() || !self.northd.asks(now.since_start) {
            return None;
        }
        let raise = Transaction { awaited: true, ..Transaction::default() };
        Some(self.writer.submission(Work::Raise, raise.operations()))
    }

    fn ask(&mut self, now: Now) -> Option<Submission> {
        let asks = self.writer.under_way.is_empty() && self.takeover.asks(now.since_start);
        asks.then(|| self.writer.submission(Work::Question, Vec::new()))
    }

    pub(super) fn transacted(
        &mut self,
        id: u64,
        result: Result<Vec<OperationResult>, TransactError>,
        now: Now,
    ) {
        let Some(work) = self.writer.under_way.remove(&id) else { return };
        self.writer.waits = false;
        self.writer.damping.ended(id, result.is_ok());
        let had_effect = self.writer.had_effect(id);
        match (work, result) {
            (Work::Question, result) => {
                if result.is_ok() {
                    let declarations = &self.state.declarations;
                    let before = turns_before(declarations.hosts().keys(), declarations.host());
                    self.takeover.answered(before, now.since_start);
                }
            }
            (Work::Hosts(_) | Work::Versions | Work::Raise, Ok(_)) => {
                self.written(&BTreeSet::new(), 1)
            }
            (Work::Versions, Err(error)) => {
                self.failed(&error, &BTreeSet::new(), now);
                self.writer.pause(now);
            }
            (Work::Raise, Err(error)) => {
                self.failed(&error, &BTreeSet::new(), now);
                if error.is_retryable() {
                    self.writer.pause(now);
                }
            }
            (Work::Hosts(hosts), Err(error)) => {
                self.failed(&error, &BTreeSet::new(), now);
                if error.is_retryable() {
                    self.writer.forgotten.extend(hosts);
                    self.writer.pause(now);
                }
            }
            (Work::Units(units, groups), result) => {
                // What changes nothing now will change nothing the next time either.
                let result = result.and_then(|results| match had_effect {
                    true => Ok(results),
                    false => Err(TransactError::WithoutEffect),
                });
                self.changes.pairs(pairs(&units, &self.state));
                // Compared once more in any case: only what the northbound holds counts.
                self.state.mark_dirty(units.iter().copied(), self.northbound.as_deref());
                match result {
                    Ok(_) => self.written(&units, groups),
                    Err(error) => self.units_failed(units, groups, &error, now),
                }
            }
        }
    }

    fn written(&mut self, units: &BTreeSet<UnitId>, groups: usize) {
        self.writer.succeeded(groups);
        if self.writer.under_way.is_empty() && self.writer.suspects.is_empty() {
            self.changes.restored(&mut self.drift);
        }
        let writer = &self.writer;
        let is_refused = |unit| writer.refusal(unit).is_some();
        self.troubles.written(units, is_refused);
    }

    fn failed(&mut self, error: &TransactError, units: &BTreeSet<UnitId>, now: Now) {
        self.counters.transactions_failed += 1;
        if self.troubles.note(error, units, now.wall) {
            self.changes.transaction_failed(error);
        }
    }

    fn units_failed(
        &mut self,
        units: BTreeSet<UnitId>,
        groups: usize,
        error: &TransactError,
        now: Now,
    ) {
        self.failed(error, &units, now);
        if error.is_retryable() {
            self.writer.pause(now);
        } else if groups > 1 && !error.is_forbidden() {
            self.writer.search(groups);
        } else if !self.writer.suspect_names(&units, error) && !self.writer.overlooks(&units) {
            for unit in units {
                self.state.dirty.remove(unit);
                self.writer.refuse(unit, error, now);
            }
        }
    }
}

/// The declared pairs among some units.
fn pairs(units: &BTreeSet<UnitId>, state: &State) -> impl Iterator<Item = PeeringKey> {
    units.iter().filter_map(|unit| match unit {
        UnitId::Peering(id) => state.resolver.pair_with(*id).cloned(),
        UnitId::Network(_) => None,
    })
}
