//! A row as it shall be, whatever its table.

use std::sync::Arc;

use uuid::Uuid;

use crate::northbound::owner::{LABEL_KEY, OWNER_KEY, OWNER_VALUE, UNIT_KEY};
use crate::northbound::tables::{router_policy, spec};
use crate::ovsdb::{ColumnId, Datum, TableId};

/// A row of ours as it shall be. Columns that are not named shall be empty: whatever somebody
/// else sets on a row of ours is drift.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DesiredRow {
    /// The table.
    pub table: TableId,
    /// The row that refers to it; none for root tables.
    pub parent: Option<Parent>,
    /// The columns that are not empty, but for `external_ids`; in order.
    pub columns: Vec<(ColumnId, Datum)>,
    /// The tag of the unit that it serves.
    pub unit: Arc<str>,
    /// In words what it serves, if it says so.
    pub label: Option<String>,
}

/// What refers to a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parent {
    /// A router of somebody's.
    Router(RouterRow),
    /// The link switch of the row's own unit; where that is there already, this row.
    LinkSwitch(Option<Uuid>),
}

impl Parent {
    /// The row, if it is there.
    pub(super) fn row(&self) -> Option<Uuid> {
        match self {
            Self::Router(router) => Some(router.uuid),
            Self::LinkSwitch(switch) => *switch,
        }
    }
}

/// A router that a transaction changes; the name guards that it is still the one that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterRow {
    /// The row.
    pub uuid: Uuid,
    /// Its name when it was read.
    pub name: Arc<str>,
}

impl DesiredRow {
    /// A row of a unit.
    pub(super) fn new(table: TableId, parent: Option<Parent>, unit: Arc<str>) -> Self {
        Self { table, parent, columns: Vec::new(), unit, label: None }
    }

    /// Says in words what the row serves. One row of a unit does: each label is read at every
    /// start, and the others name the same unit.
    pub(super) fn labelled(mut self, label: String) -> Self {
        self.label = Some(label);
        self
    }

    /// The router that refers to it, if one does.
    #[must_use]
    pub fn router(&self) -> Option<&RouterRow> {
        match &self.parent {
            Some(Parent::Router(router)) => Some(router),
            Some(Parent::LinkSwitch(_)) | None => None,
        }
    }

    /// What a router policy says.
    pub(super) fn policy(self, priority: i64, text: String, action: &str) -> Self {
        self.set(router_policy::PRIORITY, priority)
            .set(router_policy::MATCH, text)
            .set(router_policy::ACTION, action)
    }

    pub(super) fn set(mut self, column: ColumnId, datum: impl Into<Datum>) -> Self {
        let at = self.columns.partition_point(|(before, _)| *before < column);
        self.columns.insert(at, (column, datum.into()));
        self
    }

    /// What a column shall hold; none if nothing.
    pub(super) fn column(&self, column: ColumnId) -> Option<&Datum> {
        self.columns.iter().find(|(of, _)| *of == column).map(|(_, datum)| datum)
    }

    /// What `external_ids` shall hold; what else is there is left alone.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let label = self.label.as_deref().map(|label| (LABEL_KEY, label));
        let asked_for = spec(self.table).filter(|spec| spec.is_asked_for_by_tag());
        let asked_for = asked_for.map(|_| (OWNER_KEY, OWNER_VALUE));
        asked_for.into_iter().chain(label).chain([(UNIT_KEY, &*self.unit)])
    }
}
