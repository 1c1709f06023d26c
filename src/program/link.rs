//! A link's rows: two ports that name each other, a route per prefix, and the policies that make
//! the peering non-transitive and its sources believable. Where one of the routers is a gateway
//! router the ports meet on a switch of ours instead, with the same addresses and routes.

use std::sync::Arc;

use ipnet::IpNet;

use crate::northbound::owner::{link_port_mac, link_port_name, transit_name, transit_port_name};
use crate::northbound::router::GATEWAY_MTU;
use crate::northbound::tables::{
    LOGICAL_SWITCH, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT, logical_switch,
    router_policy, router_port, static_route, switch_port,
};
use crate::northbound::{End, Family, Sources, UnitId, priority};
use crate::ovsdb::{Datum, TableId};
use crate::peering::{Link, LinkEnd};

use super::matches::{Addresses, any, between, inport};
use super::row::{DesiredRow, Parent, RouterRow};

/// What a port says where its router speaks with others by a routing protocol (`dynamic-routing`, OVN 25.03 and later; older
/// releases ignore it). Neither the peer's prefixes nor the link's addresses are advertised, and no route is learned there:
/// else outside traffic would reach the peer, or the peer's traffic leave elsewhere.
const NO_DYNAMIC_ROUTING: [(&str, &str); 2] =
    [("dynamic-routing-no-learning", "true"), ("dynamic-routing-redistribute", "")];

/// The rows of a link, on both routers and between them.
#[must_use]
pub fn link_rows(link: &Link) -> Vec<DesiredRow> {
    let unit: Arc<str> = UnitId::Peering(link.id).tag().into();
    let mut rows = if link.transit { transit(link, &unit) } else { Vec::new() };
    for end in End::BOTH {
        let (local, remote) = (link.end(end), link.end(end.other()));
        let port_name = link_port_name(link.id, end);
        let side = Side { link, unit: &unit, end, port_name, local, remote };
        rows.push(side.port());
        side.routes(&mut rows);
        rows.push(side.allow());
        rows.extend(side.pass());
        rows.extend(side.drops());
    }
    rows
}

/// The switch between two routers that cannot be linked directly; before its ports.
fn transit(link: &Link, unit: &Arc<str>) -> Vec<DesiredRow> {
    let row = |table, parent| DesiredRow::new(table, parent, Arc::clone(unit));
    let switch = row(LOGICAL_SWITCH, None)
        .labelled(link.key.to_string())
        .set(logical_switch::NAME, transit_name(link.id));
    let port = |end| {
        row(SWITCH_PORT, Some(Parent::Transit(None)))
            .set(switch_port::NAME, transit_port_name(link.id, end))
            .set(switch_port::TYPE, "router")
            .set(switch_port::ADDRESSES, Datum::strings(["router"]))
            .set(switch_port::OPTIONS, Datum::map([("router-port", link_port_name(link.id, end))]))
    };
    [switch].into_iter().chain(End::BOTH.map(port)).collect()
}

/// A link seen from one of its routers.
struct Side<'a> {
    link: &'a Link,
    /// The tag of its unit.
    unit: &'a Arc<str>,
    end: End,
    port_name: String,
    local: &'a LinkEnd,
    remote: &'a LinkEnd,
}

impl Side<'_> {
    fn row(&self, table: TableId) -> DesiredRow {
        let router = RouterRow { uuid: self.local.router, name: self.local.router_name.clone() };
        DesiredRow::new(table, Some(Parent::Router(router)), Arc::clone(self.unit))
    }

    fn port(&self) -> DesiredRow {
        // Host routes to the router's own addresses: no link subnet is needed, and traceroute
        // shows the gateways that guests know.
        let networks = self.local.addresses.iter().map(|address| IpNet::from(*address).to_string());
        let mtu = self.local.mtu.map(|mtu| (GATEWAY_MTU, mtu.to_string()));
        let options = NO_DYNAMIC_ROUTING.map(|(key, value)| (key, value.to_owned()));
        let port = self
            .row(ROUTER_PORT)
            .labelled(self.link.key.to_string())
            .set(router_port::NAME, self.port_name.as_str())
            .set(router_port::MAC, link_port_mac(&self.port_name))
            .set(router_port::NETWORKS, Datum::strings(networks))
            .set(router_port::OPTIONS, Datum::map(options.into_iter().chain(mtu)));
        if self.link.transit {
            return port;
        }
        port.set(router_port::PEER, link_port_name(self.link.id, self.end.other()))
    }

    fn routes(&self, rows: &mut Vec<DesiredRow>) {
        let routes = self.local.routes_to(self.remote);
        rows.extend(routes.filter_map(|(table, prefix)| self.route(table, &prefix)));
    }

    fn route(&self, table: &str, prefix: &IpNet) -> Option<DesiredRow> {
        let nexthop = self.remote.address(Family::of(prefix))?;
        let row = self
            .row(STATIC_ROUTE)
            .set(static_route::IP_PREFIX, prefix.to_string())
            .set(static_route::NEXTHOP, nexthop.to_string())
            // Without it OVN finds no way to a next hop outside connected networks.
            .set(static_route::OUTPUT_PORT, self.port_name.as_str());
        Some(if table.is_empty() { row } else { row.set(static_route::ROUTE_TABLE, table) })
    }

    fn allow(&self) -> DesiredRow {
        self.policy(priority::ALLOW, self.exchanged(&[self.port_name.as_str()]), "allow")
    }

    /// What the two say to each other over links of other tools: where these have routes of their own, OVN
    /// shares the traffic out, and what comes over their ports is no forgery. No more than that is let pass.
    fn pass(&self) -> Option<DesiredRow> {
        let ports: Vec<&str> = self.local.beside.iter().map(AsRef::as_ref).collect();
        let beside = (!ports.is_empty()).then_some(ports)?;
        Some(self.policy(priority::PASS, self.exchanged(&beside), "allow"))
    }

    /// What the two networks say to each other, as it comes in at ports of the router.
    fn exchanged(&self, ports: &[&str]) -> String {
        let way = |family, from, to| {
            between(family, &Addresses::from(from, family), &Addresses::of(to, family))
        };
        // The way back is for the router's own replies: they leave as if they had come in where the request did.
        let both_ways =
            |family| [way(family, self.remote, self.local), way(family, self.local, self.remote)];
        let allowed: Vec<String> = self.families().flat_map(both_ways).collect();
        [&inport(ports.iter().copied()), " && (", &any(&allowed), ")"].concat()
    }

    /// What else comes over the link, and what of the other side's comes from elsewhere.
    fn drops(&self) -> [DesiredRow; 2] {
        let spoofed = Sources::of(&self.remote.prefixes);
        [
            self.policy(priority::DROP, inport([self.port_name.as_str()]), "drop"),
            self.policy(priority::SPOOF, spoofed.to_string(), "drop"),
        ]
    }

    fn families(&self) -> impl Iterator<Item = Family> {
        Family::BOTH.into_iter().filter(|family| self.local.address(*family).is_some())
    }

    fn policy(&self, priority: i64, text: String, action: &str) -> DesiredRow {
        self.row(ROUTER_POLICY)
            .set(router_policy::PRIORITY, priority)
            .set(router_policy::MATCH, text)
            .set(router_policy::ACTION, action)
    }
}
