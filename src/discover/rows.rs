//! The rows that are read, as plain values. The daemon's own replica has neither all of these columns
//! nor the time: this is a list of its own, read once.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::{OWNER_KEY, UNIT_KEY, peering_of_link_port};
use crate::ovsdb::{
    Clause, ColumnId, Condition, Constant, Function, Replica, Row, TableId, ValueRef, Wanted,
};

/// The tables and columns.
pub const WANTED: &[Wanted] = &[
    Wanted {
        table: "Logical_Router",
        columns: &["name", "external_ids", "ports", "static_routes"],
        condition: None,
    },
    Wanted {
        table: "Logical_Router_Port",
        columns: &["name", "external_ids", "mac", "networks", "peer"],
        condition: None,
    },
    Wanted {
        table: "Logical_Router_Static_Route",
        columns: &["external_ids", "ip_prefix", "nexthop", "output_port"],
        condition: None,
    },
    Wanted {
        table: "Logical_Switch",
        columns: &["name", "external_ids", "ports"],
        condition: None,
    },
    Wanted {
        table: "Logical_Switch_Port",
        columns: &["name", "external_ids", "type", "options"],
        condition: Some(Condition(&[
            Clause { column: "type", function: Function::Equal, value: Constant::String("router") },
            Clause {
                column: "type",
                function: Function::Equal,
                value: Constant::String("localnet"),
            },
        ])),
    },
    Wanted { table: "Port_Group", columns: &["name", "external_ids"], condition: None },
];

const ROUTERS: TableId = TableId(0);
const PORTS: TableId = TableId(1);
const ROUTES: TableId = TableId(2);
const SWITCHES: TableId = TableId(3);
const SWITCH_PORTS: TableId = TableId(4);
const PORT_GROUPS: TableId = TableId(5);

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
    /// Of what a server has sent for [`WANTED`].
    #[must_use]
    pub fn read(replica: &Replica) -> Self {
        let routers = replica.rows(ROUTERS).map(|(uuid, row)| router(replica, uuid, row)).collect();
        let switches = replica.rows(SWITCHES).map(|(_, row)| switch(replica, row)).collect();
        let groups = replica.rows(PORT_GROUPS);
        let groups = groups.map(|(_, row)| (text(row, 0), ids(row.get(ColumnId(1))))).collect();
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

fn router(replica: &Replica, uuid: Uuid, row: &Row) -> Router {
    let ports = row.get(ColumnId(2)).uuids().filter_map(|uuid| {
        let row = replica.row(PORTS, uuid)?;
        let (name, ids) = (text(row, 0), ids(row.get(ColumnId(1))));
        if is_ours(&ids) || peering_of_link_port(&name).is_some() {
            return None;
        }
        let networks = row.get(ColumnId(3)).strings();
        let peer = text(row, 4);
        Some(Port {
            uuid,
            name,
            ids,
            mac: text(row, 2),
            networks: networks.filter_map(|it| it.parse().ok()).collect(),
            peer: (!peer.is_empty()).then_some(peer),
        })
    });
    let mut ports: Vec<Port> = ports.collect();
    ports.sort_by(|one, other| one.name.cmp(&other.name));
    let routes = row.get(ColumnId(3)).uuids().filter_map(|uuid| {
        let row = replica.row(ROUTES, uuid)?;
        if is_ours(&ids(row.get(ColumnId(0)))) {
            return None;
        }
        let port = text(row, 3);
        Some(Route {
            uuid,
            prefix: text(row, 1),
            next_hop: text(row, 2),
            port: (!port.is_empty()).then_some(port),
        })
    });
    let mut routes: Vec<Route> = routes.collect();
    routes.sort_by(|one, other| (&one.prefix, one.uuid).cmp(&(&other.prefix, other.uuid)));
    Router { uuid, name: text(row, 0), ids: ids(row.get(ColumnId(1))), ports, routes }
}

fn switch(replica: &Replica, row: &Row) -> Switch {
    let all = row.get(ColumnId(2)).len();
    let known = row.get(ColumnId(2)).uuids().filter_map(|uuid| replica.row(SWITCH_PORTS, uuid));
    let (mut router_ports, mut is_uplink) = (Vec::new(), false);
    for port in known {
        match port.get(ColumnId(2)).string() {
            "router" => router_ports.push(SwitchPort {
                name: text(port, 0),
                ids: ids(port.get(ColumnId(1))),
                router_port: port.get(ColumnId(3)).get("router-port").unwrap_or("").to_owned(),
            }),
            "localnet" => is_uplink = true,
            // A server without conditions sends all.
            _ => {}
        }
    }
    router_ports.sort_by(|one, other| one.name.cmp(&other.name));
    let others = all.saturating_sub(router_ports.len());
    let (name, ids) = (text(row, 0), ids(row.get(ColumnId(1))));
    Switch { name, ids, router_ports, others, is_uplink }
}

fn is_ours(ids: &Ids) -> bool {
    ids.contains_key(UNIT_KEY) || ids.contains_key(OWNER_KEY)
}

fn text(row: &Row, column: u16) -> String {
    row.get(ColumnId(column)).string().to_owned()
}

fn ids(value: ValueRef<'_>) -> Ids {
    value.entries().map(|(key, text)| (key.to_owned(), text.to_owned())).collect()
}
