//! One line for each row, for people: present rows, and rows that would change.

use uuid::Uuid;

use crate::northbound::borrowed::Field;
use crate::northbound::owner::UNIT_KEY;
use crate::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, STATIC_ROUTE, address_set, column_name, logical_router, spec,
    static_route, table_name, tags_of,
};
use crate::northbound::{Northbound, UnitId};
use crate::ovsdb::{ColumnId, Row, TableId, Value};
use crate::view::{PlannedAction, PlannedPrefix, PlannedRow, RowView};

use super::borrowed::{BorrowedDiff, Written};
use super::diff::{RowDiff, value_of};
use super::registration::RegistrationDiff;
use super::row::DesiredRow;
use super::words::Served;

/// Finds whom a row of a unit serves, by the router that refers to it.
pub type FindServed<'a> = dyn Fn(UnitId, Option<Uuid>) -> Served + 'a;

/// A present row.
#[must_use]
pub fn summarise(table: TableId, uuid: Option<Uuid>, row: &Row, served: &Served) -> RowView {
    let summary = summary(table, row);
    let means = served.words(table, row).unwrap_or_else(|| summary.clone());
    let uuid = uuid.map(|uuid| uuid.to_string());
    RowView { table: table_name(table).to_owned(), uuid, summary, means }
}

/// A row that would change, with its route if it is a static route.
#[must_use]
pub fn planned_row(
    diff: &RowDiff,
    northbound: &Northbound,
    find: &FindServed<'_>,
) -> (PlannedRow, Option<PlannedPrefix>) {
    let of = |unit: Option<UnitId>, router| unit.map(|unit| find(unit, router)).unwrap_or_default();
    let of_desired =
        |row: &DesiredRow| of(UnitId::parse(&row.unit), row.router().map(|router| router.uuid));
    match diff {
        RowDiff::Insert(row) => {
            (planned(PlannedAction::Insert, row, None, &of_desired(row)), desired_route(row))
        }
        RowDiff::Update { row, uuid, .. } => {
            (planned(PlannedAction::Update, row, Some(*uuid), &of_desired(row)), None)
        }
        RowDiff::Delete { table, uuid, parent, .. } => {
            let found = northbound.replica().row(*table, *uuid);
            let served = found.map(|row| of(unit_of(*table, row), *parent)).unwrap_or_default();
            let row = found
                .map(|row| summarise(*table, Some(*uuid), row, &served))
                .unwrap_or_else(|| view(*table, Some(*uuid), String::new()));
            let route = found
                .filter(|_| *table == STATIC_ROUTE)
                .and_then(|row| text(row, static_route::IP_PREFIX).parse().ok())
                .zip(parent.and_then(|router| northbound.replica().row(LOGICAL_ROUTER, router)))
                .map(|(prefix, router)| PlannedPrefix {
                    router: text(router, logical_router::NAME).to_owned(),
                    prefix,
                });
            (PlannedRow { action: PlannedAction::Delete, row, serves: served.view() }, route)
        }
    }
}

/// The unit that a present row is tagged with.
fn unit_of(table: TableId, row: &Row) -> Option<UnitId> {
    row.get(tags_of(table)?).get(UNIT_KEY).and_then(UnitId::parse)
}

/// Somebody else's row with one field that would change.
#[must_use]
pub fn planned_borrowed(diff: &BorrowedDiff) -> PlannedRow {
    let Field { table, row, column, .. } = &diff.field;
    let value = match &diff.value {
        None => "as before".to_owned(),
        Some(Written::Set(text) | Written::Text(text)) => text.clone(),
        Some(Written::Row(row)) => row.to_string(),
    };
    let key = diff.field.key().map(|key| format!(":{key}")).unwrap_or_default();
    let summary = format!("{}{key} = {value}", column_name(*table, *column));
    let row = view(*table, Some(*row), summary);
    PlannedRow { action: PlannedAction::Update, row, serves: None }
}

/// A registration that would change.
#[must_use]
pub fn planned_registration(
    diff: &RegistrationDiff,
    northbound: &Northbound,
    find: &FindServed<'_>,
) -> PlannedRow {
    let present = |uuid| northbound.replica().row(ADDRESS_SET, uuid);
    let shown = |set: &Row| {
        let addresses: Vec<&str> = set.get(address_set::ADDRESSES).strings().collect();
        format!("{} {{{}}}", text(set, address_set::NAME), addresses.join(", "))
    };
    let (action, uuid, unit, set) = match diff {
        RegistrationDiff::Insert { name, addresses, entries } => {
            let tag = entries.iter().find(|(key, _)| key == UNIT_KEY);
            let unit = tag.and_then(|(_, tag)| UnitId::parse(tag));
            (PlannedAction::Insert, None, unit, address_set(name, value_of(addresses)))
        }
        RegistrationDiff::Update { uuid, name, addresses, .. } => {
            let addresses = addresses.as_ref().map_or_else(Value::empty, value_of);
            let unit = present(*uuid).and_then(|row| unit_of(ADDRESS_SET, row));
            (PlannedAction::Update, Some(*uuid), unit, address_set(name, addresses))
        }
        RegistrationDiff::Delete { uuid, .. } => {
            let row = present(*uuid);
            let unit = row.and_then(|row| unit_of(ADDRESS_SET, row));
            let set = row.cloned().unwrap_or_else(|| address_set("", Value::empty()));
            (PlannedAction::Delete, Some(*uuid), unit, set)
        }
    };
    let served = unit.map(|unit| find(unit, None)).unwrap_or_default();
    let summary = match action {
        PlannedAction::Insert | PlannedAction::Update => shown(&set),
        PlannedAction::Delete => text(&set, address_set::NAME).to_owned(),
    };
    let row = RowView { summary, ..summarise(ADDRESS_SET, uuid, &set, &served) };
    PlannedRow { action, row, serves: served.view() }
}

/// The row of a set, with the columns that are shown.
fn address_set(name: &str, addresses: Value) -> Row {
    let column = |at| match ColumnId(at) {
        address_set::NAME => value_of(&name.into()),
        address_set::ADDRESSES => addresses.clone(),
        _ => Value::empty(),
    };
    (0..=address_set::ADDRESSES.0).map(column).collect()
}

fn planned(
    action: PlannedAction,
    row: &DesiredRow,
    uuid: Option<Uuid>,
    served: &Served,
) -> PlannedRow {
    PlannedRow { action, row: desired(row, uuid, served), serves: served.view() }
}

fn desired(row: &DesiredRow, uuid: Option<Uuid>, served: &Served) -> RowView {
    let last = row.columns.last().map_or(0, |(column, _)| column.0);
    let column = |column| row.column(ColumnId(column)).map_or_else(Value::empty, value_of);
    let mut view = summarise(row.table, uuid, &(0..=last).map(column).collect(), served);
    if let Some(router) = row.router() {
        view.summary = format!("{}: {}", router.name, view.summary);
    }
    view
}

fn desired_route(row: &DesiredRow) -> Option<PlannedPrefix> {
    let prefix = row.column(static_route::IP_PREFIX).filter(|_| row.table == STATIC_ROUTE)?;
    let prefix = value_of(prefix).view().string().parse().ok()?;
    Some(PlannedPrefix { router: row.router()?.name.to_string(), prefix })
}

fn summary(table: TableId, row: &Row) -> String {
    spec(table).map(|spec| (spec.summary)(row)).unwrap_or_default()
}

fn text(row: &Row, column: ColumnId) -> &str {
    row.get(column).string()
}

fn view(table: TableId, uuid: Option<Uuid>, summary: String) -> RowView {
    let uuid = uuid.map(|uuid| uuid.to_string());
    let means = format!("{}: {summary}", table_name(table));
    RowView { table: table_name(table).to_owned(), uuid, summary, means }
}
