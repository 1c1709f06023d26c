//! The rows that are read, as plain values.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::{OWNER_KEY, UNIT_KEY, peering_of_link_port};
use crate::ovsdb::{ColumnId, Replica, Row};

use super::wanted::{
    PORT_GROUPS, PORTS, ROUTERS, ROUTES, SWITCH_PORTS, SWITCHES, port, port_group, route, router,
    switch, switch_port,
};

/// `external_ids` of a row.
pub type Ids = BTreeMap<String, String>;

/// A Logical_Router.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its tags.
    pub ids: Ids,
    /// Its ports, but for those of ovn-peerd, by name.
    pub ports: Vec<Port>,
    /// Its static routes, but for those of ovn-peerd, by prefix.
    pub routes: Vec<Route>,
}

/// A Logical_Router_Port.
#[derive(Clone, Debug, Default)]
pub struct Port {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its tags.
    pub ids: Ids,
    /// Its Ethernet address.
    pub mac: String,
    /// Its addresses with their lengths.
    pub networks: Vec<IpNet>,
    /// The port at the other end of a direct link.
    pub peer: Option<String>,
}

/// A Logical_Router_Static_Route.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Its row.
    pub uuid: Uuid,
    /// What it matches.
    pub prefix: String,
    /// The address that it leads to.
    pub next_hop: String,
    /// The port that it leaves by, if it names one.
    pub port: Option<String>,
}

/// A Logical_Switch.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub ids: Ids,
    /// Its ports to routers.
    pub router_ports: Vec<SwitchPort>,
    /// How many other ports it has.
    pub others: usize,
    /// Whether one of these leads out of OVN.
    pub is_uplink: bool,
}

/// A port of a switch to a router.
#[derive(Clone, Debug, Default)]
pub struct SwitchPort {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub ids: Ids,
    /// The router's port.
    pub router_port: String,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By name.
    pub routers: Vec<Router>,
    /// By name.
    pub switches: Vec<Switch>,
    /// The tags of port groups, by name.
    pub port_groups: BTreeMap<String, Ids>,
    /// The switch of a router's port.
    by_router_port: HashMap<String, (usize, usize)>,
}

impl Rows {
    /// Of what a server has sent for [`WANTED`](super::WANTED).
    #[must_use]
    pub fn read(replica: &Replica) -> Self {
        let routers =
            replica.rows(ROUTERS).map(|(uuid, row)| read_router(replica, uuid, row)).collect();
        let switches = replica.rows(SWITCHES).map(|(_, row)| read_switch(replica, row)).collect();
        let groups = replica.rows(PORT_GROUPS);
        let groups = groups
            .map(|(_, row)| (text(row, port_group::NAME), ids(row, port_group::EXTERNAL_IDS)))
            .collect();
        Self::new(routers, switches, groups)
    }

    /// Of these rows.
    #[must_use]
    pub fn new(
        mut routers: Vec<Router>,
        mut switches: Vec<Switch>,
        port_groups: BTreeMap<String, Ids>,
    ) -> Self {
        routers.sort_by(|one, other| (&one.name, one.uuid).cmp(&(&other.name, other.uuid)));
        switches.sort_by(|one, other| one.name.cmp(&other.name));
        let mut by_router_port = HashMap::new();
        for (index, switch) in switches.iter().enumerate() {
            for (at, port) in switch.router_ports.iter().enumerate() {
                by_router_port.insert(port.router_port.clone(), (index, at));
            }
        }
        Self { routers, switches, port_groups, by_router_port }
    }

    /// The switch of a router's port, and its port there.
    #[must_use]
    pub fn behind(&self, router_port: &str) -> Option<(&Switch, &SwitchPort)> {
        let (switch, port) = self.by_router_port.get(router_port)?;
        let switch = self.switches.get(*switch)?;
        Some((switch, switch.router_ports.get(*port)?))
    }

    /// The ports of a router that lead to guests, as far as that can be told by their switches.
    pub fn inward<'a>(&'a self, router: &'a Router) -> impl Iterator<Item = &'a Port> {
        router.ports.iter().filter(|port| {
            port.peer.is_none()
                && self.behind(&port.name).is_some_and(|(switch, _)| !switch.is_uplink)
        })
    }
}

fn read_router(replica: &Replica, uuid: Uuid, row: &Row) -> Router {
    let ports = row.get(router::PORTS).uuids().filter_map(|uuid| {
        let row = replica.row(PORTS, uuid)?;
        let (name, ids) = (text(row, port::NAME), ids(row, port::EXTERNAL_IDS));
        if is_ours(&ids) || peering_of_link_port(&name).is_some() {
            return None;
        }
        let networks = row.get(port::NETWORKS).strings();
        let peer = text(row, port::PEER);
        Some(Port {
            uuid,
            name,
            ids,
            mac: text(row, port::MAC),
            networks: networks.filter_map(|it| it.parse().ok()).collect(),
            peer: (!peer.is_empty()).then_some(peer),
        })
    });
    let mut ports: Vec<Port> = ports.collect();
    ports.sort_by(|one, other| one.name.cmp(&other.name));
    let routes = row.get(router::STATIC_ROUTES).uuids().filter_map(|uuid| {
        let row = replica.row(ROUTES, uuid)?;
        if is_ours(&ids(row, route::EXTERNAL_IDS)) {
            return None;
        }
        let port = text(row, route::OUTPUT_PORT);
        Some(Route {
            uuid,
            prefix: text(row, route::IP_PREFIX),
            next_hop: text(row, route::NEXTHOP),
            port: (!port.is_empty()).then_some(port),
        })
    });
    let mut routes: Vec<Route> = routes.collect();
    routes.sort_by(|one, other| (&one.prefix, one.uuid).cmp(&(&other.prefix, other.uuid)));
    let (name, ids) = (text(row, router::NAME), ids(row, router::EXTERNAL_IDS));
    Router { uuid, name, ids, ports, routes }
}

fn read_switch(replica: &Replica, row: &Row) -> Switch {
    let all = row.get(switch::PORTS).len();
    let known = row.get(switch::PORTS).uuids().filter_map(|uuid| replica.row(SWITCH_PORTS, uuid));
    let (mut router_ports, mut is_uplink) = (Vec::new(), false);
    for port in known {
        match port.get(switch_port::TYPE).string() {
            "router" => router_ports.push(SwitchPort {
                name: text(port, switch_port::NAME),
                ids: ids(port, switch_port::EXTERNAL_IDS),
                router_port: port
                    .get(switch_port::OPTIONS)
                    .get("router-port")
                    .unwrap_or("")
                    .to_owned(),
            }),
            "localnet" => is_uplink = true,
            // A server without conditions sends all.
            _ => {}
        }
    }
    router_ports.sort_by(|one, other| one.name.cmp(&other.name));
    let others = all.saturating_sub(router_ports.len());
    let (name, ids) = (text(row, switch::NAME), ids(row, switch::EXTERNAL_IDS));
    Switch { name, ids, router_ports, others, is_uplink }
}

fn is_ours(ids: &Ids) -> bool {
    ids.contains_key(UNIT_KEY) || ids.contains_key(OWNER_KEY)
}

fn text(row: &Row, column: ColumnId) -> String {
    row.get(column).string().to_owned()
}

fn ids(row: &Row, column: ColumnId) -> Ids {
    row.get(column).entries().map(|(key, text)| (key.to_owned(), text.to_owned())).collect()
}
