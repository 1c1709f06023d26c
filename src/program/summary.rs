//! One line for each row, for people: present rows, and rows that would change.

use uuid::Uuid;

use crate::northbound::Northbound;
use crate::northbound::borrowed::Field;
use crate::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, STATIC_ROUTE, address_set, column_name, logical_router, spec,
    static_route, table_name,
};
use crate::ovsdb::{ColumnId, Row, TableId, Value};
use crate::view::{PlannedAction, PlannedPrefix, PlannedRow, RowView};

use super::borrowed::{BorrowedDiff, Written};
use super::diff::{RowDiff, value_of};
use super::registration::RegistrationDiff;
use super::row::DesiredRow;

/// A present row.
#[must_use]
pub fn summarise(table: TableId, uuid: Option<Uuid>, row: &Row) -> RowView {
    view(table, uuid, summary(table, row))
}

/// A row that would change, with its route if it is a static route.
#[must_use]
pub fn planned_row(diff: &RowDiff, northbound: &Northbound) -> (PlannedRow, Option<PlannedPrefix>) {
    match diff {
        RowDiff::Insert(row) => {
            let planned = PlannedRow { action: PlannedAction::Insert, row: desired(row, None) };
            (planned, desired_route(row))
        }
        RowDiff::Update { row, uuid, .. } => {
            let row = desired(row, Some(*uuid));
            (PlannedRow { action: PlannedAction::Update, row }, None)
        }
        RowDiff::Delete { table, uuid, parent } => {
            let found = northbound.replica().row(*table, *uuid);
            let row = found
                .map(|row| summarise(*table, Some(*uuid), row))
                .unwrap_or_else(|| view(*table, Some(*uuid), String::new()));
            let route = found
                .filter(|_| *table == STATIC_ROUTE)
                .and_then(|row| text(row, static_route::IP_PREFIX).parse().ok())
                .zip(parent.and_then(|router| northbound.replica().row(LOGICAL_ROUTER, router)))
                .map(|(prefix, router)| PlannedPrefix {
                    router: text(router, logical_router::NAME).to_owned(),
                    prefix,
                });
            (PlannedRow { action: PlannedAction::Delete, row }, route)
        }
    }
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
    PlannedRow { action: PlannedAction::Update, row: view(*table, Some(*row), summary) }
}

/// A registration that would change.
#[must_use]
pub fn planned_registration(diff: &RegistrationDiff, northbound: &Northbound) -> PlannedRow {
    let shown = |name: &str, addresses: Value| {
        let addresses = addresses.view();
        format!("{name} {{{}}}", addresses.strings().collect::<Vec<_>>().join(", "))
    };
    let (action, uuid, summary) = match diff {
        RegistrationDiff::Insert { name, addresses, .. } => {
            (PlannedAction::Insert, None, shown(name, value_of(addresses)))
        }
        RegistrationDiff::Update { uuid, name, addresses, .. } => {
            let addresses = addresses.as_ref().map_or_else(Value::empty, value_of);
            (PlannedAction::Update, Some(*uuid), shown(name, addresses))
        }
        RegistrationDiff::Delete { uuid, .. } => {
            let row = northbound.replica().row(ADDRESS_SET, *uuid);
            let name = row.map(|row| text(row, address_set::NAME)).unwrap_or_default();
            (PlannedAction::Delete, Some(*uuid), name.to_owned())
        }
    };
    PlannedRow { action, row: view(ADDRESS_SET, uuid, summary) }
}

fn desired(row: &DesiredRow, uuid: Option<Uuid>) -> RowView {
    let last = row.columns.last().map_or(0, |(column, _)| column.0);
    let column = |column| row.column(ColumnId(column)).map_or_else(Value::empty, value_of);
    let mut summary = summary(row.table, &(0..=last).map(column).collect());
    if let Some(router) = row.router() {
        summary = format!("{}: {summary}", router.name);
    }
    view(row.table, uuid, summary)
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
    RowView { table: table_name(table).to_owned(), uuid, summary }
}
