//! The facts about an existing link, from rows of ours: the only code that reads these for the
//! rules.
//!
//! The rows record themselves. They are written in the same transaction as the record of the half,
//! every instance reads them, and they outlive every daemon. So no second record is needed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::ovsdb::{Row, TableId};

use super::owner::{End, Id, PARTNER_KEY, UnitId, link_port_name};
use super::priority;
use super::router::GATEWAY_MTU;
use super::rows::unit_of;
use super::sources::Sources;
use super::state::Northbound;
use super::tables::{
    LOGICAL_ROUTER, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, logical_router, router_policy,
    router_port, static_route,
};

/// The facts about one end of an existing link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFacts {
    /// The addresses of its port.
    pub addresses: Vec<IpAddr>,
    /// Whether its port checks the size of packets.
    pub checks_size: bool,
}

impl Northbound {
    /// The facts about a peering's port on the router of one end.
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

    /// The prefixes of a peering's routes on this router. A default route leads to a gateway, and is
    /// no prefix of anybody.
    #[must_use]
    pub fn link_routes(&self, peering: Id, router: Uuid) -> BTreeSet<IpNet> {
        let rows = self.link_rows_on(STATIC_ROUTE, peering, router);
        let prefixes =
            rows.filter_map(|row| row.get(static_route::IP_PREFIX).string().parse().ok());
        prefixes.filter(|prefix: &IpNet| prefix.prefix_len() != 0).collect()
    }

    /// Whether this router uses the gateway of the peering's other side.
    #[must_use]
    pub fn link_uses_gateway(&self, peering: Id, router: Uuid) -> bool {
        let mut rows = self.link_rows_on(ROUTER_POLICY, peering, router);
        rows.any(|row| {
            let priority = row.get(router_policy::PRIORITY).integer();
            [Some(priority::GATEWAY_LISTED), Some(priority::GATEWAY_IN)].contains(&priority)
        })
    }

    /// The prefixes that a peering's policies on this router accept as sources only at its link
    /// port. These are all prefixes that the router imports from the other side, even if its owner
    /// makes the routes.
    #[must_use]
    pub fn link_sources(&self, peering: Id, router: Uuid) -> BTreeSet<IpNet> {
        let rows = self.link_rows_on(ROUTER_POLICY, peering, router);
        let sources =
            rows.filter_map(|row| row.get(router_policy::MATCH).string().parse::<Sources>().ok());
        sources.flat_map(|sources| sources.prefixes().to_vec()).collect()
    }

    /// The peerings with which a peering has chains through appliances, by its rows.
    pub fn chained_with(&self, peering: Id) -> impl Iterator<Item = Id> {
        let rows = self.rows_of(UnitId::Peering(peering));
        let policies = rows.filter(|(table, ..)| *table == ROUTER_POLICY);
        policies.filter_map(|(.., row)| {
            Id::parse(row.get(router_policy::EXTERNAL_IDS).get(PARTNER_KEY)?)
        })
    }

    /// The peerings with a port on this router.
    pub fn peerings_on(&self, router: Uuid) -> impl Iterator<Item = Id> {
        let router = self.replica().row(LOGICAL_ROUTER, router).into_iter();
        let ports = router.flat_map(|row| row.get(logical_router::PORTS).uuids());
        let rows = ports.filter_map(|port| self.replica().row(ROUTER_PORT, port));
        rows.filter_map(|row| match unit_of(ROUTER_PORT, row)? {
            UnitId::Peering(id) => Some(id),
            UnitId::Network(_) => None,
        })
    }

    /// The rows of a peering in one table on this router.
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
