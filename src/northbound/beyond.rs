//! What switches lead to beyond themselves: the physical network, other switches, other availability zones.
//!
//! Owns the index of the ports that do: a few of a switch. OVN 25.03 and later joins two switches by ports of type
//! `switch` that name each other as `peer`; what is on either is then on both.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use uuid::Uuid;

use crate::ovsdb::{Replica, Row};

use super::index::Index;
use super::members::{Members, members, remove};
use super::parents::Parents;
use super::router::cell;
use super::tables::{SWITCH_PORT, switch_port};

/// What a switch port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlet {
    /// A physical network: the switch is an uplink.
    Physical,
    /// Another switch.
    Switch,
    /// Another availability zone, by OVN-IC.
    Zone,
}

impl Outlet {
    /// What a port leads to, if that is none of routers and guests.
    pub(super) fn of(row: &Row) -> Option<Self> {
        match &*cell(row, switch_port::TYPE).string() {
            "localnet" => Some(Self::Physical),
            "switch" => Some(Self::Switch),
            "remote" => Some(Self::Zone),
            _ => None,
        }
    }
}

/// The ports that lead beyond their switches.
#[derive(Clone, Debug, Default)]
pub(super) struct Beyond {
    by_switch: HashMap<Uuid, Members<Uuid>>,
    /// Ports of type `switch` by their names.
    joining: Index,
}

impl Beyond {
    /// A switch has such a port; whether that is news.
    pub(super) fn gain(&mut self, switch: Uuid, port: Uuid) -> bool {
        self.by_switch.entry(switch).or_default().insert(port)
    }

    /// A switch has a port no more; whether it was such a port.
    pub(super) fn lose(&mut self, switch: Uuid, port: Uuid) -> bool {
        remove(&mut self.by_switch, &switch, &port)
    }

    /// A port has another name or type.
    pub(super) fn rename(&mut self, port: Uuid, old: Option<&Row>, new: Option<&Row>) {
        let name = |row: &Row| cell(row, switch_port::NAME).string().into_owned();
        let joins = |row: &&Row| Outlet::of(row) == Some(Outlet::Switch);
        let [before, after] = [old, new].map(|row| row.filter(joins).map(name));
        if before != after {
            if let Some(name) = before {
                self.joining.remove(&name, port);
            }
            if let Some(name) = after {
                self.joining.insert(&name, port);
            }
        }
    }

    /// Whether one of some switches has a port that leads there.
    pub(super) fn leads(
        &self,
        replica: &Replica,
        switches: &BTreeSet<Uuid>,
        outlet: Outlet,
    ) -> bool {
        let ports = switches.iter().flat_map(|switch| members(self.by_switch.get(switch)));
        let mut rows = ports.filter_map(|port| replica.row(SWITCH_PORT, *port));
        rows.any(|row| Outlet::of(row) == Some(outlet))
    }

    /// The switches with a port that leads to another zone.
    pub(super) fn between_zones(&self, replica: &Replica) -> Vec<Uuid> {
        let leads = |switch: &&Uuid| self.leads(replica, &[**switch].into(), Outlet::Zone);
        self.by_switch.keys().filter(leads).copied().collect()
    }

    /// These switches and all that are joined with them.
    pub(super) fn joined(
        &self,
        replica: &Replica,
        switch_of: &Parents,
        switches: impl IntoIterator<Item = Uuid>,
    ) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<Uuid> = switches.into_iter().collect();
        while let Some(switch) = queue.pop() {
            if !found.insert(switch) {
                continue;
            }
            let ports = members(self.by_switch.get(&switch)).iter();
            let rows = ports.filter_map(|port| replica.row(SWITCH_PORT, *port));
            let others = rows.filter_map(|row| self.other_side(replica, row));
            queue.extend(others.filter_map(|port| switch_of.get(port)));
        }
        found
    }

    /// The switch that a row would join its own with, whether or not the port there agrees.
    pub(super) fn named_by(
        &self,
        replica: &Replica,
        switch_of: &Parents,
        row: &Row,
    ) -> Option<Uuid> {
        let peer = cell(row, switch_port::PEER).string();
        self.port_named(replica, &peer).and_then(|port| switch_of.get(port))
    }

    /// The port at the other side, if the two name each other.
    fn other_side(&self, replica: &Replica, row: &Row) -> Option<Uuid> {
        if Outlet::of(row) != Some(Outlet::Switch) {
            return None;
        }
        let port = self.port_named(replica, &cell(row, switch_port::PEER).string())?;
        let back = cell(replica.row(SWITCH_PORT, port)?, switch_port::PEER);
        back.is_string(&cell(row, switch_port::NAME).string()).then_some(port)
    }

    fn port_named(&self, replica: &Replica, name: &str) -> Option<Uuid> {
        let named = |port: &Uuid| {
            let row = replica.row(SWITCH_PORT, *port);
            row.is_some_and(|row| cell(row, switch_port::NAME).is_string(name))
        };
        self.joining.candidates(name).as_slice().iter().copied().find(named)
    }
}
