//! A desired row of any table.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::northbound::End;
use crate::northbound::owner::{
    END_KEY, LABEL_KEY, OWNER_KEY, OWNER_VALUE, PARTNER_KEY, UNIT_KEY, end_tag,
};
use crate::northbound::tables::{router_policy, spec};
use crate::ovsdb::{ColumnId, Datum, TableId};

/// A desired row of ours. Columns that it does not name must be empty: a value that somebody else
/// sets there is drift.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DesiredRow {
    /// The table.
    pub table: TableId,
    /// The row that refers to it; `None` for root tables.
    pub parent: Option<Parent>,
    /// The columns that are not empty, except `external_ids`, in order.
    pub columns: Vec<(ColumnId, Datum)>,
    /// The tag of the unit that it serves.
    pub unit: Arc<str>,
    /// The label: what it serves, in words, if the row has one.
    pub label: Option<String>,
    /// The other peering of the chain that it is for, if it is for one.
    pub partner: Option<String>,
    /// The end of the peering that it is for, if its table has no names.
    pub end: Option<End>,
    /// Switches of others that refer to it weakly; no other row may. Only copies of load balancers
    /// and told names have such.
    pub referrers: Vec<Uuid>,
}

/// The parent of a row: the row that refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parent {
    /// Somebody's router.
    Router(RouterRow),
    /// The link switch of the row's own unit; with its UUID if it exists already.
    LinkSwitch(Option<Uuid>),
    /// The root row with this name, of the row's own unit: a copy of a load balancer, or the group of
    /// a guard. With its UUID if it exists already.
    Named(Arc<str>, Option<Uuid>),
}

impl Parent {
    /// The parent row, if it exists.
    pub(super) fn row(&self) -> Option<Uuid> {
        match self {
            Self::Router(router) => Some(router.uuid),
            Self::LinkSwitch(row) | Self::Named(_, row) => *row,
        }
    }
}

/// A router that a transaction changes; the transaction checks by the name that it is still the
/// router that was read.
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
        let (columns, referrers) = (Vec::new(), Vec::new());
        Self { table, parent, columns, unit, label: None, partner: None, end: None, referrers }
    }

    /// Adds a label. Only one row of a unit has one: every start reads all labels, and the other
    /// rows name the same unit.
    pub(super) fn labelled(mut self, label: String) -> Self {
        self.label = Some(label);
        self
    }

    /// Replaces names of Address_Sets that are there by their rows.
    pub(super) fn resolve(&mut self, sets: &BTreeMap<String, Uuid>) {
        for (_, datum) in &mut self.columns {
            if let Datum::NamedUuid(name) = datum
                && let Some(set) = sets.get(name)
            {
                *datum = Datum::Uuid(*set);
            }
        }
    }

    /// The router that refers to it, if its parent is a router.
    #[must_use]
    pub fn router(&self) -> Option<&RouterRow> {
        match &self.parent {
            Some(Parent::Router(router)) => Some(router),
            Some(Parent::LinkSwitch(_) | Parent::Named(..)) | None => None,
        }
    }

    /// The columns of a router policy.
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

    /// The desired value of a column; `None` for an empty one.
    pub(super) fn column(&self, column: ColumnId) -> Option<&Datum> {
        self.columns.iter().find(|(of, _)| *of == column).map(|(_, datum)| datum)
    }

    /// The desired entries of `external_ids`; other entries stay as they are.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let label = self.label.as_deref().map(|label| (LABEL_KEY, label));
        let asked_for = spec(self.table).filter(|spec| spec.is_asked_for_by_tag());
        let asked_for = asked_for.map(|_| (OWNER_KEY, OWNER_VALUE));
        let partner = self.partner.as_deref().map(|partner| (PARTNER_KEY, partner));
        let end = self.end.map(|end| (END_KEY, end_tag(end)));
        let tags = asked_for.into_iter().chain(partner).chain(end).chain(label);
        tags.chain([(UNIT_KEY, &*self.unit)])
    }
}
