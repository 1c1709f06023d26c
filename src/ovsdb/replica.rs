//! The replica: the wanted rows of a database, as of the last update applied.
//!
//! Owns the rows and how updates are applied to them. May not touch JSON, sockets or any table's
//! name. Invariants: every row is as wide as its table's layout; `apply` applies all of its updates
//! or none; `apply` and `adopt` report a row only if it has changed.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use uuid::Uuid;

use super::diff::apply_diff;
use super::layout::Layout;
use super::row::Row;
use super::update::{RowUpdate, Updates};
use super::value::{Value, ValueRef};
use super::wanted::{ColumnId, TableId};

type Table = HashMap<Uuid, Row>;

/// The wanted rows of a database.
#[derive(Clone, Debug)]
pub struct Replica {
    layout: Arc<Layout>,
    tables: Box<[Table]>,
}

/// A row that has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// Its table.
    pub table: TableId,
    /// Its identity.
    pub uuid: Uuid,
    /// The row before; `None` if it was not there.
    pub old: Option<Row>,
    /// Whether it is there now.
    pub present: bool,
}

/// An update that contradicts the replica: an update was lost or belongs to another monitor. The
/// remedy is a full resynchronisation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server {what} row {uuid} of table {table}, {but}: the replica must be read again")]
pub struct Inconsistent {
    /// What the server did.
    what: &'static str,
    /// To which row.
    uuid: Uuid,
    /// Of which table.
    table: String,
    /// Why that cannot be.
    but: &'static str,
}

/// What holds the rows: the replica alone, or with what its user derives from it. At a first dump it
/// grows part by part, on the client's thread, while the server composes the next part.
pub trait Store: std::fmt::Debug + Send + Sized + 'static {
    /// Without rows.
    fn empty(layout: Arc<Layout>) -> Self;

    /// Adds a part of a first dump.
    ///
    /// # Errors
    /// If it contradicts the parts before it; the store must then be dropped.
    fn extend(&mut self, part: Updates) -> Result<(), Inconsistent>;
}

impl Store for Replica {
    fn empty(layout: Arc<Layout>) -> Self {
        Self::new(layout)
    }

    fn extend(&mut self, part: Updates) -> Result<(), Inconsistent> {
        Self::extend(self, part).map(drop)
    }
}

impl Replica {
    /// A replica without rows.
    pub fn new(layout: Arc<Layout>) -> Self {
        let tables = layout.table_ids().map(|_| Table::new()).collect();
        Self { layout, tables }
    }

    /// The layout of the rows.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The rows of a table, in no order.
    pub fn rows(&self, table: TableId) -> impl Iterator<Item = (Uuid, &Row)> {
        self.table(table).into_iter().flatten().map(|(uuid, row)| (*uuid, row))
    }

    /// A row.
    pub fn row(&self, table: TableId, uuid: Uuid) -> Option<&Row> {
        self.table(table)?.get(&uuid)
    }

    /// A cell; `None` if there is no such row.
    pub fn cell(&self, table: TableId, uuid: Uuid, column: ColumnId) -> Option<ValueRef<'_>> {
        Some(self.row(table, uuid)?.get(column))
    }

    /// How many rows a table has.
    pub fn len(&self, table: TableId) -> usize {
        self.table(table).map_or(0, Table::len)
    }

    /// Whether there is no row in any table.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(Table::is_empty)
    }

    /// Applies an incremental update: all of it, or on an error nothing of it.
    ///
    /// # Errors
    /// If the server inserts a row that is there, or modifies or deletes one that is not.
    pub fn apply(&mut self, updates: Updates) -> Result<Vec<RowChange>, Inconsistent> {
        let mut changes = Vec::with_capacity(updates.len());
        for table_updates in updates.tables {
            let id = table_updates.table;
            for (uuid, update) in table_updates.rows {
                match self.apply_row(id, uuid, update) {
                    Ok(change) => changes.extend(change),
                    Err((what, but)) => {
                        self.undo(changes);
                        let table = self.layout.table_name(id).unwrap_or("?").to_owned();
                        return Err(Inconsistent { what, uuid, table, but });
                    }
                }
            }
        }
        Ok(changes)
    }

    /// Replaces everything by a first dump that was built separately. Reports only rows that
    /// differ, so that a resynchronisation without changes has no effect.
    pub fn adopt(&mut self, fresh: Self) -> Vec<RowChange> {
        let old = std::mem::replace(self, fresh);
        let mut changes = Vec::new();
        for (id, before) in old.layout.table_ids().zip(old.tables) {
            differences(id, before, self.table(id), &mut changes);
        }
        changes
    }

    /// Adds a part of a first dump, and returns its rows.
    ///
    /// # Errors
    /// If it contradicts the parts before it; the replica must then be dropped.
    pub fn extend(&mut self, part: Updates) -> Result<Vec<RowChange>, Inconsistent> {
        for updates in &part.tables {
            if let Some(table) = self.table_mut(updates.table) {
                table.reserve(updates.rows.len());
            }
        }
        self.apply(part)
    }

    fn table(&self, table: TableId) -> Option<&Table> {
        self.tables.get(usize::from(table.0))
    }

    fn table_mut(&mut self, table: TableId) -> Option<&mut Table> {
        self.tables.get_mut(usize::from(table.0))
    }

    fn apply_row(
        &mut self,
        id: TableId,
        uuid: Uuid,
        update: RowUpdate,
    ) -> Result<Option<RowChange>, (&'static str, &'static str)> {
        let layout = Arc::clone(&self.layout);
        let Some(table) = self.table_mut(id) else { return Ok(None) };
        match (update, table.entry(uuid)) {
            (RowUpdate::Initial(row) | RowUpdate::Insert(row), Entry::Vacant(vacant)) => {
                vacant.insert(row);
                Ok(Some(RowChange { table: id, uuid, old: None, present: true }))
            }
            (RowUpdate::Modify(diff), Entry::Occupied(mut present)) => {
                let Some(row) = modified(&layout, id, present.get(), diff) else { return Ok(None) };
                let old = Some(present.insert(row));
                Ok(Some(RowChange { table: id, uuid, old, present: true }))
            }
            (RowUpdate::Replace(row), Entry::Occupied(mut present)) => {
                if *present.get() == row {
                    return Ok(None);
                }
                let old = Some(present.insert(row));
                Ok(Some(RowChange { table: id, uuid, old, present: true }))
            }
            (RowUpdate::Delete, Entry::Occupied(present)) => {
                let old = Some(present.remove());
                Ok(Some(RowChange { table: id, uuid, old, present: false }))
            }
            (RowUpdate::Initial(_) | RowUpdate::Insert(_), Entry::Occupied(_)) => {
                Err(("inserted", "which is there already"))
            }
            (RowUpdate::Modify(_) | RowUpdate::Replace(_), Entry::Vacant(_)) => {
                Err(("modified", "which is not there"))
            }
            (RowUpdate::Delete, Entry::Vacant(_)) => Err(("deleted", "which is not there")),
        }
    }

    /// Reverts the changes, the last one first.
    fn undo(&mut self, changes: Vec<RowChange>) {
        for change in changes.into_iter().rev() {
            if let Some(table) = self.table_mut(change.table) {
                match change.old {
                    Some(row) => table.insert(change.uuid, row),
                    None => table.remove(&change.uuid),
                };
            }
        }
    }
}

/// `row` with `diff` applied, or `None` if that changes nothing.
fn modified(
    layout: &Layout,
    table: TableId,
    row: &Row,
    diff: Box<[(ColumnId, Value)]>,
) -> Option<Row> {
    let mut new: Option<Row> = None;
    for (column, diff) in diff {
        let Some(type_) = layout.column_type(table, column) else { continue };
        let before = new.as_ref().unwrap_or(row);
        let current = before.get(column);
        let value = apply_diff(current, diff.view(), type_);
        if current != value {
            new = Some(before.with(column, value.view()));
        }
    }
    new.filter(|new| new != row)
}

/// Reports the rows that differ between two states of a table, in order; consumes the old one.
fn differences(id: TableId, before: Table, after: Option<&Table>, changes: &mut Vec<RowChange>) {
    let new = after.into_iter().flat_map(HashMap::keys).filter(|uuid| !before.contains_key(*uuid));
    let change = |uuid, old, present| RowChange { table: id, uuid, old, present };
    let mut differing: Vec<RowChange> = new.map(|uuid| change(*uuid, None, true)).collect();
    for (uuid, old) in before {
        let found = after.and_then(|after| after.get(&uuid));
        if found != Some(&old) {
            differing.push(change(uuid, Some(old), found.is_some()));
        }
    }
    differing.sort_by_key(|change| change.uuid);
    changes.append(&mut differing);
}
