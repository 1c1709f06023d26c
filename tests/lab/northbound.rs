//! What is in the northbound, whole, and what has been written to it: for comparing before with after.
//!
//! Invariants: a [`Dump`] is canonical (sets and maps sorted, rows by UUID), so two are equal exactly when the databases
//! hold the same; the record log is read from the database file, so that it misses nobody's transaction.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Lab;
use super::command::run;

/// A row: its columns.
pub type Row = BTreeMap<String, Value>;
/// Rows by their UUIDs.
pub type Table = BTreeMap<String, Row>;

/// The columns in which OVN itself, not a user of it, keeps account (ovn-nb(5)).
const KEPT_BY_NORTHD: &[(&str, &str)] = &[
    ("NB_Global", "sb_cfg"),
    ("NB_Global", "sb_cfg_timestamp"),
    ("NB_Global", "hv_cfg"),
    ("NB_Global", "hv_cfg_timestamp"),
    ("NB_Global", "nb_cfg_timestamp"),
    ("NB_Global", "options"),
    ("Logical_Switch_Port", "up"),
    ("Logical_Switch_Port", "tag"),
    ("Logical_Switch_Port", "dynamic_addresses"),
    ("Logical_Router_Port", "status"),
    ("BFD", "status"),
    // By the server itself, of who is connected.
    ("Connection", "status"),
    ("Connection", "is_connected"),
];

/// The whole northbound database at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Dump(BTreeMap<String, Table>);

impl Dump {
    /// What the server at an OVSDB remote (`unix:PATH`) holds now.
    #[track_caller]
    pub fn read(remote: &str) -> Dump {
        Dump::parse(&run("ovsdb-client", ["dump", "--format=json", remote, "OVN_Northbound"]))
    }

    fn parse(text: &str) -> Dump {
        let tables = text.lines().filter(|l| !l.trim().is_empty()).map(|line| {
            let table: Value = serde_json::from_str(line).expect("ovsdb-client prints JSON");
            let name = table["caption"].as_str().expect("a caption");
            let name = name.strip_suffix(" table").unwrap_or(name).to_owned();
            (name, rows_of(&table))
        });
        Dump(tables.collect())
    }

    /// A table's rows.
    pub fn table(&self, name: &str) -> &Table {
        static NONE: Table = Table::new();
        self.0.get(name).unwrap_or(&NONE)
    }

    /// All rows, with their table and UUID.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &Row)> {
        let tables = self.0.iter();
        tables.flat_map(|(t, rows)| rows.iter().map(move |(id, r)| (t.as_str(), id.as_str(), r)))
    }

    /// The same without the rows that `own` tells (by table and row), and without all references to them; also without
    /// `nb_cfg` and what northd keeps. What is left is what a good neighbour never changes.
    pub fn foreign(&self, own: impl Fn(&str, &Row) -> bool) -> Dump {
        let ours: BTreeSet<String> =
            self.rows().filter(|(t, _, r)| own(t, r)).map(|(_, id, _)| id.to_owned()).collect();
        let mut left = self.without_counters();
        for rows in left.0.values_mut() {
            rows.retain(|id, _| !ours.contains(id));
            rows.values_mut().flat_map(BTreeMap::values_mut).for_each(|v| forget(v, &ours));
        }
        left
    }

    /// The same without `nb_cfg` and what northd keeps in the northbound.
    pub fn without_counters(&self) -> Dump {
        let mut left = self.clone();
        for (table, column) in KEPT_BY_NORTHD.iter().chain(&[("NB_Global", "nb_cfg")]) {
            let rows = left.0.get_mut(*table).into_iter().flat_map(BTreeMap::values_mut);
            rows.for_each(|row| drop(row.remove(*column)));
        }
        left
    }

    /// What differs, a line a row, for a failing test to print; empty when equal.
    pub fn differences(&self, later: &Dump) -> Vec<String> {
        let mut all = vec![];
        let tables: BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        for name in tables {
            let (before, after) = (self.table(name), later.table(name));
            let ids: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for id in ids {
                match (before.get(id), after.get(id)) {
                    (Some(row), None) => all.push(format!("{name} {id} gone: {row:?}")),
                    (None, Some(row)) => all.push(format!("{name} {id} new: {row:?}")),
                    (Some(old), Some(new)) if old != new => {
                        let changed =
                            new.iter().filter(|(column, value)| old.get(*column) != Some(value));
                        for (column, value) in changed {
                            all.push(format!(
                                "{name} {id} {column}: {:?} became {value:?}",
                                old.get(column)
                            ));
                        }
                    }
                    _ => {}
                }
            }
        }
        all
    }

    /// Asserts that nothing differs from `earlier`, printing what does.
    #[track_caller]
    pub fn assert_same_as(&self, earlier: &Dump) {
        let differences = earlier.differences(self);
        assert!(differences.is_empty(), "the northbound has changed:\n{}", differences.join("\n"));
    }
}

/// A committed transaction: per table and row (UUID) the columns it wrote; none for a deleted row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in milliseconds since 1970.
    pub at: i64,
    pub comment: String,
    pub rows: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Record {
    /// Whether it raised `nb_cfg` alone, as a daemon does some seconds after a change of links that stand. (Tools that do
    /// so leave a comment.)
    pub fn asks_northd(&self) -> bool {
        let only = |(table, columns): (&str, &BTreeSet<String>)| {
            table == "NB_Global" && columns.iter().eq(["nb_cfg"])
        };
        let mut rows = self.rows.iter().map(|((table, _), columns)| (table.as_str(), columns));
        self.comment.is_empty() && self.rows.len() == 1 && rows.all(only)
    }

    /// Whether it changed rows, beyond what northd keeps and is asked for.
    pub fn changes_rows(&self) -> bool {
        !self.is_bookkeeping() && !self.asks_northd()
    }

    /// Whether it wrote nothing but what northd keeps.
    pub fn is_bookkeeping(&self) -> bool {
        let kept =
            |table: &str, column: &String| KEPT_BY_NORTHD.contains(&(table, column.as_str()));
        self.rows.iter().all(|((table, _), columns)| {
            !columns.is_empty() && columns.iter().all(|column| kept(table, column))
        })
    }
}

/// A daemon asks at the most so often, in milliseconds, whether ovn-northd has acted; half a second is a slow machine's.
const ASKS_EVERY: i64 = 4500;

/// Asserts that daemons asked ovn-northd only about what had changed since, and not too often.
#[track_caller]
fn assert_asks_are_few(records: &[Record]) {
    let mut last = None;
    let mut changed = false;
    for record in records {
        if !record.asks_northd() {
            changed |= !record.is_bookkeeping();
            continue;
        }
        assert!(changed, "asked about nothing: {record:?}");
        let since = record.at - last.unwrap_or(0);
        assert!(since >= ASKS_EVERY, "asked again after {since} ms");
        (last, changed) = (Some(record.at), false);
    }
}

impl Lab {
    /// The northbound as it is now.
    #[track_caller]
    pub fn dump(&self) -> Dump {
        match self.cluster() {
            Some(cluster) => Dump::parse(&cluster.dump()),
            None => Dump::read(&self.nb_remote()),
        }
    }

    /// Every transaction committed to the northbound since its server last compacted its file (which it does not do within
    /// ten minutes).
    #[track_caller]
    pub fn northbound_records(&self) -> Vec<Record> {
        let text = match self.cluster() {
            Some(cluster) => cluster.northbound_file(),
            None => std::fs::read_to_string(self.databases().nb_file())
                .expect("the database file is there"),
        };
        // A header line, then the record on a line; the first record is the schema. A record that is being written
        // now has not been answered yet: it belongs to the next reading.
        let bodies = text.lines().filter(|line| !line.starts_with("OVSDB ")).skip(1);
        let bodies = bodies.filter_map(|b| serde_json::from_str(b).ok());
        bodies.filter_map(transaction).map(record).collect()
    }

    /// How many transactions wrote to the northbound, not counting what northd keeps there, nor when it is asked, which
    /// must be seldom.
    #[track_caller]
    pub fn northbound_transactions(&self) -> usize {
        let records = self.northbound_records();
        assert_asks_are_few(&records);
        records.iter().filter(|record| record.changes_rows()).count()
    }

    /// How many Logical_Flow rows the southbound holds, and how many flows they stand for (a row may be for a group
    /// of datapaths).
    #[track_caller]
    pub fn logical_flows(&self) -> LogicalFlows {
        let rows = self.sbctl(&["--bare", "--columns=_uuid", "list", "Logical_Flow"]);
        let flows = self.sbctl(&["lflow-list"]);
        let is_flow = |l: &&str| l.trim_start().starts_with("table=");
        LogicalFlows {
            rows: rows.split_whitespace().count(),
            per_datapath: flows.lines().filter(is_flow).count(),
        }
    }
}

/// The size of northd's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogicalFlows {
    /// Rows of Logical_Flow.
    pub rows: usize,
    /// Flows, counted on each datapath that has them.
    pub per_datapath: usize,
}

fn rows_of(table: &Value) -> Table {
    let headings = table["headings"].as_array().expect("headings");
    let headings: Vec<_> = headings.iter().filter_map(Value::as_str).collect();
    let rows = table["data"].as_array().expect("data").iter().map(|cells| {
        let cells = cells.as_array().expect("a row").iter().map(canonical);
        let mut row: Row = headings.iter().map(|h| (*h).to_owned()).zip(cells).collect();
        let id = row.remove("_uuid").expect("every row has a UUID");
        (id[1].as_str().expect("a UUID").to_owned(), row)
    });
    rows.collect()
}

/// Sorts the members of sets and maps: their order on the wire means nothing (RFC 7047 section 5.1).
fn canonical(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some([Value::String(kind), Value::Array(members)]) =
        value.as_array_mut().map(Vec::as_mut_slice)
        && (kind == "set" || kind == "map")
    {
        members.sort_by_key(Value::to_string);
    }
    value
}

/// Removes references to certain rows from a value.
fn forget(value: &mut Value, ids: &BTreeSet<String>) {
    let is_one = |v: &Value| {
        v.get(0).and_then(Value::as_str) == Some("uuid")
            && v.get(1).and_then(Value::as_str).is_some_and(|id| ids.contains(id))
    };
    if is_one(value) {
        // A set of one is written as its member, an empty one as a set.
        *value = serde_json::json!(["set", []]);
        return;
    }
    if let Some([Value::String(kind), Value::Array(members)]) =
        value.as_array_mut().map(Vec::as_mut_slice)
    {
        let is_set = kind == "set";
        members.retain(|m| !is_one(m) && !m.get(1).is_some_and(&is_one));
        if is_set && members.len() == 1 {
            *value = members.remove(0);
        }
    }
}

/// A clustered server's entry has the transaction beside a schema in its `data`, or none when it is about the cluster.
fn transaction(entry: Value) -> Option<Value> {
    if entry.get("term").is_none() {
        return Some(entry);
    }
    entry.get("data")?.get(1).cloned()
}

fn record(body: Value) -> Record {
    let Value::Object(body) = body else { panic!("a record is an object, not {body}") };
    let comment = body.get("_comment").and_then(Value::as_str).unwrap_or_default().to_owned();
    let at = body.get("_date").and_then(Value::as_i64).unwrap_or_default();
    let mut rows = BTreeMap::new();
    for (table, changed) in body.iter().filter(|(name, _)| !name.starts_with('_')) {
        for (id, columns) in changed.as_object().into_iter().flatten() {
            let columns =
                columns.as_object().into_iter().flatten().map(|(c, _)| c.clone()).collect();
            rows.insert((table.clone(), id.clone()), columns);
        }
    }
    Record { at, comment, rows }
}
