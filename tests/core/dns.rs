//! Names of guests in rows of others, in the golden folders and in random runs; and a model of what guests are told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use ovn_peerd::declare::Filters;
use ovn_peerd::northbound::owner::END_KEY;
use ovn_peerd::northbound::tables::{
    DNS, LOGICAL_SWITCH, ROUTER_PORT, dns, logical_switch, router_port,
};
use ovn_peerd::ovsdb::{TableId, Value};
use proptest::prelude::*;
use serde::Deserialize;
use uuid::Uuid;

use crate::balancers::{refer, switch_of, toggle};
use crate::database::Database;
use crate::model::Model;
use crate::random::{Action, run};
use crate::terms::{DOMAIN, Terms};
use crate::world::{NETWORKS, PREFIXES, World, prefix};

/// A row of DNS in a golden folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    records: BTreeMap<String, String>,
    #[serde(default)]
    external_ids: BTreeMap<String, String>,
    /// Router ports, on switches that refer to it.
    ports: Vec<String>,
}

fn map(entries: &BTreeMap<String, String>) -> Value {
    Value::map(entries.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect())
}

pub fn add(database: &mut Database, names: &Dns) {
    let row = database.insert(DNS, &[]);
    database.set(DNS, row, dns::RECORDS, map(&names.records));
    database.set(DNS, row, dns::EXTERNAL_IDS, map(&names.external_ids));
    for port in &names.ports {
        let switch = switch_of(database, port).expect("a switch with the port");
        refer(database, (LOGICAL_SWITCH, switch), logical_switch::DNS_RECORDS, row);
    }
}

/// The nth guest's address in a prefix.
fn host(at: usize, nth: u8) -> IpAddr {
    match prefix(at).network() {
        IpAddr::V4(base) => IpAddr::V4((base.to_bits() + u32::from(nth)).into()),
        IpAddr::V6(base) => IpAddr::V6((base.to_bits() + u128::from(nth)).into()),
    }
}

/// Names of guests: in the domain, beside it, and one that is none.
const NAMES: [&str; 10] =
    ["g0", "g1.x", "G2.x", "x", "not one", "g3.xx", "g4", "g5.x", "g6", "g7.x"];

/// Some names with addresses in the prefixes of this world, mostly in these.
fn records(mut choice: usize, mostly: &[usize]) -> BTreeMap<String, String> {
    let mut take = |of: usize| {
        let taken = choice % of;
        choice /= of;
        taken
    };
    let mut records = BTreeMap::new();
    for _ in 0..=take(3) {
        let mut address = || {
            let at = match (take(4), mostly.len()) {
                (0, _) | (_, 0) => take(PREFIXES.len()),
                (_, len) => mostly[take(len)],
            };
            host(at, 10 + [0, 1][take(2)])
        };
        let (one, other) = (address(), address());
        let name = NAMES[take(NAMES.len())];
        let name = match (take(4), one) {
            (0, IpAddr::V4(ip4)) => {
                let [a, b, c, d] = ip4.octets();
                records.insert(format!("{d}.{c}.{b}.{a}.in-addr.arpa"), name.to_owned());
                continue;
            }
            _ => name,
        };
        records.insert(name.to_owned(), format!("{one} {other}"));
    }
    records
}

impl World {
    /// Somebody makes, alters or removes names of guests; or ours.
    pub fn meddle_with_names(&mut self, router: usize, choice: usize) {
        let Some(of_router) = self.routers.get(&router) else { return };
        let (what, choice) = (choice % 9, choice / 9);
        let ports: Vec<usize> = of_router.ports.keys().copied().collect();
        let Some(nth) = choice.checked_rem(ports.len()) else { return };
        let port = of_router.ports[&ports[nth]];
        let name = self.database.cell(ROUTER_PORT, port, router_port::NAME).string().to_owned();
        if switch_of(&self.database, &name).is_none() {
            self.meddle_with_balancers(router, 2 + 12 * nth);
        }
        let switch = switch_of(&self.database, &name).expect("a switch with the port");
        let own: BTreeSet<Uuid> = self.own_rows().into_iter().map(|(_, uuid)| uuid).collect();
        let database = &mut self.database;
        let pick = |ours: bool| -> Option<Uuid> {
            let rows = database.rows.keys();
            let rows = rows.filter(|(of, uuid)| *of == DNS && own.contains(uuid) == ours);
            let rows: Vec<Uuid> = rows.map(|(_, uuid)| *uuid).collect();
            rows.get(choice % rows.len().max(1)).copied()
        };
        let (theirs, ours) = (pick(false), pick(true));
        let written = map(&records(choice, &ports));
        match (what, theirs, ours) {
            (0 | 1, ..) => {
                let row = database.insert(DNS, &[]);
                database.set(DNS, row, dns::RECORDS, written);
                refer(database, (LOGICAL_SWITCH, switch), logical_switch::DNS_RECORDS, row);
            }
            (2, Some(row), _) | (8, _, Some(row)) => {
                database.rows.remove(&(DNS, row));
                database.collect();
            }
            (3 | 4, Some(row), _) | (7, _, Some(row)) => {
                database.set(DNS, row, dns::RECORDS, written);
            }
            (5, Some(row), _) | (6, _, Some(row)) => {
                toggle(database, (LOGICAL_SWITCH, switch), logical_switch::DNS_RECORDS, row);
            }
            _ => {}
        }
    }
}

/// Names and what is answered, as texts.
type Told = BTreeMap<String, String>;

/// The rows of DNS on the switches of a router, others' and ours.
fn on_switches(world: &World, router: usize) -> (BTreeSet<Uuid>, [BTreeSet<Uuid>; 2]) {
    let database = &world.database;
    let own: BTreeSet<Uuid> = world.own_rows().into_iter().map(|(_, uuid)| uuid).collect();
    let ports = world.routers[&router].ports.values();
    let names = ports.map(|port| database.cell(ROUTER_PORT, *port, router_port::NAME).string());
    let switches: BTreeSet<Uuid> = names.filter_map(|name| switch_of(database, name)).collect();
    let rows = switches.iter().flat_map(|switch| {
        database
            .cell(LOGICAL_SWITCH, *switch, logical_switch::DNS_RECORDS)
            .uuids()
            .collect::<Vec<_>>()
    });
    let (ours, theirs) = rows.partition(|row| own.contains(row));
    (switches, [theirs, ours])
}

fn entries(world: &World, row: Uuid) -> Told {
    let cell = world.database.cell(DNS, row, dns::RECORDS);
    cell.entries().map(|(name, text)| (name.to_lowercase(), text.to_owned())).collect()
}

/// What of the names at a network another one may be told that reaches these prefixes there.
fn may_be_told(
    world: &World,
    router: usize,
    reached: &BTreeSet<IpNet>,
    terms: [&Terms; 2],
) -> Told {
    let crosses = |address: &IpAddr| reached.iter().any(|net| net.contains(address));
    let wanted = |name: &str| {
        let [offers, asks] = [terms[0].names[0], terms[1].names[1]];
        let is_in = |listed: Option<bool>| match listed {
            None => false,
            Some(true) => true,
            Some(false) => name == DOMAIN || name.ends_with(&format!(".{DOMAIN}")),
        };
        is_in(offers) && is_in(asks)
    };
    let (_, [theirs, _]) = on_switches(world, router);
    let mut addresses: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut told = Told::new();
    for (name, text) in theirs.iter().flat_map(|row| entries(world, *row)) {
        let text = text.to_lowercase();
        if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
            let mut bytes: Vec<&str> = reversed.split('.').collect();
            bytes.reverse();
            let address: IpAddr = bytes.join(".").parse().unwrap();
            if crosses(&address) && !text.contains(' ') {
                // OVN takes any of several.
                let known = told.entry(name).or_insert_with(|| text.clone());
                *known = text.min(known.clone());
            }
        } else if wanted(&name) && !name.contains(' ') {
            let all = text.split(' ').map(|it| it.parse().unwrap()).filter(crosses);
            addresses.entry(name).or_default().extend(all);
        }
    }
    told.retain(|_, guest| wanted(guest));
    for (name, addresses) in addresses.into_iter().filter(|(_, all)| !all.is_empty()) {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        told.insert(name, texts.join(" "));
    }
    told
}

/// Guests are told the names of their peers that may be told, once each, and no others.
pub fn check(
    world: &World,
    model: &Model,
    routed: &BTreeMap<(usize, usize), BTreeSet<IpNet>>,
    step: &str,
) {
    let mut placed: BTreeSet<Uuid> = BTreeSet::new();
    for router in world.routers.keys() {
        let bound = world.bindings.iter().filter(|(_, to)| *to == router);
        let networks: BTreeSet<usize> = bound.map(|(network, _)| *network).collect();
        let (switches, [theirs, ours]) = on_switches(world, *router);
        placed.extend(&ours);
        if switches.is_empty() {
            continue;
        }
        let have: BTreeSet<String> =
            theirs.iter().flat_map(|row| entries(world, *row).into_keys()).collect();
        let mut told = Told::new();
        for row in &ours {
            for switch in &switches {
                let cell =
                    world.database.cell(LOGICAL_SWITCH, *switch, logical_switch::DNS_RECORDS);
                assert!(cell.uuids().any(|it| it == *row), "on some switches only: {step}");
            }
            for (name, text) in entries(world, *row) {
                assert!(!have.contains(&name), "the network has {name} itself: {step}");
                assert_eq!(told.insert(name, text), None, "a name is told twice: {step}");
            }
        }
        // What lists let pass, and what crosses where routes are made by hand, other tests know.
        let mut surely = BTreeMap::<String, BTreeSet<String>>::new();
        let mut perhaps = false;
        for ((network, peer), reached) in routed.iter().filter(|((of, _), _)| networks.contains(of))
        {
            let (of_peer, own) = (model.terms((*peer, *network)), model.terms((*network, *peer)));
            perhaps |= own.manual.is_some();
            let listed = !of_peer.lists.keys().is_empty() || !own.lists.keys().is_empty();
            if listed || world.settings.policy.filters == Filters::Closed {
                perhaps = true;
                continue;
            }
            let Some(there) = world.bindings.get(peer).filter(|_| own.manual.is_none()) else {
                continue;
            };
            for (name, text) in may_be_told(world, *there, reached, [&of_peer, &own]) {
                surely.entry(name).or_default().insert(text);
            }
        }
        for (name, texts) in surely.iter().filter(|(name, _)| !have.contains(*name)) {
            let found = told.get(name);
            assert!(
                found.is_some_and(|text| perhaps || texts.contains(text)),
                "{name} is told as {found:?}, not as one of {texts:?}, to {networks:?}: {step}"
            );
        }
        if !perhaps {
            let more: Vec<_> = told.keys().filter(|name| !surely.contains_key(*name)).collect();
            assert!(more.is_empty(), "told without consent, to {networks:?}: {more:?}: {step}");
        }
    }
    let own = world.own_rows().into_iter().filter(|(table, _)| *table == DNS);
    for (_, row) in own {
        assert!(placed.contains(&row), "a row that no switch of a network has: {step}");
        let tags = world.database.cell(DNS, row, dns::EXTERNAL_IDS);
        assert!(matches!(tags.get(END_KEY), Some("a" | "b")), "a row without its end: {step}");
    }
    for ((table, uuid), row) in &world.database.rows {
        if *table == LOGICAL_SWITCH {
            let ours = world.own_rows();
            let mut rows = row.get(logical_switch::DNS_RECORDS).uuids();
            let strays = rows.any(|it| ours.contains(&(DNS, it)) && !placed.contains(&it));
            assert!(!strays, "{uuid} tells names that it shall not: {step}");
        }
    }
}

/// Networks that all peer with each other, offer names and ask for them; each has some.
fn prepared() -> World {
    let mut world = crate::random::prepared();
    for network in 0..NETWORKS {
        for target in (0..NETWORKS).filter(|target| *target != network) {
            let names = [Some(!(network + target).is_multiple_of(3)), Some(target != 0)];
            let terms = Terms { names, ..Terms::default() };
            world.halves.entry(network).or_default().insert(target, true);
            world.terms.entry(network).or_default().insert(target, terms);
        }
        let halves = world.halves_file(network);
        world.read(halves);
        for choice in (0..4).map(|nth| 9 * (nth * 104_729 + network * 7_919)) {
            world.meddle_with_names(network, choice);
        }
    }
    world.settle();
    world
}

fn count(world: &World, of: TableId) -> usize {
    world.own_rows().iter().filter(|(table, _)| *table == of).count()
}

#[test]
fn networks_that_all_peer_tell_names_to_begin_with() {
    let mut world = prepared();
    crate::random::rest(&mut world, "prepared");
    assert!(count(&world, DNS) > 5, "only {}", count(&world, DNS));
    let told: usize = world
        .own_rows()
        .into_iter()
        .filter(|(table, _)| *table == DNS)
        .map(|(_, row)| entries(&world, row).len())
        .sum();
    assert!(told > 12, "only {told} names");
}

/// Names, and what they depend on.
fn action() -> impl Strategy<Value = Action> {
    let (network, subnet) = (0..NETWORKS, 0..PREFIXES.len());
    let names = any::<[Option<bool>; 2]>();
    let pair = (network.clone(), network.clone());
    prop_oneof![
        12 => (network.clone(), any::<usize>()).prop_map(|(r, c)| Action::Names(r, c)),
        3 => (pair.clone(), names).prop_map(|((a, b), names)| {
            Action::Terms(a, b, Terms { names, ..Terms::default() })
        }),
        2 => (pair.clone(), prop::bool::weighted(0.8)).prop_map(|((a, b), on)| Action::Declare(a, b, on)),
        1 => pair.prop_map(|(a, b)| Action::Withdraw(a, b)),
        2 => (network.clone(), subnet.clone()).prop_map(|(r, s)| Action::Port(r, s)),
        1 => (network.clone(), subnet).prop_map(|(r, s)| Action::GuestRoute(r, s)),
        1 => network.clone().prop_map(Action::Router),
        1 => (network.clone(), network.clone()).prop_map(|(n, r)| Action::Bind(n, r)),
        // Switches come and go.
        1 => (network, 0..4_usize).prop_map(|(r, c)| Action::Balancer(r, 2 + 12 * c)),
        1 => any::<usize>().prop_map(Action::Delete),
        1 => any::<usize>().prop_map(Action::Alter),
        1 => Just(Action::Restart),
        1 => Just(Action::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn names_by_increments_are_those_that_may_be_told(
        actions in prop::collection::vec(action(), 1..30),
    ) {
        run(prepared(), &actions);
    }
}
