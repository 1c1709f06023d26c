//! Compares desired rows with the present ones: which to insert, to update and to delete.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::northbound::owner::{END_KEY, end_tag, is_remotes_set};
use crate::northbound::tables::{
    ADDRESS_SET, DNS, LOAD_BALANCER, LOGICAL_SWITCH, NAT, Ours, PORT_GROUP, address_set,
    children_of, load_balancer, port_group, spec, tags_of,
};
use crate::northbound::{BalancerFacts, NameFacts, Northbound, UnitId};
use crate::ovsdb::{Atom, ColumnId, Datum, Layout, Row, TableId, Value, ValueRef};

use super::row::{DesiredRow, Parent};

/// One row that differs from its desired state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowDiff {
    /// It is missing.
    Insert(DesiredRow),
    /// It differs.
    Update {
        /// The desired row.
        row: DesiredRow,
        /// The row.
        uuid: Uuid,
        /// The columns that differ, with their desired values.
        columns: Vec<(ColumnId, Datum)>,
        /// The keys of the tags that differ.
        tags: Vec<&'static str>,
        /// The weak references to it that differ.
        references: Vec<Reference>,
    },
    /// The row is not desired.
    Delete {
        /// The table.
        table: TableId,
        /// The row.
        uuid: Uuid,
        /// The row that refers to this one.
        parent: Option<Uuid>,
        /// The NAT rows, whoever's they are, that refer to this set: it can only be deleted once they do
        /// not.
        exempting: Vec<Uuid>,
    },
}

/// A row of others that shall refer weakly to a row of ours, or shall not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Its table.
    pub table: TableId,
    /// It.
    pub row: Uuid,
    /// Whether it shall.
    pub wanted: bool,
}

/// A present row of a unit, with one of the rows that refer to it.
struct Present<'a> {
    place: Place<'a>,
    uuid: Uuid,
    row: &'a Row,
}

/// The table, the parent and the identifying columns: read once, because a row is searched among
/// many.
type Place<'a> = (TableId, Option<Uuid>, [Key<'a>; 2]);

/// The value of an identifying column: a text or a number.
type Key<'a> = (&'a str, Option<i64>);

fn ours(table: TableId) -> Option<&'static Ours> {
    spec(table).and_then(|spec| spec.ours.as_ref())
}

fn identity(table: TableId) -> &'static [ColumnId] {
    ours(table).map(|ours| ours.identity).unwrap_or_default()
}

fn place<'a>(table: TableId, parent: Option<Uuid>, key: impl Fn(ColumnId) -> Key<'a>) -> Place<'a> {
    let mut columns = identity(table).iter();
    let keys = [(); 2].map(|()| columns.next().map(|column| key(*column)).unwrap_or_default());
    (table, parent, keys)
}

/// The value of an identifying column. Of the tags, that of the end counts.
fn key_of(table: TableId, row: &Row, column: ColumnId) -> Key<'_> {
    let value = row.get(column);
    if tags_of(table) == Some(column) {
        return (value.get(END_KEY).unwrap_or_default(), None);
    }
    (value.string(), value.integer())
}

fn key_to_be(row: &DesiredRow, column: ColumnId) -> Key<'_> {
    if tags_of(row.table) == Some(column) {
        return (row.end.map(end_tag).unwrap_or_default(), None);
    }
    match row.column(column) {
        Some(Datum::String(text)) => (text, None),
        Some(Datum::Integer(number)) => ("", Some(*number)),
        Some(_) | None => ("", None),
    }
}

/// Compares a unit's desired rows, except its registration, with the present ones. Equal rows give
/// nothing.
#[must_use]
pub fn diff(unit: UnitId, desired: Vec<DesiredRow>, northbound: &Northbound) -> Vec<RowDiff> {
    let mut present = present_rows(unit, northbound);
    let mut diffs = Vec::new();
    let named: BTreeMap<&str, Uuid> = present.iter().filter_map(named).collect();
    let link_switch = present.iter().rfind(|row| row.place.0 == LOGICAL_SWITCH).map(|row| row.uuid);
    let sets = present_sets(&present);
    let mut kept = Vec::new();
    for mut row in desired {
        match &mut row.parent {
            Some(Parent::LinkSwitch(switch)) => *switch = link_switch,
            Some(Parent::Named(name, row)) => *row = named.get(&**name).copied(),
            Some(Parent::Router(_)) | None => {}
        }
        row.resolve(&sets);
        match take(&mut present, &row) {
            Some(found) => {
                kept.extend((row.table == NAT).then_some(found.uuid));
                diffs.extend(compare(row, found.uuid, found.row, northbound));
            }
            None => diffs.push(RowDiff::Insert(row)),
        }
    }
    diffs.extend(present.into_iter().map(|Present { place: (table, parent, _), uuid, .. }| {
        let of_peering = table == ADDRESS_SET && matches!(unit, UnitId::Peering(_));
        let exempting = northbound.exempting(uuid).filter(|nat| of_peering && !kept.contains(nat));
        RowDiff::Delete { table, uuid, parent, exempting: exempting.collect() }
    }));
    diffs
}

/// The identity of a present row among the rows of its unit with the same parent.
#[must_use]
pub fn identity_of(table: TableId, uuid: Uuid, northbound: &Northbound) -> Vec<String> {
    let Some(row) = northbound.replica().row(table, uuid) else { return Vec::new() };
    let text = |column: &ColumnId| match key_of(table, row, *column) {
        (_, Some(number)) => number.to_string(),
        (text, None) => text.to_owned(),
    };
    identity(table).iter().map(text).collect()
}

/// Sorted by table, parent and identity.
fn present_rows<'a>(unit: UnitId, northbound: &'a Northbound) -> Vec<Present<'a>> {
    let rows = northbound.rows_of(unit).filter(|(table, _, row)| {
        // The registration is compared elsewhere.
        let of_network = matches!(unit, UnitId::Network(_)) && *table == ADDRESS_SET;
        !of_network || is_remotes_set(row.get(address_set::NAME).string())
    });
    let rows = rows.flat_map(|(table, uuid, row)| {
        let key = move |column| key_of(table, row, column);
        let mut parents = northbound.parents_of(uuid);
        // A row with several parents is here once for each: all references but the desired one are
        // to be removed, because we own every reference to a row of ours.
        let first = std::iter::once(parents.next());
        let all = first.chain(parents.map(Some));
        all.map(move |parent| Present { place: place(table, parent, key), uuid, row })
    });
    let mut rows: Vec<Present<'a>> = rows.collect();
    rows.sort_by(|a, b| a.place.cmp(&b.place));
    rows
}

/// A row that other rows of its unit name as their parent.
fn named<'a>(present: &Present<'a>) -> Option<(&'a str, Uuid)> {
    let column = parent_name(present.place.0)?;
    Some((present.row.get(column).string(), present.uuid))
}

/// The column with the name of a row that is a [`Parent::Named`]; none in other tables.
pub(super) fn parent_name(table: TableId) -> Option<ColumnId> {
    match table {
        LOAD_BALANCER => Some(load_balancer::NAME),
        PORT_GROUP => Some(port_group::NAME),
        _ => None,
    }
}

/// The Address_Sets of a unit, by name.
fn present_sets(present: &[Present<'_>]) -> BTreeMap<String, Uuid> {
    let sets = present.iter().filter(|row| row.place.0 == ADDRESS_SET);
    sets.map(|set| (set.row.get(address_set::NAME).string().to_owned(), set.uuid)).collect()
}

/// Removes and returns the row with the same table, parent and identifying columns; the last one if
/// there are several.
fn take<'a>(present: &mut Vec<Present<'a>>, desired: &DesiredRow) -> Option<Present<'a>> {
    let parent = desired.parent.as_ref().and_then(Parent::row);
    let place = place(desired.table, parent, |column| key_to_be(desired, column));
    let end = present.partition_point(|row| row.place <= place);
    let is_it = |row: &Present<'_>| {
        let column = ours(desired.table).and_then(|ours| ours.distinction);
        column.is_none_or(|column| is(row.row.get(column), desired.column(column)))
    };
    let alike = present.iter().take(end).rev().take_while(|row| row.place == place);
    let back = alike.into_iter().position(is_it)?;
    Some(present.remove(end - 1 - back))
}

fn compare(row: DesiredRow, uuid: Uuid, found: &Row, northbound: &Northbound) -> Option<RowDiff> {
    let (table, layout) = (row.table, northbound.replica().layout());
    let tags_column = tags_of(table);
    let mut columns = Vec::new();
    let mut tags: Vec<&'static str> = Vec::new();
    for (column, value) in (0..).map(ColumnId).zip(found.cells()) {
        if Some(column) == tags_column {
            let differing = row.tags().filter(|(key, text)| !value.holds(key, text));
            tags.extend(differing.map(|(key, _)| key));
            continue;
        }
        let desired = row.column(column);
        if is(value, desired)
            // References to children change with the children's rows, not with this one.
            || children_of(table).any(|(refers, _)| refers == column)
            || !layout.has_column(table, column)
        {
            continue;
        }
        columns.push((column, desired.cloned().unwrap_or_else(|| empty(table, column, layout))));
    }
    let references = references(&row, uuid, northbound);
    if columns.is_empty() && tags.is_empty() && references.is_empty() {
        return None;
    }
    Some(RowDiff::Update { row, uuid, columns, tags, references })
}

/// The weak references to a row that differ. We own all of them.
fn references(row: &DesiredRow, uuid: Uuid, northbound: &Northbound) -> Vec<Reference> {
    let present: BTreeSet<(TableId, Uuid)> = match row.table {
        LOAD_BALANCER => BalancerFacts::of(northbound).holders(uuid).collect(),
        DNS => NameFacts::of(northbound).holders(uuid).map(|it| (LOGICAL_SWITCH, it)).collect(),
        _ => return Vec::new(),
    };
    let wanted = row.referrers.iter().map(|switch| (LOGICAL_SWITCH, *switch)).collect();
    let differing = present.symmetric_difference(&wanted);
    let reference =
        |it: &(TableId, Uuid)| Reference { table: it.0, row: it.1, wanted: wanted.contains(it) };
    differing.map(reference).collect()
}

/// Whether a cell has its desired value. The empty string (the default of a mandatory column) and
/// an absent optional are equal here: for example, the name of the main route table is the empty
/// string in its column.
fn is(found: ValueRef<'_>, desired: Option<&Datum>) -> bool {
    match desired {
        None => found.is_blank(),
        Some(Datum::String(text)) if text.is_empty() => found.is_blank(),
        Some(Datum::String(text)) => found.is_string(text),
        Some(Datum::Integer(integer)) => found.integer() == Some(*integer),
        // A row that is not there yet.
        Some(Datum::NamedUuid(_)) => false,
        Some(desired) => {
            let desired = value_of(desired);
            found == desired || found.is_blank() && desired.view().is_blank()
        }
    }
}

/// An empty value in the form that the column's type requires.
fn empty(table: TableId, column: ColumnId, layout: &Layout) -> Datum {
    match layout.column_type(table, column) {
        Some(kind) if kind.value.is_some() => Datum::Map(Vec::new()),
        Some(kind) if kind.min > 0 => Datum::String(String::new()),
        _ => Datum::Set(Vec::new()),
    }
}

/// A value in the form in which the replica would have it once written.
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
