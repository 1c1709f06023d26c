//! Golden folders: a northbound and declarations in, states and operations out. A new case is a
//! folder; `UPDATE_GOLDEN=1` rewrites what is expected. A folder `hv2` in it holds what another host
//! declares, which has been here before; a folder `then` the files as they are afterwards, or what
//! others have added to the northbound by then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ovn_peerd::declare::{Directory, FileId, Reading, Settings, SourceFile};
use ovn_peerd::engine::Engine;
use ovn_peerd::northbound::tables::{
    DHCP_OPTIONS, LOGICAL_ROUTER, LOGICAL_SWITCH, NAT, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE,
    SWITCH_PORT, dhcp_options, logical_router, logical_switch, nat, router_policy, router_port,
    static_route, switch_port,
};
use ovn_peerd::ovsdb::{Atom, Row, TableId, Value};
use serde::Deserialize;
use uuid::Uuid;

use crate::balancers::{self, Balancer};
use crate::database::{Database, Rows};
use crate::dns::{self, Dns};
use crate::world::World;

/// Other people's rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Northbound {
    #[serde(default)]
    router: Vec<Router>,
    #[serde(default)]
    switch: Vec<Switch>,
    #[serde(default)]
    dhcp: Vec<Dhcp>,
    #[serde(default)]
    balancer: Vec<Balancer>,
    #[serde(default)]
    dns: Vec<Dns>,
}

/// A row of DHCP_Options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dhcp {
    cidr: String,
    options: BTreeMap<String, String>,
    #[serde(default)]
    external_ids: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    name: String,
    port: Vec<SwitchPort>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchPort {
    name: String,
    r#type: String,
    #[serde(default)]
    router_port: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Router {
    name: String,
    #[serde(default)]
    chassis: Option<String>,
    #[serde(default)]
    port: Vec<Port>,
    #[serde(default)]
    route: Vec<Route>,
    #[serde(default)]
    reroute: Vec<Reroute>,
    #[serde(default)]
    nat: Vec<Translation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    name: String,
    networks: Vec<String>,
    #[serde(default)]
    gateway: bool,
    /// Whether a VM is on the port's switch.
    #[serde(default)]
    vm: bool,
    #[serde(default)]
    route_table: Option<String>,
    #[serde(default)]
    peer: Option<String>,
    #[serde(default)]
    external_ids: BTreeMap<String, String>,
    #[serde(default)]
    ipv6_ra_configs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    prefix: String,
    nexthop: String,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    output_port: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Translation {
    r#type: String,
    logical_ip: String,
    external_ip: String,
    /// Whether it has an `allowed_ext_ips`.
    #[serde(default)]
    allowed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reroute {
    priority: i64,
    r#match: String,
}

fn strings(texts: &[String]) -> Value {
    Value::set(texts.iter().map(|text| Atom::from(text.as_str())).collect())
}

fn pair(key: &str, value: &str) -> Value {
    Value::map(vec![(key.into(), value.into())])
}

fn map(entries: &BTreeMap<String, String>) -> Value {
    Value::map(entries.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect())
}

pub fn populate(world: &mut World, northbound: &Northbound) {
    let database = &mut world.database;
    // Several routers of one name may be new; what is added later is added to those that are there.
    let there = database.rows.clone();
    for switch in &northbound.switch {
        add_switch(database, switch);
    }
    for dhcp in &northbound.dhcp {
        let row = database.insert(DHCP_OPTIONS, &[(dhcp_options::CIDR, dhcp.cidr.as_str().into())]);
        database.set(DHCP_OPTIONS, row, dhcp_options::OPTIONS, map(&dhcp.options));
        database.set(DHCP_OPTIONS, row, dhcp_options::EXTERNAL_IDS, map(&dhcp.external_ids));
    }
    for router in &northbound.router {
        let uuid = router_named(database, &there, &router.name);
        if let Some(chassis) = &router.chassis {
            database.set(LOGICAL_ROUTER, uuid, logical_router::OPTIONS, pair("chassis", chassis));
        }
        for port in &router.port {
            let child =
                database.insert(ROUTER_PORT, &[(router_port::NAME, port.name.as_str().into())]);
            database.set(ROUTER_PORT, child, router_port::NETWORKS, strings(&port.networks));
            database.set(ROUTER_PORT, child, router_port::EXTERNAL_IDS, map(&port.external_ids));
            let configs = map(&port.ipv6_ra_configs);
            database.set(ROUTER_PORT, child, router_port::IPV6_RA_CONFIGS, configs);
            if port.gateway {
                let chassis = Value::from("gateway");
                database.set(ROUTER_PORT, child, router_port::GATEWAY_CHASSIS, chassis);
            }
            if port.vm {
                let peer = pair("router-port", &port.name);
                let to_router =
                    database.insert(SWITCH_PORT, &[(switch_port::TYPE, "router".into())]);
                database.set(SWITCH_PORT, to_router, switch_port::OPTIONS, peer);
                let vm = database.insert(SWITCH_PORT, &[(switch_port::TYPE, "".into())]);
                let switch = database.insert(LOGICAL_SWITCH, &[]);
                let ports = Value::set(vec![to_router.into(), vm.into()]);
                database.set(LOGICAL_SWITCH, switch, logical_switch::PORTS, ports);
            }
            if let Some(peer) = &port.peer {
                let peer = Value::from(peer.as_str());
                database.set(ROUTER_PORT, child, router_port::PEER, peer);
            }
            if let Some(table) = &port.route_table {
                let options = pair("route_table", table);
                database.set(ROUTER_PORT, child, router_port::OPTIONS, options);
            }
            database.refer(uuid, logical_router::PORTS, child, true);
        }
        for route in &router.route {
            let cells = [
                (static_route::IP_PREFIX, route.prefix.as_str().into()),
                (static_route::NEXTHOP, route.nexthop.as_str().into()),
            ];
            let child = database.insert(STATIC_ROUTE, &cells);
            if let Some(policy) = &route.policy {
                let policy = Value::from(policy.as_str());
                database.set(STATIC_ROUTE, child, static_route::POLICY, policy);
            }
            if let Some(port) = &route.output_port {
                let port = Value::from(port.as_str());
                database.set(STATIC_ROUTE, child, static_route::OUTPUT_PORT, port);
            }
            if let Some(table) = &route.table {
                let table = Value::from(table.as_str());
                database.set(STATIC_ROUTE, child, static_route::ROUTE_TABLE, table);
            }
            database.refer(uuid, logical_router::STATIC_ROUTES, child, true);
        }
        for translation in &router.nat {
            let cells = [
                (nat::TYPE, translation.r#type.as_str().into()),
                (nat::LOGICAL_IP, translation.logical_ip.as_str().into()),
                (nat::EXTERNAL_IP, translation.external_ip.as_str().into()),
            ];
            let child = database.insert(NAT, &cells);
            if translation.allowed {
                let set = Value::from(database.uuid());
                database.set(NAT, child, nat::ALLOWED_EXT_IPS, set);
            }
            database.refer(uuid, logical_router::NAT, child, true);
        }
        for reroute in &router.reroute {
            let cells = [
                (router_policy::PRIORITY, reroute.priority.into()),
                (router_policy::MATCH, reroute.r#match.as_str().into()),
                (router_policy::ACTION, "reroute".into()),
            ];
            let child = database.insert(ROUTER_POLICY, &cells);
            database.refer(uuid, logical_router::POLICIES, child, true);
        }
    }
    for balancer in &northbound.balancer {
        balancers::add(database, balancer);
    }
    for names in &northbound.dns {
        dns::add(database, names);
    }
}

/// The router of this name, which is made unless it was there.
fn router_named(database: &mut Database, there: &Rows, name: &str) -> Uuid {
    let has_name = |((table, _), row): &(&(TableId, Uuid), &Row)| {
        *table == LOGICAL_ROUTER && row.get(logical_router::NAME).string() == name
    };
    let found = there.iter().find(has_name).map(|((_, uuid), _)| *uuid);
    found.unwrap_or_else(|| database.insert(LOGICAL_ROUTER, &[(logical_router::NAME, name.into())]))
}

fn add_switch(database: &mut Database, switch: &Switch) {
    let mut ports = Vec::new();
    for port in &switch.port {
        let cells = [
            (switch_port::NAME, port.name.as_str().into()),
            (switch_port::TYPE, port.r#type.as_str().into()),
        ];
        let child = database.insert(SWITCH_PORT, &cells);
        if let Some(to) = &port.router_port {
            database.set(SWITCH_PORT, child, switch_port::OPTIONS, pair("router-port", to));
        }
        ports.push(child.into());
    }
    let name = [(logical_switch::NAME, switch.name.as_str().into())];
    let uuid = database.insert(LOGICAL_SWITCH, &name);
    database.set(LOGICAL_SWITCH, uuid, logical_switch::PORTS, Value::set(ports));
}

fn declarations(case: &Path) -> Reading {
    let mut reading = Reading { complete: true, ..Reading::default() };
    for (directory, name) in [(Directory::Networks, "networks.toml"), (Directory::Peerings, "")] {
        reading.directories.push((directory, Ok(())));
        let mut files: Vec<PathBuf> =
            fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for path in files {
            let file = path.file_name().unwrap().to_str().unwrap();
            let peering = file.starts_with("peering-");
            if (directory == Directory::Networks && file != name)
                || (directory == Directory::Peerings && !peering)
            {
                continue;
            }
            reading.files.push(SourceFile {
                id: FileId { directory, name: file.into() },
                path: file.into(),
                text: Ok(fs::read_to_string(&path).unwrap()),
                owner: None,
            });
        }
    }
    reading
}

/// The operator's, if the folder has some.
fn settings(case: &Path) -> Settings {
    let path = case.join("ovn-peerd.toml");
    let (settings, diagnostics) =
        Settings::parse(&path, &fs::read_to_string(&path).unwrap_or_default());
    assert_eq!(diagnostics, []);
    settings
}

/// Another host with files of its own comes, and goes.
fn visit(world: &mut World, settings: &Settings, reading: Reading) {
    let here = std::mem::replace(&mut world.engine, Engine::new(settings, "hv2".into()));
    world.read_reading(reading);
    world.connect();
    world.rest();
    world.engine = here;
}

/// States, after so many seconds as the file `seconds` says, then what is planned, row by row.
fn outcome(world: &mut World, case: &Path) -> String {
    let reading = declarations(case);
    let seconds = fs::read_to_string(case.join("seconds")).unwrap_or_default();
    let seconds = seconds.trim().parse().unwrap_or_default();
    let plan = world.engine.plan(Some(reading.clone().parse()), world.now());
    let mut text = String::new();
    for diagnostic in &plan.diagnostics {
        writeln!(text, "diagnostic {diagnostic}").unwrap();
    }
    world.read_reading(reading);
    world.rest();
    if seconds != 0 {
        world.pass(seconds);
        world.settle();
    }
    let then = case.join("then");
    if let Ok(northbound) = fs::read_to_string(then.join("northbound.toml")) {
        populate(world, &toml::from_str(&northbound).unwrap());
        world.rest();
    }
    if then.join("networks.toml").exists() {
        world.read_reading(declarations(&then));
        world.rest();
    }
    for view in world.engine.list() {
        write!(text, "half {}/{}/{}: {}", view.project, view.network, view.name, view.state)
            .unwrap();
        if let Some(reason) = view.reason {
            write!(text, ", {reason}").unwrap();
        }
        writeln!(text).unwrap();
        let details = [view.explanation, view.next_step].into_iter().flatten();
        for detail in details.chain(view.degraded) {
            writeln!(text, "  {detail}").unwrap();
        }
    }
    for row in &plan.rows {
        writeln!(text, "{:?} {} {}", row.action, row.row.table, row.row.summary).unwrap();
    }
    text
}

/// Each folder, with its world as it is at the end and what came of it.
pub fn each(mut visitor: impl FnMut(&Path, World, String)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/golden");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let settings = settings(&case);
        let mut world = World::bare(&settings);
        let northbound = fs::read_to_string(case.join("northbound.toml")).unwrap();
        populate(&mut world, &toml::from_str(&northbound).unwrap());
        let other = case.join("hv2");
        if other.is_dir() {
            visit(&mut world, &settings, declarations(&other));
        }
        world.connect();
        let found = outcome(&mut world, &case);
        visitor(&case, world, found);
    }
}

#[test]
fn each_folder_gives_what_it_expects() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    each(|case, _, found| {
        let expected = case.join("expected.txt");
        if update {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{}", case.display());
    });
}
