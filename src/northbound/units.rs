//! Which rows serve which unit: part of the index.
//!
//! Owns what is asked of nearly every unit at every look, and would otherwise be a walk over its rows: which one is a
//! network's registration, and whether a newer version has written any.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use uuid::Uuid;

use crate::ovsdb::{Row, TableId};

use super::members::{Members, members, remove};
use super::owner::{Family, Id, UnitId, address_set_name};
use super::router::cell;
use super::tables::{ADDRESS_SET, address_set};
use super::version::{newest, tags_of};

/// The units of which rows are there.
#[derive(Debug, Default)]
pub(super) struct Units {
    rows: BTreeMap<UnitId, Members<(TableId, Uuid)>>,
    /// Network -> its IPv4 Address_Set.
    registrations: HashMap<Id, Uuid>,
    /// Rows that a newer version has written, with the version: nearly always none.
    newer: BTreeMap<UnitId, BTreeMap<Uuid, u32>>,
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

    /// The version of a unit's rows, if a newer one has written any of them.
    pub(super) fn newer(&self, unit: UnitId) -> Option<u32> {
        self.newer.get(&unit)?.values().max().copied()
    }

    /// A row that serves a unit is there, and says this.
    pub(super) fn add(&mut self, unit: UnitId, table: TableId, uuid: Uuid, row: &Row) {
        self.rows.entry(unit).or_default().insert((table, uuid));
        if let Some(version) = tags_of(table).and_then(|tags| newest(cell(row, tags))) {
            self.newer.entry(unit).or_default().insert(uuid, version);
        }
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
        if let Some(newer) = self.newer.get_mut(&unit)
            && newer.remove(&uuid).is_some()
            && newer.is_empty()
        {
            self.newer.remove(&unit);
        }
        if let UnitId::Network(network) = unit
            && self.registrations.get(&network) == Some(&uuid)
        {
            self.registrations.remove(&network);
        }
    }
}
