//! What is sent next.
//!
//! Registrations of older versions that are raised, hosts that are forgotten, tags that are put
//! back, or a batch of units; and where nothing is to be sent, a standby's question whether the
//! server lives. One of these is under way at a time; but beside a full batch the next one may be,
//! of units that have nothing to do with the first.

use std::collections::BTreeSet;

use crate::declare::{Host, PeeringKey};
use crate::northbound::owner::host_lock;
use crate::northbound::{Id, Northbound, UnitId};
use crate::now::Now;
use crate::ovsdb::Operation;
use crate::program::{self, Transaction};

use super::batch::{Batch, Extent, pairs_among, pairs_with};
use super::damping::{Damping, Trace};
use super::progress::{Progress, Stage};
use super::recency::Recency;
use super::state::State;
use super::takeover::Takeover;
use super::writer::{Role, Submission, Work, Writer};
use super::{Engine, gate, hosts, sieve};

/// The next transaction to be sent; none while enough is under way or there is nothing to write.
pub(super) fn poll(engine: &mut Engine, now: Now) -> Option<Submission> {
    let submission = write(engine, now);
    // What is found to be as it shall be waits for ovn-northd from now on.
    engine.watch_northd(now);
    engine.watch_holder(now);
    submission.or_else(|| ask(&mut engine.writer, &mut engine.takeover, now))
}

/// Whether this instance may write at all.
fn may_write(engine: &Engine) -> bool {
    engine.connection.synced
        && engine.state.begun
        && !engine.is_deciding()
        && !engine.gate.is_closed()
        && engine.identity.may_write()
}

fn write(engine: &mut Engine, now: Now) -> Option<Submission> {
    let role = engine.writer.free().filter(|_| may_write(engine))?;
    let northbound = engine.northbound.take()?;
    let special = if engine.writer.under_way.is_empty() {
        let writer = &mut engine.writer;
        let versions = write_versions(writer, &northbound);
        let hosts =
            versions.or_else(|| write_forgetting(writer, &engine.state.recency, &northbound));
        let tags = role == Role::Active && !engine.state.dirty.is_empty();
        hosts.or_else(|| if tags { write_tags(writer) } else { None })
    } else {
        None
    };
    let special = special.or_else(|| write_store(engine, &northbound, now));
    let rows = special.or_else(|| write_batch(engine, role, &northbound));
    let rows = rows.or_else(|| write_counters(engine, &northbound, now));
    engine.northbound = Some(northbound);
    let mut submission = rows.or_else(|| ask_northd(engine, now));
    if let Some(submission) = submission.as_mut().filter(|_| engine.identity.is_held()) {
        // The server sees to it that one instance speaks for a host.
        let lock = host_lock(engine.state.declarations.host());
        submission.operations.insert(0, Operation::Assert { lock });
    }
    if let Some(submission) = &submission {
        engine.counters.transactions += 1;
        engine.changes.stopwatch.sent(submission.id, now.since_start);
    }
    submission
}

/// Raises registrations of older versions.
fn write_versions(writer: &mut Writer, northbound: &Northbound) -> Option<Submission> {
    let operations = gate::raise(northbound);
    (!operations.is_empty()).then(|| writer.submission(Work::Versions, operations))
}

fn write_forgetting(
    writer: &mut Writer,
    recency: &Recency,
    northbound: &Northbound,
) -> Option<Submission> {
    let hosts = std::mem::take(&mut writer.forgotten);
    let operations = hosts::forget(hosts.iter(), recency, northbound);
    (!operations.is_empty()).then(|| writer.submission(Work::Hosts(hosts), operations))
}

fn write_store(engine: &mut Engine, northbound: &Northbound, now: Now) -> Option<Submission> {
    let operations = engine.store.next(&engine.state, northbound, now)?;
    Some(engine.writer.submission(Work::Store, operations))
}

fn write_tags(writer: &mut Writer) -> Option<Submission> {
    let untagged = writer.take_untagged();
    if untagged.is_empty() {
        return None;
    }
    let operations = program::tag_registrations(untagged.iter().copied());
    let units: BTreeSet<UnitId> = untagged.into_iter().map(UnitId::Network).collect();
    let traces = units.iter().map(|unit| (*unit, Trace::of_tag())).collect();
    let submission = writer.submission(Work::Units(units, 1), operations);
    writer.damping.sent(submission.id, traces);
    // Whether there was such a row shows when it is inserted once more.
    writer.rows_changed();
    Some(submission)
}

fn write_batch(engine: &mut Engine, role: Role, northbound: &Northbound) -> Option<Submission> {
    if engine.state.dirty.is_empty() {
        return None;
    }
    let clean = sift(engine, northbound);
    let writer = &engine.writer;
    let (most_groups, whole) = (writer.most_groups, writer.is_searching());
    let extent = Extent { role, most_groups, whole };
    let mut batch = Batch::gather(&mut engine.state, northbound, extent, writer);
    batch.clean.extend(clean);
    let damped = engine.writer.damping.hold(std::mem::take(&mut batch.held));
    engine.changes.damped(&damped, &engine.state);
    let traces = std::mem::take(&mut batch.traces);
    engine.writer.waits = !batch.postponed.is_empty();
    let compared = batch.units.len() + batch.clean.len() + batch.deferred.len();
    engine.counters.peerings_compared += compared as u64;
    engine.troubles.clean(&batch.clean);
    note_clean(engine, &batch.clean);
    engine.changes.pairs(pairs_among(&batch.deferred, &engine.state.resolver));
    engine.writer.deferred.extend(&batch.deferred);
    let acted = engine.progress.sequence(northbound.nb_cfg(), northbound.sb_cfg());
    engine.changes.pairs(acted);
    let (units, groups) = (batch.units.clone(), batch.groups);
    let mut transaction = batch.transaction(northbound)?;
    transaction.awaited =
        role == Role::Active && brings_link(&units, &engine.state, &engine.progress);
    let mut altered = BTreeSet::new();
    for unit in &units {
        engine.writer.retry(*unit);
        if engine.writer.suspects.remove(unit) {
            engine.counters.drift_repaired += 1;
            if engine.writer.damping.cause(*unit).is_none() {
                altered.insert(*unit);
            }
        }
    }
    engine.drift.sent(&transaction.rows, &altered);
    engine.changes.pairs(pairs_among(&units, &engine.state.resolver));
    let work = Work::Units(units, groups);
    let replaced: Vec<Id> = transaction.replaced.iter().map(|it| it.peering).collect();
    let own = Host::clone(engine.state.declarations.host());
    let writes =
        [true, false].map(|is_own| transaction.writes_entries(|host| (*host == *own) == is_own));
    let mut operations = transaction.operations();
    let (last, inserts) = (is_all_in_place(engine), may_insert(engine));
    operations.extend(engine.state.recency.raise(northbound, &own, writes, last, inserts));
    let submission = engine.writer.submission(work, operations);
    engine.writer.damping.sent(submission.id, traces);
    let State { replacing, resolver, .. } = &mut engine.state;
    let pairs = replaced.iter().filter_map(|id| resolver.pair_with(*id).cloned());
    replacing.sent(submission.id, pairs);
    Some(submission)
}

/// Once after all rows were read: the dirty units without differences, which are dirty no longer.
/// While a transaction is under way, a unit has to wait for it before it is compared.
fn sift(engine: &mut Engine, northbound: &Northbound) -> BTreeSet<UnitId> {
    if !std::mem::take(&mut engine.unsifted) || !engine.writer.under_way.is_empty() {
        return BTreeSet::new();
    }
    let clean = sieve::clean(&engine.state, northbound);
    for unit in &clean {
        engine.state.dirty.remove(*unit);
    }
    clean
}

/// Whether all entries of hosts are in place with the transaction that is made now.
fn is_all_in_place(engine: &Engine) -> bool {
    let Engine { state, writer, .. } = engine;
    let waits = |id| writer.waits(UnitId::Network(id));
    state.dirty.is_empty() && writer.under_way.is_empty() && !state.recency.unread().any(waits)
}

/// Whether this instance inserts the counters of hosts if there are none: no other one does, and no
/// transaction of its own that may do it is under way.
fn may_insert(engine: &Engine) -> bool {
    engine.writer.role == Some(Role::Active) && engine.writer.under_way.is_empty()
}

/// Sets counters of hosts where nothing else is to be written.
fn write_counters(engine: &mut Engine, northbound: &Northbound, now: Now) -> Option<Submission> {
    if !engine.state.recency.is_due(now.since_start) || !is_all_in_place(engine) {
        return None;
    }
    let own = Host::clone(engine.state.declarations.host());
    let inserts = may_insert(engine);
    let operations = engine.state.recency.raise(northbound, &own, [false, false], true, inserts);
    if operations.is_empty() {
        return None;
    }
    engine.state.recency.sent(now.since_start);
    Some(engine.writer.submission(Work::Counters, operations))
}

/// Whether links are written for the first time: they are active once OVN has acted on that.
fn brings_link(units: &BTreeSet<UnitId>, state: &State, progress: &Progress) -> bool {
    pairs_among(units, &state.resolver).any(|pair| {
        state.resolver.link(&pair).is_some() && progress.stage(&pair) == Stage::Uncommitted
    })
}

/// Units that are as they shall be: a link among them is committed.
fn note_clean(engine: &mut Engine, units: &BTreeSet<UnitId>) {
    for unit in units {
        engine.writer.rest(*unit);
    }
    let resolver = &engine.state.resolver;
    let linked = |pair: &PeeringKey| resolver.link(pair).is_some();
    for pair in pairs_among(units, resolver).filter(linked) {
        engine.progress.committed(&pair);
        engine.changes.pair(pair);
    }
    let units = units.iter().copied();
    note_changed(units, &engine.writer.damping, &mut engine.progress, &engine.state);
}

/// What changed of these units waits for OVN. What is written again and again does once that is
/// over: whoever undoes it must not make ovn-northd be asked each time.
pub(super) fn note_changed(
    units: impl Iterator<Item = UnitId>,
    damping: &Damping,
    progress: &mut Progress,
    state: &State,
) {
    for unit in units.filter(|unit| damping.cause(*unit).is_none()) {
        let Some(target) = progress.settled(unit) else { continue };
        for pair in pairs_with(unit, &state.resolver) {
            progress.changed_until(&pair, target);
        }
    }
}

/// Whether this instance writes, and nothing is under way or waits for a pause to end.
pub(super) fn may_ask_northd(engine: &Engine) -> bool {
    let alone = engine.writer.under_way.is_empty();
    may_write(engine) && alone && engine.writer.free() == Some(Role::Active)
}

/// Asks ovn-northd whether it has acted on what changed.
fn ask_northd(engine: &mut Engine, now: Now) -> Option<Submission> {
    if !may_ask_northd(engine) || !engine.northd.asks(now.since_start) {
        return None;
    }
    let raise = Transaction { awaited: true, ..Transaction::default() };
    Some(engine.writer.submission(Work::Raise, raise.operations()))
}

fn ask(writer: &mut Writer, takeover: &mut Takeover, now: Now) -> Option<Submission> {
    let asks = writer.under_way.is_empty() && takeover.asks(now.since_start);
    asks.then(|| writer.submission(Work::Question, Vec::new()))
}
