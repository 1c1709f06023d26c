//! The recorded state of each half: as the northbound has it, and as it is to be recorded.
//!
//! Owns one copy of each record, and the list of those to read again. Invariant: if somebody
//! deletes a record, its copy stays as long as the half is declared.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};

use crate::declare::{Declarations, Dispute, Half, HalfKey, NetworkKey, Said, Terms};
use crate::northbound::{HalfRecord, Id, Northbound, RecordedState};

use super::inputs::is_linked;
use super::outcome::Verdict;
use super::request::{Request, Waiting};
use super::state::Reason;

/// The records of declared halves.
#[derive(Debug, Default)]
pub(super) struct Records {
    known: HashMap<HalfKey, KnownHalf>,
    /// Halves whose record has changed since it was read.
    altered: BTreeSet<HalfKey>,
}

/// The records of one half.
#[derive(Debug, Default)]
struct KnownHalf {
    /// As last read.
    read: Option<Arc<HalfRecord>>,
    /// The record to write; if it differs from the read one, it is newer.
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
    /// The record of a half, for any target.
    pub(super) fn get(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.known.get(half)?.read.as_ref()
    }

    /// The desired record of a half.
    pub(super) fn noted(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.known.get(half)?.noted.as_ref()
    }

    /// The latest record of a half: the read one, unless a newer one was noted since.
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

    /// A half as its hosts declare it; if they differ, as it is linked now.
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

    /// Those of some halves that hosts declare differently.
    pub(super) fn disputes(
        &self,
        halves: &[HalfKey],
        declarations: &Declarations,
    ) -> Vec<(HalfKey, Dispute)> {
        let of = |half: &HalfKey| Some((half.clone(), self.said(half, declarations)?.dispute?));
        halves.iter().filter_map(of).collect()
    }

    /// Reads the record of a new half. It shares the target's name with the half.
    pub(super) fn find(&mut self, half: &HalfKey, target: &NetworkKey, northbound: &Northbound) {
        if self.get(half).is_none() {
            self.read(half, target, northbound);
        }
    }

    /// Notes that the record of a half has changed.
    pub(super) fn altered(&mut self, half: HalfKey) {
        self.altered.insert(half);
    }

    /// Reads a changed record again.
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

    /// Notes that nobody declares a half any more.
    pub(super) fn forget(&mut self, half: &HalfKey) {
        self.known.remove(half);
        self.altered.remove(half);
    }

    fn read(&mut self, half: &HalfKey, target: &NetworkKey, northbound: &Northbound) {
        let network = Id::of_network(&half.network);
        let record = northbound.half_record(network, &half.name);
        // An ended record does not count for a new declaration.
        if let Some(record) = record.filter(|record| record.state != RecordedState::Deleted) {
            let record = Some(Arc::new(record.sharing(target)));
            self.known.entry(half.clone()).or_default().read = record;
        }
    }
}

/// The record that follows from a verdict. Its time is the recorded one, else the noted one, else
/// now.
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

/// Whether another half counts in its place, or hosts declare it differently: then it is not
/// checked as a request, and an expired one stays expired.
fn is_unjudged(reason: Option<Reason>) -> bool {
    matches!(reason, Some(Reason::PeeringConflict | Reason::ConflictingDeclarations))
}
