//! Rows of ours that other clients altered or deleted, until they are restored.
//!
//! Reports one line for a router, however many peerings it has and however many transactions the
//! repair takes. LXD and Incus delete all policies of a router at each change of a network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::northbound::UnitId;
use crate::northbound::tables::{ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE};
use crate::ovsdb::TableId;
use crate::program::RowDiff;

use super::change::Change;

/// The rows of a router that another client deleted.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    tables: BTreeSet<TableId>,
    rows: usize,
    peerings: BTreeSet<UnitId>,
}

/// The rows that are being restored.
#[derive(Debug, Default)]
pub(super) struct Drift {
    routers: BTreeMap<Arc<str>, Deleted>,
    units: BTreeSet<UnitId>,
    /// How many rows of each table.
    rows: BTreeMap<TableId, u64>,
}

impl Drift {
    /// Rows were sent. They restore those of the altered units.
    pub(super) fn sent(&mut self, rows: &[RowDiff], altered: &BTreeSet<UnitId>) {
        let mut others = altered.clone();
        for row in rows {
            let (RowDiff::Insert(desired) | RowDiff::Update { row: desired, .. }) = row else {
                continue;
            };
            let Some(unit) = UnitId::parse(&desired.unit).filter(|unit| altered.contains(unit))
            else {
                continue;
            };
            *self.rows.entry(desired.table).or_default() += 1;
            let RowDiff::Insert(row) = row else { continue };
            let Some(router) = row.router() else { continue };
            let deleted = self.routers.entry(Arc::clone(&router.name)).or_default();
            deleted.tables.insert(row.table);
            deleted.rows += 1;
            if let UnitId::Peering(_) = unit {
                deleted.peerings.insert(unit);
            }
            others.remove(&unit);
        }
        self.units.append(&mut others);
    }

    /// Everything is restored. Returns how many rows of each table that were.
    pub(super) fn take_rows(&mut self) -> BTreeMap<TableId, u64> {
        std::mem::take(&mut self.rows)
    }

    /// Everything is restored. Returns the changes to report.
    pub(super) fn restored(&mut self) -> Vec<Change> {
        let routers = std::mem::take(&mut self.routers).into_iter().map(|(router, deleted)| {
            let Deleted { tables, rows, peerings } = deleted;
            Change::RouterRestored { router, what: what(&tables), rows, peerings: peerings.len() }
        });
        let units = std::mem::take(&mut self.units).into_iter();
        routers.chain(units.map(|unit| Change::DriftRepaired { unit })).collect()
    }
}

fn what(tables: &BTreeSet<TableId>) -> String {
    let words =
        [(ROUTER_PORT, "ports"), (STATIC_ROUTE, "static routes"), (ROUTER_POLICY, "policies")];
    let words = words.into_iter().filter(|(table, _)| tables.contains(table));
    let words: Vec<&str> = words.map(|(_, word)| word).collect();
    words.join(" and ")
}
