//! Cells of other people's rows that are lent to us: set, set again when the owner rewrites the
//! row, and put back as they were once nothing needs them.
//!
//! The only place where a row of somebody else's changes, and then in one column of it, which is
//! lent only if it is empty and refers to an Address_Set of ours as long as it is lent.
//! Every change waits, in its own transaction, for the cell to be what was read, and is recorded
//! there too. Who sets a value of his own meanwhile keeps it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

pub use crate::northbound::lent::Cell;
use crate::northbound::lent::LENT_PREFIX;
use crate::northbound::lent::LentRecord;
use crate::northbound::owner::Id;
use crate::northbound::tables::{ADDRESS_SET, NAT, address_set, nat};
use crate::northbound::{Northbound, UnitId};
use crate::ovsdb::{Datum, Value};

use super::registration::Entries;

/// A cell that a network needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The cell.
    pub cell: Cell,
    /// What it shall refer to: the name of an Address_Set of ours.
    pub value: String,
}

/// What is written to a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A reference to a row that is there.
    Row(Uuid),
    /// A reference to an Address_Set that the same transaction inserts, by its name.
    Set(String),
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

/// Compares what a network needs with what there is: the cells to be changed, and the records.
#[must_use]
pub fn lent_changes(
    network: Id,
    loans: Vec<Loan>,
    northbound: &Northbound,
) -> (Vec<LentDiff>, Entries) {
    let mut records = records(network, northbound);
    let mut wanted: BTreeMap<Cell, Option<String>> =
        loans.into_iter().map(|loan| (loan.cell, Some(loan.value))).collect();
    // An older OVN has no such column: there is nothing to lend.
    let layout = northbound.replica().layout();
    wanted.retain(|cell, _| layout.has_column(cell.table, cell.column));
    let past = records.keys().cloned().chain(referring(network, northbound));
    for cell in past.collect::<BTreeSet<_>>() {
        wanted.entry(cell).or_default();
    }
    let (mut diffs, mut entries) = (Vec::new(), Entries::new());
    for (cell, value) in wanted {
        let record = records.remove(&cell);
        let key = cell.record_key();
        let Some(present) = Present::read(&cell, network, northbound) else {
            // The row is gone, and with it the debt.
            entries.insert(key, None);
            continue;
        };
        let ours = present.own || record.as_ref().is_some_and(|it| present.holds(&it.ours));
        // What its owner has put there is never replaced.
        let free = ours || present.text.is_none();
        let value = value.filter(|_| free);
        entries.insert(key, value.clone().map(|ours| LentRecord { ours }.to_text()));
        if free && present.text != value {
            let value = value.map(|name| written(name, network, northbound));
            diffs.push(LentDiff { cell, found: present.column, value });
        }
    }
    (diffs, entries)
}

/// What a cell holds now.
struct Present {
    /// The whole column.
    column: Datum,
    /// What it refers to: a set of ours by its name, else the row's identity.
    text: Option<String>,
    /// Whether it is ours whatever is recorded: it refers to a set of this network.
    own: bool,
}

impl Present {
    fn read(cell: &Cell, network: Id, northbound: &Northbound) -> Option<Self> {
        let row = northbound.replica().row(cell.table, cell.row)?;
        let value = crate::northbound::router::cell(row, cell.column);
        let Some(uuid) = value.uuid() else {
            return Some(Self { column: Datum::Set(Vec::new()), text: None, own: false });
        };
        let name = set_name(uuid, northbound);
        let own = own_sets(network, northbound).any(|own| own == uuid);
        let text = name.map_or_else(|| uuid.to_string(), str::to_owned);
        Some(Self { column: Datum::Set(vec![Datum::Uuid(uuid)]), text: Some(text), own })
    }

    fn holds(&self, text: &str) -> bool {
        self.text.as_deref() == Some(text)
    }
}

fn records(network: Id, northbound: &Northbound) -> BTreeMap<Cell, LentRecord> {
    let entries = northbound.registration(network).into_iter().flat_map(Value::entries);
    let lent = entries.filter(|(key, _)| key.starts_with(LENT_PREFIX));
    lent.filter_map(|(key, text)| Some((Cell::of_record(key)?, LentRecord::parse(text)?))).collect()
}

/// Address_Sets of ours that serve a network, whatever their names.
fn own_sets(network: Id, northbound: &Northbound) -> impl Iterator<Item = Uuid> {
    let rows = northbound.rows_of(UnitId::Network(network));
    rows.filter(|(table, _, _)| *table == ADDRESS_SET).map(|(_, uuid, _)| uuid)
}

/// NAT rows that refer to a set of this network, recorded or not: no set could go before them.
fn referring(network: Id, northbound: &Northbound) -> impl Iterator<Item = Cell> {
    let sets = own_sets(network, northbound);
    let rows = sets.flat_map(|set| northbound.inventory().exempting(set));
    rows.map(|row| Cell { table: NAT, row, column: nat::EXEMPTED_EXT_IPS })
}

fn written(name: String, network: Id, northbound: &Northbound) -> Written {
    let is_named = |set: &Uuid| set_name(*set, northbound) == Some(&name);
    match own_sets(network, northbound).find(is_named) {
        Some(set) => Written::Row(set),
        None => Written::Set(name),
    }
}

/// The name of an Address_Set of ours: others are not read.
fn set_name(set: Uuid, northbound: &Northbound) -> Option<&str> {
    let row = northbound.replica().row(ADDRESS_SET, set)?;
    Some(crate::northbound::router::cell(row, address_set::NAME).string())
}
