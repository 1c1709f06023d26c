//! The facts about load balancers that the rules need: those on a network's router and switches,
//! and who has an address there already.
//!
//! A balancer is read into typed values. What another network's copy may say is made of these
//! alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::ovsdb::{Row, TableId, ValueRef};

use super::endpoint::Endpoint;
use super::index::balancer::references;
use super::router::RouterFacts;
use super::rows::unit_of;
use super::state::Northbound;
use super::tables::{
    BALANCER_GROUP, HEALTH_CHECK, LOAD_BALANCER, LOGICAL_ROUTER, LOGICAL_SWITCH, NAT, health_check,
    load_balancer, logical_router, nat,
};

/// The options of a health check that a copy has, too.
const CHECK_OPTIONS: [&str; 4] = ["interval", "timeout", "success_count", "failure_count"];
/// The fields by which packets may be distributed (ovn-nb(5)).
const SELECTION_FIELDS: [&str; 6] = ["eth_dst", "eth_src", "ip_dst", "ip_src", "tp_dst", "tp_src"];
/// The protocols of a balancer.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// A load balancer, as typed values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancer {
    /// Its name, which is not unique.
    pub name: Arc<str>,
    /// The row; none of a copy that is yet to be.
    pub row: Option<Uuid>,
    /// The protocol; none means TCP.
    pub protocol: Option<&'static str>,
    /// Its virtual addresses that can be read, in order.
    pub vips: Vec<Vip>,
    /// Those that cannot.
    pub unreadable: Vec<String>,
    /// The fields by which packets are distributed, in order.
    pub selection_fields: Vec<&'static str>,
    /// Whether it answers connections for which there is no backend; none if that is not said.
    pub reject: Option<bool>,
    /// For how many seconds a client keeps its backend, if that is said.
    pub affinity_timeout: Option<u32>,
}

/// A virtual address, and its backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// The address.
    pub at: Endpoint,
    /// The backends, as their owner orders them.
    pub backends: Vec<Backend>,
    /// Those that cannot be read.
    pub unreadable: Vec<String>,
    /// The options of its health check, if it has one.
    pub check: Option<BTreeMap<&'static str, u32>>,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its address.
    pub at: Endpoint,
    /// By what it is checked, if it can be: its entry of `ip_port_mappings`.
    pub checked: Option<(String, String)>,
}

/// The load balancers of a northbound.
#[derive(Clone, Copy, Debug)]
pub struct BalancerFacts<'a> {
    northbound: &'a Northbound,
}

impl<'a> BalancerFacts<'a> {
    /// Those of this one.
    #[must_use]
    pub fn of(northbound: &'a Northbound) -> Self {
        Self { northbound }
    }

    /// The switches on a router's inward ports, and those that are joined to them.
    #[must_use]
    pub fn inward_switches(self, router: &RouterFacts) -> BTreeSet<Uuid> {
        let ports: BTreeSet<&str> = router.inward.iter().map(|net| &*net.port).collect();
        ports.into_iter().flat_map(|port| self.northbound.switches_of(port)).collect()
    }

    /// The balancers of others on a router, on its inward switches, or in a group there, that are
    /// among the `wanted`; in order.
    #[must_use]
    pub fn with_names(
        self,
        router: &RouterFacts,
        wanted: impl Fn(&str, Uuid) -> bool,
    ) -> Vec<Balancer> {
        let mut rows = BTreeSet::new();
        let switches = self.inward_switches(router).into_iter();
        let switches = switches.map(|switch| (LOGICAL_SWITCH, switch));
        for (table, holder) in switches.chain([(LOGICAL_ROUTER, router.uuid)]) {
            self.referred(table, holder, &mut rows);
        }
        let named = rows.into_iter().filter_map(|uuid| {
            let row = self.northbound.replica().row(LOAD_BALANCER, uuid)?;
            let name = row.get(load_balancer::NAME).string();
            let is_meant = unit_of(LOAD_BALANCER, row).is_none() && wanted(name, uuid);
            is_meant.then(|| self.read_balancer(uuid, row))
        });
        let mut found: Vec<Balancer> = named.collect();
        found.sort_by(|a, b| (&a.name, a.protocol, a.row).cmp(&(&b.name, b.protocol, b.row)));
        found
    }

    /// The balancers on these switches with this virtual address, ours too; each with whether it is
    /// ours.
    #[must_use]
    pub fn on_switches(self, switches: &BTreeSet<Uuid>, address: IpAddr) -> Vec<(Balancer, bool)> {
        let mut rows = BTreeSet::new();
        for switch in switches {
            self.referred(LOGICAL_SWITCH, *switch, &mut rows);
        }
        let read = |uuid: Uuid| {
            let row = self.northbound.replica().row(LOAD_BALANCER, uuid)?;
            Some((self.read_balancer(uuid, row), unit_of(LOAD_BALANCER, row).is_some()))
        };
        let found = rows.into_iter().filter_map(read);
        found.filter(|(it, _)| it.vips.iter().any(|vip| vip.at.address == address)).collect()
    }

    /// The name of a balancer of others with this virtual address on a router or on one of these
    /// switches.
    #[must_use]
    pub fn with_address(
        self,
        address: IpAddr,
        router: Uuid,
        switches: &BTreeSet<Uuid>,
    ) -> Option<&'a str> {
        let mut rows = self.northbound.balancer_index().with_address(address);
        let found = rows.find(|row| self.is_held(*row, router, switches))?;
        Some(self.northbound.replica().row(LOAD_BALANCER, found)?.get(load_balancer::NAME).string())
    }

    /// Whether a router translates to or from this address.
    #[must_use]
    pub fn translates(self, router: Uuid, address: IpAddr) -> bool {
        let rows = self.northbound.replica().row(LOGICAL_ROUTER, router).into_iter();
        let rows = rows.flat_map(|row| row.get(logical_router::NAT).uuids());
        let mut rows = rows.filter_map(|uuid| self.northbound.replica().row(NAT, uuid));
        rows.any(|row| row.get(nat::EXTERNAL_IP).string().parse() == Ok(address))
    }

    /// The rows that refer to a balancer, each with its table.
    pub fn holders(self, balancer: Uuid) -> impl Iterator<Item = (TableId, Uuid)> + use<'a> {
        self.northbound.balancer_index().holders(balancer)
    }

    /// The balancers that a row refers to, directly or by groups.
    fn referred(self, table: TableId, row: Uuid, found: &mut BTreeSet<Uuid>) {
        let Some(cells) = self.northbound.replica().row(table, row) else { return };
        for (column, referred) in references(table) {
            for uuid in cells.get(*column).uuids() {
                if *referred == BALANCER_GROUP {
                    self.referred(BALANCER_GROUP, uuid, found);
                } else {
                    found.insert(uuid);
                }
            }
        }
    }

    fn is_held(self, row: Uuid, router: Uuid, switches: &BTreeSet<Uuid>) -> bool {
        self.northbound.balancer_index().holders(row).any(|(table, holder)| match table {
            LOGICAL_ROUTER => holder == router,
            LOGICAL_SWITCH => switches.contains(&holder),
            _ => self.is_held(holder, router, switches),
        })
    }

    fn read_balancer(self, uuid: Uuid, row: &Row) -> Balancer {
        let options = row.get(load_balancer::OPTIONS);
        let mut balancer = Balancer {
            name: row.get(load_balancer::NAME).string().into(),
            row: Some(uuid),
            protocol: known(&PROTOCOLS, row.get(load_balancer::PROTOCOL).string()),
            reject: options.get("reject").and_then(|text| text.parse().ok()),
            affinity_timeout: options.get("affinity_timeout").and_then(|it| it.parse().ok()),
            ..Balancer::default()
        };
        let fields = row.get(load_balancer::SELECTION_FIELDS).strings();
        balancer.selection_fields =
            fields.filter_map(|field| known(&SELECTION_FIELDS, field)).collect();
        balancer.selection_fields.sort_unstable();
        let mappings = mappings(row.get(load_balancer::IP_PORT_MAPPINGS));
        let checks = self.checks(row);
        for (vip, backends) in row.get(load_balancer::VIPS).entries() {
            match vip.parse::<Endpoint>() {
                Ok(at) => {
                    let check = checks.get(&at).cloned();
                    balancer.vips.push(read_vip(at, backends, check, &mappings));
                }
                Err(_) => balancer.unreadable.push(vip.to_owned()),
            }
        }
        balancer.vips.sort_by_key(|vip| vip.at);
        balancer
    }

    /// The options of the health checks of a balancer, by virtual address.
    fn checks(self, row: &Row) -> BTreeMap<Endpoint, BTreeMap<&'static str, u32>> {
        let rows = row.get(load_balancer::HEALTH_CHECK).uuids();
        let rows = rows.filter_map(|uuid| self.northbound.replica().row(HEALTH_CHECK, uuid));
        rows.filter_map(|row| {
            let at = row.get(health_check::VIP).string().parse().ok()?;
            let options = row.get(health_check::OPTIONS);
            let number = |key: &str| options.get(key)?.parse::<u32>().ok();
            Some((at, CHECK_OPTIONS.iter().filter_map(|key| Some((*key, number(key)?))).collect()))
        })
        .collect()
    }
}

fn known(words: &[&'static str], text: &str) -> Option<&'static str> {
    words.iter().find(|word| **word == text).copied()
}

fn read_vip(
    at: Endpoint,
    backends: &str,
    check: Option<BTreeMap<&'static str, u32>>,
    mappings: &BTreeMap<IpAddr, (String, String)>,
) -> Vip {
    let mut vip = Vip { at, backends: Vec::new(), unreadable: Vec::new(), check };
    for text in backends.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse::<Endpoint>() {
            Ok(at) => {
                let checked = vip.check.as_ref().and_then(|_| mappings.get(&at.address).cloned());
                vip.backends.push(Backend { at, checked });
            }
            Err(_) => vip.unreadable.push(text.to_owned()),
        }
    }
    vip
}

/// The entries of `ip_port_mappings` that can be read: a backend's address to the name of its port
/// and the source of the checks. ovn-northd parts the two at the first colon, and writes the source
/// into a match: so it is an address here, and the name has no colon.
fn mappings(cell: ValueRef<'_>) -> BTreeMap<IpAddr, (String, String)> {
    let entry = |(backend, text): (&str, &str)| {
        let address = backend.parse::<Endpoint>().ok().filter(|it| it.port.is_none())?.address;
        let (port, source) = text.split_once(':')?;
        source.parse::<Endpoint>().ok().filter(|source| source.port.is_none())?;
        (!port.is_empty()).then(|| (address, (backend.to_owned(), text.to_owned())))
    };
    cell.entries().filter_map(entry).collect()
}
