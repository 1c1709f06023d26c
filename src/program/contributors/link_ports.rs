//! The two router ports of a link, which are each other's `peer`, or are on one switch.

use ipnet::IpNet;

use crate::northbound::owner::{link_port_mac, link_port_name};
use crate::northbound::router::GATEWAY_MTU;
use crate::northbound::tables::{ROUTER_PORT, router_port};
use crate::ovsdb::Datum;

use super::super::row::DesiredRow;
use super::contributor::{Unit, Wants};
use super::link_side::LinkSide;

/// Options of a port for a router with dynamic routing (`dynamic-routing`, OVN 25.03 and later;
/// older releases ignore them). OVN then advertises neither the peer's prefixes nor the link's
/// addresses, and learns no route there. Otherwise outside traffic could reach the peer, or the
/// peer's traffic could leave over another port.
const NO_DYNAMIC_ROUTING: [(&str, &str); 2] =
    [("dynamic-routing-no-learning", "true"), ("dynamic-routing-redistribute", "")];

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    for side in LinkSide::both(link) {
        wants.rows.push(port(&side, wants));
    }
}

fn port(side: &LinkSide<'_>, wants: &Wants) -> DesiredRow {
    // Host routes to the router's own addresses, so that no link subnet is needed, and traceroute
    // shows the gateways that guests know.
    let networks = side.local.addresses.iter().map(|address| IpNet::from(*address).to_string());
    let mtu = side.local.mtu.map(|mtu| (GATEWAY_MTU, mtu.to_string()));
    let options = NO_DYNAMIC_ROUTING.map(|(key, value)| (key, value.to_owned()));
    let port = side
        .row(ROUTER_PORT, wants)
        .labelled(side.link.key.to_string())
        .set(router_port::NAME, side.port.as_str())
        .set(router_port::MAC, link_port_mac(&side.port))
        .set(router_port::NETWORKS, Datum::strings(networks))
        .set(router_port::OPTIONS, Datum::map(options.into_iter().chain(mtu)));
    if side.link.has_switch {
        return port;
    }
    port.set(router_port::PEER, link_port_name(side.link.id, side.end.other()))
}
