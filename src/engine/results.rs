//! What becomes of what was sent.

use std::collections::BTreeSet;

use crate::declare::STORE;
use crate::northbound::UnitId;
use crate::now::Now;
use crate::ovsdb::{OperationResult, TransactError};

use super::Engine;
use super::batch::pairs_among;
use super::replace;
use super::stopwatch::Outcome;
use super::takeover::turns_before;
use super::writer::{REFUSAL_PAUSE, Work};

/// A transaction has ended.
pub(super) fn transacted(
    engine: &mut Engine,
    id: u64,
    result: Result<Vec<OperationResult>, TransactError>,
    now: Now,
) {
    let Some(work) = engine.writer.under_way.remove(&id) else { return };
    engine.writer.waits = false;
    engine.writer.damping.ended(id, result.is_ok());
    let had_effect = engine.writer.had_effect(id);
    let outcome = Outcome::of(result.as_ref().err());
    engine.changes.stopwatch.ended(id, outcome, now.since_start);
    match (work, result) {
        (Work::Question, result) => {
            if result.is_ok() {
                let declarations = &engine.state.declarations;
                let hosts = declarations.hosts();
                let hosts = hosts.keys().filter(|host| ***host != *STORE);
                let before = turns_before(hosts, declarations.host());
                engine.takeover.answered(before, now.since_start);
            }
        }
        (Work::Store, result) => {
            if let Err(error) = &result
                && !error.is_outrun()
            {
                failed(engine, error, &BTreeSet::new(), now);
            }
            engine.store.ended(result.map(|_| ()), now);
        }
        (Work::Hosts(_) | Work::Versions | Work::Counters | Work::Raise, Ok(_)) => {
            written(engine, &BTreeSet::new(), 1)
        }
        (work @ (Work::Versions | Work::Counters), Err(error)) => {
            failed(engine, &error, &BTreeSet::new(), now);
            engine.writer.pause(now);
            if matches!(work, Work::Counters) && !error.is_retryable() {
                engine.state.recency.refused(now.since_start + REFUSAL_PAUSE);
            }
        }
        (Work::Raise, Err(error)) => {
            failed(engine, &error, &BTreeSet::new(), now);
            if error.is_retryable() {
                engine.writer.pause(now);
            }
        }
        (Work::Hosts(hosts), Err(error)) => {
            failed(engine, &error, &BTreeSet::new(), now);
            if error.is_retryable() {
                engine.writer.forgotten.extend(hosts);
                engine.writer.pause(now);
            }
        }
        (Work::Units(units, groups), result) => {
            // What changes nothing now will change nothing the next time either.
            let result = result.and_then(|results| match had_effect {
                true => Ok(results),
                false => Err(TransactError::WithoutEffect),
            });
            replace::transacted(engine, id, result.as_ref().err());
            engine.changes.pairs(pairs_among(&units, &engine.state.resolver));
            // Compared once more in any case: only what the northbound holds counts.
            engine.state.mark_dirty(units.iter().copied(), engine.northbound.as_deref());
            match result {
                Ok(_) => written(engine, &units, groups),
                Err(error) => units_failed(engine, units, groups, &error, now),
            }
        }
    }
}

fn written(engine: &mut Engine, units: &BTreeSet<UnitId>, groups: usize) {
    engine.writer.succeeded(groups);
    if engine.writer.under_way.is_empty() && engine.writer.suspects.is_empty() {
        engine.changes.restored(&mut engine.drift);
    }
    let writer = &engine.writer;
    let is_refused = |unit| writer.refusal(unit).is_some();
    engine.troubles.written(units, is_refused);
}

fn failed(engine: &mut Engine, error: &TransactError, units: &BTreeSet<UnitId>, now: Now) {
    engine.counters.transactions_failed += 1;
    if engine.troubles.note(error, units, now.wall) {
        engine.changes.transaction_failed(error);
    }
}

fn units_failed(
    engine: &mut Engine,
    units: BTreeSet<UnitId>,
    groups: usize,
    error: &TransactError,
    now: Now,
) {
    failed(engine, error, &units, now);
    if error.is_retryable() {
        engine.writer.pause(now);
    } else if groups > 1 && !error.is_forbidden() {
        engine.writer.search(groups);
    } else if !engine.writer.suspect_names(&units, error) && !engine.writer.overlooks(&units) {
        for unit in units {
            engine.state.dirty.remove(unit);
            engine.writer.refuse(unit, error, now);
        }
    }
}
