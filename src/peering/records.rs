//! What is known of where each half stood: as the northbound records it, and as it shall be
//! recorded.
//!
//! Owns one copy of each record, and which of them are to be read again. Invariant: a record that
//! somebody deletes is not forgotten as long as the half is declared.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};

use crate::declare::{Declarations, Half, HalfKey, NetworkKey, Said, Terms};
use crate::northbound::{HalfRecord, Id, Northbound, RecordedState};

use super::inputs::is_linked;
use super::outcome::Verdict;
use super::request::{Request, Waiting};
use super::state::Reason;

/// The records of the halves that are declared.
#[derive(Debug, Default)]
pub(super) struct Records {
    known: HashMap<HalfKey, KnownHalf>,
    /// Halves whose record is no longer what was read.
    altered: BTreeSet<HalfKey>,
}

/// What is known of one half.
#[derive(Debug, Default)]
struct KnownHalf {
    /// As last read.
    read: Option<Arc<HalfRecord>>,
    /// As it shall be: newer, where the two differ.
    noted: Option<Arc<HalfRecord>>,
}

impl KnownHalf {
    /// The last record of a half with this target.
    fn latest(&self, target: &NetworkKey) -> Option<&Arc<HalfRecord>> {
        let of_target = |record: &&Arc<HalfRecord>| record.targets(target);
        let (read, noted) =
            (self.read.as_ref().filter(of_target), self.noted.as_ref().filter(of_target));
        match (read, noted) {
            (Some(read), Some(noted)) if read.state != noted.state => Some(noted),
            (read, noted) => read.or(noted),
        }
    }
}

impl Records {
    /// What was recorded of a half, whatever its target was then.
    pub(super) fn get(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.known.get(half)?.read.as_ref()
    }

    /// The record that a half shall have.
    pub(super) fn noted(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.known.get(half)?.noted.as_ref()
    }

    /// What is known of a half until now: as recorded, unless something else was noted since.
    pub(super) fn latest(&self, half: &HalfKey, target: &NetworkKey) -> Option<&HalfRecord> {
        self.known.get(half)?.latest(target).map(Arc::as_ref)
    }

    /// The record of a half that is recorded as linked.
    pub(super) fn linked(&self, half: &HalfKey) -> Option<&HalfRecord> {
        self.get(half).map(|record| &**record).filter(|record| is_linked(record))
    }

    /// Notes the record that follows from a verdict.
    pub(super) fn note(
        &mut self,
        half: &Half,
        verdict: Verdict,
        expiry: Option<SignedDuration>,
        now: Timestamp,
    ) {
        let known = self.known.entry(half.key.clone()).or_default();
        let record = following(half, known, verdict, expiry, now);
        known.noted = Some(match &known.read {
            Some(read) if **read == record => Arc::clone(read),
            Some(_) | None => Arc::new(record),
        });
    }

    /// A half as its hosts declare it; where they differ, as it is linked now.
    pub(super) fn said<'a>(
        &self,
        key: &HalfKey,
        declarations: &'a Declarations,
    ) -> Option<Said<'a, Half>> {
        let record = self.linked(key);
        let is_target = |half: &Half| record.is_some_and(|record| record.targets(&half.target));
        let mark = |half: &Half| half.terms.as_deref().map(Terms::mark);
        let is_same =
            |half: &Half| record.is_some_and(|record| record.persisted.terms == mark(half));
        declarations.half(key, is_target, is_same)
    }

    /// Reads the record of a half of which none is known. The target's name is shared with it.
    pub(super) fn find(&mut self, half: &HalfKey, target: &NetworkKey, northbound: &Northbound) {
        if self.get(half).is_none() {
            self.read(half, target, northbound);
        }
    }

    /// The record of a half is no longer what was read.
    pub(super) fn altered(&mut self, half: HalfKey) {
        self.altered.insert(half);
    }

    /// Reads a record again that was altered.
    pub(super) fn read_again(
        &mut self,
        half: &HalfKey,
        target: &NetworkKey,
        northbound: &Northbound,
    ) {
        if self.altered.remove(half) {
            self.read(half, target, northbound);
        }
    }

    /// Nobody declares a half any more.
    pub(super) fn forget(&mut self, half: &HalfKey) {
        self.known.remove(half);
        self.altered.remove(half);
    }

    fn read(&mut self, half: &HalfKey, target: &NetworkKey, northbound: &Northbound) {
        let network = Id::of_network(&half.network);
        let record = northbound.half_record(network, &half.name);
        // What ended does not count for what is declared anew.
        if let Some(record) = record.filter(|record| record.state != RecordedState::Deleted) {
            let record = Some(Arc::new(record.sharing(target)));
            self.known.entry(half.clone()).or_default().read = record;
        }
    }
}

/// The record that follows from a verdict. Since when: as recorded; else as noted; else since now.
fn following(
    half: &Half,
    known: &KnownHalf,
    verdict: Verdict,
    expiry: Option<SignedDuration>,
    now: Timestamp,
) -> HalfRecord {
    let target = &half.target;
    let state = verdict.recorded();
    let of_target = |record: &&Arc<HalfRecord>| record.targets(target);
    let recorded = known.read.as_ref().filter(of_target);
    let noted = known.noted.as_ref().filter(of_target);
    let same = |record: &&Arc<HalfRecord>| record.state == state;
    let past = recorded.filter(same).or(noted.filter(same)).map(|past| past.since);
    let expired = verdict.persisted.expired.filter(|_| state == RecordedState::Expired);
    let past = expired.or(past).or_else(|| {
        let record = recorded.or(noted).filter(|_| state == RecordedState::Pending)?;
        let waiting = Waiting { pending: None, expired: record.persisted.expired };
        waiting.asked_before(expiry, now)
    });
    let was_linked = recorded.is_some_and(|record| record.was_linked);
    let mut persisted = verdict.persisted;
    if is_unjudged(verdict.reason) {
        let expired = known.latest(target).and_then(|before| before.persisted.expired);
        let waiting = Waiting { pending: None, expired };
        persisted.expired = Request::judge(half.requested, waiting, None, now).expired();
    }
    HalfRecord::new(target, state, past.unwrap_or(now), was_linked, persisted)
}

/// Whether another half counts in its place, or hosts differ about it: then the rules do not judge
/// it as a request, and one that expired stays so.
fn is_unjudged(reason: Option<Reason>) -> bool {
    matches!(reason, Some(Reason::PeeringConflict | Reason::ConflictingDeclarations))
}
