//! When something is to be done although nothing happens.

use std::time::Duration;

use super::{Engine, submit};

/// When the engine wants to be woken without an event, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// In terms of [`Now::since_start`](crate::now::Now::since_start).
    pub at: Duration,
    /// For logs.
    pub why: &'static str,
}

/// The wall clock may be put forward while nothing else happens: while something waits for it, it
/// is looked at so often.
const LONGEST_TRUST_IN_CLOCK: Duration = Duration::from_secs(60);

/// The next moment at which something is to be done without an event.
pub(super) fn next(engine: &Engine) -> Option<Deadline> {
    let awaits = !engine.writer.under_way.is_empty();
    let deadlines = engine.writer.deadline().into_iter().chain(engine.takeover.deadline(awaits));
    let deadlines = deadlines.chain(engine.identity.deadline()).chain(engine.store.deadline());
    let northd = engine.northd.deadline(submit::may_ask_northd(engine));
    let northd = northd.filter(|_| engine.connection.synced);
    let deadlines = deadlines.chain(lifetime(engine)).chain(decision(engine)).chain(northd);
    let recency = &engine.state.recency;
    let counters = engine.last.and_then(|last| recency.deadline(last.since_start));
    let deadlines = deadlines.chain(engine.state.replacing.deadline());
    deadlines.chain(counters).min_by_key(|deadline| deadline.at)
}

fn decision(engine: &Engine) -> Option<Deadline> {
    let at = engine.last.filter(|_| engine.is_deciding())?.since_start;
    Some(Deadline { at, why: "pairs are left to be decided" })
}

/// When a request expires, or a half that ended is to be forgotten.
fn lifetime(engine: &Engine) -> Option<Deadline> {
    let last = engine.last?;
    let due = engine.state.due().into_iter().chain(engine.expiry.due(last.wall)).min()?;
    let wait = Duration::try_from(due.duration_since(last.wall)).unwrap_or_default();
    let at = last.since_start + wait.min(LONGEST_TRUST_IN_CLOCK);
    Some(Deadline { at, why: "time changes what is said" })
}
