//! A server that takes its time: what is sent waits to be carried out, what it answers is on its way, in
//! order, and meanwhile others write, guards fail, and the connection is lost with the outcome unknown. What is
//! under way at once is looked at: nothing is written twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ovn_peerd::engine::{Event, Submission};
use ovn_peerd::ovsdb::{self, Datum, Operation, TransactError, TransactionError, Where};
use uuid::Uuid;

use crate::database::Rows;
use crate::world::World;

/// Begins the key of a host's counter.
const COUNTER: &str = "ovn-peerd-counter:";
/// How long what was refused waits, and more than that.
const REFUSALS_ARE_OVER: u64 = 46;
/// What a server says of its own accord; the last one is no reason to try again soon.
const FAULTS: &[&str] = &["timed out", "resources exhausted", "constraint violation"];
/// What it says of a transaction that was outrun by others' rows.
const OUTRUN: &[&str] = &["timed out", "referential integrity violation", "constraint violation"];
/// Columns that refer to rows which go with their parent.
const CHILDREN: &[&str] = &["ports", "static_routes", "policies"];

/// What is under way between the engine and the database.
pub struct Late {
    /// Groups in one transaction.
    pub groups: usize,
    /// What chance decides by.
    dice: u64,
    /// Of a thousand requests so many fail, and of three thousand steps so many lose the connection.
    pub faults: u64,
    requests: VecDeque<Submission>,
    wire: VecDeque<Message>,
    /// What the engine has heard of the rows.
    pub heard: Rows,
    under_way: BTreeMap<u64, Written>,
    /// How many transactions were sent that change rows, and how many of them beside another.
    pub sent: usize,
    pub beside: usize,
}

enum Message {
    /// Rows changed; all of them are these now.
    Update(ovsdb::Updates, Rows),
    Result(u64, Result<(), String>),
}

/// What a transaction writes.
#[derive(Default)]
struct Written {
    /// Rows inserted, and cells, entries and references changed.
    cells: BTreeSet<String>,
    /// Rows changed, and those that go.
    changed: BTreeSet<Uuid>,
    gone: BTreeSet<Uuid>,
}

impl Late {
    pub fn new(groups: usize, seed: u64, faults: u64) -> Self {
        Self {
            groups,
            dice: seed | 1,
            faults,
            requests: VecDeque::new(),
            wire: VecDeque::new(),
            heard: Rows::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            beside: 0,
        }
    }

    /// A number below this one.
    fn below(&mut self, most: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) % most
    }

    fn fails(&mut self) -> bool {
        self.below(1000) < self.faults
    }

    fn send(&mut self, submission: Submission, asks: bool) {
        let written = Written::of(&submission.operations);
        for other in self.under_way.values() {
            written.assert_apart(other);
        }
        if !asks {
            self.sent += 1;
            self.beside += usize::from(!self.under_way.is_empty());
        }
        self.under_way.insert(submission.id, written);
        assert!(self.under_way.len() <= 2, "too much is under way");
        self.requests.push_back(submission);
    }
}

impl Written {
    /// No cell is written twice, and no row that goes is written.
    fn of(operations: &[Operation]) -> Self {
        let mut written = Self::default();
        for operation in operations {
            let mut cells: BTreeSet<String> = BTreeSet::new();
            match operation {
                Operation::Insert { table, row, .. } => {
                    cells.insert(format!("{table} {row:?}"));
                }
                Operation::Update { table, row_uuid, row } => {
                    cells.extend(row.iter().map(|(name, _)| format!("{table} {row_uuid} {name}")));
                    written.changed.insert(*row_uuid);
                }
                Operation::Delete { row_uuid, .. } => {
                    assert!(written.gone.insert(*row_uuid), "deleted twice: {operations:?}");
                }
                Operation::Mutate { table, selection, mutations } => {
                    for (column, _, datum) in mutations {
                        let members: Vec<String> = match datum {
                            Datum::Set(members) => members.iter().filter_map(member).collect(),
                            Datum::Map(pairs) => pairs.iter().map(|(key, _)| key.clone()).collect(),
                            _ => Vec::new(),
                        };
                        let row = format!("{table} {selection:?} {column}");
                        // Each transaction of a host raises its counter.
                        let members = members.into_iter().filter(|it| !it.contains(COUNTER));
                        cells.extend(members.map(|member| format!("{row} {member}")));
                    }
                    // A parent may go together with its children.
                    let of_children = |(column, ..): &(&str, _, _)| CHILDREN.contains(column);
                    if let Where::Uuid(row) = selection
                        && !mutations.iter().all(of_children)
                    {
                        written.changed.insert(*row);
                    }
                }
                Operation::Wait { .. }
                | Operation::Assert { .. }
                | Operation::Comment(_)
                | Operation::Select { .. } => {}
            }
            for cell in cells {
                assert!(
                    !written.cells.contains(&cell),
                    "twice in a transaction: {cell}\n{operations:?}"
                );
                written.cells.insert(cell);
            }
        }
        assert!(written.gone.is_disjoint(&written.changed), "written and deleted: {operations:?}");
        written
    }

    fn assert_apart(&self, other: &Self) {
        let same: Vec<&String> = self.cells.intersection(&other.cells).collect();
        assert!(same.is_empty(), "twice under way: {same:#?}");
        assert!(self.gone.is_disjoint(&other.gone), "deleted twice");
        assert!(self.gone.is_disjoint(&other.changed), "deleted, and written by the one before");
        assert!(self.changed.is_disjoint(&other.gone), "written, and deleted by the one before");
    }
}

/// What is inserted is looked at as a row.
fn member(datum: &Datum) -> Option<String> {
    match datum {
        Datum::NamedUuid(_) => None,
        other => Some(format!("{other:?}")),
    }
}

/// Whether a transaction changes nothing but that ovn-northd is asked whether it has acted.
pub fn asks_northd(operations: &[Operation]) -> bool {
    let asks = |operation: &Operation| {
        matches!(operation, Operation::Assert { .. })
            || matches!(operation, Operation::Mutate { table: "NB_Global", .. })
    };
    operations.iter().all(asks)
}

impl World {
    pub fn late(&mut self) -> &mut Late {
        self.late.as_mut().unwrap()
    }

    /// Somebody alters a row of ours, if the server is one that takes its time.
    pub fn alter_any(&mut self) {
        if let Some(late) = &mut self.late {
            let choice = late.below(1 << 20);
            self.alter_own(usize::try_from(choice).unwrap());
        }
    }

    /// The engine sends all that it may.
    pub fn send(&mut self) {
        while let Some(submission) = self.engine.poll(self.now()) {
            let asks = asks_northd(&submission.operations);
            self.asked += usize::from(asks);
            self.late().send(submission, asks);
        }
    }

    /// What has changed is told, as soon as the engine hears of it.
    pub fn publish(&mut self) {
        let now = self.database.monitored();
        let updates = crate::database::Database::updates(&self.told, &now);
        if !updates.is_empty() {
            self.told.clone_from(&now);
            self.late().wire.push_back(Message::Update(updates, now));
        }
    }

    /// Something happens between the engine and the database; false if nothing is under way.
    pub fn step_late(&mut self) -> bool {
        if self.engine.is_deciding() && self.late().below(2) == 0 {
            self.handle(Event::Tick);
            return true;
        }
        self.send();
        let (asked, told) = (!self.late().requests.is_empty(), !self.late().wire.is_empty());
        if (asked || told) && self.late().fails() && self.late().below(3) == 0 {
            self.connect();
            return true;
        }
        let first = self.late().below(2) == 0;
        if asked && (first || !told) {
            self.carry_out();
        } else if told {
            self.deliver();
        }
        asked || told || self.engine.is_deciding()
    }

    fn carry_out(&mut self) {
        let Some(submission) = self.late().requests.pop_front() else { return };
        self.publish();
        let result = if self.late().fails() {
            let fault = self.late().below(FAULTS.len() as u64);
            Err(FAULTS[usize::try_from(fault).unwrap()].to_owned())
        } else {
            let foreign = self.foreign();
            let result = self.database.transact(&submission.operations);
            assert_eq!(self.foreign(), foreign, "rows of others changed: {submission:#?}");
            if let Err(error) = &result {
                assert!(OUTRUN.contains(&error.as_str()), "{error}: {submission:#?}");
            }
            result
        };
        self.publish();
        self.late().wire.push_back(Message::Result(submission.id, result));
    }

    fn deliver(&mut self) {
        match self.late().wire.pop_front() {
            None => {}
            Some(Message::Update(updates, rows)) => {
                self.late().heard = rows;
                self.client(ovsdb::Event::Update { updates, last_id: Uuid::nil() });
            }
            Some(Message::Result(id, result)) => {
                self.late().under_way.remove(&id);
                let result = result.map(|()| Vec::new()).map_err(|error| {
                    TransactError::Rejected(TransactionError { index: None, error, details: None })
                });
                self.client(ovsdb::Event::Transacted { id, result });
            }
        }
    }

    /// The session ends: the server may have carried out some of what it was sent, and nobody knows.
    fn break_off(&mut self) {
        let sent = self.late().requests.len() as u64;
        for _ in 0..self.late().below(sent + 1) {
            self.carry_out();
        }
        let late = self.late();
        late.requests.clear();
        late.wire.clear();
    }

    /// The engine learns that its session is over.
    fn hang_up(&mut self) {
        self.break_off();
        for id in std::mem::take(&mut self.late().under_way).into_keys() {
            let result = Err(TransactError::Unknown("the server went away".to_owned()));
            self.client(ovsdb::Event::Transacted { id, result });
        }
        let (error, retry_in) = ("the server went away".to_owned(), Duration::from_secs(1));
        self.client(ovsdb::Event::Disconnected { error, read_only: false, retry_in });
        assert!(self.engine.poll(self.now()).is_none(), "nothing is sent without a session");
    }

    /// A session has begun.
    pub fn greet(&mut self) {
        let layout = Arc::clone(&self.database.layout);
        let schema = Arc::new(
            serde_json::from_str(r#"{"name":"n","version":"1.0.0","tables":{}}"#).unwrap(),
        );
        let remote = "unix:test".to_owned();
        self.client(ovsdb::Event::Connected { remote, schema, layout });
    }

    /// Now and then a server can tell the next session what was missed; tells whether it does.
    pub fn resume(&mut self) -> bool {
        self.hang_up();
        if self.late().heard.is_empty() || self.late().below(2) == 0 {
            return false;
        }
        self.told = self.late().heard.clone();
        self.greet();
        self.client(ovsdb::Event::Resumed);
        self.publish();
        while !self.late().wire.is_empty() {
            self.deliver();
        }
        self.client(ovsdb::Event::Lock { held: true });
        true
    }

    /// The process is gone, and with it its session.
    pub fn abandon(&mut self) {
        self.send();
        self.break_off();
        self.late().under_way.clear();
        self.late().heard.clear();
    }

    /// Lets the engine do all that it wants, and what was refused be tried again; returns how many
    /// transactions that took, not counting when ovn-northd is asked whether it has acted.
    pub fn settle_late(&mut self) -> usize {
        let before = self.late().sent;
        for _ in 0..64 {
            let (sent, asked) = (self.late().sent, self.asked);
            self.publish();
            let mut steps = 0;
            while self.step_late() {
                steps += 1;
                assert!(steps < 4096, "the engine does not come to rest");
            }
            self.steps += REFUSALS_ARE_OVER;
            self.handle(Event::Tick);
            self.decide();
            self.send();
            if (self.late().sent, self.asked) == (sent, asked) {
                return sent - before;
            }
        }
        panic!("the engine does not come to rest");
    }
}
