//! Borrowed fields: fields in rows of others that we set, set again when the owner rewrites the
//! row, and restore once nothing needs them.
//!
//! The only place that changes rows of others, and only single fields. A reference is borrowed only
//! if it is empty; while borrowed it refers to an Address_Set of ours. A borrowed key of a map
//! contains its owner's value, too, and that is restored byte by byte. The transaction of a change
//! has a `wait` for the column to be as it was read, and writes the record, too. So an owner that
//! sets another value meanwhile keeps it. A further kind of field is a further [`Kind`], and its
//! value here.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::northbound::borrowed::{BorrowedRecord, Field, Kind, references_to};
use crate::northbound::guest_routes::Syntax;
use crate::northbound::tables::{ADDRESS_SET, address_set};
use crate::northbound::{Id, Northbound, UnitId};
use crate::ovsdb::Datum;

use super::registration::Entries;

/// A field that a unit needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedField {
    /// The field.
    pub field: Field,
    /// The desired value: for a reference, the name of an Address_Set of ours; for a key, its text.
    pub ours: String,
    /// The owner's value, which `ours` contains.
    pub before: Option<String>,
}

/// The value to write to a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// A reference to an existing row.
    Row(Uuid),
    /// A reference to an Address_Set that the same transaction inserts, by its name.
    Set(String),
    /// The text of a key.
    Text(String),
}

/// A field that differs from its desired value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedDiff {
    /// The field.
    pub field: Field,
    /// Its column as it was read.
    pub found: Datum,
    /// Its desired value; `None` to clear it.
    pub value: Option<Written>,
}

/// Compares the fields that a network needs with the present ones and with the records of borrowed
/// fields. Returns the fields to change, and the records.
#[must_use]
pub fn borrowed_changes(
    network: Id,
    wanted: Vec<BorrowedField>,
    mut records: BTreeMap<Field, BorrowedRecord>,
    northbound: &Northbound,
) -> (Vec<BorrowedDiff>, Entries) {
    let mut wanted: BTreeMap<Field, Option<BorrowedField>> =
        wanted.into_iter().map(|it| (it.field.clone(), Some(it))).collect();
    // An older OVN may lack the column; then there is nothing to borrow.
    let layout = northbound.replica().layout();
    wanted.retain(|field, _| layout.has_column(field.table, field.column));
    let past = records.keys().cloned().chain(referring(network, northbound));
    for field in past.collect::<BTreeSet<_>>() {
        wanted.entry(field).or_default();
    }
    let (mut diffs, mut entries) = (Vec::new(), Entries::new());
    for (field, wanted) in wanted {
        let record = records.remove(&field);
        let key = field.record_key();
        let Some(present) = Present::read(&field, network, northbound) else {
            // The row is gone, so there is nothing to restore.
            entries.insert(key, None);
            continue;
        };
        let (value, record) = match field.kind {
            Kind::Reference => present.reference(wanted, record.as_ref()),
            Kind::Key(key) => present.key(key, wanted, record.as_ref()),
        };
        entries.insert(key, record.map(|record| record.to_text()));
        if present.text != value {
            let value = value.map(|text| match field.kind {
                Kind::Reference => written(text, network, northbound),
                Kind::Key(_) => Written::Text(text),
            });
            diffs.push(BorrowedDiff { field, found: present.column, value });
        }
    }
    (diffs, entries)
}

/// The present value of a field.
struct Present {
    /// The whole column.
    column: Datum,
    /// For a key, its text. For a reference, the name of a set of ours, or the UUID of another row.
    text: Option<String>,
    /// Whether it refers to a set of this network: then it is ours even without a record.
    own: bool,
}

impl Present {
    fn read(field: &Field, network: Id, northbound: &Northbound) -> Option<Self> {
        let row = northbound.replica().row(field.table, field.row)?;
        let value = row.get(field.column);
        if let Kind::Key(key) = field.kind {
            let text = value.get(key).map(str::to_owned);
            return Some(Self { column: Datum::map(value.entries()), text, own: false });
        }
        let Some(uuid) = value.uuid() else {
            return Some(Self { column: Datum::Set(Vec::new()), text: None, own: false });
        };
        let name = set_name(uuid, northbound);
        let own = own_sets(network, northbound).any(|own| own == uuid);
        let text = name.map_or_else(|| uuid.to_string(), str::to_owned);
        Some(Self { column: Datum::Set(vec![Datum::Uuid(uuid)]), text: Some(text), own })
    }

    /// The desired reference, and its record. Never replaces the owner's value.
    fn reference(
        &self,
        wanted: Option<BorrowedField>,
        record: Option<&BorrowedRecord>,
    ) -> (Option<String>, Option<BorrowedRecord>) {
        let ours = self.own || record.is_some_and(|it| self.text.as_ref() == Some(&it.ours));
        if !ours && self.text.is_some() {
            return (self.text.clone(), None);
        }
        let value = wanted.map(|it| it.ours);
        (value.clone(), value.map(|ours| BorrowedRecord { ours, before: None }))
    }

    /// The desired text of a key, and its record: the owner's text again if nothing needs the key.
    fn key(
        &self,
        key: &str,
        wanted: Option<BorrowedField>,
        record: Option<&BorrowedRecord>,
    ) -> (Option<String>, Option<BorrowedRecord>) {
        let Some(BorrowedField { ours, before, .. }) = wanted else {
            let found = self.text.as_deref();
            let owners = Syntax::of_key(key)
                .map(|syntax| syntax.owners(found, record.map(BorrowedRecord::past)));
            return (owners.unwrap_or_else(|| self.text.clone()), None);
        };
        (Some(ours.clone()), Some(BorrowedRecord { ours, before }))
    }
}

/// The Address_Sets of ours that serve a network, with any name.
fn own_sets(network: Id, northbound: &Northbound) -> impl Iterator<Item = Uuid> {
    let rows = northbound.rows_of(UnitId::Network(network));
    rows.filter(|(table, ..)| *table == ADDRESS_SET).map(|(_, uuid, _)| uuid)
}

/// The fields that refer to a set of this network, recorded or not: they must be cleared before the
/// set can be deleted.
fn referring(network: Id, northbound: &Northbound) -> impl Iterator<Item = Field> {
    own_sets(network, northbound).flat_map(|set| references_to(set, northbound))
}

fn written(name: String, network: Id, northbound: &Northbound) -> Written {
    let is_named = |set: &Uuid| set_name(*set, northbound) == Some(&name);
    match own_sets(network, northbound).find(is_named) {
        Some(set) => Written::Row(set),
        None => Written::Set(name),
    }
}

/// The name of an Address_Set of ours; the client does not read other sets.
fn set_name(set: Uuid, northbound: &Northbound) -> Option<&str> {
    let row = northbound.replica().row(ADDRESS_SET, set)?;
    Some(row.get(address_set::NAME).string())
}
