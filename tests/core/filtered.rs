//! Lists and gateways in random worlds: the links that stand do to packets what the lists of both halves say, and a network
//! leaves by a peer's gateway only where both say so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ovn_peerd::declare::{Filters, PolicySettings};
use ovn_peerd::northbound::tables::{STATIC_ROUTE, logical_router, static_route};
use proptest::prelude::*;

use crate::lists::Lists;
use crate::model::Model;
use crate::packets::{ACK, ICMP4, ICMP6, Packet, SYN, TCP, UDP};
use crate::policies::decided;
use crate::random::{Action, action, prepared_on, run};
use crate::terms::{LISTED, lists_and_gateways};
use crate::verdict::{Reference, Side, Verdict};
use crate::world::{NETWORKS, World, prefix};

/// Networks that all peer with each other, those that can.
fn prepared(filters: Filters) -> World {
    let mut world = prepared_on(None, &PolicySettings { filters, ..PolicySettings::default() });
    for (from, to) in (0..NETWORKS).flat_map(|from| (0..NETWORKS).map(move |to| (from, to))) {
        if from != to {
            world.halves.entry(from).or_default().insert(to, true);
        }
    }
    // Two of them have a gateway.
    [2, 3].into_iter().for_each(|router| world.toggle_uplink(router));
    (0..NETWORKS).for_each(|network| {
        let file = world.halves_file(network);
        world.read(file);
    });
    world.settle();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn lists_and_gateways_by_increments_do_what_they_say(
        actions in prop::collection::vec(
            prop_oneof![
                8 => (0..NETWORKS - 1, 0..NETWORKS - 1, lists_and_gateways())
                    .prop_map(|(a, b, terms)| Action::Terms(a, b, terms)),
                3 => action(),
            ],
            1..24,
        ),
        filters in prop::sample::select(vec![Filters::Open, Filters::Open, Filters::Closed]),
    ) {
        run(prepared(filters), &actions);
    }
}

/// Whether a route leads to what is beyond a gateway.
pub fn is_beyond(destination: &str) -> bool {
    ["0.0.0.0/0", "::/0", LISTED].contains(&destination)
}

/// Looks at one of the pairs with lists, at another one each time.
pub fn check(world: &World, model: &Model, turn: usize, step: &str) {
    let closed = world.settings.policy.filters == Filters::Closed;
    let linked = model.routed.keys().copied().filter(|(a, b)| a < b);
    let filtered = linked.filter(|(a, b)| {
        let has = |half| model.terms(half).lists != Lists::default();
        closed || has((*a, *b)) || has((*b, *a))
    });
    let filtered: Vec<_> = filtered.collect();
    if let Some(pair) = filtered.get(turn % filtered.len().max(1)) {
        check_pair(world, model, *pair, closed, step);
    }
    check_gateways(world, model, step);
}

fn check_pair(world: &World, model: &Model, (a, b): (usize, usize), closed: bool, step: &str) {
    let router = |network| world.bindings[&network];
    let ends = [(a, b), (b, a)].map(|(from, to)| {
        let (port, link) = world.link(router(from), router(to)).expect("a link");
        let subnets = world.routers[&router(from)].ports.keys();
        let own: Vec<IpAddr> =
            subnets.map(|it| prefix(*it).hosts().next().expect("a host")).collect();
        let crossing: Vec<IpNet> = model.routed[&(to, from)].1.iter().copied().collect();
        let side = Side::new(&model.terms((from, to)).lists, closed).with(&crossing, &own, &link);
        (side, port, crossing)
    });
    let reference = Reference::new(ends.each_ref().map(|(side, ..)| side.clone()));
    for from in [0, 1] {
        let policies = world.policies(router([b, a][from]));
        for packet in packets(&ends[from].2, &ends[1 - from].2) {
            let packet = Packet { inport: ends[1 - from].1.clone(), ..packet };
            let ((passes, by), verdict) =
                (decided(&policies, &packet), reference.verdict(from, &packet));
            assert!(
                verdict == Verdict::Either || Verdict::from(passes) == verdict,
                "{verdict:?} is wanted from {from} of {packet:?} by {by}\n{:?}\n{:?}: {step}",
                model.terms((a, b)).lists,
                model.terms((b, a)).lists,
            );
        }
    }
}

/// Packets of several shapes from one side's prefixes to the other's.
fn packets(from: &[IpNet], to: &[IpNet]) -> Vec<Packet> {
    let hosts = |nets: &[IpNet]| -> Vec<IpAddr> {
        let of = |net: &IpNet| net.hosts().nth(9).or_else(|| net.hosts().next());
        nets.iter().filter_map(of).collect()
    };
    let mut all = vec![];
    for source in hosts(from) {
        for destination in hosts(to).into_iter().filter(|it| it.is_ipv4() == source.is_ipv4()) {
            let (icmp, echo) = if source.is_ipv4() { (ICMP4, 8) } else { (ICMP6, 128) };
            let shapes = [
                (TCP, [40_000, 22], SYN, 0),
                (TCP, [40_000, 443], SYN, 0),
                (TCP, [22, 40_000], SYN | ACK, 0),
                (UDP, [40_000, 53], 0, 0),
                (UDP, [53, 40_000], 0, 0),
                (icmp, [0; 2], 0, echo),
                (47, [0; 2], 0, 0),
            ];
            all.extend(shapes.map(|(protocol, ports, flags, kind)| {
                let packet = Packet::new(protocol, source, destination);
                Packet { ports, flags, kind, ..packet }
            }));
        }
    }
    all
}

/// Routes by a gateway are where the one half uses it, and the other one offers it.
fn check_gateways(world: &World, model: &Model, step: &str) {
    let own: BTreeSet<_> = world.own_rows().into_iter().collect();
    let at = |router: &usize| world.bindings.iter().find(|(_, bound)| *bound == router);
    for router in world.routers.keys() {
        let mut peers = BTreeSet::new();
        let routes = world.refers_to(*router, logical_router::STATIC_ROUTES).into_iter();
        for route in routes.filter(|route| own.contains(&(STATIC_ROUTE, *route))) {
            let cell = |column| world.database.cell(STATIC_ROUTE, route, column).string();
            let destination = cell(static_route::IP_PREFIX);
            if !is_beyond(destination) {
                continue;
            }
            let other = world.beyond(*router, cell(static_route::OUTPUT_PORT)).expect("an end");
            peers.insert(other);
            let both = at(router).zip(at(&other)).map(|((user, _), (provider, _))| {
                (model.terms((*user, *provider)), model.terms((*provider, *user)))
            });
            let (uses, offers) = both.expect("both are bound");
            let all = destination != LISTED;
            assert!(uses.uses == Some(all) && offers.offers, "a route to {destination}: {step}");
        }
        assert!(peers.len() < 2, "{router} leaves by {peers:?}: {step}");
    }
}
