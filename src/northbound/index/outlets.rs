//! What switches lead to beyond themselves: the physical network, other switches, other
//! availability zones.
//!
//! Owns which ports do: a few of a switch. OVN 25.03 and later joins two switches by ports of type
//! `switch` that name each other as `peer`; what is on either is then on both.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use uuid::Uuid;

use super::super::members::{Members, members, remove};
use super::super::tables::{SWITCH_PORT, switch_port};
use super::change::{Change, Effects, Rows};
use super::text::ByText;
use crate::ovsdb::{Replica, Row};

/// What a switch port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::northbound) enum Outlet {
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
        match &*row.get(switch_port::TYPE).string() {
            "localnet" => Some(Self::Physical),
            "switch" => Some(Self::Switch),
            "remote" => Some(Self::Zone),
            _ => None,
        }
    }
}

/// The ports that lead beyond their switches.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlets {
    by_switch: HashMap<Uuid, Members<Uuid>>,
    /// Ports of type `switch` by their names.
    joining: ByText,
}

impl Outlets {
    /// A port leads beyond its switches, or did, or does so to somewhere else: that concerns the
    /// routers on both sides of a join, before and after.
    pub(super) fn apply(
        &mut self,
        change: &Change<'_>,
        switches: &[Uuid],
        effects: &mut Effects<'_>,
    ) {
        let [before, after] = change.map(Outlet::of).map(Option::flatten);
        if before.is_none() && after.is_none() {
            return;
        }
        let [old, new] = [change.old, change.new];
        let joins = |row: &&Row| Outlet::of(row) == Some(Outlet::Switch);
        let names = [old, new].map(|row| row.filter(joins));
        let names = names.map(|row| row.map(|row| row.get(switch_port::NAME).string()));
        self.joining.update(change.uuid, names.each_ref().map(Option::as_deref));
        for switch in switches {
            match after {
                Some(_) => self.gain(*switch, change.uuid),
                None => self.lose(*switch, change.uuid),
            };
            effects.touch_switch(*switch);
        }
        for row in [old, new].into_iter().flatten().filter(joins) {
            self.named_by(change.rows, row).for_each(|switch| effects.touch_switch(switch));
        }
    }

    /// A switch has such a port; whether that is news.
    pub(super) fn gain(&mut self, switch: Uuid, port: Uuid) -> bool {
        self.by_switch.entry(switch).or_default().insert(port)
    }

    /// A switch has a port no more; whether it was such a port.
    pub(super) fn lose(&mut self, switch: Uuid, port: Uuid) -> bool {
        remove(&mut self.by_switch, &switch, &port)
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
        rows: Rows<'_>,
        switches: impl IntoIterator<Item = Uuid>,
    ) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<Uuid> = switches.into_iter().collect();
        while let Some(switch) = queue.pop() {
            if !found.insert(switch) {
                continue;
            }
            let ports = members(self.by_switch.get(&switch)).iter();
            let ports = ports.filter_map(|port| rows.replica.row(SWITCH_PORT, *port));
            let others = ports.filter_map(|row| self.other_side(rows.replica, row));
            queue.extend(others.flat_map(|port| rows.parents.all(port)));
        }
        found
    }

    /// The switches that a row would join its own with, whether or not the port there agrees.
    fn named_by<'a>(&self, rows: Rows<'a>, row: &Row) -> impl Iterator<Item = Uuid> + use<'a> {
        let port = self.port_named(rows.replica, &row.get(switch_port::PEER).string());
        port.into_iter().flat_map(move |port| rows.parents.all(port))
    }

    /// The port at the other side, if the two name each other.
    fn other_side(&self, replica: &Replica, row: &Row) -> Option<Uuid> {
        if Outlet::of(row) != Some(Outlet::Switch) {
            return None;
        }
        let port = self.port_named(replica, &row.get(switch_port::PEER).string())?;
        let back = replica.row(SWITCH_PORT, port)?.get(switch_port::PEER);
        back.is_string(&row.get(switch_port::NAME).string()).then_some(port)
    }

    fn port_named(&self, replica: &Replica, name: &str) -> Option<Uuid> {
        let named = |port: &Uuid| {
            let row = replica.row(SWITCH_PORT, *port);
            row.is_some_and(|row| row.get(switch_port::NAME).is_string(name))
        };
        self.joining.candidates(name).as_slice().iter().copied().find(named)
    }
}
