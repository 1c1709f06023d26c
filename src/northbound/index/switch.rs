//! Switches and their ports: which switches are uplinks or have VMs, and which routers share one.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use uuid::Uuid;

use super::super::members::Members;
use super::super::rows::leads_to;
use super::super::tables::{LOGICAL_SWITCH, SWITCH_PORT, logical_switch};
use super::change::{Change, Effects, Index, Rows};
use super::outlets::{Outlet, Outlets};
use super::text::ByText;
use crate::ovsdb::Replica;

/// A switch that only links two routers has this many ports.
const TWO: usize = 2;

/// The ports of switches.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct SwitchIndex {
    /// Ports to routers, by the name of the router port.
    to_routers: ByText,
    /// Ports by which a switch leads further.
    outlets: Outlets,
    /// Switches with at least one VM's port.
    inhabited: HashSet<Uuid>,
}

impl Index for SwitchIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        match change.table {
            LOGICAL_SWITCH => self.switch(change, effects),
            SWITCH_PORT => self.port(change, effects),
            _ => {}
        }
    }
}

impl SwitchIndex {
    fn switch<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        let (switch, replica) = (change.uuid, change.rows.replica);
        let (lost, gained) = change.difference(logical_switch::PORTS);
        let mut differs = false;
        for port in lost {
            differs |= self.outlets.lose(switch, port);
        }
        for port in gained {
            let Some(row) = replica.row(SWITCH_PORT, port) else { continue };
            leads_to(row).into_iter().for_each(|name| effects.touch_port(name));
            differs |= Outlet::of(row).is_some() && self.outlets.gain(switch, port);
        }
        let counts = change.map(|row| row.get(logical_switch::PORTS).len());
        differs |= counts.contains(&Some(TWO));
        differs |= self.review_workload(replica, switch);
        // Rows of DHCP_Options that name it serve other routers now.
        let [before, after] = change.map(|row| row.get(logical_switch::NAME));
        differs |= before.is_some() && before != after;
        if differs {
            effects.touch_switch(switch);
        }
    }

    fn port<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        let Change { uuid: port, rows, .. } = *change;
        let names @ [before, after] = change.map(leads_to).map(Option::flatten);
        self.to_routers.update(port, names);
        let switches: Vec<Uuid> = rows.parents.all(port).collect();
        self.outlets.apply(change, &switches, effects);
        for switch in switches {
            // Because of its type, a port became a VM's or is no longer one. On a switch that links
            // two routers, a port that leads to another router concerns both.
            if change.is_whole() && self.review_workload(rows.replica, switch)
                || before != after && has_two_ports(rows.replica, switch)
            {
                effects.touch_switch(switch);
            }
        }
        names.into_iter().flatten().for_each(|name| effects.touch_port(name));
    }

    /// Checks whether a switch has a VM's port, that is one that we have not read. The search ends
    /// soon, because we read few ports of a switch. Returns whether the result differs from before.
    fn review_workload(&mut self, replica: &Replica, switch: Uuid) -> bool {
        let mut ports = ports_of(replica, switch);
        if ports.any(|port| replica.row(SWITCH_PORT, port).is_none()) {
            self.inhabited.insert(switch)
        } else {
            self.inhabited.remove(&switch)
        }
    }

    /// The switches with a router port.
    pub(in crate::northbound) fn of_port(
        &self,
        rows: Rows<'_>,
        router_port: &str,
    ) -> Members<Uuid> {
        let mut switches = Members::default();
        for port in self.to_routers.candidates(router_port).as_slice() {
            let name = rows.replica.row(SWITCH_PORT, *port).and_then(leads_to);
            if name == Some(router_port) {
                for switch in rows.parents.all(*port) {
                    switches.insert(switch);
                }
            }
        }
        switches
    }

    /// A port that we have read of each switch with a router port, and of each that is joined to
    /// them: through it, a Port_Group has the whole switch.
    pub(in crate::northbound) fn anchors(
        &self,
        rows: Rows<'_>,
        router_port: &str,
        reach: &BTreeSet<Uuid>,
    ) -> Vec<Uuid> {
        let leads = |port: &&Uuid| {
            rows.replica.row(SWITCH_PORT, **port).and_then(leads_to) == Some(router_port)
        };
        let candidates = self.to_routers.candidates(router_port);
        let mut anchors: Vec<Uuid> = candidates.as_slice().iter().filter(leads).copied().collect();
        let own = self.of_port(rows, router_port);
        let joined = reach.iter().filter(|switch| !own.as_slice().contains(switch));
        anchors.extend(joined.filter_map(|switch| self.outlets.first(*switch)));
        anchors
    }

    /// The switches with a router port, and those that are joined to them.
    pub(in crate::northbound) fn reach(&self, rows: Rows<'_>, router_port: &str) -> BTreeSet<Uuid> {
        let switches = self.of_port(rows, router_port);
        self.outlets.joined(rows, switches.iter().copied())
    }

    /// Whether any of these switches has an outlet of this kind.
    pub(in crate::northbound) fn leads(
        &self,
        replica: &Replica,
        reach: &BTreeSet<Uuid>,
        to: Outlet,
    ) -> bool {
        self.outlets.leads(replica, reach, to)
    }

    /// Whether any of these switches has a VM's port.
    pub(in crate::northbound) fn is_inhabited(&self, reach: &BTreeSet<Uuid>) -> bool {
        reach.iter().any(|switch| self.inhabited.contains(switch))
    }

    /// The switch that links a router port to one other router and does nothing else: both of its
    /// ports lead to routers, and neither is ours.
    pub(in crate::northbound) fn meeting(&self, rows: Rows<'_>, router_port: &str) -> Option<Uuid> {
        let switches = self.of_port(rows, router_port);
        let leads = |port| rows.replica.row(SWITCH_PORT, port).and_then(leads_to).is_some();
        let links = |switch: &Uuid| {
            has_two_ports(rows.replica, *switch) && ports_of(rows.replica, *switch).all(leads)
        };
        switches.iter().copied().find(links)
    }

    /// The switches with an outlet to another availability zone.
    pub(super) fn between_zones(&self, replica: &Replica) -> Vec<Uuid> {
        self.outlets.between_zones(replica)
    }

    /// The names of router ports on a switch, and on those that are joined to it.
    pub(in crate::northbound) fn router_ports<'a>(
        &self,
        rows: Rows<'a>,
        switch: Uuid,
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let switches = self.outlets.joined(rows, [switch]);
        let ports = switches.into_iter().flat_map(move |switch| ports_of(rows.replica, switch));
        ports.filter_map(move |port| rows.replica.row(SWITCH_PORT, port).and_then(leads_to))
    }
}

fn ports_of(replica: &Replica, switch: Uuid) -> impl Iterator<Item = Uuid> {
    let row = replica.row(LOGICAL_SWITCH, switch);
    row.into_iter().flat_map(|row| row.get(logical_switch::PORTS).uuids())
}

fn has_two_ports(replica: &Replica, switch: Uuid) -> bool {
    let row = replica.row(LOGICAL_SWITCH, switch);
    row.is_some_and(|row| row.get(logical_switch::PORTS).len() == TWO)
}
