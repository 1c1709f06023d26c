//! A router of the northbound as a packet finds it: its ports, its addresses, its sets.

use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::{End, Id, SET_PREFIX, peering_of_link_port};
use crate::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, ROUTER_PORT, address_set, logical_router, router_port,
};
use crate::northbound::{Northbound, UnitId};
use crate::ovsdb::{ColumnId, Row};

use super::matching::Set;

/// A router.
#[derive(Clone, Copy, Debug)]
pub(super) struct Router<'a> {
    pub(super) northbound: &'a Northbound,
    pub(super) uuid: Uuid,
    row: &'a Row,
}

/// A port of a router.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port<'a> {
    pub(super) name: &'a str,
    row: &'a Row,
}

impl<'a> Router<'a> {
    pub(super) fn find(northbound: &'a Northbound, uuid: Uuid) -> Option<Self> {
        let row = northbound.replica().row(LOGICAL_ROUTER, uuid)?;
        Some(Self { northbound, uuid, row })
    }

    pub(super) fn refers_to(&self, column: ColumnId) -> impl Iterator<Item = Uuid> + use<'a> {
        self.row.get(column).uuids()
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.row.get(logical_router::ENABLED).boolean() != Some(false)
    }

    /// Whether it is bound to one chassis.
    pub(super) fn is_gateway(&self) -> bool {
        self.row.get(logical_router::OPTIONS).get("chassis").is_some()
    }

    /// Whether it learns routes that only the southbound has (OVN 25.03 and later).
    pub(super) fn learns(&self) -> bool {
        let options = self.row.get(logical_router::OPTIONS);
        options.get("dynamic-routing").is_some_and(|text| text == "true")
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = Port<'a>> + use<'a> {
        let replica = self.northbound.replica();
        self.refers_to(logical_router::PORTS).filter_map(|uuid| {
            let row = replica.row(ROUTER_PORT, uuid)?;
            Some(Port { name: row.get(router_port::NAME).string(), row })
        })
    }

    pub(super) fn port(&self, name: &str) -> Option<Port<'a>> {
        let uuid = self.northbound.port_named(name)?;
        let here = self.northbound.parents_of(uuid).any(|router| router == self.uuid);
        let row = self.northbound.replica().row(ROUTER_PORT, uuid).filter(|_| here)?;
        Some(Port { name: row.get(router_port::NAME).string(), row })
    }

    /// The port in whose networks an address is.
    pub(super) fn port_towards(&self, address: IpAddr) -> Option<Port<'a>> {
        self.ports().find(|port| port.networks().any(|net| net.contains(&address)))
    }

    /// Whether an address is its own.
    pub(super) fn owns(&self, net: &IpNet) -> bool {
        let is_it = |port: Port<'a>| port.networks().any(|own| IpNet::from(own.addr()) == *net);
        self.ports().any(is_it)
    }
}

impl<'a> Port<'a> {
    /// Its addresses, with their prefix lengths.
    pub(super) fn networks(&self) -> impl Iterator<Item = IpNet> + use<'a> {
        self.row.get(router_port::NETWORKS).strings().filter_map(|text| text.parse().ok())
    }

    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.networks().any(|net| net.addr() == address)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.row.get(router_port::ENABLED).boolean() != Some(false)
    }

    pub(super) fn has_gateway(&self) -> bool {
        !self.row.get(router_port::GATEWAY_CHASSIS).is_empty()
            || !self.row.get(router_port::HA_CHASSIS_GROUP).is_empty()
    }

    pub(super) fn peer(&self) -> &'a str {
        self.row.get(router_port::PEER).string()
    }

    pub(super) fn mac(&self) -> &'a str {
        self.row.get(router_port::MAC).string()
    }

    /// The route table that it looks up.
    pub(super) fn table(&self) -> &'a str {
        self.row.get(router_port::OPTIONS).get("route_table").unwrap_or_default()
    }
}

/// The peering and the end of a port with a name of ours.
pub(super) fn link_of(port: &str) -> Option<(Id, End)> {
    let end = if port.ends_with('a') { End::A } else { End::B };
    peering_of_link_port(port).map(|id| (id, end))
}

/// The Address_Set with this name. We read only our own.
pub(super) fn find_set(northbound: &Northbound, name: &str) -> Set {
    let Some(digits) = name.strip_prefix(SET_PREFIX).and_then(|rest| rest.split('_').next()) else {
        return Set::Unread;
    };
    let Some(id) = Id::parse(digits) else { return Set::Unread };
    let units = [UnitId::Network(id), UnitId::Peering(id)];
    let mut rows = units.into_iter().flat_map(|unit| northbound.rows_of(unit));
    let found = rows.find(|(table, _, row)| {
        *table == ADDRESS_SET && row.get(address_set::NAME).is_string(name)
    });
    match found {
        Some((_, _, row)) => Set::Addresses(nets(row)),
        None => Set::Missing,
    }
}

/// The addresses of a row of `Address_Set`.
pub(super) fn nets(row: &Row) -> Vec<IpNet> {
    let texts = row.get(address_set::ADDRESSES).strings();
    let net = |text: &str| {
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    texts.filter_map(net).collect()
}
