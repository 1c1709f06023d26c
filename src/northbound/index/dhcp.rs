//! Rows of `DHCP_Options`, by the guests that they serve ([`Served`]).
//!
//! A row without a known owner serves the router port on its subnet, if there is only one such port
//! and only one such row. We do not look at switch ports, because there may be very many.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use hashbrown::HashMap;
use ipnet::Ipv4Net;
use uuid::Uuid;

use super::super::members::{Members, members, remove};
use super::super::rows::is_our_port;
use super::super::tables::{
    DHCP_OPTIONS, LOGICAL_SWITCH, ROUTER_PORT, dhcp_options, logical_switch, router_port,
};
use super::change::{Change, Concerned, Effects, Index, Rows};
use super::served::{Owner, Served, neutron_subnets};
use super::switch::SwitchIndex;
use crate::ovsdb::Row;

/// The option with the default gateway.
const ROUTER: &str = "router";

/// Rows of `DHCP_Options`, and the router ports on their subnets.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct DhcpIndex {
    /// Subnet -> the router ports of others on it.
    ports_on: HashMap<Ipv4Net, Members<Uuid>>,
    rows: HashMap<Owner, Members<Uuid>>,
}

/// A row of `DHCP_Options` that serves a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpOptions {
    /// The row.
    pub row: Uuid,
    /// The router's own address there.
    pub next_hop: Ipv4Addr,
    /// The default gateway that the row gives to guests, if any.
    pub gateway: Option<Ipv4Addr>,
}

impl Index for DhcpIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        match change.table {
            DHCP_OPTIONS => self.row(change, effects),
            ROUTER_PORT => self.port(change, effects),
            _ => {}
        }
    }
}

impl DhcpIndex {
    fn row(&mut self, change: &Change<'_>, effects: &mut Effects<'_>) {
        let served @ [before, after] = &change.map(Served::of).map(Option::flatten);
        if before != after {
            if let Some(served) = before {
                remove(&mut self.rows, &served.owner, &change.uuid);
            }
            if let Some(served) = after {
                self.rows.entry(served.owner.clone()).or_default().insert(change.uuid);
            }
        }
        let served = served.iter().flatten();
        effects.concerned.extend(served.cloned().map(Concerned::Dhcp));
    }

    /// When a port appears or is removed, the rows on its subnet may serve other ports than before.
    fn port(&mut self, change: &Change<'_>, effects: &mut Effects<'_>) {
        let [before, after] = [change.old, change.new].map(subnets);
        let mut concerned = Vec::new();
        for subnet in before.difference(&after) {
            remove(&mut self.ports_on, subnet, &change.uuid);
            concerned.extend(self.dependent_ports(subnet, 1));
        }
        for subnet in after.difference(&before) {
            self.ports_on.entry(*subnet).or_default().insert(change.uuid);
            concerned.extend(self.dependent_ports(subnet, 2));
        }
        let routers = concerned.into_iter().flat_map(|port| change.rows.parents.all(port));
        effects.touched.routers.extend(routers);
    }

    /// The ports on a subnet, if their number is `count` now and a row without an owner depends on
    /// it.
    fn dependent_ports(&self, subnet: &Ipv4Net, count: usize) -> impl Iterator<Item = Uuid> {
        let ports = Some(self.ports_on(subnet)).filter(|ports| ports.len() == count);
        let ports = ports.filter(|_| self.rows.contains_key(&Owner::Unnamed(*subnet)));
        ports.unwrap_or_default().iter().copied()
    }

    fn ports_on(&self, subnet: &Ipv4Net) -> &[Uuid] {
        members(self.ports_on.get(subnet))
    }

    fn rows(&self, owner: &Owner) -> &[Uuid] {
        members(self.rows.get(owner))
    }

    /// The routers whose guests a row serves.
    pub(super) fn routers<'a>(
        &'a self,
        served: &'a Served,
        rows: Rows<'a>,
        switches: &'a SwitchIndex,
    ) -> impl Iterator<Item = Uuid> + 'a {
        let ports = self.ports_on(&served.subnet).iter();
        let meant = ports.filter(move |port| is_meant(&served.owner, **port, rows, switches));
        meant.flat_map(move |port| rows.parents.all(*port))
    }

    /// The rows that serve a subnet of a router's inward port, in order.
    pub(in crate::northbound) fn serving(
        &self,
        port: Uuid,
        subnet: Ipv4Net,
        own: Ipv4Addr,
        rows: Rows<'_>,
        switches: &SwitchIndex,
    ) -> Vec<DhcpOptions> {
        let Some(port_row) = rows.replica.row(ROUTER_PORT, port) else { return Vec::new() };
        let mut found = BTreeSet::new();
        for owner in self.owners(port_row, subnet, rows, switches) {
            let named = self.rows(&owner).iter();
            let named = named.filter_map(|it| Some((*it, rows.replica.row(DHCP_OPTIONS, *it)?)));
            let here = |row: &Row| Served::of(row).is_some_and(|served| served.subnet == subnet);
            for (uuid, row) in named.filter(|(_, row)| here(row)) {
                let mut others = self.ports_on(&subnet).iter().filter(|it| **it != port);
                let shared = others.any(|other| is_meant(&owner, *other, rows, switches));
                let gateway = gateway(row);
                // If several routers are on one switch, the row belongs to the one that is the
                // guests' gateway.
                if !shared || gateway == Ok(Some(own)) {
                    found.extend(gateway.ok().map(|gateway| (uuid, gateway)));
                }
            }
        }
        let options = |(row, gateway)| DhcpOptions { row, next_hop: own, gateway };
        found.into_iter().map(options).collect()
    }

    /// The owners whose rows serve this port's subnet.
    fn owners(
        &self,
        port: &Row,
        subnet: Ipv4Net,
        rows: Rows<'_>,
        switches: &SwitchIndex,
    ) -> Vec<Owner> {
        let name = port.get(router_port::NAME).string();
        let mut owners = vec![Owner::Port((*name).into())];
        let alone = self.ports_on(&subnet).len() == 1;
        let unnamed = Owner::Unnamed(subnet);
        owners.extend(Some(unnamed).filter(|unnamed| alone && self.rows(unnamed).len() == 1));
        owners.extend(neutron_subnets(port).into_iter().map(Owner::Subnet));
        owners.extend(switch_names(name, rows, switches).into_iter().map(Owner::Switch));
        owners
    }
}

/// Whether a row with this owner is meant for a port on its subnet.
fn is_meant(owner: &Owner, port: Uuid, rows: Rows<'_>, switches: &SwitchIndex) -> bool {
    let Some(row) = rows.replica.row(ROUTER_PORT, port) else { return false };
    let name = row.get(router_port::NAME).string();
    match owner {
        Owner::Port(meant) => **meant == *name,
        Owner::Switch(meant) => switch_names(name, rows, switches).contains(meant),
        Owner::Subnet(meant) => neutron_subnets(row).contains(meant),
        Owner::Unnamed(_) => true,
    }
}

/// The names of the switches with a router port.
fn switch_names(router_port: &str, rows: Rows<'_>, switches: &SwitchIndex) -> Vec<Box<str>> {
    let switches = switches.of_port(rows, router_port);
    let found = switches.iter().filter_map(|switch| rows.replica.row(LOGICAL_SWITCH, *switch));
    found.map(|row| row.get(logical_switch::NAME).string().into()).collect()
}

/// The default gateway of a row; an error if it does not parse.
fn gateway(row: &Row) -> Result<Option<Ipv4Addr>, ()> {
    let text = row.get(dhcp_options::OPTIONS).get(ROUTER);
    text.map(|text| text.trim().parse().map_err(|_| ())).transpose()
}

/// The IPv4 subnets of a router port of somebody else.
fn subnets(port: Option<&Row>) -> BTreeSet<Ipv4Net> {
    let networks = port.filter(|row| !is_our_port(row)).into_iter();
    let networks = networks.flat_map(|row| row.get(router_port::NETWORKS).strings());
    networks.filter_map(|text| text.parse().ok()).map(|net: Ipv4Net| net.trunc()).collect()
}
