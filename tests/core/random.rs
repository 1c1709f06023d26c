//! Random runs.

use std::collections::{BTreeMap, BTreeSet};

use std::path::Path;

use ipnet::IpNet;
use jiff::SignedDuration;
use ovn_peerd::declare::{AddressSpace, Filters, PolicySettings, Quotas, Settings};
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, NAT, STATIC_ROUTE, address_set, logical_router, nat, static_route,
};
use ovn_peerd::view::{HalfView, State};
use proptest::prelude::*;

use crate::late::Late;
use crate::model::Model;
use crate::terms::{Terms, terms};
use crate::world::{Halves, NETWORKS, PREFIXES, World, halves};

#[derive(Clone, Debug)]
pub enum Action {
    Bind(usize, usize),
    Unbind(usize),
    Declare(usize, usize, bool),
    Withdraw(usize, usize),
    Router(usize),
    Port(usize, usize),
    Route(usize, usize),
    GuestRoute(usize, usize),
    Bound(usize, usize),
    Terms(usize, usize, Terms),
    Pin(usize, Option<&'static str>),
    Nat(usize, usize),
    Rewrite(usize),
    /// Somebody links two routers, by their ports or over a switch.
    Link(usize, usize, bool),
    /// Somebody has a port with a name of ours.
    Namesake(usize, usize),
    Uplink(usize),
    /// Somebody makes, alters or removes a load balancer, or a switch for one.
    Balancer(usize, usize),
    /// Somebody makes, alters or removes names of guests.
    Names(usize, usize),
    Tell(usize),
    Lease(usize, usize),
    Options(usize),
    Advertise(usize),
    Delete(usize),
    Alter(usize),
    Break(usize),
    Mend(usize),
    Reject(usize, usize),
    /// All that a project stores by command.
    Store(usize, Halves, BTreeSet<usize>),
    Renew(usize, usize, i64),
    Clock(i64),
    Restart,
    Crash,
    Reconnect,
}

pub fn action() -> impl Strategy<Value = Action> {
    let (network, router, subnet) = (0..NETWORKS, 0..NETWORKS, 0..PREFIXES.len());
    prop_oneof![
        2 => (network.clone(), router.clone()).prop_map(|(n, r)| Action::Bind(n, r)),
        1 => network.clone().prop_map(Action::Unbind),
        8 => (network.clone(), network.clone(), prop::bool::weighted(0.9))
            .prop_map(|(a, b, on)| Action::Declare(a, b, on)),
        2 => (network.clone(), network.clone()).prop_map(|(a, b)| Action::Withdraw(a, b)),
        1 => router.clone().prop_map(Action::Router),
        5 => (router.clone(), subnet.clone()).prop_map(|(r, s)| Action::Port(r, s)),
        2 => (router.clone(), subnet.clone()).prop_map(|(r, s)| Action::Route(r, s)),
        2 => (router.clone(), subnet.clone()).prop_map(|(r, s)| Action::GuestRoute(r, s)),
        2 => (network.clone(), subnet.clone()).prop_map(|(n, s)| Action::Bound(n, s)),
        5 => (network.clone(), network.clone(), terms()).prop_map(|(a, b, t)| Action::Terms(a, b, t)),
        2 => (router.clone(), prop::sample::select(vec![None, Some("hv1"), Some("hv2")]))
            .prop_map(|(r, chassis)| Action::Pin(r, chassis)),
        2 => (router.clone(), subnet).prop_map(|(r, s)| Action::Nat(r, s)),
        2 => router.clone().prop_map(Action::Uplink),
        6 => (router.clone(), any::<usize>()).prop_map(|(r, c)| Action::Balancer(r, c)),
        4 => (router.clone(), any::<usize>()).prop_map(|(r, c)| Action::Names(r, c)),
        2 => (router.clone(), router, any::<bool>()).prop_map(|(a, b, s)| Action::Link(a, b, s)),
        2 => (network.clone(), network.clone()).prop_map(|(a, b)| Action::Namesake(a, b)),
        1 => any::<usize>().prop_map(Action::Rewrite),
        2 => network.clone().prop_map(Action::Tell),
        2 => (0..PREFIXES.len(), any::<usize>()).prop_map(|(s, choice)| Action::Lease(s, choice)),
        2 => any::<usize>().prop_map(Action::Options),
        2 => any::<usize>().prop_map(Action::Advertise),
        2 => any::<usize>().prop_map(Action::Delete),
        2 => any::<usize>().prop_map(Action::Alter),
        1 => network.clone().prop_map(Action::Break),
        1 => network.clone().prop_map(Action::Mend),
        2 => (network.clone(), network.clone()).prop_map(|(a, b)| Action::Reject(a, b)),
        2 => (network.clone(), network.clone(), -40..20i64).prop_map(|(a, b, at)| Action::Renew(a, b, at)),
        4 => (network.clone(), halves(), prop::collection::btree_set(network.clone(), 0..3))
            .prop_map(|(n, halves, rejects)| Action::Store(n, halves, rejects)),
        3 => (-30..60i64).prop_map(Action::Clock),
        1 => Just(Action::Restart),
        1 => Just(Action::Crash),
        1 => Just(Action::Reconnect),
    ]
}

/// Policies under which much happens within a minute.
pub fn policy() -> impl Strategy<Value = PolicySettings> {
    let seconds = |range: std::ops::Range<i64>| range.prop_map(SignedDuration::from_secs);
    let address_space = prop::sample::select(vec![AddressSpace::Follow, AddressSpace::Freeze]);
    let expiry = prop::option::weighted(0.8, seconds(5..40));
    let quota = prop::option::weighted(0.3, 0..4u32);
    let depth = prop::sample::select(vec![89, 89, 2, 3, 4, 6]);
    let filters = prop::sample::select(vec![Filters::Open, Filters::Open, Filters::Closed]);
    (address_space, expiry, seconds(0..40), quota, depth, filters).prop_map(
        |(address_space, request_expiry, history, per_network, max_mesh_depth, filters)| {
            PolicySettings {
                filters,
                max_mesh_depth,
                address_space,
                request_expiry,
                history,
                quotas: Quotas { per_network, ..Quotas::NONE },
                ..PolicySettings::default()
            }
        },
    )
}

/// Five networks on a router and a subnet of their own each.
pub fn prepared() -> World {
    prepared_by(&PolicySettings::default())
}

fn prepared_by(policy: &PolicySettings) -> World {
    prepared_on(None, policy)
}

pub fn prepared_on(late: Option<Late>, policy: &PolicySettings) -> World {
    let mut settings = Settings::defaults(Path::new("/etc/ovn-peerd"));
    settings.policy = policy.clone();
    let mut world = World::on(late, settings);
    let subnets: [usize; NETWORKS] = [0, 1, 4, 5, 6];
    world.add_networks(&subnets.into_iter().enumerate().collect::<Vec<_>>());
    world.settle();
    world
}

pub fn act(world: &mut World, action: &Action) {
    match action {
        Action::Bind(network, router) => {
            world.bindings.insert(*network, *router);
            let file = world.network_file(*network);
            world.read(file);
        }
        Action::Unbind(network) => {
            world.bindings.remove(network);
            let file = world.network_file(*network);
            world.read(file);
        }
        Action::Declare(from, to, _)
        | Action::Withdraw(from, to)
        | Action::Reject(from, to)
        | Action::Terms(from, to, _)
        | Action::Renew(from, to, _)
        | Action::Link(from, to, _)
        | Action::Namesake(from, to)
            if from == to => {}
        Action::Declare(from, to, enabled) => {
            world.halves.entry(*from).or_default().insert(*to, *enabled);
            let file = world.halves_file(*from);
            world.read(file);
        }
        Action::Withdraw(from, to) => {
            world.halves.entry(*from).or_default().remove(to);
            let file = world.halves_file(*from);
            world.read(file);
        }
        Action::Reject(from, whom) => {
            let rejects = world.rejects.entry(*from).or_default();
            if !rejects.remove(whom) {
                rejects.insert(*whom);
            }
            let file = world.rejections_file(*from);
            world.read(file);
        }
        Action::Store(network, halves, rejects) => world.store(*network, halves, rejects),
        Action::Renew(from, to, when) => {
            let at = world.seconds + when;
            world.requested.entry(*from).or_default().insert(*to, at);
            let file = world.halves_file(*from);
            world.read(file);
        }
        Action::Clock(seconds) => world.pass(*seconds),
        Action::Router(router) if world.routers.contains_key(router) => {
            world.remove_router(*router)
        }
        Action::Router(router) => world.add_router(*router),
        Action::Port(router, subnet) if world.routers.contains_key(router) => {
            world.toggle_port(*router, *subnet);
        }
        Action::Route(router, subnet) if world.routers.contains_key(router) => {
            world.toggle_route(*router, *subnet);
        }
        Action::GuestRoute(router, subnet) if world.routers.contains_key(router) => {
            world.toggle_guest_route(*router, *subnet);
        }
        Action::Bound(network, subnet) => {
            let bounds = world.may_export.entry(*network).or_default();
            if !bounds.remove(subnet) {
                bounds.insert(*subnet);
            }
            let file = world.network_file(*network);
            world.read(file);
        }
        Action::Terms(from, to, terms) => {
            world.terms.entry(*from).or_default().insert(*to, terms.clone());
            let file = world.halves_file(*from);
            world.read(file);
        }
        Action::Pin(router, chassis) if world.routers.contains_key(router) => {
            world.pin_router(*router, *chassis);
        }
        Action::Nat(router, subnet) if world.routers.contains_key(router) => {
            world.toggle_nat(*router, *subnet);
        }
        Action::Uplink(router) if world.routers.contains_key(router) => {
            world.toggle_uplink(*router);
        }
        Action::Link(one, other, over_switch) => world.toggle_link(*one, *other, *over_switch),
        Action::Namesake(one, other) => world.toggle_name_collision(*one, *other),
        Action::Rewrite(choice) => world.rewrite_nat(*choice),
        Action::Balancer(router, choice) => world.meddle_with_balancers(*router, *choice),
        Action::Names(router, choice) => world.meddle_with_names(*router, *choice),
        Action::Tell(network) => {
            if !world.tells.remove(network) {
                world.tells.insert(*network);
            }
            let file = world.network_file(*network);
            world.read(file);
        }
        Action::Lease(subnet, choice) => world.toggle_lease(*subnet, *choice),
        Action::Options(choice) => world.rewrite_options(*choice),
        Action::Advertise(choice) => world.rewrite_advertisements(*choice),
        Action::Port(..)
        | Action::Route(..)
        | Action::GuestRoute(..)
        | Action::Pin(..)
        | Action::Uplink(_)
        | Action::Nat(..) => {}
        Action::Delete(choice) => world.delete_own(*choice),
        Action::Alter(choice) => world.alter_own(*choice),
        Action::Break(network) => {
            world.broken.insert(*network);
            let file = world.halves_file(*network);
            world.read(file);
        }
        Action::Mend(network) => {
            world.broken.remove(network);
            let file = world.halves_file(*network);
            world.read(file);
        }
        Action::Restart => world.restart(),
        Action::Crash => world.crash(),
        Action::Reconnect => world.connect(),
    }
}

/// What every half shows, but for the words.
fn shown(views: &[HalfView]) -> BTreeMap<(usize, usize), (State, Option<ovn_peerd::view::Reason>)> {
    let index = |project: &str| project[1..].parse::<usize>().unwrap();
    views
        .iter()
        .map(|view| {
            // Its target may be named by a UUID.
            let target = view.name.strip_prefix("to-").unwrap().parse().unwrap();
            let half = (index(&view.project), target);
            (half, (view.state, view.reason))
        })
        .collect()
}

/// What our routes on each network's router lead to at peers, not beyond their gateways; by the network at the other end.
fn routes(world: &World) -> BTreeMap<usize, BTreeSet<IpNet>> {
    let own: BTreeSet<_> = world.own_rows().into_iter().map(|(_, uuid)| uuid).collect();
    let mut found: BTreeMap<usize, BTreeSet<IpNet>> = BTreeMap::new();
    for (index, router) in &world.routers {
        let cell = world.database.cell(LOGICAL_ROUTER, router.uuid, logical_router::STATIC_ROUTES);
        for route in cell.uuids().filter(|route| own.contains(route)) {
            let text = world.database.cell(STATIC_ROUTE, route, static_route::IP_PREFIX).string();
            if crate::filtered::is_beyond(text) {
                continue;
            }
            assert!(found.entry(*index).or_default().insert(text.parse().unwrap()), "routed twice");
        }
    }
    found
}

/// As [`routes`], of all routers.
pub fn routed_prefixes(world: &World) -> BTreeMap<usize, BTreeSet<IpNet>> {
    routes(world)
}

pub fn run(mut world: World, actions: &[Action]) {
    let mut model = Model::default();
    model.step(&world);
    for (number, action) in actions.iter().enumerate() {
        // Time goes on first, and has its effect before anything else happens.
        if !matches!(action, Action::Clock(_)) {
            world.pass(1);
            model.step(&world);
        }
        act(&mut world, action);
        // Much is to be done at once then.
        (0..4).for_each(|_| world.alter_any());
        let asked = (number % 4 == 0)
            .then(|| (world.engine.plan_basis(world.now()), world.engine.plan(None, world.now())));
        let step = format!("step {number}, {action:?}");
        check(&mut world, &mut model, &step);
        crate::filtered::check(&world, &model, number, &step);
        if let Some((basis, plan)) = asked {
            assert_eq!(basis.plan(None), plan, "a plan is of the moment at which it was asked for");
        }
    }
    begin_anew(&mut world);
}

/// A fresh host with the same files goes on exactly where this one stands.
pub fn begin_anew(world: &mut World) {
    let before = world.engine.list();
    let transactions = world.database.transactions;
    world.restart();
    assert_eq!(world.settle(), 0);
    assert_eq!(world.engine.list(), before);
    assert_eq!(world.database.transactions, transactions);
}

/// What must hold once all is written.
pub fn rest(world: &mut World, step: &str) {
    let foreign = world.foreign();
    world.settle();
    assert_eq!(world.foreign(), foreign, "rows of others changed: {step}");
    world.northd();
    assert_eq!(world.settle(), 0, "a second reconcile wrote something: {step}");
    // It is asked once more about what changed before it answered, or what was damped then; and about nothing after that.
    let answered = (0..4).any(|_| {
        world.northd();
        let asked = world.asked;
        assert_eq!(world.settle(), 0, "a later reconcile wrote something: {step}");
        world.asked == asked
    });
    assert!(answered, "ovn-northd is asked again and again: {step}");

    let plan = world.engine.plan(None, world.now());
    assert!(plan.is_empty(), "incremental and full recompute differ: {step}\n{plan:#?}");
}

/// Everything that must hold after any step.
fn check(world: &mut World, model: &mut Model, step: &str) {
    rest(world, step);

    // What a step decides is remembered for the next: so until it comes to rest.
    let (mut expected, mut routed) = model.step(world);
    for _ in 0..4 {
        (expected, routed) = model.step(world);
    }
    let mut seen = shown(&world.engine.list());
    // The model does not tell a clash from two networks without a common family.
    for (half, state) in &mut expected {
        if *state == (State::Failed, None)
            && let Some(seen) = seen.get_mut(half)
            && seen.0 == State::Failed
        {
            seen.1 = None;
        }
    }
    assert_eq!(seen, expected, "states differ from the model's: {step}");
    let mut by_router: BTreeMap<usize, BTreeSet<IpNet>> = BTreeMap::new();
    // A half with manual routes may have none.
    for ((network, _), prefixes) in routed.iter().filter(|(_, prefixes)| !prefixes.is_empty()) {
        by_router.entry(world.bindings[network]).or_default().extend(prefixes);
    }
    assert_eq!(routes(world), by_router, "routes differ from the model's: {step}");

    check_nats(world, &by_router, step);
    crate::guests::check(world, &routed, step);
    crate::balancers::check(world, &by_router, step);
    crate::dns::check(world, model, &routed, step);
    for view in world.engine.list() {
        let told = view.reason.is_some() && view.explanation.is_some() && view.next_step.is_some();
        assert!(view.state == State::Active || told, "no reason told: {view:#?}");
        assert!(view.since.is_some(), "no since: {view:#?}");
    }
}

/// A NAT row exempts what its gateway router reaches over links, unless its owner has chosen.
fn check_nats(world: &World, routed: &BTreeMap<usize, BTreeSet<IpNet>>, step: &str) {
    let own: BTreeSet<_> = world.own_rows().into_iter().collect();
    for (index, router) in &world.routers {
        for (subnet, row) in &router.nats {
            let cell = |column| world.database.cell(NAT, *row, column);
            let exempted = cell(nat::EXEMPTED_EXT_IPS).uuid();
            let theirs = exempted.is_some_and(|set| !own.contains(&(ADDRESS_SET, set)));
            if theirs || !cell(nat::ALLOWED_EXT_IPS).is_empty() {
                let ours = exempted.filter(|_| !theirs);
                assert_eq!(ours, None, "a set of ours where others choose: {step}");
                continue;
            }
            let mut wanted: BTreeSet<String> = BTreeSet::new();
            for prefix in
                routed.get(index).into_iter().flatten().filter(|_| world.is_gateway(*index))
            {
                if prefix.addr().is_ipv4() == crate::world::prefix(*subnet).addr().is_ipv4() {
                    wanted.insert(prefix.to_string());
                }
            }
            let addresses = |set| world.database.cell(ADDRESS_SET, set, address_set::ADDRESSES);
            let found = exempted.into_iter().flat_map(|set| addresses(set).strings());
            let found: BTreeSet<String> = found.map(str::to_owned).collect();
            assert_eq!(found, wanted, "what is exempted: {step}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_full_recompute_equals_the_model(
        actions in prop::collection::vec(action(), 1..60),
        policy in policy(),
    ) {
        run(prepared_by(&policy), &actions);
    }

    #[test]
    fn order_of_declarations_is_irrelevant(
        halves in prop::collection::btree_map((0..NETWORKS, 0..NETWORKS), any::<bool>(), 0..20),
        ports in prop::collection::vec((0..NETWORKS, 0..PREFIXES.len()), 0..8),
        seed in any::<u64>(),
    ) {
        let mut contents = Vec::new();
        for reversed in [false, true] {
            let mut world = prepared();
            for (router, subnet) in &ports {
                world.toggle_port(*router, *subnet);
            }
            world.settle();
            for ((from, to), enabled) in halves.iter().filter(|((from, to), _)| from != to) {
                world.halves.entry(*from).or_default().insert(*to, *enabled);
            }
            let mut order: Vec<usize> = (0..NETWORKS).collect();
            order.rotate_left(usize::try_from(seed % 5).unwrap());
            if reversed {
                order.reverse();
            }
            for network in order {
                let file = world.halves_file(network);
                world.read(file);
            }
            world.settle();
            contents.push((world.own_content(), shown(&world.engine.list())));
        }
        prop_assert_eq!(&contents[0], &contents[1]);
    }

    #[test]
    fn both_sides_are_treated_alike(
        first in prop::collection::btree_set(0..PREFIXES.len(), 1..4),
        second in prop::collection::btree_set(0..PREFIXES.len(), 1..4),
    ) {
        let mut states = Vec::new();
        for swapped in [false, true] {
            let mut world = World::new();
            for index in 0..2 {
                world.add_router(index);
                let subnets = if (index == 0) == swapped { &second } else { &first };
                for subnet in subnets {
                    world.toggle_port(index, *subnet);
                }
                world.bindings.insert(index, index);
                world.halves.entry(index).or_default().insert(1 - index, true);
            }
            for index in 0..2 {
                let (network, halves) = (world.network_file(index), world.halves_file(index));
                world.read(network);
                world.read(halves);
            }
            world.rest();
            let seen = shown(&world.engine.list());
            let routes = routes(&world);
            let side = |index: usize| {
                (seen[&(index, 1 - index)], routes.get(&index).cloned().unwrap_or_default())
            };
            states.push(if swapped { (side(1), side(0)) } else { (side(0), side(1)) });
        }
        prop_assert_eq!(&states[0], &states[1]);
    }
}
