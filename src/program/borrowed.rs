//! Borrowed fields: set, set again when the owner rewrites the row, and put back as they were once
//! nothing needs them.
//!
//! The only place where a row of somebody else's changes, and then in one field. A reference is
//! borrowed only if it is empty, and refers to an Address_Set of ours as long as it is borrowed. A
//! key of a map holds what its owner has there as well, and that is put back byte by byte. Every
//! change waits, in its own transaction, for the column to be what was read, and is recorded there
//! too. Who sets a value of his own meanwhile keeps it. A further kind of field is a further
//! [`Kind`], and what it holds here.

use std::borrow::Cow;
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
    /// What it shall hold: of a reference, the name of an Address_Set of ours; of a key, its text.
    pub ours: String,
    /// What its owner has there, which `ours` holds as well.
    pub before: Option<String>,
}

/// What is written to a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// A reference to a row that is there.
    Row(Uuid),
    /// A reference to an Address_Set that the same transaction inserts, by its name.
    Set(String),
    /// The text of a key.
    Text(String),
}

/// A field that is not as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedDiff {
    /// The field.
    pub field: Field,
    /// Its column as it was read.
    pub found: Datum,
    /// What it shall hold; none: nothing.
    pub value: Option<Written>,
}

/// Compares what a network needs with what there is, and with what is recorded of fields that it
/// has: the fields to be changed, and the records.
#[must_use]
pub fn borrowed_changes(
    network: Id,
    wanted: Vec<BorrowedField>,
    mut records: BTreeMap<Field, BorrowedRecord>,
    northbound: &Northbound,
) -> (Vec<BorrowedDiff>, Entries) {
    let mut wanted: BTreeMap<Field, Option<BorrowedField>> =
        wanted.into_iter().map(|it| (it.field.clone(), Some(it))).collect();
    // An older OVN has no such column: there is nothing to borrow.
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
            // The row is gone, and with it what is to be put back.
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

/// What a field holds now.
struct Present {
    /// The whole column.
    column: Datum,
    /// The text of a key. Of a reference, what it refers to: a set of ours by its name, else the
    /// row's identity.
    text: Option<String>,
    /// Whether it is ours whatever is recorded: it refers to a set of this network.
    own: bool,
}

impl Present {
    fn read(field: &Field, network: Id, northbound: &Northbound) -> Option<Self> {
        let row = northbound.replica().row(field.table, field.row)?;
        let value = row.get(field.column);
        if let Kind::Key(key) = field.kind {
            let text = value.get(key).map(Cow::into_owned);
            return Some(Self { column: Datum::map(value.entries()), text, own: false });
        }
        let Some(uuid) = value.uuid() else {
            return Some(Self { column: Datum::Set(Vec::new()), text: None, own: false });
        };
        let name = set_name(uuid, northbound);
        let own = own_sets(network, northbound).any(|own| own == uuid);
        let text = name.map_or_else(|| uuid.to_string(), Cow::into_owned);
        Some(Self { column: Datum::Set(vec![Datum::Uuid(uuid)]), text: Some(text), own })
    }

    /// What it shall refer to, and what is recorded of it. What its owner has put there is
    /// never replaced.
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

    /// What a key shall hold, and what is recorded of it: its owner's again if nothing needs it.
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

/// Address_Sets of ours that serve a network, whatever their names.
fn own_sets(network: Id, northbound: &Northbound) -> impl Iterator<Item = Uuid> {
    let rows = northbound.rows_of(UnitId::Network(network));
    rows.filter(|(table, ..)| *table == ADDRESS_SET).map(|(_, uuid, _)| uuid)
}

/// Fields that refer to a set of this network, recorded or not: no set could go before them.
fn referring(network: Id, northbound: &Northbound) -> impl Iterator<Item = Field> {
    own_sets(network, northbound).flat_map(|set| references_to(set, northbound))
}

fn written(name: String, network: Id, northbound: &Northbound) -> Written {
    let is_named = |set: &Uuid| set_name(*set, northbound).as_deref() == Some(&name);
    match own_sets(network, northbound).find(is_named) {
        Some(set) => Written::Row(set),
        None => Written::Set(name),
    }
}

/// The name of an Address_Set of ours: others are not read.
fn set_name(set: Uuid, northbound: &Northbound) -> Option<Cow<'_, str>> {
    let row = northbound.replica().row(ADDRESS_SET, set)?;
    Some(row.get(address_set::NAME).string())
}
