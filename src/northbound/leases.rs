//! Where the guests of a subnet are told of routes: the DHCP_Options rows that serve it, and the
//! router advertisements of its port.
//!
//! Owns whose a DHCP_Options row is. Its subnet alone does not tell: tenants may have the same one.
//! Its owner does, in `external_ids`: by the router port ([`PORT_KEY`], for rows made by hand), by
//! the switch (LXD, Incus, Kube-OVN), or by the subnet's identity, which the router port has as well
//! (Neutron). A row that says nothing serves the one router port on its subnet, if there is but one,
//! and no other such row. Switch ports are not asked, of which there may be very many.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use hashbrown::HashMap;
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::ovsdb::{Replica, Row, RowChange};

use super::inventory::Inventory;
use super::members::{Members, members, remove};
use super::router::{cell, is_our_port};
use super::tables::{
    DHCP_OPTIONS, LOGICAL_SWITCH, ROUTER_PORT, dhcp_options, logical_switch, router_port,
};

/// The key in a DHCP_Options row's `external_ids` that names the router port whose subnet it
/// serves.
pub const PORT_KEY: &str = "ovn-peerd-router-port";
/// Keys there that name the switch: of LXD, Incus and Kube-OVN.
const SWITCH_KEYS: [&str; 3] = ["lxd_switch", "incus_switch", "ls"];
/// The key there that names Neutron's subnet.
const SUBNET_KEY: &str = "subnet_id";
/// The key of a router port's `external_ids` that lists Neutron's subnets, with spaces between.
const SUBNETS_KEY: &str = "neutron:subnet_ids";
/// The option that has the default gateway.
const ROUTER: &str = "router";
/// Without it, a port sends no router advertisements.
const ADDRESS_MODE: &str = "address_mode";

/// What a row says of whom it serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Claim {
    Port(Box<str>),
    Switch(Box<str>),
    Subnet(Box<str>),
    Nobody(Ipv4Net),
}

impl Claim {
    fn of(row: &Row) -> Option<(Self, Ipv4Net)> {
        let subnet: Ipv4Net = cell(row, dhcp_options::CIDR).string().parse().ok()?;
        let (subnet, tags) = (subnet.trunc(), cell(row, dhcp_options::EXTERNAL_IDS));
        let port = || tags.get(PORT_KEY).map(|name| Self::Port(name.into()));
        let switch = || SWITCH_KEYS.iter().find_map(|key| tags.get(key));
        let switch = || switch().map(|name| Self::Switch(name.into()));
        let id = || tags.get(SUBNET_KEY).map(|id| Self::Subnet(id.into()));
        let claim = port().or_else(switch).or_else(id).unwrap_or(Self::Nobody(subnet));
        Some((claim, subnet))
    }
}

/// The index of both.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    /// Subnet -> the router ports of others that are on it.
    ports_on: HashMap<Ipv4Net, Members<Uuid>>,
    /// What rows say of whom they serve -> rows.
    rows: HashMap<Claim, Members<Uuid>>,
}

/// A DHCP_Options row that serves a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The row.
    pub row: Uuid,
    /// The router's own address there.
    pub next_hop: Ipv4Addr,
    /// The default gateway that guests are told of, if any.
    pub gateway: Option<Ipv4Addr>,
}

impl Leases {
    /// A router port came, changed or went: routers of which the rows may be others than before.
    pub(super) fn fold_port(
        &mut self,
        port: Uuid,
        old: Option<&Row>,
        new: Option<&Row>,
    ) -> Vec<Uuid> {
        let (before, after) = (subnets(old), subnets(new));
        let mut concerned = Vec::new();
        for subnet in before.difference(&after) {
            remove(&mut self.ports_on, subnet, &port);
            concerned.extend(self.alone_or_not(subnet, 1));
        }
        for subnet in after.difference(&before) {
            self.ports_on.entry(*subnet).or_default().insert(port);
            concerned.extend(self.alone_or_not(subnet, 2));
        }
        concerned
    }

    /// The ports on a subnet if now they are so many, and rows there depend on it.
    fn alone_or_not(&self, subnet: &Ipv4Net, count: usize) -> impl Iterator<Item = Uuid> {
        let ports = Some(self.ports_on(subnet)).filter(|ports| ports.len() == count);
        let ports = ports.filter(|_| self.rows.contains_key(&Claim::Nobody(*subnet)));
        ports.unwrap_or_default().iter().copied()
    }

    /// A DHCP_Options row came, changed or went: the subnets that it served and serves.
    fn fold_row(
        &mut self,
        row: Uuid,
        old: Option<&Row>,
        new: Option<&Row>,
    ) -> BTreeSet<(Claim, Ipv4Net)> {
        let (before, after) = (old.and_then(Claim::of), new.and_then(Claim::of));
        if before != after {
            if let Some((claim, _)) = &before {
                remove(&mut self.rows, claim, &row);
            }
            if let Some((claim, _)) = &after {
                self.rows.entry(claim.clone()).or_default().insert(row);
            }
        }
        before.into_iter().chain(after).collect()
    }

    fn ports_on(&self, subnet: &Ipv4Net) -> &[Uuid] {
        members(self.ports_on.get(subnet))
    }

    fn rows(&self, claim: &Claim) -> &[Uuid] {
        members(self.rows.get(claim))
    }
}

impl Inventory {
    /// Folds a change of a DHCP_Options row; returns the routers that it may concern.
    pub(super) fn fold_lease(&mut self, replica: &Replica, change: &RowChange) -> BTreeSet<Uuid> {
        let new = replica.row(DHCP_OPTIONS, change.uuid);
        let served = self.leases.fold_row(change.uuid, change.old.as_ref(), new);
        let mut routers = BTreeSet::new();
        for (claim, subnet) in &served {
            let ports = self.leases.ports_on(subnet).iter();
            let meant = ports.filter(|port| self.is_meant(claim, **port, replica));
            routers.extend(meant.flat_map(|port| self.routers_of(*port)));
        }
        routers
    }

    /// The rows that serve a subnet of a router's inward port, in order.
    #[must_use]
    pub fn leases(
        &self,
        replica: &Replica,
        port: &str,
        subnet: Ipv4Net,
        own: Ipv4Addr,
    ) -> Vec<Lease> {
        let Some(uuid) = self.port_named(replica, port) else { return Vec::new() };
        let Some(port) = replica.row(ROUTER_PORT, uuid) else { return Vec::new() };
        let mut found = BTreeSet::new();
        for claim in self.claims(port, subnet, replica) {
            let rows = self.leases.rows(&claim).iter();
            let here = |row: &Row| Claim::of(row).is_some_and(|(_, of)| of == subnet);
            let rows = rows.filter_map(|row| Some((*row, replica.row(DHCP_OPTIONS, *row)?)));
            for (row, cells) in rows.filter(|(_, cells)| here(cells)) {
                let mut others = self.leases.ports_on(&subnet).iter().filter(|it| **it != uuid);
                let shared = others.any(|other| self.is_meant(&claim, *other, replica));
                let gateway = gateway(cells);
                // Of several routers on one switch, it is of the one that guests are sent to.
                if !shared || gateway == Ok(Some(own)) {
                    found.extend(gateway.ok().map(|gateway| (row, gateway)));
                }
            }
        }
        let lease = |(row, gateway)| Lease { row, next_hop: own, gateway };
        found.into_iter().map(lease).collect()
    }

    /// The row of a router port that sends router advertisements.
    #[must_use]
    pub fn advertiser(&self, replica: &Replica, port: &str) -> Option<Uuid> {
        let uuid = self.port_named(replica, port)?;
        let configs = cell(replica.row(ROUTER_PORT, uuid)?, router_port::IPV6_RA_CONFIGS);
        configs.get(ADDRESS_MODE).filter(|mode| !mode.is_empty()).map(|_| uuid)
    }

    /// What rows say that serve this port's subnet.
    fn claims(&self, port: &Row, subnet: Ipv4Net, replica: &Replica) -> Vec<Claim> {
        let name = cell(port, router_port::NAME).string();
        let mut claims = vec![Claim::Port((*name).into())];
        let alone = self.leases.ports_on(&subnet).len() == 1;
        let nobody = Claim::Nobody(subnet);
        claims.extend(Some(nobody).filter(|nobody| alone && self.leases.rows(nobody).len() == 1));
        claims.extend(neutron_subnets(port).into_iter().map(Claim::Subnet));
        let switches = self.switches_of(replica, &name);
        let rows = switches.as_slice().iter();
        let rows = rows.filter_map(|it| replica.row(LOGICAL_SWITCH, *it));
        let names = rows.map(|row| cell(row, logical_switch::NAME).string());
        claims.extend(names.map(|name| Claim::Switch(name.into())));
        claims
    }

    /// Whether a row with this claim is meant for a port that is on its subnet.
    fn is_meant(&self, claim: &Claim, port: Uuid, replica: &Replica) -> bool {
        let Some(row) = replica.row(ROUTER_PORT, port) else { return false };
        let name = cell(row, router_port::NAME).string();
        match claim {
            Claim::Port(meant) => **meant == *name,
            Claim::Switch(meant) => {
                self.switches_of(replica, &name).as_slice().iter().any(|switch| {
                    let row = replica.row(LOGICAL_SWITCH, *switch);
                    row.is_some_and(|row| cell(row, logical_switch::NAME).string() == **meant)
                })
            }
            Claim::Subnet(meant) => neutron_subnets(row).contains(meant),
            Claim::Nobody(_) => true,
        }
    }
}

/// The default gateway that a row has; an error if it cannot be read.
fn gateway(row: &Row) -> Result<Option<Ipv4Addr>, ()> {
    let text = cell(row, dhcp_options::OPTIONS).get(ROUTER);
    text.map(|text| text.trim().parse().map_err(|_| ())).transpose()
}

fn neutron_subnets(port: &Row) -> Vec<Box<str>> {
    let ids = cell(port, router_port::EXTERNAL_IDS).get(SUBNETS_KEY).unwrap_or_default();
    ids.split_whitespace().map(Into::into).collect()
}

/// The IPv4 subnets of a router port of somebody else.
fn subnets(port: Option<&Row>) -> BTreeSet<Ipv4Net> {
    let networks = port.filter(|row| !is_our_port(row)).into_iter();
    let networks = networks.flat_map(|row| cell(row, router_port::NETWORKS).strings());
    networks.filter_map(|text| text.parse().ok()).map(|net: Ipv4Net| net.trunc()).collect()
}
