//! Load balancers of others, in the golden folders and in random runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use ipnet::IpNet;
use ovn_peerd::northbound::Endpoint;
use ovn_peerd::northbound::tables::{
    BALANCER_GROUP, HEALTH_CHECK, LOAD_BALANCER, LOGICAL_ROUTER, LOGICAL_SWITCH, ROUTER_PORT,
    SWITCH_PORT, balancer_group, health_check, load_balancer, logical_router, logical_switch,
    router_port, switch_port,
};
use ovn_peerd::ovsdb::{ColumnId, Row, TableId, Value};
use proptest::prelude::*;
use serde::Deserialize;
use uuid::Uuid;

use crate::database::Database;
use crate::random::{Action, action, run};
use crate::terms::Terms;
use crate::world::{NETWORKS, PREFIXES, World, prefix};

/// A load balancer in a golden folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balancer {
    name: String,
    #[serde(default)]
    protocol: Option<String>,
    vips: BTreeMap<String, String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    ip_port_mappings: BTreeMap<String, String>,
    /// The virtual addresses with a health check.
    #[serde(default)]
    checks: Vec<String>,
    /// A router that refers to it.
    #[serde(default)]
    router: Option<String>,
    /// A router port, on a switch that refers to it.
    #[serde(default)]
    port: Option<String>,
}

fn map(entries: &BTreeMap<String, String>) -> Value {
    Value::map(entries.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect())
}

/// Adds a row to a column of references.
pub fn refer(database: &mut Database, (table, row): (TableId, Uuid), column: ColumnId, to: Uuid) {
    let mut members: Vec<_> = database.cell(table, row, column).uuids().collect();
    members.push(to);
    let members = members.into_iter().map(Into::into).collect();
    database.set(table, row, column, Value::set(members));
}

/// The switch on which a router port is.
pub fn switch_of(database: &Database, port: &str) -> Option<Uuid> {
    let leads = |row: &Uuid| {
        let to = database.cell(SWITCH_PORT, *row, switch_port::OPTIONS).get("router-port");
        to == Some(port)
    };
    let mut switches = database.rows.iter().filter(|((table, _), _)| *table == LOGICAL_SWITCH);
    let found = switches.find(|(_, row)| {
        let mut ports = row.get(logical_switch::PORTS).uuids();
        ports.any(|port| database.rows.contains_key(&(SWITCH_PORT, port)) && leads(&port))
    });
    found.map(|((_, uuid), _)| *uuid)
}

pub fn add(database: &mut Database, balancer: &Balancer) {
    let name = balancer.name.as_str();
    let row = database.insert(LOAD_BALANCER, &[(load_balancer::NAME, name.into())]);
    if let Some(protocol) = &balancer.protocol {
        let protocol = Value::from(protocol.as_str());
        database.set(LOAD_BALANCER, row, load_balancer::PROTOCOL, protocol);
    }
    for (column, entries) in [
        (load_balancer::VIPS, &balancer.vips),
        (load_balancer::OPTIONS, &balancer.options),
        (load_balancer::IP_PORT_MAPPINGS, &balancer.ip_port_mappings),
    ] {
        database.set(LOAD_BALANCER, row, column, map(entries));
    }
    for vip in &balancer.checks {
        let check = database.insert(HEALTH_CHECK, &[(health_check::VIP, vip.as_str().into())]);
        refer(database, (LOAD_BALANCER, row), load_balancer::HEALTH_CHECK, check);
    }
    if let Some(router) = &balancer.router {
        let named = |((table, _), row): &(&(TableId, Uuid), &Row)| {
            *table == LOGICAL_ROUTER && row.get(logical_router::NAME).string() == router.as_str()
        };
        let ((_, router), _) = database.rows.iter().find(named).expect("the router");
        refer(database, (LOGICAL_ROUTER, *router), logical_router::LOAD_BALANCER, row);
    }
    if let Some(port) = &balancer.port {
        let switch = switch_of(database, port).expect("a switch with the port");
        refer(database, (LOGICAL_SWITCH, switch), logical_switch::LOAD_BALANCER, row);
    }
}

impl World {
    /// Somebody makes, alters or removes a load balancer, or a switch for one.
    pub fn meddle_with_balancers(&mut self, router: usize, choice: usize) {
        let Some(ports) = self.routers.get(&router).map(|router| router.ports.clone()) else {
            return;
        };
        let (what, choice) = (choice % 12, choice / 12);
        let router = self.routers[&router].uuid;
        let own: BTreeSet<Uuid> = self.own_rows().into_iter().map(|(_, uuid)| uuid).collect();
        let own_subnets: Vec<usize> = ports.keys().copied().collect();
        let vips = |choice| vips(choice, &own_subnets);
        let database = &mut self.database;
        let pick = |database: &Database, table: TableId, ours: bool| -> Option<Uuid> {
            let rows = database.rows.keys().filter(|(of, uuid)| {
                *of == table && (own.contains(uuid) == ours || table != LOAD_BALANCER)
            });
            let rows: Vec<Uuid> = rows.map(|(_, uuid)| *uuid).collect();
            rows.get(choice % rows.len().max(1)).copied()
        };
        let balancer = pick(database, LOAD_BALANCER, false);
        match what {
            0 | 1 => {
                let name = ["lb-0", "lb-1", "other"][choice % 3];
                let row = database.insert(LOAD_BALANCER, &[(load_balancer::NAME, name.into())]);
                database.set(LOAD_BALANCER, row, load_balancer::VIPS, vips(choice / 3));
                let column = logical_router::LOAD_BALANCER;
                refer(database, (LOGICAL_ROUTER, router), column, row);
            }
            2 | 3 => {
                let port = ports.values().nth(choice % ports.len().max(1));
                let Some(port) = port else { return };
                let name = database.cell(ROUTER_PORT, *port, router_port::NAME).string().to_owned();
                if let Some(switch) = switch_of(database, &name) {
                    database.rows.remove(&(LOGICAL_SWITCH, switch));
                    return database.collect();
                }
                let child = database.insert(SWITCH_PORT, &[(switch_port::TYPE, "router".into())]);
                let options = Value::map(vec![("router-port".into(), name.as_str().into())]);
                database.set(SWITCH_PORT, child, switch_port::OPTIONS, options);
                let switch = database.insert(LOGICAL_SWITCH, &[]);
                refer(database, (LOGICAL_SWITCH, switch), logical_switch::PORTS, child);
            }
            4 => {
                let Some(balancer) = balancer else { return };
                database.rows.remove(&(LOAD_BALANCER, balancer));
                database.collect();
            }
            5 | 6 => {
                let Some(balancer) = balancer else { return };
                database.set(LOAD_BALANCER, balancer, load_balancer::VIPS, vips(choice));
            }
            7 => {
                let Some(balancer) = balancer else { return };
                let name = Value::from(["lb-0", "lb-1", "other"][choice % 3]);
                database.set(LOAD_BALANCER, balancer, load_balancer::NAME, name);
            }
            8 => {
                let Some(balancer) = balancer else { return };
                if let Some(switch) = pick(database, LOGICAL_SWITCH, false) {
                    toggle(
                        database,
                        (LOGICAL_SWITCH, switch),
                        logical_switch::LOAD_BALANCER,
                        balancer,
                    );
                } else {
                    toggle(
                        database,
                        (LOGICAL_ROUTER, router),
                        logical_router::LOAD_BALANCER,
                        balancer,
                    );
                }
            }
            9 => {
                let Some(balancer) = balancer else { return };
                let group = pick(database, BALANCER_GROUP, false).unwrap_or_else(|| {
                    let group = database.insert(BALANCER_GROUP, &[]);
                    let column = logical_router::LOAD_BALANCER_GROUP;
                    refer(database, (LOGICAL_ROUTER, router), column, group);
                    group
                });
                toggle(database, (BALANCER_GROUP, group), balancer_group::LOAD_BALANCER, balancer);
            }
            10 => {
                let Some(copy) = pick(database, LOAD_BALANCER, true) else { return };
                if let Some(switch) = pick(database, LOGICAL_SWITCH, false) {
                    toggle(database, (LOGICAL_SWITCH, switch), logical_switch::LOAD_BALANCER, copy);
                }
                toggle(database, (LOGICAL_ROUTER, router), logical_router::LOAD_BALANCER, copy);
            }
            _ => {
                let Some(copy) = pick(database, LOAD_BALANCER, true) else { return };
                database.set(LOAD_BALANCER, copy, load_balancer::VIPS, vips(choice));
            }
        }
    }
}

/// Adds a row to a column of references, or takes it out.
pub fn toggle(database: &mut Database, at: (TableId, Uuid), column: ColumnId, to: Uuid) {
    let mut members: Vec<_> = database.cell(at.0, at.1, column).uuids().collect();
    if !members.contains(&to) {
        return refer(database, at, column, to);
    }
    members.retain(|member| *member != to);
    let members = members.into_iter().map(Into::into).collect();
    database.set(at.0, at.1, column, Value::set(members));
}

/// One or two virtual addresses in the prefixes of this world, with backends there: mostly in these.
fn vips(mut choice: usize, mostly: &[usize]) -> Value {
    let mut take = |of: usize| {
        let taken = choice % of;
        choice /= of;
        taken
    };
    let host = |at: usize, nth: usize| match prefix(at).network() {
        IpAddr::V4(base) => IpAddr::from(Ipv4Addr::from_bits(base.to_bits() + nth as u32)),
        IpAddr::V6(base) => IpAddr::from(Ipv6Addr::from_bits(base.to_bits() + nth as u128)),
    };
    let count = 1 + take(2);
    let mut pairs = Vec::new();
    for _ in 0..count {
        let mut place = || match (take(4), mostly.len()) {
            (0, _) | (_, 0) => take(PREFIXES.len()),
            (_, len) => mostly[take(len)],
        };
        let [at, one, other] = [place(), place(), place()];
        let address = host(at, 100 + take(2));
        let port = (take(2) == 0).then(|| NonZeroU16::new(80).unwrap());
        let vip = Endpoint { address, port }.to_string();
        let backends = format!("{},{}", host(one, 10), host(other, 10 + take(2)));
        pairs.push((vip.as_str().into(), backends.as_str().into()));
    }
    Value::map(pairs)
}

/// Copies hold what may cross and nothing else: an address that its guests have is taken from nobody, and each backend is
/// in what the router reaches over links.
pub fn check(world: &World, routed: &BTreeMap<usize, BTreeSet<IpNet>>, step: &str) {
    let database = &world.database;
    let own: BTreeSet<Uuid> = world.own_rows().into_iter().map(|(_, uuid)| uuid).collect();
    for ((table, uuid), row) in &database.rows {
        let refers = |column| {
            let copies = row.get(column).uuids().filter(|it| own.contains(it)).count();
            assert_eq!(copies, 0, "a copy is where it shall not be: {step}");
        };
        match *table {
            LOGICAL_ROUTER => refers(logical_router::LOAD_BALANCER),
            BALANCER_GROUP => refers(balancer_group::LOAD_BALANCER),
            LOGICAL_SWITCH => {
                let copies = row.get(logical_switch::LOAD_BALANCER).uuids();
                for copy in copies.filter(|it| own.contains(it)) {
                    check_copy(world, *uuid, copy, routed, step);
                }
            }
            _ => {}
        }
    }
}

fn check_copy(
    world: &World,
    switch: Uuid,
    copy: Uuid,
    routed: &BTreeMap<usize, BTreeSet<IpNet>>,
    step: &str,
) {
    let database = &world.database;
    let on_switch = |port: Uuid| {
        let name = database.cell(ROUTER_PORT, port, router_port::NAME).string();
        switch_of(database, name) == Some(switch)
    };
    let mut routers = world.routers.iter();
    let found = routers.find(|(_, router)| router.ports.values().any(|port| on_switch(*port)));
    let (index, router) = found.expect("a copy is on a switch of a router");
    let reached = routed.get(index).cloned().unwrap_or_default();
    for (vip, backends) in database.cell(LOAD_BALANCER, copy, load_balancer::VIPS).entries() {
        let vip: Endpoint = vip.parse().expect("a virtual address");
        for subnet in router.ports.keys() {
            assert!(!prefix(*subnet).contains(&vip.address), "{vip:?} is in a subnet: {step}");
        }
        for backend in backends.split(',') {
            let backend: Endpoint = backend.parse().expect("a backend");
            let crosses = reached.iter().any(|net| net.contains(&backend.address));
            assert!(crosses, "the backend {backend:?} is not in what crosses: {step}");
        }
    }
}

/// Networks that all peer with each other, and export and use balancers; each has some, and switches.
fn prepared() -> World {
    let mut world = crate::random::prepared();
    let terms = Terms { balancers: [true, true], ..Terms::default() };
    for network in 0..NETWORKS {
        for target in (0..NETWORKS).filter(|target| *target != network) {
            world.halves.entry(network).or_default().insert(target, true);
            world.terms.entry(network).or_default().insert(target, terms.clone());
        }
        world.may_export.entry(network).or_default().insert(2);
        let (network_file, halves) = (world.network_file(network), world.halves_file(network));
        world.read(network_file);
        world.read(halves);
        // A switch, and balancers of each name.
        for choice in [2, 0, 12, 36 * 7, 36 * 11, 12 + 36 * 23] {
            world.meddle_with_balancers(network, choice);
        }
    }
    world.settle();
    world
}

/// How many copies there are.
fn count(world: &World) -> usize {
    world.own_rows().iter().filter(|(table, _)| *table == LOAD_BALANCER).count()
}

#[test]
fn networks_that_all_peer_have_copies_to_begin_with() {
    let mut world = prepared();
    crate::random::rest(&mut world, "prepared");
    assert!(count(&world) > 5, "only {}", count(&world));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn copies_by_increments_equal_a_full_recompute(
        actions in prop::collection::vec(
            prop_oneof![
                8 => (0..NETWORKS, any::<usize>()).prop_map(|(n, c)| Action::Balancer(n, c)),
                3 => action(),
            ],
            1..20,
        ),
    ) {
        run(prepared(), &actions);
    }
}
