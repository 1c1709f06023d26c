//! What stands of a link, as rows of ours say: the only place that reads these for the rules.
//!
//! A row is its own record. It is written in the same transaction as the record of its half, each
//! instance reads it, and it outlives every daemon; so nothing of it is recorded a second time.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::ovsdb::{Row, TableId};

use super::owner::{End, Id, UnitId, link_port_name};
use super::router::GATEWAY_MTU;
use super::rows::unit_of;
use super::sources::Sources;
use super::state::Northbound;
use super::tables::{
    LOGICAL_ROUTER, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, logical_router, router_policy,
    router_port, static_route,
};

/// What stands of one end of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFacts {
    /// The addresses of its port.
    pub addresses: Vec<IpAddr>,
    /// Whether its port checks the size of packets.
    pub checks_size: bool,
}

impl Northbound {
    /// What a peering's port on the router of one end says.
    #[must_use]
    pub fn link_facts(&self, peering: Id, end: End) -> LinkFacts {
        let name = link_port_name(peering, end);
        let port = self.port_named(&name);
        let Some(port) = port.and_then(|port| self.replica().row(ROUTER_PORT, port)) else {
            return LinkFacts::default();
        };
        let networks = port.get(router_port::NETWORKS).strings();
        let networks = networks.filter_map(|text| text.parse::<IpNet>().ok());
        LinkFacts {
            addresses: networks.map(|net| net.addr()).collect(),
            checks_size: port.get(router_port::OPTIONS).get(GATEWAY_MTU).is_some(),
        }
    }

    /// The prefixes that a peering's routes on this router lead to.
    #[must_use]
    pub fn link_routes(&self, peering: Id, router: Uuid) -> BTreeSet<IpNet> {
        let rows = self.link_rows_on(STATIC_ROUTE, peering, router);
        rows.filter_map(|row| row.get(static_route::IP_PREFIX).string().parse().ok()).collect()
    }

    /// The prefixes whose packets a peering's policies on this router let in by its port alone: all
    /// that the router takes of the other side, also where its owner makes the routes.
    #[must_use]
    pub fn link_sources(&self, peering: Id, router: Uuid) -> BTreeSet<IpNet> {
        let rows = self.link_rows_on(ROUTER_POLICY, peering, router);
        let sources =
            rows.filter_map(|row| row.get(router_policy::MATCH).string().parse::<Sources>().ok());
        sources.flat_map(|sources| sources.prefixes().to_vec()).collect()
    }

    /// The peerings that have a port on this router.
    pub fn peerings_on(&self, router: Uuid) -> impl Iterator<Item = Id> {
        let router = self.replica().row(LOGICAL_ROUTER, router).into_iter();
        let ports = router.flat_map(|row| row.get(logical_router::PORTS).uuids());
        let rows = ports.filter_map(|port| self.replica().row(ROUTER_PORT, port));
        rows.filter_map(|row| match unit_of(ROUTER_PORT, row)? {
            UnitId::Peering(id) => Some(id),
            UnitId::Network(_) => None,
        })
    }

    /// The rows of a peering in one table that are on this router.
    fn link_rows_on(
        &self,
        table: TableId,
        peering: Id,
        router: Uuid,
    ) -> impl Iterator<Item = &Row> {
        let rows = self.rows_of(UnitId::Peering(peering)).filter(move |(of, ..)| *of == table);
        let here = move |uuid: Uuid| self.parents_of(uuid).any(|of| of == router);
        rows.filter(move |(_, uuid, _)| here(*uuid)).map(|(.., row)| row)
    }
}
