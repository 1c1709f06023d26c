//! The routes that a packet may take on a router, as ovn-northd orders them: the longest prefix
//! first; of equal ones a connected network, then a route by destination, then one by source.

use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::peering_of_link_port;
use crate::northbound::tables::{STATIC_ROUTE, logical_router, static_route};
use crate::ovsdb::Row;

use super::packet::{Packet, is_within};
use super::router::Router;
use super::truth::Truth;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The prefix that it matches.
    pub prefix: IpNet,
    /// Whether that is a prefix of sources.
    pub by_source: bool,
    /// The row; none of a connected network.
    pub row: Option<Uuid>,
    /// The route table, empty for the main one.
    pub table: String,
    /// Where it leads.
    pub to: RouteTo,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTo {
    /// It discards what it matches.
    Discard,
    /// Out of a port, to the next hop or to the destination itself.
    Port {
        /// The port's name.
        port: String,
        /// The next hop.
        next_hop: Option<IpAddr>,
    },
}

/// The classes of routes with one prefix length, the last one first.
const BY_SOURCE: u8 = 0;
const STATIC: u8 = 1;
const CONNECTED: u8 = 2;

struct Candidate {
    class: u8,
    matches: Truth,
    route: Route,
}

/// The next hop of a static route that discards its packets (ovn-nb(5)).
const DISCARD: &str = "discard";

/// The routes that a packet may take which looks up this table: several if OVN balances over them,
/// or if it is not known which of them matches. `None` stands for no route at all.
pub(super) fn routes(router: &Router<'_>, table: &str, packet: &Packet) -> Vec<Option<Route>> {
    let mut found = connected(router, packet);
    found.extend(static_routes(router, table, packet));
    found.sort_by_key(|it| std::cmp::Reverse((it.route.prefix.prefix_len(), it.class)));
    let mut possible = Vec::new();
    for alike in found
        .chunk_by(|one, other| (one.route.prefix, one.class) == (other.route.prefix, other.class))
    {
        possible.extend(alike.iter().map(|it| Some(it.route.clone())));
        if alike.iter().any(|it| it.matches == Truth::Yes) {
            return possible;
        }
    }
    possible.push(None);
    possible
}

fn connected(router: &Router<'_>, packet: &Packet) -> Vec<Candidate> {
    // A port of ours has only host addresses, which are the router's own.
    let ports = router.ports().filter(|port| peering_of_link_port(port.name).is_none());
    let nets = ports.flat_map(|port| port.networks().map(move |net| (net.trunc(), port)));
    nets.filter_map(|(prefix, port)| {
        let matches = is_within(&packet.destination, &prefix);
        (matches != Truth::No).then(|| Candidate {
            class: CONNECTED,
            // Nobody has said what ovn-northd makes of a port that is disabled.
            matches: if port.is_enabled() { matches } else { Truth::Maybe },
            route: Route {
                prefix,
                by_source: false,
                row: None,
                table: String::new(),
                to: RouteTo::Port { port: port.name.to_owned(), next_hop: None },
            },
        })
    })
    .collect()
}

fn static_routes(router: &Router<'_>, table: &str, packet: &Packet) -> Vec<Candidate> {
    let rows = router.refers_to(logical_router::STATIC_ROUTES);
    rows.filter_map(|uuid| {
        let row = router.northbound.replica().row(STATIC_ROUTE, uuid)?;
        static_route((uuid, row), router, table, packet)
    })
    .collect()
}

fn static_route(
    (uuid, row): (Uuid, &Row),
    router: &Router<'_>,
    table: &str,
    packet: &Packet,
) -> Option<Candidate> {
    let written = row.get(static_route::IP_PREFIX).string();
    let prefix = match written.parse::<IpNet>() {
        Ok(net) => net.trunc(),
        Err(_) => IpNet::from(written.parse::<IpAddr>().ok()?),
    };
    // Of thousands of routes on a hub, few concern the packet: nothing else is read of the others.
    let [by_destination, of_source] =
        [&packet.destination, &packet.source].map(|address| is_within(address, &prefix));
    if by_destination == Truth::No && of_source == Truth::No {
        return None;
    }
    let by_source = row.get(static_route::POLICY).is_string("src-ip");
    let mut matches = if by_source { of_source } else { by_destination };
    if matches == Truth::No || row.get(static_route::ROUTE_TABLE).string() != table {
        return None;
    }
    let next_hop = row.get(static_route::NEXTHOP).string();
    let to = if next_hop == DISCARD {
        RouteTo::Discard
    } else {
        let next_hop: IpAddr = next_hop
            .parse::<IpNet>()
            .map(|net| net.addr())
            .ok()
            .or_else(|| next_hop.parse().ok())?;
        let output = row.get(static_route::OUTPUT_PORT).string();
        // ovn-northd leaves out a route whose next hop it finds behind no port.
        let port =
            if output.is_empty() { router.port_towards(next_hop)? } else { router.port(output)? };
        RouteTo::Port { port: port.name.to_owned(), next_hop: Some(next_hop) }
    };
    if !row.get(static_route::BFD).is_empty() {
        // Its session may be down.
        matches = Truth::Maybe;
    }
    let class = if by_source { BY_SOURCE } else { STATIC };
    let route = Route { prefix, by_source, row: Some(uuid), table: table.to_owned(), to };
    Some(Candidate { class, matches, route })
}
