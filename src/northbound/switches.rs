//! The index of switches: which of them are uplinks or inhabited, and which routers meet on one.

use uuid::Uuid;

use crate::ovsdb::{Replica, Row, RowChange};

use super::inventory::{Inventory, Touched, set_difference, unit_of};
use super::members::remove;
use super::owner;
use super::router::cell;
use super::tables::{LOGICAL_SWITCH, SWITCH_PORT, logical_switch, switch_port};

/// A switch that links two routers, and does nothing else, has so many ports.
const TWO: usize = 2;

impl Inventory {
    /// The switch that links a router port to one other router, and nothing else: all of its two
    /// ports lead to routers, by ports that are not ours.
    pub(super) fn meets_on(&self, router_port: &str, replica: &Replica) -> Option<Uuid> {
        let ports = self.switch_ports_to.get(router_port)?;
        let mut switches = ports.iter().filter_map(|port| self.switch_of.get(port).copied());
        switches.find(|switch| {
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
        for port in lost {
            if self.switch_of.get(&port) == Some(&change.uuid) {
                self.switch_of.remove(&port);
            }
            if let Some(ports) = self.localnets.get_mut(&change.uuid)
                && ports.remove_item(&port).is_some()
                && ports.is_empty()
            {
                self.localnets.remove(&change.uuid);
                self.touch_routers_on(replica, change.uuid, touched);
            }
        }
        for port in gained {
            self.switch_of.insert(port, change.uuid);
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
        self.fold_unit(replica, change, |row| unit_of(LOGICAL_SWITCH, row), touched);
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
            remove(&mut self.switch_ports_to, name, &change.uuid);
            self.touch_router_port(name, touched);
        }
        let new = replica.row(SWITCH_PORT, change.uuid);
        let is_localnet = new.is_some_and(localnet);
        if change.old.as_ref().is_some_and(localnet)
            && !is_localnet
            && let Some(switch) = self.switch_of.get(&change.uuid).copied()
        {
            remove(&mut self.localnets, &switch, &change.uuid);
            self.touch_routers_on(replica, switch, touched);
        }
        if let Some(row) = new {
            self.place_switch_port(replica, change.uuid, row, touched);
        }
        // A port that became a VM's, or ceased to be one, came or went here.
        if change.old.is_some() != new.is_some()
            && let Some(switch) = self.switch_of.get(&change.uuid).copied()
        {
            self.review_workload(replica, switch, touched);
        }
        // Who meets whom on a switch between two routers concerns both.
        if change.old.as_ref().and_then(leads_to) != new.and_then(leads_to)
            && let Some(switch) = self.switch_of.get(&change.uuid).copied()
            && replica
                .row(LOGICAL_SWITCH, switch)
                .is_some_and(|row| cell(row, logical_switch::PORTS).len() == TWO)
        {
            self.touch_routers_on(replica, switch, touched);
        }
        self.fold_namesake(replica, change, touched);
        self.fold_unit(replica, change, |row| unit_of(SWITCH_PORT, row), touched);
    }

    fn place_switch_port(
        &mut self,
        replica: &Replica,
        uuid: Uuid,
        row: &Row,
        touched: &mut Touched,
    ) {
        if let Some(name) = leads_to(row) {
            self.switch_ports_to.entry(name.into()).or_default().find_or_insert(uuid);
            self.touch_router_port(name, touched);
        }
        if localnet(row)
            && let Some(switch) = self.switch_of.get(&uuid).copied()
            && self.localnets.entry(switch).or_default().find_or_insert(uuid).is_inserted()
        {
            self.touch_routers_on(replica, switch, touched);
        }
    }

    /// A switch became an uplink or inhabited, or ceased to be: that concerns the routers on it.
    fn touch_routers_on(&self, replica: &Replica, switch: Uuid, touched: &mut Touched) {
        let Some(row) = replica.row(LOGICAL_SWITCH, switch) else { return };
        for port in cell(row, logical_switch::PORTS).uuids() {
            if let Some(name) = replica.row(SWITCH_PORT, port).and_then(leads_to) {
                self.touch_router_port(name, touched);
            }
        }
    }

    fn touch_router_port(&self, name: &str, touched: &mut Touched) {
        let router = self.ports_by_name.get(name).and_then(|port| self.router_of.get(port));
        touched.routers.extend(router);
    }
}

fn localnet(row: &Row) -> bool {
    cell(row, switch_port::TYPE).string() == "localnet"
}

/// The name of the router port of somebody else that a switch port leads to.
fn leads_to(row: &Row) -> Option<&str> {
    let name = cell(row, switch_port::OPTIONS).get("router-port")?;
    owner::peering_of_link_port(name).is_none().then_some(name)
}
