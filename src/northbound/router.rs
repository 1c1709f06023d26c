//! The facts about one router that the peering rules need: kind, subnets, and the routes and
//! policies of others.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use sorted_vec::SortedSet;
use uuid::Uuid;

use crate::ovsdb::{Replica, Row};

use super::foreign_link::{Exits, ForeignLink, has_gateway};
use super::index::change::Rows;
use super::index::outlets::Outlet;
use super::index::router::OwnFacts;
use super::index::switch::SwitchIndex;
use super::owner::{self, Id};
use super::priority;
use super::rows::{is_enabled, is_our_port, is_ours, parse_prefix};
use super::special::{is_link_local, special};
use super::tables::{
    LOGICAL_ROUTER, NB_GLOBAL, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, logical_router,
    router_policy, router_port, static_route,
};
use super::translation::{SourceNat, Translation};
use super::zones::Zones;

/// The option of a router port that limits the size of packets (ovn-nb(5)).
pub const GATEWAY_MTU: &str = "gateway_mtu";

/// The next hop of a static route that discards its packets (ovn-nb(5)).
const DISCARD: &str = "discard";

/// A router's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterKind {
    /// On every chassis, with or without distributed gateway ports.
    Distributed,
    /// `options:chassis` binds it to one chassis. A direct link to it passes nothing, and OVN
    /// reports no error; so its links need a switch.
    Gateway,
}

/// A network that a port of the router connects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connected {
    /// The router's own address in it.
    pub address: IpAddr,
    /// The network, without host bits. If the port has only a host address, it is the prefix of a
    /// discard route around that address: LXD routes each guest of such a network by itself
    /// (`l3only`), and discards the rest.
    pub prefix: IpNet,
    /// The router port's name.
    pub port: Arc<str>,
}

/// A static route of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignRoute {
    /// The prefix it matches, without host bits.
    pub prefix: IpNet,
    /// The prefix as written, and the next hop: for messages.
    pub text: Arc<str>,
    /// Whether it matches the source instead of the destination.
    pub by_source: bool,
    /// The route table; empty for the main one.
    pub table: Arc<str>,
    /// Whether it discards what it matches.
    pub discards: bool,
    /// Whether it leads to a guest on a subnet of the router itself, for traffic from anywhere. LXD
    /// calls that a NIC route.
    pub to_guest: bool,
    /// The peering whose link port it uses. A route to that peering's own prefixes does not
    /// conflict with it.
    pub link: Option<Id>,
    /// The port of a link of others by which it leaves, if it does.
    pub over: Option<Arc<str>>,
    /// The row.
    pub row: Uuid,
}

/// A policy of somebody else that may take effect instead of ours: a reroute, or one with a
/// priority that is not below ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignPolicy {
    /// Its priority.
    pub priority: i64,
    /// Its action, as written.
    pub action: Arc<str>,
    /// Its match, as written.
    pub text: Arc<str>,
    /// The port of a link of others by which it sends, if it does.
    pub over: Option<Arc<str>>,
    /// The row.
    pub row: Uuid,
}

/// A router's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterFacts {
    /// The row.
    pub uuid: Uuid,
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: RouterKind,
    /// Networks on inward ports: the address space of the network behind it.
    pub inward: Box<[Connected]>,
    /// Networks on all other ports of others: uplinks, and links to other routers.
    pub outward: Box<[Connected]>,
    /// Ports that link it directly to another router; nearly always none.
    pub foreign_links: Box<[ForeignLink]>,
    /// Names of uplink ports.
    pub uplinks: Box<[Arc<str>]>,
    /// The route tables that inward ports look up. The main one, with the empty name, is always
    /// among them.
    pub tables: Arc<SortedSet<Arc<str>>>,
    /// Inward ports with a route table other than the main one, with its name.
    pub port_tables: Box<[(Arc<str>, Arc<str>)]>,
    /// Static routes of others.
    pub routes: Box<[ForeignRoute]>,
    /// Whether a switch of an inward port has a VM's port.
    pub workload: bool,
    /// A switch port for each switch of an inward port.
    pub anchors: Box<[Uuid]>,
    /// The least `gateway_mtu` of its inward ports, in bytes: the size that the guests of the
    /// network accept.
    pub mtu: Option<u16>,
    /// Policies of others that may take effect instead of ours.
    pub policies: Box<[ForeignPolicy]>,
    /// Whether it is enabled. A disabled router passes nothing.
    pub enabled: bool,
    /// Networks on inward ports that are disabled: in use, but not announced.
    pub disabled: Box<[Connected]>,
    /// The routes that OVN-IC advertises to other zones; nearly always none.
    pub zones: Option<Zones>,
    /// The NAT rows that a gateway router applies on every port. A distributed router applies NAT
    /// on its gateway ports only, and peered traffic does not use these.
    pub translations: Box<[Translation]>,
    /// The rows that translate the sources of packets to the outside.
    pub source_nat: Box<[SourceNat]>,
}

/// The facts about a router's ports.
#[derive(Debug, Default)]
struct Ports {
    inward: Vec<Connected>,
    outward: Vec<Connected>,
    foreign_links: Vec<ForeignLink>,
    uplinks: Vec<Arc<str>>,
    port_tables: Vec<(Arc<str>, Arc<str>)>,
    workload: bool,
    anchors: Vec<Uuid>,
    mtu: Option<u16>,
    disabled: Vec<Connected>,
    zones: Option<Zones>,
}

/// The route tables of nearly all routers: the main one alone.
static MAIN_TABLE: LazyLock<Arc<SortedSet<Arc<str>>>> = LazyLock::new(|| tables([].iter()));

fn tables<'a>(others: impl Iterator<Item = &'a Arc<str>>) -> Arc<SortedSet<Arc<str>>> {
    Arc::new(others.cloned().chain([Arc::default()]).collect::<Vec<_>>().into())
}

fn sorted<T: Ord>(facts: impl IntoIterator<Item = T>) -> Box<[T]> {
    let mut facts: Vec<T> = facts.into_iter().collect();
    facts.sort();
    facts.into()
}

impl RouterFacts {
    /// Reads a router; none if it does not exist.
    pub(super) fn read(uuid: Uuid, rows: Rows<'_>, switches: &SwitchIndex) -> Option<Self> {
        let replica = rows.replica;
        let router = replica.row(LOGICAL_ROUTER, uuid)?;
        let OwnFacts { gateway, enabled, .. } = OwnFacts::of(router);
        let mut ports = Ports::default();
        for port in router.get(logical_router::PORTS).uuids() {
            if let Some(row) = replica.row(ROUTER_PORT, port) {
                ports.add(row, rows, switches);
            }
        }
        let Ports {
            mut inward,
            outward,
            foreign_links,
            uplinks,
            port_tables,
            workload,
            anchors,
            mtu,
            disabled,
            zones,
        } = ports;
        let connected = inward.iter().chain(&outward).map(|net| (&net.port, net.prefix));
        let exits = Exits::new(&foreign_links, connected);
        let routes = router.get(logical_router::STATIC_ROUTES).uuids();
        let routes = routes.filter_map(|uuid| {
            foreign_route(uuid, replica.row(STATIC_ROUTE, uuid)?, &inward, &exits)
        });
        let routes: Vec<_> = routes.collect();
        let policies = router.get(logical_router::POLICIES).uuids();
        let policies = policies
            .filter_map(|uuid| foreign_policy(uuid, replica.row(ROUTER_POLICY, uuid)?, &exits));
        let policies = sorted(policies);
        // After the routes: OVN looks a next hop up in the networks of the ports, and not in those
        // of discard routes.
        inward.iter_mut().for_each(|net| net.widen(&routes));
        let nat = || router.get(logical_router::NAT).uuids();
        let translating = nat().filter(|_| gateway);
        Some(Self {
            uuid,
            name: router.get(logical_router::NAME).string().into(),
            kind: if gateway { RouterKind::Gateway } else { RouterKind::Distributed },
            routes: sorted(routes),
            inward: sorted(inward),
            outward: sorted(outward),
            foreign_links: sorted(foreign_links),
            uplinks: sorted(uplinks),
            tables: if port_tables.is_empty() {
                Arc::clone(&MAIN_TABLE)
            } else {
                tables(port_tables.iter().map(|(_, table)| table))
            },
            port_tables: sorted(port_tables),
            workload,
            anchors: sorted(anchors),
            mtu,
            policies,
            enabled,
            disabled: sorted(disabled),
            zones: zones.map(|zones| zones.filtered(router, logical_router::OPTIONS)),
            translations: sorted(translating.filter_map(|row| Translation::read(row, replica))),
            source_nat: sorted(nat().filter_map(|row| SourceNat::read(row, replica))),
        })
    }

    /// The address space of the network behind the router: sorted, each prefix once.
    #[must_use]
    pub fn prefixes(&self) -> Vec<IpNet> {
        let prefixes: BTreeSet<IpNet> = self.inward.iter().map(|net| net.prefix).collect();
        prefixes.into_iter().collect()
    }

    /// The same router without a link of others: its port, and what leaves by it.
    #[must_use]
    pub(crate) fn without_link(&self, port: &str) -> Self {
        fn kept<T: Clone>(all: &[T], keeps: impl Fn(&T) -> bool) -> Box<[T]> {
            all.iter().filter(|it| keeps(it)).cloned().collect()
        }
        let over = |over: &Option<Arc<str>>| over.as_deref() == Some(port);
        Self {
            outward: kept(&self.outward, |net| *net.port != *port),
            foreign_links: kept(&self.foreign_links, |link| *link.port != *port),
            routes: kept(&self.routes, |route| !over(&route.over)),
            policies: kept(&self.policies, |policy| !over(&policy.over)),
            ..self.clone()
        }
    }

    /// The route table that a subnet of the router looks up; none if the router has no such subnet.
    #[must_use]
    pub fn table_of_subnet(&self, subnet: &IpNet) -> Option<Arc<str>> {
        let net = self.inward.iter().find(|net| net.prefix == *subnet)?;
        let table = self.port_tables.iter().find(|(port, _)| *port == net.port);
        Some(table.map_or_else(|| Arc::from(""), |(_, table)| Arc::clone(table)))
    }
}

impl Connected {
    /// Replaces a host address by the prefix of the longest discard route around it.
    fn widen(&mut self, routes: &[ForeignRoute]) {
        let host = IpNet::from(self.address);
        if self.prefix != host {
            return;
        }
        let around = routes.iter().filter(|route| {
            let subnet = &route.prefix;
            route.discards && route.is_main() && *subnet != host && subnet.contains(&host)
        });
        let around = around.map(|route| route.prefix);
        let subnets = around.filter(|subnet| special(subnet).is_none());
        self.prefix = subnets.max_by_key(IpNet::prefix_len).unwrap_or(host);
    }
}

impl ForeignRoute {
    /// Whether OVN looks it up by destination for traffic from anywhere, and so for traffic over a
    /// link of ours too.
    #[must_use]
    pub fn is_main(&self) -> bool {
        !self.by_source && self.table.is_empty()
    }
}

impl Ports {
    fn add(&mut self, row: &Row, rows: Rows<'_>, switches: &SwitchIndex) {
        if is_our_port(row) {
            return;
        }
        self.foreign_links.extend(ForeignLink::read(row, rows, switches));
        let name: Arc<str> = row.get(router_port::NAME).string().into();
        let (replica, reach) = (rows.replica, switches.reach(rows, &name));
        let gateway = has_gateway(row) || switches.leads(replica, &reach, Outlet::Physical);
        let options = row.get(router_port::OPTIONS);
        // If zones share a router, a chassis of another zone binds its port there: that port leads
        // to that zone.
        let between_zones = switches.leads(replica, &reach, Outlet::Zone);
        let linked = !row.get(router_port::PEER).is_empty()
            || options.get("requested-chassis").is_some()
            || between_zones;
        self.note_zones(row, replica, between_zones);
        let networks =
            row.get(router_port::NETWORKS).strings().filter_map(|text| connected(text, &name));
        if gateway || linked {
            self.outward.extend(networks);
        } else if !is_enabled(row, router_port::ENABLED) {
            self.disabled.extend(networks);
            self.outward.extend(self.disabled.iter().filter(|net| net.port == name).cloned());
        } else {
            // A prefix that cannot cross is no address space, but it is in use here.
            let (inward, special): (Vec<_>, Vec<_>) =
                networks.partition(|net| special(&net.prefix).is_none());
            self.inward.extend(inward);
            self.outward.extend(special);
            self.workload |= switches.is_inhabited(&reach);
            self.anchors.extend(switches.anchors(rows, &name, &reach));
            let mtu = options.get(GATEWAY_MTU).and_then(|mtu| mtu.parse().ok());
            self.mtu = self.mtu.into_iter().chain(mtu).min();
            if let Some(table) = options.get("route_table") {
                self.port_tables.push((Arc::clone(&name), table.into()));
            }
        }
        if gateway {
            self.uplinks.push(name);
        }
    }

    /// If a port is on a switch between zones, OVN-IC advertises the router's routes.
    fn note_zones(&mut self, row: &Row, replica: &Replica, between: bool) {
        let deployment = || {
            let (_, row) = replica.rows(NB_GLOBAL).next()?;
            Zones::of_deployment(row)
        };
        if between && let Some(zones) = self.zones.take().or_else(deployment) {
            self.zones = Some(zones.filtered(row, router_port::OPTIONS));
        }
    }
}

/// Parses `10.1.0.1/24`; none for a link-local network, which every router has and nobody owns.
fn connected(text: &str, port: &Arc<str>) -> Option<Connected> {
    let net: IpNet = text.parse().ok()?;
    if is_link_local(net.addr()) {
        return None;
    }
    Some(Connected { address: net.addr(), prefix: net.trunc(), port: Arc::clone(port) })
}

fn foreign_route(
    uuid: Uuid,
    row: &Row,
    inward: &[Connected],
    exits: &Exits<'_>,
) -> Option<ForeignRoute> {
    if is_ours(row.get(static_route::EXTERNAL_IDS)) {
        return None;
    }
    let written = row.get(static_route::IP_PREFIX).string();
    let nexthop = row.get(static_route::NEXTHOP).string();
    let output_port = row.get(static_route::OUTPUT_PORT).string();
    let via = if output_port.is_empty() { String::new() } else { format!(" out of {output_port}") };
    let mut route = ForeignRoute {
        prefix: parse_prefix(written)?,
        text: format!("{written} via {nexthop}{via}").into(),
        by_source: row.get(static_route::POLICY).string() == "src-ip",
        table: row.get(static_route::ROUTE_TABLE).string().into(),
        discards: *nexthop == *DISCARD,
        to_guest: false,
        link: owner::peering_of_link_port(output_port),
        over: exits.of(nexthop, output_port),
        row: uuid,
    };
    route.to_guest = leads_to_guest(&route, nexthop, output_port, inward);
    Some(route)
}

/// Whether a route leads to a guest on an inward subnet. A route out of an inward port does,
/// whatever its next hop. Routes in other tables are for traffic of some subnets only. A default
/// route leads outside of the network.
fn leads_to_guest(
    route: &ForeignRoute,
    nexthop: &str,
    output_port: &str,
    inward: &[Connected],
) -> bool {
    let Ok(nexthop) = nexthop.parse::<IpAddr>() else { return false };
    let global = special(&route.prefix).is_none();
    let reaches = |own: &Connected| {
        let named = *own.port == *output_port;
        named || output_port.is_empty() && own.prefix.contains(&nexthop)
    };
    let is_own = inward.iter().any(|own| own.address == nexthop);
    global && route.is_main() && !is_own && inward.iter().any(reaches)
}

fn foreign_policy(uuid: Uuid, row: &Row, exits: &Exits<'_>) -> Option<ForeignPolicy> {
    if is_ours(row.get(router_policy::EXTERNAL_IDS)) {
        return None;
    }
    // A policy in a chain takes effect only after a jump to it, and we check that jump itself.
    let chained = !row.get(router_policy::CHAIN).is_blank();
    let policy = ForeignPolicy {
        priority: row.get(router_policy::PRIORITY).integer().unwrap_or(0),
        action: row.get(router_policy::ACTION).string().into(),
        text: row.get(router_policy::MATCH).string().into(),
        over: exits.of_policy(row),
        row: uuid,
    };
    (policy.reroutes() || !chained && policy.is_above_ours()).then_some(policy)
}

impl ForeignPolicy {
    /// Whether it sends packets elsewhere.
    #[must_use]
    pub fn reroutes(&self) -> bool {
        *self.action == *"reroute"
    }

    /// Whether it may take effect before any of ours. Of two with one priority, OVN may apply
    /// either.
    #[must_use]
    pub fn is_above_ours(&self) -> bool {
        self.is_from(*priority::OURS.start())
    }

    /// Whether it may take effect before ours of this priority.
    #[must_use]
    pub fn is_from(&self, priority: i64) -> bool {
        self.priority >= priority
    }
}
