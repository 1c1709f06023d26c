//! Name collisions: ports of others with the name of a port of ours.
//!
//! Router and switch ports share one namespace in the southbound, but have two tables here.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::members::{Members, members, remove};
use super::super::owner::{Id, UnitId};
use super::super::rows::collides_with;
use super::change::{Change, Effects, Index};
use crate::ovsdb::TableId;

/// Ports of others, by the peering that has a port of the same name.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct NameIndex {
    collisions: BTreeMap<Id, Members<(TableId, Uuid)>>,
}

impl Index for NameIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        let row = (change.table, change.uuid);
        let [before, after] = change.map(|row| collides_with(change.table, row));
        if let Some(peering) = before.flatten() {
            remove(&mut self.collisions, &peering, &row);
            effects.touched.units.insert(UnitId::Peering(peering));
        }
        if let Some(peering) = after.flatten() {
            self.collisions.entry(peering).or_default().insert(row);
            effects.touched.units.insert(UnitId::Peering(peering));
        }
    }
}

impl NameIndex {
    /// Ports of others with the name of one of a peering's ports.
    pub(in crate::northbound) fn collisions(
        &self,
        peering: Id,
    ) -> impl Iterator<Item = (TableId, Uuid)> {
        members(self.collisions.get(&peering)).iter().copied()
    }
}
