//! The store: declarations that clients change by command, written compare-and-swap.
//!
//! A stored declaration is an entry of the network's registration, under `@store`. Any host's
//! instance writes it, without the writer's lock. Each write raises the store's counter, and asserts
//! that all counters are as they were read: so it is judged by exactly the declarations that it
//! changes. If another host was faster, the edit is judged anew. If the reply is lost, the mark that
//! the same transaction leaves for this host shows whether the server did it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::declare::{Edit, HalfKey, Host, NetworkKey, NotStored, Stored, StoredChange};
use crate::northbound::counters::stored_mark;
use crate::northbound::registration::half_key;
use crate::northbound::stored::{
    stored_half_entry, stored_half_key, stored_rejection_entry, stored_rejection_key,
};
use crate::northbound::{Id, NetworkRecord, Northbound};
use crate::now::Now;
use crate::ovsdb::{Operation, TransactError};
use crate::program::{self, Base, Entries, Transaction};

use super::Deadline;
use super::allowance::Allowances;
use super::edit::judge;
use super::state::State;

/// Edits that wait at the most; a further one is refused.
const MOST_WAITING: usize = 64;
/// How long an edit may wait until it is sent.
const PATIENCE: Duration = Duration::from_secs(8);
/// The pause before an edit is judged anew, after another host was faster.
const PAUSE: Duration = Duration::from_millis(5);
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
    until: Duration,
}

#[derive(Debug)]
struct UnderWay {
    waiting: Waiting,
    change: StoredChange,
    /// The store's counter as the transaction sets it.
    counter: u64,
    /// Whether its reply is lost: the rows of the next session show whether it was done.
    lost: bool,
}

impl Store {
    /// Takes an edit; its result comes by [`Store::take_results`] under the number that is
    /// returned.
    pub(super) fn add(&mut self, edit: Edit, now: Now) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(Waiting { id, edit, until: now.since_start + PATIENCE });
        } else {
            self.results.push((id, Err(NotStored::Busy)));
        }
        id
    }

    pub(super) fn take_results(&mut self) -> Vec<(u64, StoreResult)> {
        std::mem::take(&mut self.results)
    }

    /// Refuses all edits that wait: nothing can be written now.
    pub(super) fn refuse_all(&mut self, why: &NotStored) {
        let refused = self.waiting.drain(..).map(|waiting| (waiting.id, Err(why.clone())));
        self.results.extend(refused);
    }

    /// Time has passed: an edit waits no longer than it may, whatever keeps it from being written.
    pub(super) fn pass(&mut self, now: Duration) {
        self.paused_until.take_if(|until| *until <= now);
        let due = self.waiting.iter().take_while(|waiting| waiting.until <= now).count();
        let late = self.waiting.drain(..due).map(|late| (late.id, Err(NotStored::TooLate)));
        self.results.extend(late);
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
        while let Some(waiting) = self.waiting.pop_front() {
            let judged = judge(&waiting.edit, state);
            let wait = self.allowances.wait(&waiting.edit.project, now.since_start);
            let judged = judged.and_then(|change| match (state.recency.older(), wait) {
                (Some(_), _) => Err(NotStored::Restoring),
                (None, Some(wait)) if !change.is_empty() => {
                    Err(NotStored::TooFast(wait.as_secs() + 1))
                }
                (None, _) => Ok(change),
            });
            match judged {
                Ok(change) if !change.is_empty() && !waiting.edit.dry_run => {
                    let counter = state.recency.next_stored(northbound);
                    let (operations, bytes) =
                        operations(state, northbound, &waiting.edit, &change, counter);
                    self.allowances.take(&waiting.edit.project, bytes, now.since_start);
                    self.under_way = Some(UnderWay { waiting, change, counter, lost: false });
                    return Some(operations);
                }
                result => self.results.push((waiting.id, result)),
            }
        }
        None
    }

    /// The transaction of the edit under way has ended.
    pub(super) fn ended(&mut self, result: Result<(), TransactError>, now: Now) {
        let Some(mut under_way) = self.under_way.take() else { return };
        let id = under_way.waiting.id;
        match result {
            Ok(()) => self.results.push((id, Ok(under_way.change))),
            Err(TransactError::Unknown(_)) => {
                under_way.lost = true;
                self.under_way = Some(under_way);
            }
            Err(error) if error.is_retryable() => {
                self.paused_until = Some(now.since_start + PAUSE);
                self.waiting.push_front(under_way.waiting);
            }
            Err(error) => self.results.push((id, Err(NotStored::Server(error.to_string())))),
        }
    }

    /// All rows were read: they show whether an edit whose reply was lost has been done.
    pub(super) fn settle(&mut self, host: &Host, northbound: &Northbound) {
        let Some(under_way) = self.under_way.take_if(|under_way| under_way.lost) else { return };
        if northbound.stored_mark(host) == Some(under_way.counter) {
            self.results.push((under_way.waiting.id, Ok(under_way.change)));
        } else {
            self.waiting.push_front(under_way.waiting);
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let first = self.waiting.front()?.until;
        let at = self.paused_until.map_or(first, |until| until.min(first));
        Some(Deadline { at, why: "a change of the store waits" })
    }
}

/// One transaction: the entries, in new registrations where there are none yet; the store's counter;
/// and this host's mark. Also how many bytes it writes, about.
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
    for (network, entries) in entries {
        let id = Id::of_network(network);
        let base = northbound.registration(id).is_none().then(|| Base {
            label: network.to_string(),
            prefixes: Vec::new(),
            record: NetworkRecord::new(network, None).to_text(),
        });
        let diff = program::registration_diff(id, base.as_ref(), &entries, northbound);
        transaction.registrations.extend(diff);
    }
    let mark = stored_mark(state.declarations.host());
    let mut operations = program::raise_stored(northbound, counter, &mark);
    operations.extend(transaction.operations());
    (operations, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> Edit {
        Edit {
            project: "blue".into(),
            by: "alice".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            halves: Vec::new(),
            rejections: Vec::new(),
            remove: Vec::new(),
            unreject: Vec::new(),
            rename: false,
            create: false,
            replace: false,
            if_match: None,
            dry_run: false,
        }
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
