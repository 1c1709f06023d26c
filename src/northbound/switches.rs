//! The index of switches: which of them are uplinks or inhabited, and which routers meet on one.

use std::borrow::Cow;

use uuid::Uuid;

use crate::ovsdb::{Replica, Row, RowChange};

use super::beyond::Outlet;
use super::inventory::{Inventory, Touched, set_difference, units_of};
use super::owner;
use super::router::cell;
use super::tables::{LOGICAL_SWITCH, SWITCH_PORT, logical_switch, switch_port};

/// A switch that links two routers, and does nothing else, has so many ports.
const TWO: usize = 2;

impl Inventory {
    /// The switch that links a router port to one other router, and nothing else: all of its two
    /// ports lead to routers, by ports that are not ours.
    pub(super) fn meets_on(&self, router_port: &str, replica: &Replica) -> Option<Uuid> {
        let switches = self.switches_of(replica, router_port);
        switches.as_slice().iter().copied().find(|switch| {
            let Some(row) = replica.row(LOGICAL_SWITCH, *switch) else { return false };
            let ports = cell(row, logical_switch::PORTS);
            let leads =
                |port| replica.row(SWITCH_PORT, port).is_some_and(|row| leads_to(row).is_some());
            ports.len() == TWO && ports.uuids().all(leads)
        })
    }

    pub(super) fn fold_switch(
        &mut self,
        replica: &Replica,
        change: &RowChange,
        touched: &mut Touched,
    ) {
        let new = replica.row(LOGICAL_SWITCH, change.uuid);
        let (lost, gained) = set_difference(change.old.as_ref(), new, logical_switch::PORTS);
        self.switch_of.lose(change.uuid, &lost);
        self.switch_of.gain(change.uuid, &gained);
        for port in lost {
            if self.beyond.lose(change.uuid, port) {
                self.touch_routers_on(replica, change.uuid, touched);
            }
        }
        for port in gained {
            if let Some(row) = replica.row(SWITCH_PORT, port) {
                self.place_switch_port(replica, port, row, touched);
            }
        }
        let count = |row: Option<&Row>| row.map(|row| cell(row, logical_switch::PORTS).len());
        if [count(change.old.as_ref()), count(new)].contains(&Some(TWO)) {
            self.touch_routers_on(replica, change.uuid, touched);
        }
        self.review_workload(replica, change.uuid, touched);
        let [before, after] =
            [change.old.as_ref(), new].map(|row| row.map(|row| cell(row, logical_switch::NAME)));
        if before.is_some() && before != after {
            // Rows of DHCP_Options that name it serve other routers than before.
            self.touch_routers_on(replica, change.uuid, touched);
        }
        self.fold_unit(change, new, units_of(change, new), touched);
        if new.is_none() {
            self.switch_of.forget(change.uuid);
        }
    }

    /// Looks whether a switch has a VM's port: one that is not among those that are read. There
    /// are few of those, so that the first is soon found.
    fn review_workload(&mut self, replica: &Replica, switch: Uuid, touched: &mut Touched) {
        let row = replica.row(LOGICAL_SWITCH, switch);
        let mut ports = row.into_iter().flat_map(|row| cell(row, logical_switch::PORTS).uuids());
        let inhabited = ports.any(|port| replica.row(SWITCH_PORT, port).is_none());
        let differs =
            if inhabited { self.inhabited.insert(switch) } else { self.inhabited.remove(&switch) };
        if differs {
            self.touch_routers_on(replica, switch, touched);
        }
    }

    pub(super) fn fold_switch_port(
        &mut self,
        replica: &Replica,
        change: &RowChange,
        touched: &mut Touched,
    ) {
        if let Some(name) = change.old.as_ref().and_then(leads_to) {
            self.switch_ports_to.remove(&name, change.uuid);
            self.touch_router_port(replica, &name, touched);
        }
        let new = replica.row(SWITCH_PORT, change.uuid);
        self.fold_outlet(replica, change, new, touched);
        if let Some(row) = new {
            self.place_switch_port(replica, change.uuid, row, touched);
        }
        // A port that became a VM's, or ceased to be one, came or went here.
        if change.old.is_some() != new.is_some()
            && let Some(switch) = self.switch_of.get(change.uuid)
        {
            self.review_workload(replica, switch, touched);
        }
        // Who meets whom on a switch between two routers concerns both.
        if change.old.as_ref().and_then(leads_to) != new.and_then(leads_to)
            && let Some(switch) = self.switch_of.get(change.uuid)
            && replica
                .row(LOGICAL_SWITCH, switch)
                .is_some_and(|row| cell(row, logical_switch::PORTS).len() == TWO)
        {
            self.touch_routers_on(replica, switch, touched);
        }
        self.fold_namesake(replica, change, touched);
        self.fold_unit(change, new, units_of(change, new), touched);
    }

    fn place_switch_port(
        &mut self,
        replica: &Replica,
        uuid: Uuid,
        row: &Row,
        touched: &mut Touched,
    ) {
        if let Some(name) = leads_to(row) {
            self.switch_ports_to.insert(&name, uuid);
            self.touch_router_port(replica, &name, touched);
        }
        if Outlet::of(row).is_some()
            && let Some(switch) = self.switch_of.get(uuid)
            && self.beyond.gain(switch, uuid)
        {
            self.touch_routers_on(replica, switch, touched);
        }
    }

    /// A port leads beyond its switch, or did, or does so to somewhere else: that concerns the routers on both sides
    /// of a join, before and after.
    fn fold_outlet(
        &mut self,
        replica: &Replica,
        change: &RowChange,
        new: Option<&Row>,
        touched: &mut Touched,
    ) {
        let (port, old) = (change.uuid, change.old.as_ref());
        let [before, after] = [old, new].map(|row| row.and_then(Outlet::of));
        if before.is_none() && after.is_none() {
            return;
        }
        self.beyond.rename(port, old, new);
        let own = self.switch_of.get(port);
        if let Some(switch) = own.filter(|_| after.is_none()) {
            self.beyond.lose(switch, port);
        }
        let rows = [old, new].into_iter().flatten();
        let named = rows.filter(|row| Outlet::of(row) == Some(Outlet::Switch));
        let named = named.filter_map(|row| self.beyond.named_by(replica, &self.switch_of, row));
        for switch in named.chain(own).collect::<Vec<_>>() {
            self.touch_routers_on(replica, switch, touched);
        }
    }

    /// A switch became an uplink or inhabited, or ceased to be: that concerns the routers on it, and on those that are
    /// joined with it.
    pub(super) fn touch_routers_on(&self, replica: &Replica, switch: Uuid, touched: &mut Touched) {
        let switches = self.beyond.joined(replica, &self.switch_of, [switch]);
        let rows = switches.iter().filter_map(|switch| replica.row(LOGICAL_SWITCH, *switch));
        for port in rows.flat_map(|row| cell(row, logical_switch::PORTS).uuids()) {
            if let Some(name) = replica.row(SWITCH_PORT, port).and_then(leads_to) {
                self.touch_router_port(replica, &name, touched);
            }
        }
    }

    fn touch_router_port(&self, replica: &Replica, name: &str, touched: &mut Touched) {
        let router = self.port_named(replica, name).and_then(|port| self.router_of(port));
        touched.routers.extend(router);
    }
}

/// The name of the router port of somebody else that a switch port leads to.
pub(super) fn leads_to(row: &Row) -> Option<Cow<'_, str>> {
    let name = cell(row, switch_port::OPTIONS).get("router-port")?;
    owner::peering_of_link_port(&name).is_none().then_some(name)
}
