//! The store: declarations that clients change by command, written compare-and-swap.
//!
//! A stored declaration is an entry of the network's registration, under `@store`. Any host's
//! instance writes it, without the writer's lock. Each write raises the store's counter, and asserts
//! that all counters are as they were read: so it is judged by exactly the declarations that it
//! changes. If another host was faster, the edit is judged anew. If the reply is lost, the mark that
//! the same transaction leaves for this host shows whether the server did it. A new leader of a
//! cluster may serve rows before it has applied what the last one committed. So an edit whose reply
//! was lost looks for its mark each time before it is judged, and is refused for no other reason
//! before it was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::declare::{Edit, HalfKey, NetworkKey, NotStored, Stored, StoredChange};
use crate::northbound::counters::stored_mark;
use crate::northbound::registration::half_key;
use crate::northbound::stored::{
    stored_half_entry, stored_half_key, stored_rejection_entry, stored_rejection_key,
};
use crate::northbound::{Id, NetworkRecord, Northbound};
use crate::now::Now;
use crate::ovsdb::{Operation, TransactError};
use crate::program::{self, Base, Entries, Transaction};

use super::allowance::Allowances;
use super::edit::judge;
use super::state::State;
use super::{Deadline, Engine};

/// Edits that wait at the most; a further one is refused.
const MOST_WAITING: usize = 64;
/// How long an edit may wait until it is sent.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long an edit whose reply was lost may wait for the rows that settle it. Its client waits for
/// 60 s.
const SETTLING: Duration = Duration::from_secs(45);
/// The first pause before an edit is judged anew, after another host was faster. It doubles up to
/// [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);
/// What a transaction writes beside the entries, about, in bytes.
const OVERHEAD: usize = 512;

/// What became of an edit.
pub type StoreResult = Result<StoredChange, NotStored>;

/// Edits that wait, and the one that is under way.
#[derive(Debug, Default)]
pub(super) struct Store {
    last_id: u64,
    waiting: VecDeque<Waiting>,
    /// At most one; it is not in `waiting`.
    under_way: Option<UnderWay>,
    /// Not before this, the first of them is judged anew.
    paused_until: Option<Duration>,
    results: Vec<(u64, StoreResult)>,
    allowances: Allowances,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    edit: Edit,
    asked: Duration,
    pause: Duration,
    /// The last attempt whose reply is lost, if there was one. Earlier ones cannot be done any more:
    /// each asserts the counters that it has read.
    lost: Option<Attempt>,
}

impl Waiting {
    fn until(&self) -> Duration {
        self.asked + if self.lost.is_some() { SETTLING } else { PATIENCE }
    }
}

/// A transaction of an edit.
#[derive(Debug)]
struct Attempt {
    change: StoredChange,
    /// The store's counter as the transaction sets it.
    counter: u64,
    /// What it writes, about, in bytes.
    bytes: usize,
}

#[derive(Debug)]
struct UnderWay {
    waiting: Waiting,
    attempt: Attempt,
}

impl Store {
    /// Takes an edit; its result comes by [`Store::take_results`] under the number that is
    /// returned.
    pub(super) fn add(&mut self, edit: Edit, now: Now) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        if self.waiting.len() < MOST_WAITING {
            let asked = now.since_start;
            self.waiting.push_back(Waiting { id, edit, asked, pause: PAUSE, lost: None });
        } else {
            self.results.push((id, Err(NotStored::Busy)));
        }
        id
    }

    pub(super) fn take_results(&mut self) -> Vec<(u64, StoreResult)> {
        std::mem::take(&mut self.results)
    }

    /// Refuses all edits that wait: nothing can be written now. Only rows tell what became of one
    /// whose reply is lost.
    pub(super) fn refuse_all(&mut self, why: &NotStored) {
        self.refuse(|waiting| waiting.lost.is_none(), why);
    }

    /// Time has passed: an edit waits no longer than it may, whatever keeps it from being written.
    pub(super) fn pass(&mut self, now: Duration) {
        self.paused_until.take_if(|until| *until <= now);
        self.refuse(|it| it.lost.is_none() && it.until() <= now, &NotStored::TooLate);
        self.refuse(|it| it.until() <= now, &NotStored::Unknown);
    }

    fn refuse(&mut self, which: impl Fn(&Waiting) -> bool, why: &NotStored) {
        let refused = self.waiting.iter().filter(|waiting| which(waiting));
        self.results.extend(refused.map(|waiting| (waiting.id, Err(why.clone()))));
        self.waiting.retain(|waiting| !which(waiting));
    }

    /// Judges the edits that wait, until one is to be written. Returns its operations.
    pub(super) fn next(
        &mut self,
        state: &State,
        northbound: &Northbound,
        now: Now,
    ) -> Option<Vec<Operation>> {
        if self.under_way.is_some() || self.paused_until.is_some() {
            return None;
        }
        let mark = northbound.stored_mark(state.declarations.host());
        while let Some(mut waiting) = self.waiting.pop_front() {
            if let Some(done) = waiting.lost.take_if(|lost| mark == Some(lost.counter)) {
                self.done(UnderWay { waiting, attempt: done }, now);
                continue;
            }
            // The mark may be one of those that a restored backup does not have.
            if waiting.lost.is_some() && state.recency.older().is_some() {
                self.results.push((waiting.id, Err(NotStored::Unknown)));
                continue;
            }
            match self.judge(&waiting.edit, state, now) {
                Ok(change) if !change.is_empty() && !waiting.edit.dry_run => {
                    if !are_in_place(&change, state, northbound) {
                        self.waiting.push_front(waiting);
                        return None;
                    }
                    let counter = state.recency.next_stored(northbound);
                    let (operations, bytes) =
                        operations(state, northbound, &waiting.edit, &change, counter);
                    let attempt = Attempt { change, counter, bytes };
                    self.under_way = Some(UnderWay { waiting, attempt });
                    return Some(operations);
                }
                result => self.results.push((waiting.id, result)),
            }
        }
        None
    }

    /// What an edit changes now, if it may change anything now.
    fn judge(&self, edit: &Edit, state: &State, now: Now) -> StoreResult {
        let change = judge(edit, state)?;
        if state.recency.older().is_some() {
            return Err(NotStored::Restoring);
        }
        let wait = self.allowances.wait(&edit.project, now.since_start);
        match wait.filter(|_| !change.is_empty() && !edit.dry_run) {
            Some(wait) => Err(NotStored::TooFast(wait.as_secs() + 1)),
            None => Ok(change),
        }
    }

    /// The transaction of the edit under way has ended.
    pub(super) fn ended(&mut self, result: Result<(), TransactError>, now: Now) {
        let Some(under_way) = self.under_way.take() else { return };
        match result {
            Ok(()) => self.done(under_way, now),
            Err(TransactError::Unknown(_)) => {
                let UnderWay { mut waiting, attempt } = under_way;
                waiting.lost = Some(attempt);
                self.waiting.push_front(waiting);
            }
            // A client that waits learns of a full disk at once.
            Err(error) if error.is_retryable() && !error.is_exhausted() => {
                let mut waiting = under_way.waiting;
                self.paused_until = Some(now.since_start + waiting.pause);
                waiting.pause = (waiting.pause * 2).min(LONGEST_PAUSE);
                self.waiting.push_front(waiting);
            }
            Err(error) => {
                self.results.push((under_way.waiting.id, Err(refusal(&error))));
            }
        }
    }

    /// An edit was written. What was not is not charged.
    fn done(&mut self, UnderWay { waiting, attempt }: UnderWay, now: Now) {
        self.allowances.take(&waiting.edit.project, attempt.bytes, now.since_start);
        self.results.push((waiting.id, Ok(attempt.change)));
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let first = self.waiting.iter().map(Waiting::until).min()?;
        let at = self.paused_until.map_or(first, |until| until.min(first));
        Some(Deadline { at, why: "a change of the store waits" })
    }
}

/// What to say of a transaction that is not tried again.
fn refusal(error: &TransactError) -> NotStored {
    let words = Some(error.to_string());
    if error.is_exhausted() {
        NotStored::Full(words)
    } else if error.is_read_only() {
        NotStored::ReadOnly(words)
    } else {
        NotStored::Server(words)
    }
}

/// Whether the registrations that a change writes to are there, as far as there should be any. One
/// that somebody has deleted is put back first, with all that hosts declare in it: a new one with
/// the change alone would withdraw that.
fn are_in_place(change: &StoredChange, state: &State, northbound: &Northbound) -> bool {
    let halves = change.stored.iter().chain(&change.removed).map(|half| &half.network);
    let rejections = change.rejected.iter().chain(&change.unrejected).map(|it| &it.network);
    halves.chain(rejections).all(|network| {
        let id = Id::of_network(network);
        northbound.registration(id).is_some() || !state.is_registered(id, network)
    })
}

/// One transaction: the entries, in new registrations where there are none yet; the store's counter;
/// and this host's mark. It asserts that the registrations are those that were read: whoever removes
/// or restores one raises no counter. Also how many bytes it writes, about.
fn operations(
    state: &State,
    northbound: &Northbound,
    edit: &Edit,
    change: &StoredChange,
    counter: u64,
) -> (Vec<Operation>, usize) {
    let mut bytes = OVERHEAD;
    let mut entries: BTreeMap<&NetworkKey, Entries> = BTreeMap::new();
    let stored = Stored { by: edit.by.clone(), at: edit.at };
    let mut put = |network, (key, text): (String, Option<String>)| {
        bytes += key.len() + text.as_ref().map_or(0, String::len);
        entries.entry(network).or_default().insert(key, text);
    };
    for half in &change.removed {
        put(&half.network, (stored_half_key(&half.name), None));
    }
    for rejection in &change.unrejected {
        put(&rejection.network, (stored_rejection_key(&rejection.from), None));
    }
    let halves: BTreeSet<&HalfKey> = change.stored.iter().collect();
    for half in edit.halves.iter().filter(|half| halves.contains(&half.key)) {
        let (key, text) = stored_half_entry(half, &stored);
        put(&half.key.network, (key, Some(text)));
    }
    for rejection in &change.rejected {
        let (key, text) = stored_rejection_entry(rejection, &stored);
        put(&rejection.network, (key, Some(text)));
    }
    if let (true, [half], [former]) = (edit.rename, &edit.halves[..], &edit.remove[..]) {
        let tags = northbound.registration(Id::of_network(&former.network));
        // Its record goes with it: it stands where it stood, and since then.
        if let Some(record) = tags.and_then(|tags| tags.get(&half_key(&former.name))) {
            let name = &half.key.name;
            put(&former.network, (half_key(name), Some(record.to_owned())));
            put(&former.network, (half_key(&former.name), None));
        }
    }
    let mut transaction = Transaction { declares_only: true, ..Transaction::default() };
    let mut guards = Vec::new();
    for (network, entries) in entries {
        let id = Id::of_network(network);
        let base = northbound.registration(id).is_none().then(|| Base {
            label: network.to_string(),
            prefixes: Vec::new(),
            record: NetworkRecord::new(network, None).to_text(),
        });
        let diff = program::registration_diff(id, base.as_ref(), &entries, northbound);
        transaction.registrations.extend(diff);
        guards.push(program::same_registration(id, northbound));
    }
    let mark = stored_mark(state.declarations.host());
    let mut operations = program::raise_stored(northbound, counter, &mark);
    operations.extend(guards);
    operations.extend(transaction.operations());
    (operations, bytes)
}

/// Refuses the edits that wait, as long as this instance may write none.
pub(super) fn refuse_edits(engine: &mut Engine) {
    let why = if !engine.connection.synced {
        let why = engine.connection.error.clone();
        if engine.read_only { NotStored::ReadOnly(why) } else { NotStored::NotSynced(why) }
    } else if engine.gate.is_closed() {
        NotStored::Newer
    } else if engine.identity.is_taken() {
        NotStored::HostTaken
    } else {
        return;
    };
    engine.store.refuse_all(&why);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> Edit {
        Edit::new("blue".into(), "alice".to_owned())
    }

    fn at(seconds: u64) -> Now {
        Now { wall: jiff::Timestamp::UNIX_EPOCH, since_start: Duration::from_secs(seconds) }
    }

    /// A deadline that has passed and stays would make the event loop run in circles.
    #[test]
    fn an_edit_that_nobody_can_write_is_answered_and_no_deadline_is_left() {
        let mut store = Store::default();
        let id = store.add(edit(), at(1));
        let due = store.deadline().map(|deadline| deadline.at);
        assert_eq!(due, Some(Duration::from_secs(1) + PATIENCE));
        store.paused_until = Some(Duration::from_secs(2));
        store.pass(Duration::from_secs(3));
        assert_eq!(store.deadline().map(|deadline| deadline.at), due, "the pause is over");
        assert_eq!(store.take_results(), []);
        store.pass(Duration::from_secs(1) + PATIENCE);
        assert_eq!(store.take_results(), [(id, Err(NotStored::TooLate))]);
        assert!(store.deadline().is_none());
    }
}
