//! Desired rows against those that are there: what to insert, to update and to delete.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::northbound::owner::is_remotes_set;
use crate::northbound::tables::{ADDRESS_SET, LOGICAL_SWITCH, address_set};
use crate::northbound::{Northbound, UnitId, tags_of};
use crate::ovsdb::{Atom, ColumnId, Datum, Layout, Row, TableId, Value, ValueRef};

use super::row::{DesiredRow, Parent, identity, refers_to_children};

/// One row that is not as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowDiff {
    /// It is missing.
    Insert(DesiredRow),
    /// It differs.
    Update {
        /// As it shall be.
        row: DesiredRow,
        /// The row.
        uuid: Uuid,
        /// The columns that differ, as they shall be.
        columns: Vec<(ColumnId, Datum)>,
        /// The tags that differ.
        tags: Vec<String>,
    },
    /// It is too much.
    Delete {
        /// The table.
        table: TableId,
        /// The row.
        uuid: Uuid,
        /// The row that refers to it.
        parent: Option<Uuid>,
    },
}

/// What tells a row of a unit from the others: its table, its parent, its identifying columns.
type Identity = (TableId, Option<Uuid>, Row);

/// Compares a unit's rows, but for its registration, with those that are there. Equal rows give
/// nothing.
#[must_use]
pub fn diff(unit: UnitId, desired: Vec<DesiredRow>, northbound: &Northbound) -> Vec<RowDiff> {
    let mut present = present_rows(unit, northbound);
    let layout = northbound.replica().layout();
    let mut diffs = Vec::new();
    let switches = present.get(&(LOGICAL_SWITCH, None, Row::default()));
    let transit = switches.and_then(|rows| rows.last()).map(|(uuid, _)| *uuid);
    for mut row in desired {
        let parent = match &mut row.parent {
            Some(Parent::Router(router)) => Some(router.uuid),
            Some(Parent::Transit(switch)) => {
                *switch = transit;
                transit
            }
            None => None,
        };
        let columns = identity(row.table).iter();
        let values =
            columns.map(|column| row.columns.get(column).map_or_else(Value::empty, value_of));
        // The main route table's name is empty, which as a column is the empty string.
        let key =
            (row.table, parent, values.map(|value| Value::from(normal(value.view()))).collect());
        match present.get_mut(&key).and_then(Vec::pop) {
            Some((uuid, found)) => diffs.extend(compare(row, uuid, found, layout)),
            None => diffs.push(RowDiff::Insert(row)),
        }
    }
    let surplus = present.into_iter().flat_map(|((table, parent, _), rows)| {
        rows.into_iter().map(move |(uuid, _)| RowDiff::Delete { table, uuid, parent })
    });
    diffs.extend(surplus);
    diffs
}

fn present_rows(unit: UnitId, northbound: &Northbound) -> BTreeMap<Identity, Vec<(Uuid, &Row)>> {
    let mut present: BTreeMap<Identity, Vec<(Uuid, &Row)>> = BTreeMap::new();
    for (table, uuid, row) in northbound.rows_of(unit) {
        if table == ADDRESS_SET && !is_remotes_set(&cell(row, address_set::NAME).string()) {
            continue;
        }
        let values = identity(table).iter().map(|column| normal(cell(row, *column)));
        let key = (table, northbound.inventory().parent_of(uuid), values.collect());
        present.entry(key).or_default().push((uuid, row));
    }
    present
}

fn compare(row: DesiredRow, uuid: Uuid, found: &Row, layout: &Layout) -> Option<RowDiff> {
    let tags_column = tags_of(row.table);
    let mut columns = Vec::new();
    for position in 0..layout.width(row.table) {
        let Ok(column) = u16::try_from(position).map(ColumnId) else { break };
        let children = refers_to_children(row.table, column);
        if children || Some(column) == tags_column || !layout.has_column(row.table, column) {
            continue;
        }
        let desired = row.columns.get(&column);
        let value = desired.map_or_else(Value::empty, value_of);
        if normal(value.view()) != normal(cell(found, column)) {
            let datum = desired.cloned().unwrap_or_else(|| empty(row.table, column, layout));
            columns.push((column, datum));
        }
    }
    let found_tags = tags_column.map(|column| cell(found, column));
    let differs = |(key, value): &(&String, &String)| {
        found_tags.and_then(|tags| tags.get(key)).as_deref() != Some(value.as_str())
    };
    let tags: Vec<String> = row.tags.iter().filter(differs).map(|(key, _)| key.clone()).collect();
    if columns.is_empty() && tags.is_empty() {
        return None;
    }
    Some(RowDiff::Update { row, uuid, columns, tags })
}

/// An empty value in the form that the column's type asks for.
fn empty(table: TableId, column: ColumnId, layout: &Layout) -> Datum {
    match layout.column_type(table, column) {
        Some(kind) if kind.value.is_some() => Datum::Map(Vec::new()),
        Some(kind) if kind.min > 0 => Datum::String(String::new()),
        _ => Datum::Set(Vec::new()),
    }
}

fn cell(row: &Row, column: ColumnId) -> ValueRef<'_> {
    crate::northbound::router::cell(row, column)
}

/// An empty string, the default of a mandatory column, and an absent optional mean the same here.
fn normal(value: ValueRef<'_>) -> ValueRef<'_> {
    if value.is_blank() { ValueRef::EMPTY } else { value }
}

/// A value as the replica would hold it once written.
pub(super) fn value_of(datum: &Datum) -> Value {
    match datum {
        Datum::Set(members) => Value::of_atoms(members.iter().filter_map(atom_of)),
        Datum::Map(pairs) => {
            let text = |text| Atom::String(String::as_str(text));
            Value::of_pairs(pairs.iter().map(|(key, value)| (text(key), text(value))))
        }
        Datum::Integer(_)
        | Datum::Boolean(_)
        | Datum::String(_)
        | Datum::Uuid(_)
        | Datum::NamedUuid(_) => Value::of_atoms(atom_of(datum)),
    }
}

fn atom_of(datum: &Datum) -> Option<Atom<&str>> {
    match datum {
        Datum::Integer(integer) => Some(Atom::Integer(*integer)),
        Datum::Boolean(boolean) => Some(Atom::Boolean(*boolean)),
        Datum::String(text) => Some(Atom::String(text)),
        Datum::Uuid(uuid) => Some(Atom::Uuid(*uuid)),
        // A name has no value before the commit, and sets do not nest.
        Datum::NamedUuid(_) | Datum::Set(_) | Datum::Map(_) => None,
    }
}
