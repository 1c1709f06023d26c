//! Operations on the counters of hosts.

use crate::declare::{Host, STORE};
use crate::northbound::Northbound;
use crate::northbound::counters::{COUNTERS_NAME, counter_key, stored_mark};
use crate::northbound::owner::{OWNER_KEY, OWNER_VALUE};
use crate::northbound::tables::{ADDRESS_SET, address_set, column_name, table_name};
use crate::ovsdb::{ColumnId, Datum, Mutator, Operation, Until, Where};

/// The counter of a host that is to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterDiff {
    /// The host.
    pub host: Host,
    /// The counter.
    pub counter: u64,
    /// Whether it replaces whatever is there: its host writes it, or the host is forgotten. A
    /// counter that is restored for its host replaces only the one that was read.
    pub replaces_any: bool,
}

const COLUMNS: [ColumnId; 2] = [address_set::NAME, address_set::EXTERNAL_IDS];

/// Inserts the row, with these counters.
#[must_use]
pub fn insert_counters(northbound: &Northbound, counters: &[CounterDiff]) -> Vec<Operation> {
    let table = table_name(ADDRESS_SET);
    let [name, tags] = COLUMNS.map(|column| column_name(ADDRESS_SET, column));
    let pairs = counters.iter().map(|it| (counter_key(&it.host), it.counter.to_string()));
    let pairs = pairs.chain([(OWNER_KEY.to_owned(), OWNER_VALUE.to_owned())]);
    let row = vec![(name, COUNTERS_NAME.into()), (tags, Datum::Map(pairs.collect()))];
    vec![same_counters(northbound), Operation::Insert { table, uuid_name: None, row }]
}

/// Sets counters, in a new row if there is none.
#[must_use]
pub fn set_counters(northbound: &Northbound, counters: &[CounterDiff]) -> Vec<Operation> {
    if counters.is_empty() {
        return Vec::new();
    }
    let Some((row, found)) = northbound.counters_row() else {
        return insert_counters(northbound, counters);
    };
    let (table, tags) =
        (table_name(ADDRESS_SET), column_name(ADDRESS_SET, address_set::EXTERNAL_IDS));
    let mut mutations = Vec::new();
    for CounterDiff { host, counter, replaces_any } in counters {
        let key = counter_key(host);
        let former = match replaces_any {
            true => Some(Datum::strings([key.as_str()])),
            false => found.get(&key).map(|text| Datum::map([(key.as_str(), text)])),
        };
        mutations.extend(former.map(|former| (tags, Mutator::Delete, former)));
        // An insert does not replace a counter that its host has raised meanwhile.
        mutations.push((tags, Mutator::Insert, Datum::map([(key, counter.to_string())])));
    }
    vec![Operation::Mutate { table, selection: Where::Uuid(row), mutations }]
}

/// Removes the marks of changes of the store by hosts that are gone.
#[must_use]
pub fn drop_marks<'a>(
    northbound: &Northbound,
    hosts: impl Iterator<Item = &'a str>,
) -> Option<Operation> {
    let (row, found) = northbound.counters_row()?;
    let marks = hosts.map(stored_mark).filter(|mark| found.has_key(mark));
    let marks: Vec<String> = marks.collect();
    let (table, tags) =
        (table_name(ADDRESS_SET), column_name(ADDRESS_SET, address_set::EXTERNAL_IDS));
    let mutations = vec![(tags, Mutator::Delete, Datum::strings(marks.clone()))];
    (!marks.is_empty()).then_some(Operation::Mutate {
        table,
        selection: Where::Uuid(row),
        mutations,
    })
}

/// Sets the store's counter, and the mark of the host that changes the store, if all counters are as
/// they were read.
#[must_use]
pub fn raise_stored(northbound: &Northbound, counter: u64, mark: &str) -> Vec<Operation> {
    let store = CounterDiff { host: STORE.into(), counter, replaces_any: true };
    let (table, tags) =
        (table_name(ADDRESS_SET), column_name(ADDRESS_SET, address_set::EXTERNAL_IDS));
    let name = column_name(ADDRESS_SET, address_set::NAME);
    // Where there is no row yet, its insertion asserts that.
    let guard = northbound.counters_row().map(|_| same_counters(northbound));
    let mut operations: Vec<Operation> =
        guard.into_iter().chain(set_counters(northbound, &[store])).collect();
    operations.push(Operation::Mutate {
        table,
        selection: Where::Equal(vec![(name, COUNTERS_NAME.into())]),
        mutations: vec![
            (tags, Mutator::Delete, Datum::strings([mark])),
            (tags, Mutator::Insert, Datum::map([(mark, counter.to_string())])),
        ],
    });
    operations
}

/// Asserts that all counters are as they were read.
#[must_use]
pub fn same_counters(northbound: &Northbound) -> Operation {
    let table = table_name(ADDRESS_SET);
    let [name, tags] = COLUMNS.map(|column| column_name(ADDRESS_SET, column));
    let selection = Where::Equal(vec![(name, COUNTERS_NAME.into())]);
    let rows = northbound.counters_row().map(|(_, found)| {
        let pairs = found.entries().map(|(key, value)| (key.to_owned(), value.to_owned()));
        vec![(tags, Datum::Map(pairs.collect()))]
    });
    let (columns, rows) = (vec![tags], rows.into_iter().collect());
    Operation::Wait { table, selection, columns, until: Until::Equal, rows }
}
