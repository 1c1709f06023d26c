//! Cells of other people's rows that are lent to us: set, set again when the owner rewrites the
//! row, and put back as they were once nothing needs them.
//!
//! The only place where a row of somebody else's changes, and then in one column of it, which is
//! lent only if it is empty and refers to an Address_Set of ours as long as it is lent; or in one
//! key of a map, where what the owner has is kept in what we write, and put back byte by byte.
//! Every change waits, in its own transaction, for the column to be what was read, and is recorded
//! there too. Who sets a value of his own meanwhile keeps it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::northbound::guest_routes::Syntax;
pub use crate::northbound::lent::Cell;
use crate::northbound::lent::LentRecord;
use crate::northbound::owner::Id;
use crate::northbound::tables::{ADDRESS_SET, NAT, address_set, nat};
use crate::northbound::{Northbound, UnitId};
use crate::ovsdb::Datum;

use super::registration::Entries;

/// A cell that a network needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The cell.
    pub cell: Cell,
    /// What it shall hold: of a column, the name of an Address_Set of ours to refer to; of a key,
    /// its text.
    pub ours: String,
    /// What its owner has there, which `ours` holds as well.
    pub before: Option<String>,
}

/// What is written to a cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// A reference to a row that is there.
    Row(Uuid),
    /// A reference to an Address_Set that the same transaction inserts, by its name.
    Set(String),
    /// The text of a key.
    Text(String),
}

/// A cell that is not as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LentDiff {
    /// The cell.
    pub cell: Cell,
    /// Its column as it was read.
    pub found: Datum,
    /// What it shall hold; none: nothing.
    pub value: Option<Written>,
}

/// Compares what a network needs with what there is, and with what is recorded of cells that it
/// has: the cells to be changed, and the records.
#[must_use]
pub fn lent_changes(
    network: Id,
    loans: Vec<Loan>,
    mut records: BTreeMap<Cell, LentRecord>,
    northbound: &Northbound,
) -> (Vec<LentDiff>, Entries) {
    let mut wanted: BTreeMap<Cell, Option<Loan>> =
        loans.into_iter().map(|loan| (loan.cell.clone(), Some(loan))).collect();
    // An older OVN has no such column: there is nothing to lend.
    let layout = northbound.replica().layout();
    wanted.retain(|cell, _| layout.has_column(cell.table, cell.column));
    let past = records.keys().cloned().chain(referring(network, northbound));
    for cell in past.collect::<BTreeSet<_>>() {
        wanted.entry(cell).or_default();
    }
    let (mut diffs, mut entries) = (Vec::new(), Entries::new());
    for (cell, loan) in wanted {
        let record = records.remove(&cell);
        let key = cell.record_key();
        let Some(present) = Present::read(&cell, network, northbound) else {
            // The row is gone, and with it the debt.
            entries.insert(key, None);
            continue;
        };
        let (value, record) = match cell.key {
            Some(key) => present.key(key, loan, record.as_ref()),
            None => present.column(loan, record.as_ref()),
        };
        entries.insert(key, record.map(|record| record.to_text()));
        if present.text != value {
            let value = value.map(|text| match cell.key {
                Some(_) => Written::Text(text),
                None => written(text, network, northbound),
            });
            diffs.push(LentDiff { cell, found: present.column, value });
        }
    }
    (diffs, entries)
}

/// What a cell holds now.
struct Present {
    /// The whole column.
    column: Datum,
    /// The text of a key. Of a column, what it refers to: a set of ours by its name, else the row's
    /// identity.
    text: Option<String>,
    /// Whether it is ours whatever is recorded: it refers to a set of this network.
    own: bool,
}

impl Present {
    fn read(cell: &Cell, network: Id, northbound: &Northbound) -> Option<Self> {
        let row = northbound.replica().row(cell.table, cell.row)?;
        let value = crate::northbound::router::cell(row, cell.column);
        if let Some(key) = cell.key {
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

    /// What a column shall refer to, and what is recorded of it. What its owner has put there is
    /// never replaced.
    fn column(
        &self,
        loan: Option<Loan>,
        record: Option<&LentRecord>,
    ) -> (Option<String>, Option<LentRecord>) {
        let ours = self.own || record.is_some_and(|it| self.text.as_ref() == Some(&it.ours));
        if !ours && self.text.is_some() {
            return (self.text.clone(), None);
        }
        let value = loan.map(|loan| loan.ours);
        (value.clone(), value.map(|ours| LentRecord { ours, before: None }))
    }

    /// What a key shall hold, and what is recorded of it: its owner's again if nothing needs it.
    fn key(
        &self,
        key: &str,
        loan: Option<Loan>,
        record: Option<&LentRecord>,
    ) -> (Option<String>, Option<LentRecord>) {
        let Some(Loan { ours, before, .. }) = loan else {
            let found = self.text.as_deref();
            let owners = Syntax::of_key(key).map(|syntax| syntax.owners(found, record));
            return (owners.unwrap_or_else(|| self.text.clone()), None);
        };
        (Some(ours.clone()), Some(LentRecord { ours, before }))
    }
}

/// Address_Sets of ours that serve a network, whatever their names.
fn own_sets(network: Id, northbound: &Northbound) -> impl Iterator<Item = Uuid> {
    let rows = northbound.inventory().rows_of(UnitId::Network(network));
    rows.filter(|(table, _)| *table == ADDRESS_SET).map(|(_, uuid)| uuid)
}

/// NAT rows that refer to a set of this network, recorded or not: no set could go before them.
fn referring(network: Id, northbound: &Northbound) -> impl Iterator<Item = Cell> {
    let sets = own_sets(network, northbound);
    let rows = sets.flat_map(|set| northbound.inventory().exempting(set));
    rows.map(|row| Cell { table: NAT, row, column: nat::EXEMPTED_EXT_IPS, key: None })
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
    Some(crate::northbound::router::cell(row, address_set::NAME).string())
}
