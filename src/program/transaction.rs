//! One transaction: it takes some peerings from one consistent state to the next.
//!
//! First come the guards: this instance has the lock, and the routers are those that were read.
//! Then come all inserts, updates and deletes; OVSDB commits them together, so OVN never sees a
//! part of them. Last, if somebody waits for OVN to act on them, `nb_cfg` is raised, so that
//! `sb_cfg` will show when OVN has acted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::northbound::declared::Entry;
use crate::northbound::owner::{Id, OWNER_KEY, OWNER_VALUE, UNIT_KEY, address_set_name};
use crate::northbound::registration::NETWORK_KEY;
use crate::northbound::tables::{
    ADDRESS_SET, DNS, LOCK, LOGICAL_ROUTER, LOGICAL_SWITCH, NAT, NB_GLOBAL, address_set,
    balancer_group, column_name, logical_router, logical_switch, nat, nb_global, spec, table_name,
    tags_of,
};
use crate::northbound::{Family, UnitId};
use crate::ovsdb::{Columns, Datum, Mutator, Operation, TableId, Until, Where};

use super::borrowed::{BorrowedDiff, Written};
use super::diff::{Reference, RowDiff, parent_name};
use super::registration::{Entries, RegistrationDiff};
use super::replaced::Replaced;
use super::row::{DesiredRow, Parent, RouterRow};

/// The differences to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Rows of peerings and networks.
    pub rows: Vec<RowDiff>,
    /// Borrowed fields in rows of others.
    pub borrowed: Vec<BorrowedDiff>,
    /// Rows of others that go, because rows of ours take their place.
    pub replaced: Vec<Replaced>,
    /// Registrations.
    pub registrations: Vec<RegistrationDiff>,
    /// Whether it contains only declarations of this host, which need no lock.
    pub declares_only: bool,
    /// Whether somebody waits until OVN has acted on it. Each such transaction makes ovn-northd and
    /// every ovn-controller write, too.
    pub awaited: bool,
}

impl Transaction {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let rows = self.rows.is_empty() && self.replaced.is_empty();
        rows && self.borrowed.is_empty() && self.registrations.is_empty()
    }

    /// Whether it changes an entry of a host of this kind.
    #[must_use]
    pub fn writes_entries(&self, of: impl Fn(&str) -> bool) -> bool {
        let keys = self.registrations.iter().flat_map(RegistrationDiff::keys);
        keys.filter_map(Entry::parse).any(|entry| of(entry.host()))
    }

    /// The operations, in the order in which they are sent.
    #[must_use]
    pub fn operations(self) -> Vec<Operation> {
        let awaited = self.awaited;
        let mut assembly = Assembly { locked: !self.declares_only, ..Assembly::default() };
        for row in self.rows {
            assembly.row(row);
        }
        for field in self.borrowed {
            assembly.borrowed(field);
        }
        for replaced in self.replaced {
            assembly.replaced(replaced);
        }
        for registration in self.registrations {
            assembly.registration(registration);
        }
        assembly.finish(awaited)
    }
}

/// Restores our tag on registrations, which it finds by name.
#[must_use]
pub fn tag_registrations(networks: impl Iterator<Item = Id>) -> Vec<Operation> {
    let table = table_name(ADDRESS_SET);
    let [name, tags] = [address_set::NAME, address_set::EXTERNAL_IDS]
        .map(|column| column_name(ADDRESS_SET, column));
    let mut operations = vec![Operation::Assert { lock: LOCK.to_owned() }];
    operations.extend(networks.flat_map(|network| {
        let unit = UnitId::Network(network).tag();
        Family::BOTH.into_iter().map(move |family| Operation::Mutate {
            table,
            selection: Where::Equal(vec![(name, address_set_name(network, family).into())]),
            mutations: vec![
                (tags, Mutator::Delete, Datum::strings([OWNER_KEY, UNIT_KEY])),
                (tags, Mutator::Insert, Datum::map([(OWNER_KEY, OWNER_VALUE), (UNIT_KEY, &unit)])),
            ],
        })
    }));
    operations
}

/// Replaces the network records of registrations: for each row the record that was read, and the
/// new one. It needs no lock: a row whose record has changed meanwhile stays as it is, so the
/// second of two instances changes nothing.
#[must_use]
pub fn raise_versions(
    registrations: impl Iterator<Item = (Uuid, String, String)>,
) -> Vec<Operation> {
    let column = column_name(ADDRESS_SET, address_set::EXTERNAL_IDS);
    registrations
        .map(|(row, found, record)| Operation::Mutate {
            table: table_name(ADDRESS_SET),
            selection: Where::Uuid(row),
            mutations: vec![
                (column, Mutator::Delete, Datum::map([(NETWORK_KEY, found)])),
                (column, Mutator::Insert, Datum::map([(NETWORK_KEY, record)])),
            ],
        })
        .collect()
}

/// Removes entries from registrations: the declarations of a host that is gone.
#[must_use]
pub fn drop_entries(registrations: impl Iterator<Item = (Uuid, Vec<String>)>) -> Vec<Operation> {
    let column = column_name(ADDRESS_SET, address_set::EXTERNAL_IDS);
    registrations
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(row, keys)| Operation::Mutate {
            table: table_name(ADDRESS_SET),
            selection: Where::Uuid(row),
            mutations: vec![(column, Mutator::Delete, Datum::strings(keys))],
        })
        .collect()
}

/// A row whose references change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Referrer {
    /// A present row.
    Row(Uuid),
    /// A row that this transaction inserts, by its `uuid_name`.
    New(String),
}

/// References that a row gains and loses.
#[derive(Debug, Default)]
struct References {
    gained: BTreeMap<&'static str, Vec<Datum>>,
    lost: BTreeMap<&'static str, Vec<Datum>>,
}

/// The table and the column that refer to rows of this table; `None` for root tables.
fn reference_to(table: TableId) -> Option<(TableId, &'static str)> {
    let (parent, column) = spec(table)?.parent?;
    Some((parent, column_name(parent, column)))
}

#[derive(Debug, Default)]
struct Assembly {
    /// Whether only the holder of the lock may send it.
    locked: bool,
    guards: BTreeSet<RouterRow>,
    /// Guards for columns of others: they must still be as they were read.
    read: Vec<Operation>,
    /// By the table of the row that refers.
    references: BTreeMap<(TableId, Referrer), References>,
    operations: Vec<Operation>,
    inserted: usize,
    /// `uuid_name` of each new link switch, by its unit's tag.
    switches: BTreeMap<Arc<str>, String>,
    /// `uuid_name` of each new Address_Set, by its name.
    sets: BTreeMap<String, String>,
    /// The same of each new row that others name as their parent.
    named: BTreeMap<String, String>,
}

impl Assembly {
    fn row(&mut self, diff: RowDiff) {
        match diff {
            RowDiff::Insert(row) => self.insert(row),
            RowDiff::Update { row, uuid, columns, tags, references } => {
                for Reference { table, row: referrer, wanted } in references {
                    let referred = (row.table, Datum::Uuid(uuid));
                    self.refer(table, Referrer::Row(referrer), referred, wanted);
                }
                if !columns.is_empty() {
                    let columns = columns
                        .into_iter()
                        .map(|(column, datum)| (column_name(row.table, column), datum))
                        .collect();
                    let table = table_name(row.table);
                    self.operations.push(Operation::Update { table, row_uuid: uuid, row: columns });
                }
                let entries = row.tags().filter(|(key, _)| tags.contains(key));
                let entries = entries.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
                self.entries(row.table, uuid, entries.collect());
            }
            RowDiff::Delete { table, uuid, parent, exempting } => match reference_to(table) {
                // Without a reference OVSDB removes the row by itself; without a parent there is
                // nothing to do.
                Some((of, column)) => {
                    let Some(parent) = parent else { return };
                    let referrer = (of, Referrer::Row(parent));
                    let lost = &mut self.references.entry(referrer).or_default().lost;
                    lost.entry(column).or_default().push(Datum::Uuid(uuid));
                }
                None => {
                    // A NAT row that goes in the same transaction counts, too.
                    let column = column_name(NAT, nat::EXEMPTED_EXT_IPS);
                    self.operations.extend(exempting.into_iter().map(|row_uuid| {
                        let row = vec![(column, Datum::Set(Vec::new()))];
                        Operation::Update { table: table_name(NAT), row_uuid, row }
                    }));
                    let table = table_name(table);
                    self.operations.push(Operation::Delete { table, row_uuid: uuid });
                }
            },
        }
    }

    fn insert(&mut self, row: DesiredRow) {
        // A row of the same unit may refer to a set by its name, which is unique.
        let name = match row.column(address_set::NAME) {
            Some(Datum::String(set)) if row.table == ADDRESS_SET => set.clone(),
            _ => format!("row{}", self.inserted),
        };
        self.inserted += 1;
        let table = row.table;
        let tags =
            tags_of(table).map(|column| (column_name(table, column), Datum::map(row.tags())));
        match table {
            LOGICAL_SWITCH => drop(self.switches.insert(Arc::clone(&row.unit), name.clone())),
            ADDRESS_SET => {
                if let Some(Datum::String(set)) = row.column(address_set::NAME) {
                    self.sets.insert(set.clone(), name.clone());
                }
            }
            _ => {
                let column = parent_name(table);
                if let Some(Datum::String(parent)) = column.and_then(|column| row.column(column)) {
                    self.named.insert(parent.clone(), name.clone());
                }
            }
        }
        let referrer = match row.parent {
            Some(Parent::Router(router)) => {
                let referrer = Referrer::Row(router.uuid);
                self.guards.insert(router);
                Some(referrer)
            }
            Some(Parent::LinkSwitch(Some(switch))) => Some(Referrer::Row(switch)),
            Some(Parent::LinkSwitch(None)) => {
                self.switches.get(&row.unit).cloned().map(Referrer::New)
            }
            Some(Parent::Named(_, Some(row))) => Some(Referrer::Row(row)),
            Some(Parent::Named(of, None)) => self.named.get(&*of).cloned().map(Referrer::New),
            None => None,
        };
        if let (Some(referrer), Some((of, column))) = (referrer, reference_to(table)) {
            let gained = &mut self.references.entry((of, referrer)).or_default().gained;
            gained.entry(column).or_default().push(Datum::NamedUuid(name.clone()));
        }
        for switch in row.referrers {
            let new = Datum::NamedUuid(name.clone());
            self.refer(LOGICAL_SWITCH, Referrer::Row(switch), (table, new), true);
        }
        let mut columns: Columns = row
            .columns
            .into_iter()
            .map(|(column, datum)| (column_name(table, column), datum))
            .collect();
        columns.extend(tags);
        let table = table_name(table);
        self.operations.push(Operation::Insert { table, uuid_name: Some(name), row: columns });
    }

    /// A row refers weakly to a copy of a load balancer or to told names, or does no longer.
    fn refer(
        &mut self,
        table: TableId,
        referrer: Referrer,
        (of, row): (TableId, Datum),
        wanted: bool,
    ) {
        let column = match table {
            LOGICAL_SWITCH if of == DNS => column_name(table, logical_switch::DNS_RECORDS),
            LOGICAL_ROUTER => column_name(table, logical_router::LOAD_BALANCER),
            LOGICAL_SWITCH => column_name(table, logical_switch::LOAD_BALANCER),
            _ => column_name(table, balancer_group::LOAD_BALANCER),
        };
        let references = self.references.entry((table, referrer)).or_default();
        let side = if wanted { &mut references.gained } else { &mut references.lost };
        side.entry(column).or_default().push(row);
    }

    /// Changes somebody else's row, only if the field's column is still as it was read.
    fn borrowed(&mut self, diff: BorrowedDiff) {
        let BorrowedDiff { field, found, value } = diff;
        let (table, column) = (table_name(field.table), column_name(field.table, field.column));
        let read = Operation::Wait {
            table,
            selection: Where::Uuid(field.row),
            columns: vec![column],
            until: Until::Equal,
            rows: vec![vec![(column, found)]],
        };
        // Once for a column with several changed keys, and before any of the changes.
        if self.read.last() != Some(&read) {
            self.read.push(read);
        }
        if let Some(key) = field.key() {
            let mut mutations = vec![(column, Mutator::Delete, Datum::strings([key]))];
            if let Some(Written::Text(text)) = value {
                mutations.push((column, Mutator::Insert, Datum::map([(key, text)])));
            }
            let selection = Where::Uuid(field.row);
            self.operations.push(Operation::Mutate { table, selection, mutations });
            return;
        }
        let datum = match value {
            None | Some(Written::Text(_)) => Datum::Set(Vec::new()),
            Some(Written::Row(row)) => Datum::Uuid(row),
            Some(Written::Set(name)) => match self.sets.get(&name) {
                Some(inserted) => Datum::NamedUuid(inserted.clone()),
                // The set is missing: the next comparison finds it.
                None => return,
            },
        };
        let row = vec![(column, datum)];
        self.operations.push(Operation::Update { table, row_uuid: field.row, row });
    }

    /// Deletes rows of others, only if they are still as they were read.
    fn replaced(&mut self, replaced: Replaced) {
        self.read.extend(replaced.guards);
        for (table, row, router) in replaced.of_routers {
            let Some((of, column)) = reference_to(table) else { continue };
            let lost = &mut self.references.entry((of, Referrer::Row(router))).or_default().lost;
            lost.entry(column).or_default().push(Datum::Uuid(row));
        }
        let table = table_name(LOGICAL_SWITCH);
        let switches = replaced.switches.into_iter();
        self.operations.extend(switches.map(|row_uuid| Operation::Delete { table, row_uuid }));
    }

    fn registration(&mut self, diff: RegistrationDiff) {
        let table = table_name(ADDRESS_SET);
        let [name_column, addresses_column, tags_column] =
            [address_set::NAME, address_set::ADDRESSES, address_set::EXTERNAL_IDS]
                .map(|column| column_name(ADDRESS_SET, column));
        match diff {
            RegistrationDiff::Insert { name, addresses, entries } => {
                let row = vec![
                    (name_column, Datum::String(name)),
                    (addresses_column, addresses),
                    (tags_column, Datum::Map(entries)),
                ];
                self.operations.push(Operation::Insert { table, uuid_name: None, row });
            }
            RegistrationDiff::Update { uuid, name: _, addresses, entries } => {
                if let Some(addresses) = addresses {
                    let row = vec![(addresses_column, addresses)];
                    self.operations.push(Operation::Update { table, row_uuid: uuid, row });
                }
                self.entries(ADDRESS_SET, uuid, entries);
            }
            RegistrationDiff::Delete { uuid, unless_changed } => {
                // A host may have added a declaration there meanwhile.
                self.operations.extend(unless_changed.map(|tags| Operation::Wait {
                    table,
                    selection: Where::Uuid(uuid),
                    columns: vec![tags_column],
                    until: Until::Equal,
                    rows: vec![vec![(tags_column, Datum::Map(tags))]],
                }));
                self.operations.push(Operation::Delete { table, row_uuid: uuid });
            }
        }
    }

    /// Sets and removes entries of `external_ids`; other entries stay.
    fn entries(&mut self, table: TableId, row: Uuid, entries: Entries) {
        let Some(column) = tags_of(table).map(|column| column_name(table, column)) else {
            return;
        };
        if entries.is_empty() {
            return;
        }
        // An insert does not replace an existing key, so the old entries are deleted first.
        let keys = Datum::strings(entries.keys().cloned());
        let set: Vec<(String, String)> = entries
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .collect();
        let mut mutations = vec![(column, Mutator::Delete, keys)];
        if !set.is_empty() {
            mutations.push((column, Mutator::Insert, Datum::Map(set)));
        }
        let table = table_name(table);
        self.operations.push(Operation::Mutate { table, selection: Where::Uuid(row), mutations });
    }

    fn finish(self, awaited: bool) -> Vec<Operation> {
        let name = column_name(LOGICAL_ROUTER, logical_router::NAME);
        let mut operations = Vec::new();
        if self.locked {
            operations.push(Operation::Assert { lock: LOCK.to_owned() });
        }
        operations.extend(self.guards.into_iter().map(|guard| Operation::Wait {
            table: table_name(LOGICAL_ROUTER),
            selection: Where::Uuid(guard.uuid),
            columns: vec![name],
            until: Until::Equal,
            rows: vec![vec![(name, Datum::String(guard.name.to_string()))]],
        }));
        operations.extend(self.read);
        operations.extend(self.operations);
        operations.extend(self.references.into_iter().map(|((table, referrer), references)| {
            let lost = references.lost.into_iter();
            let lost = lost.map(|(column, rows)| (column, Mutator::Delete, Datum::Set(rows)));
            let gained = references.gained.into_iter();
            let gained = gained.map(|(column, rows)| (column, Mutator::Insert, Datum::Set(rows)));
            let mutations = lost.chain(gained).collect();
            let selection = match referrer {
                Referrer::Row(uuid) => Where::Uuid(uuid),
                Referrer::New(name) => Where::Equal(vec![("_uuid", Datum::NamedUuid(name))]),
            };
            Operation::Mutate { table: table_name(table), selection, mutations }
        }));
        if awaited {
            operations.push(Operation::Mutate {
                table: table_name(NB_GLOBAL),
                selection: Where::All,
                mutations: vec![(
                    column_name(NB_GLOBAL, nb_global::NB_CFG),
                    Mutator::Add,
                    Datum::Integer(1),
                )],
            });
        }
        operations
    }
}
