//! The northbound as last read: the replica and its index, in step.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::declare::RouterRef;
use crate::ovsdb::{
    Inconsistent, Layout, Replica, Row, RowChange, Store, TableId, Updates, ValueRef,
};

use super::counters::{HostCounters, counters, stored_mark};
use super::index::Inventory;
use super::index::balancer::BalancerIndex;
use super::index::change::Touched;
use super::index::dhcp::DhcpOptions;
use super::index::dns::DnsIndex;
use super::index::outlets::Outlet;
use super::owner::{Family, Id, UnitId, address_set_name};
use super::registration::{
    GuestRecord, HalfRecord, NETWORK_KEY, NetworkRecord, guest_record, half_record, network_record,
};
use super::router::RouterFacts;
use super::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, NB_GLOBAL, ROUTER_PORT, address_set, logical_router, nb_global,
    router_port, switch_port,
};

/// A router port without it sends no router advertisements.
const ADDRESS_MODE: &str = "address_mode";

/// A port of somebody else with the name of one of a peering's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCollision {
    /// In words: its table, name and row.
    pub text: String,
    /// Whether it has the name of a port of the link switch, and not that of a link port.
    pub of_switch_port: bool,
}

/// The replica and its index.
#[derive(Clone, Debug)]
pub struct Northbound {
    replica: Replica,
    inventory: Inventory,
    row_changes: u64,
}

impl Store for Northbound {
    fn empty(layout: Arc<Layout>) -> Self {
        let (replica, inventory) = (Replica::new(layout), Inventory::default());
        Self { replica, inventory, row_changes: 0 }
    }

    /// The first dump: nobody needs to know which routers and units these rows touch, because
    /// everything is decided when all rows are read.
    fn extend(&mut self, part: Updates) -> Result<(), Inconsistent> {
        let rows = self.replica.extend(part)?;
        self.row_changes += rows.len() as u64;
        self.inventory.begin(&self.replica, &rows);
        Ok(())
    }
}

impl Northbound {
    /// Applies an incremental update.
    ///
    /// # Errors
    /// The update does not fit the replica, which must then be read again.
    pub fn apply(&mut self, updates: Updates) -> Result<Touched, Inconsistent> {
        let changes = self.replica.apply(updates)?;
        Ok(self.index(&changes))
    }

    /// Replaces everything by a first dump. Only real differences count as touched.
    pub fn adopt(&mut self, fresh: Self) -> Touched {
        let changes = self.replica.adopt(fresh.replica);
        self.index(&changes)
    }

    fn index(&mut self, changes: &[RowChange]) -> Touched {
        self.row_changes += changes.len() as u64;
        self.inventory.apply(&self.replica, changes)
    }

    /// The replica.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Row changes applied so far.
    #[must_use]
    pub fn row_changes(&self) -> u64 {
        self.row_changes
    }

    /// The routers that a reference in a declaration names.
    pub fn routers(&self, reference: &RouterRef) -> impl Iterator<Item = Uuid> {
        let (by_name, by_uuid) = match reference {
            RouterRef::Name(name) => {
                (self.inventory.indexes.routers.named(&self.replica, name), None)
            }
            RouterRef::Uuid(uuid) => {
                let there = self.replica.row(LOGICAL_ROUTER, *uuid).is_some();
                (Vec::new(), there.then_some(*uuid))
            }
            RouterRef::Tool(_) => (Vec::new(), None),
        };
        by_name.into_iter().chain(by_uuid)
    }

    /// A router's facts.
    #[must_use]
    pub fn facts(&self, router: Uuid) -> Option<RouterFacts> {
        let rows = self.inventory.rows(&self.replica);
        RouterFacts::read(router, rows, &self.inventory.indexes.switches)
    }

    /// A router's name; none if the router does not exist.
    #[must_use]
    pub fn router_name(&self, router: Uuid) -> Option<&str> {
        let row = self.replica.row(LOGICAL_ROUTER, router)?;
        Some(row.get(logical_router::NAME).string())
    }

    /// The rows that refer to a row.
    pub fn parents_of(&self, child: Uuid) -> impl Iterator<Item = Uuid> {
        self.inventory.rows(&self.replica).parents.all(child)
    }

    /// The NAT rows whose `exempted_ext_ips` is this Address_Set.
    pub fn exempting(&self, set: Uuid) -> impl Iterator<Item = Uuid> {
        self.inventory.indexes.nat.exempting(set)
    }

    /// The rows of `DHCP_Options` that serve a subnet of a router's inward port, in order.
    #[must_use]
    pub fn dhcp_options(&self, port: &str, subnet: Ipv4Net, own: Ipv4Addr) -> Vec<DhcpOptions> {
        let Some(port) = self.port_named(port) else { return Vec::new() };
        let (rows, indexes) = (self.inventory.rows(&self.replica), &self.inventory.indexes);
        indexes.dhcp.serving(port, subnet, own, rows, &indexes.switches)
    }

    /// The row of a router port that sends router advertisements.
    #[must_use]
    pub fn advertiser(&self, port: &str) -> Option<Uuid> {
        let port = self.port_named(port)?;
        let configs = self.replica.row(ROUTER_PORT, port)?.get(router_port::IPV6_RA_CONFIGS);
        configs.get(ADDRESS_MODE).filter(|mode| !mode.is_empty()).map(|_| port)
    }

    /// The references to load balancers, and their virtual addresses.
    pub(super) fn balancer_index(&self) -> &BalancerIndex {
        &self.inventory.indexes.balancers
    }

    /// The references to rows of `DNS`.
    pub(super) fn dns_index(&self) -> &DnsIndex {
        &self.inventory.indexes.dns
    }

    /// The routers with the port of this name.
    pub fn routers_with(&self, port: &str) -> impl Iterator<Item = Uuid> {
        let rows = self.inventory.rows(&self.replica);
        self.inventory.indexes.routers.with_port(rows, port)
    }

    /// The names of the router ports of others on a switch, and on those that are joined to it.
    pub fn router_ports_on(&self, switch: Uuid) -> impl Iterator<Item = &str> {
        let rows = self.inventory.rows(&self.replica);
        self.inventory.indexes.switches.router_ports(rows, switch)
    }

    /// Whether a switch of a router port leads out of OVN, or to another availability zone.
    #[must_use]
    pub fn leads_outside(&self, router_port: &str) -> bool {
        let (switches, replica) = (&self.inventory.indexes.switches, &self.replica);
        let reach = self.switches_of(router_port);
        switches.leads(replica, &reach, Outlet::Physical)
            || switches.leads(replica, &reach, Outlet::Zone)
    }

    /// The switches with a router port, and those that are joined to them.
    #[must_use]
    pub fn switches_of(&self, router_port: &str) -> BTreeSet<Uuid> {
        let rows = self.inventory.rows(&self.replica);
        self.inventory.indexes.switches.reach(rows, router_port)
    }

    /// The router port of this name.
    #[must_use]
    pub fn port_named(&self, name: &str) -> Option<Uuid> {
        self.inventory.indexes.routers.port(&self.replica, name)
    }

    /// `NB_Global.nb_cfg`.
    #[must_use]
    pub fn nb_cfg(&self) -> Option<i64> {
        self.global(nb_global::NB_CFG)
    }

    /// `NB_Global.sb_cfg`.
    #[must_use]
    pub fn sb_cfg(&self) -> Option<i64> {
        self.global(nb_global::SB_CFG)
    }

    fn global(&self, column: crate::ovsdb::ColumnId) -> Option<i64> {
        self.replica.rows(NB_GLOBAL).next().and_then(|(_, row)| row.get(column).integer())
    }

    /// The rows of ours that serve a unit.
    pub fn rows_of(&self, unit: UnitId) -> impl Iterator<Item = (TableId, Uuid, &Row)> {
        let rows = self.inventory.indexes.units.rows_of(unit);
        rows.filter_map(|(table, uuid)| self.replica.row(table, uuid).map(|row| (table, uuid, row)))
    }

    /// Whether a row of ours serves a unit.
    #[must_use]
    pub fn has_rows(&self, unit: UnitId) -> bool {
        self.rows_of(unit).next().is_some()
    }

    /// All units with at least one row.
    pub fn units(&self) -> impl Iterator<Item = UnitId> {
        self.inventory.indexes.units.all()
    }

    /// The IPv4 Address_Set of a network: its registration.
    #[must_use]
    pub fn registration_row(&self, network: Id) -> Option<Uuid> {
        self.inventory.indexes.units.registration(network)
    }

    /// A network's Address_Set of one family.
    #[must_use]
    pub fn address_set(&self, network: Id, family: Family) -> Option<(Uuid, &Row)> {
        let name = address_set_name(network, family);
        let rows = self.inventory.indexes.units.rows_of(UnitId::Network(network));
        let sets = rows.filter(|(table, _)| *table == ADDRESS_SET);
        sets.filter_map(|(table, uuid)| Some((uuid, self.replica.row(table, uuid)?)))
            .find(|(_, row)| row.get(address_set::NAME).is_string(&name))
    }

    /// The `external_ids` of a network's registration, if it has one.
    #[must_use]
    pub fn registration(&self, network: Id) -> Option<ValueRef<'_>> {
        let row = self.replica.row(ADDRESS_SET, self.registration_row(network)?)?;
        Some(row.get(address_set::EXTERNAL_IDS))
    }

    /// The Address_Set with the counters of hosts, and its `external_ids`.
    #[must_use]
    pub fn counters_row(&self) -> Option<(Uuid, ValueRef<'_>)> {
        let uuid = self.inventory.indexes.counters.row?;
        let row = self.replica.row(ADDRESS_SET, uuid)?;
        Some((uuid, row.get(address_set::EXTERNAL_IDS)))
    }

    /// The counters of hosts.
    #[must_use]
    pub fn counters(&self) -> HostCounters {
        self.counters_row().map(|(_, tags)| counters(tags)).unwrap_or_default()
    }

    /// The store's counter as the last change by this host has set it.
    #[must_use]
    pub fn stored_mark(&self, host: &str) -> Option<u64> {
        self.counters_row()?.1.get(&stored_mark(host))?.parse().ok()
    }

    /// The highest version of a registration, if it is newer than ours.
    #[must_use]
    pub fn newer(&self) -> Option<u32> {
        self.inventory.indexes.versions.newer()
    }

    /// The registrations of older versions: the row, and the record of its network, as written and
    /// parsed.
    pub fn older(&self) -> impl Iterator<Item = (Uuid, &str, NetworkRecord)> {
        self.inventory.indexes.versions.older().filter_map(|set| {
            let tags = self.replica.row(ADDRESS_SET, set)?.get(address_set::EXTERNAL_IDS);
            Some((set, tags.get(NETWORK_KEY)?, network_record(tags)?))
        })
    }

    /// The record of a network itself.
    #[must_use]
    pub fn network_record(&self, network: Id) -> Option<NetworkRecord> {
        network_record(self.registration(network)?)
    }

    /// The record of the routes that a network's guests get.
    #[must_use]
    pub fn guest_record(&self, network: Id) -> Option<GuestRecord> {
        guest_record(self.registration(network)?)
    }

    /// The record of a half.
    #[must_use]
    pub fn half_record(&self, network: Id, name: &str) -> Option<HalfRecord> {
        half_record(self.registration(network)?, name)
    }

    /// Ports of others with the name of one of a peering's ports. We do not read the ports of VMs,
    /// so they are not among these.
    #[must_use]
    pub fn name_collisions(&self, peering: Id) -> Vec<NameCollision> {
        let named = |(table, uuid)| {
            let (kind, column) = match table {
                ROUTER_PORT => ("Logical_Router_Port", router_port::NAME),
                _ => ("Logical_Switch_Port", switch_port::NAME),
            };
            let name = self.replica.row(table, uuid)?.get(column).string();
            let text = format!("{kind} {name} ({uuid})");
            Some(NameCollision { text, of_switch_port: table == ROUTER_PORT })
        };
        self.inventory.indexes.names.collisions(peering).filter_map(named).collect()
    }
}
