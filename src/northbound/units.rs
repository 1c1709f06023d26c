//! Which rows serve which unit: part of the index.
//!
//! Owns what is asked of nearly every unit at every look, and would otherwise be a walk over its rows: which one is a
//! network's registration.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use uuid::Uuid;

use crate::ovsdb::{Row, TableId};

use super::members::{Members, members, remove};
use super::owner::{Family, Id, UnitId, address_set_name};
use super::router::cell;
use super::tables::{ADDRESS_SET, address_set};

/// The units of which rows are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    rows: BTreeMap<UnitId, Members<(TableId, Uuid)>>,
    /// Network -> its IPv4 Address_Set.
    registrations: HashMap<Id, Uuid>,
}

impl Units {
    /// The rows that serve a unit.
    pub(super) fn rows_of(&self, unit: UnitId) -> impl Iterator<Item = (TableId, Uuid)> {
        members(self.rows.get(&unit)).iter().copied()
    }

    /// All units of which a row is there.
    pub(super) fn all(&self) -> impl Iterator<Item = UnitId> {
        self.rows.keys().copied()
    }

    /// The IPv4 Address_Set of a network.
    pub(super) fn registration(&self, network: Id) -> Option<Uuid> {
        self.registrations.get(&network).copied()
    }

    /// A row that serves a unit is there, and says this.
    pub(super) fn add(&mut self, unit: UnitId, table: TableId, uuid: Uuid, row: &Row) {
        self.rows.entry(unit).or_default().insert((table, uuid));
        if let UnitId::Network(network) = unit
            && table == ADDRESS_SET
            && cell(row, address_set::NAME).is_string(&address_set_name(network, Family::Ip4))
        {
            self.registrations.insert(network, uuid);
        }
    }

    /// A row serves a unit no more, or is about to say something else.
    pub(super) fn remove(&mut self, unit: UnitId, table: TableId, uuid: Uuid) {
        remove(&mut self.rows, &unit, &(table, uuid));
        if let UnitId::Network(network) = unit
            && self.registrations.get(&network) == Some(&uuid)
        {
            self.registrations.remove(&network);
        }
    }
}
