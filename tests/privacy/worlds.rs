//! The core by itself, in random worlds: what a tenant is shown holds no name and no prefix of a third network, and while
//! nobody has agreed to anything, it is the same whatever the others do.

use std::collections::BTreeSet;

use ovn_peerd::declare::{HalfKey, NetworkKey};
use ovn_peerd::engine::{Change, published};
use ovn_peerd::view::{Audience, Counters, Event, EventKind, Viewer};
use proptest::prelude::*;

use crate::allowed::{Allowed, allowed, askers, hold_against};
use crate::named::name_guests;
use crate::terms::{Terms, lists_and_gateways, terms};
use crate::world::{Halves, NETWORKS, PREFIXES, World, halves, prefix};

/// A network that is nowhere.
const NOWHERE: usize = 9;
/// The first subnet of each network.
const SUBNETS: [usize; NETWORKS] = [0, 1, 4, 5, 6];

/// What somebody does.
#[derive(Clone, Debug)]
enum Action {
    Bind(usize, Option<usize>),
    Declare(usize, usize, bool),
    Withdraw(usize, usize),
    Router(usize),
    Port(usize, usize),
    Route(usize, usize),
    Uplink(usize),
    Terms(usize, usize, Terms),
    /// All that a project stores by command.
    Store(usize, Halves, BTreeSet<usize>),
    Delete(usize),
    Northd,
    Settle,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let (network, subnet) = (0..NETWORKS, 0..PREFIXES.len());
    prop_oneof![
        2 => (network.clone(), prop::option::weighted(0.8, network.clone())).prop_map(|(n, r)| Action::Bind(n, r)),
        9 => (network.clone(), network.clone(), prop::bool::weighted(0.9))
            .prop_map(|(a, b, on)| Action::Declare(a, b, on)),
        2 => (network.clone(), network.clone()).prop_map(|(a, b)| Action::Withdraw(a, b)),
        1 => network.clone().prop_map(Action::Router),
        5 => (network.clone(), subnet.clone()).prop_map(|(r, s)| Action::Port(r, s)),
        4 => (network.clone(), network.clone(), terms()).prop_map(|(a, b, t)| Action::Terms(a, b, t)),
        4 => (network.clone(), halves(), prop::collection::btree_set(network.clone(), 0..3))
            .prop_map(|(n, halves, rejects)| Action::Store(n, halves, rejects)),
        2 => (network.clone(), subnet).prop_map(|(r, s)| Action::Route(r, s)),
        1 => network.prop_map(Action::Uplink),
        1 => any::<usize>().prop_map(Action::Delete),
        2 => Just(Action::Northd),
        3 => Just(Action::Settle),
        1 => Just(Action::Restart),
    ]
}

/// Each of these networks on a router and a subnet of its own.
fn prepared(networks: impl IntoIterator<Item = usize>) -> World {
    let mut world = World::new();
    for index in networks {
        world.add_router(index);
        world.toggle_port(index, SUBNETS[index]);
        name_guests(&mut world, index, SUBNETS[index]);
        world.bindings.insert(index, index);
        let file = world.network_file(index);
        world.read(file);
    }
    world.settle();
    world
}

fn act(world: &mut World, action: &Action) {
    world.seconds += 1;
    match action {
        Action::Bind(network, router) => {
            match router {
                Some(router) => world.bindings.insert(*network, *router),
                None => world.bindings.remove(network),
            };
            let file = world.network_file(*network);
            world.read(file);
        }
        Action::Declare(from, to, _) | Action::Withdraw(from, to) | Action::Terms(from, to, _)
            if from == to => {}
        Action::Terms(from, to, terms) => {
            world.terms.entry(*from).or_default().insert(*to, terms.clone());
            let file = world.halves_file(*from);
            world.read(file);
        }
        Action::Declare(from, to, enabled) => declare(world, *from, *to, *enabled),
        Action::Store(network, halves, rejects) => world.store(*network, halves, rejects),
        Action::Withdraw(from, to) => {
            world.halves.entry(*from).or_default().remove(to);
            let file = world.halves_file(*from);
            world.read(file);
        }
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
        Action::Uplink(router) if world.routers.contains_key(router) => {
            world.toggle_uplink(*router);
        }
        Action::Port(..) | Action::Route(..) | Action::Uplink(_) => {}
        Action::Delete(choice) => world.delete_own(*choice),
        Action::Northd => {
            world.northd();
        }
        Action::Settle => drop(world.settle()),
        Action::Restart => world.restart(),
    }
}

fn declare(world: &mut World, from: usize, to: usize, enabled: bool) {
    world.halves.entry(from).or_default().insert(to, enabled);
    let file = world.halves_file(from);
    world.read(file);
}

/// A network with an appliance between its halves to some others, each of which reaches the others or, with its number
/// here, does not.
type Hub = (BTreeSet<usize>, BTreeSet<usize>);

fn hub() -> impl Strategy<Value = Hub> {
    let peers = || 0..NETWORKS - 1;
    (prop::collection::btree_set(peers(), 2..4), prop::collection::btree_set(peers(), 0..2))
}

fn chain(world: &mut World, hub: usize, (peers, silent): &Hub) {
    let peers: Vec<usize> = peers.iter().copied().filter(|peer| *peer != hub).collect();
    let between: Vec<_> = peers.iter().map(|peer| format!("to-{peer}")).collect();
    let address = prefix(SUBNETS[hub]).hosts().nth(8).unwrap();
    let behind = "destinations = [\"10.99.0.0/16\"]";
    for peer in &peers {
        *world.more.entry((hub, *peer)).or_default() += &format!(
            "appliances = [{{ between = {between:?}, address = [\"{address}\"], {behind} }}]\n"
        );
        let others = peers.iter().filter(|other| *other != peer && !silent.contains(peer));
        let mut reach: Vec<_> = others.map(|other| PREFIXES[SUBNETS[*other]]).collect();
        reach.push("10.99.0.0/16");
        *world.more.entry((*peer, hub)).or_default() += &format!("reach_through = {reach:?}\n");
        declare(world, hub, *peer, true);
        declare(world, *peer, hub, true);
    }
}

fn tenant(network: usize) -> Viewer {
    Viewer::Tenant(
        [format!("p{network}").as_str().into()].into_iter().collect::<BTreeSet<_>>().into(),
    )
}

/// Everything that a tenant can be shown, of others' halves too.
fn seen(world: &World, viewer: &Viewer) -> Vec<String> {
    let json = |view: &dyn erased::Json| view.json();
    let mut seen: Vec<String> =
        world.engine.list_for(viewer).iter().map(|view| json(view)).collect();
    for network in (0..NETWORKS).chain([NOWHERE]) {
        for target in (0..NETWORKS).chain([NOWHERE]) {
            let name = format!("to-{target}");
            let key = HalfKey::new(NetworkKey::new(format!("p{network}"), "n"), name.as_str());
            seen.extend(world.engine.show_for(viewer, &key).iter().map(|view| json(view)));
        }
    }
    seen
}

/// The events of changes that the owner of a network's project gets.
fn events(changes: &[Change], network: usize) -> Vec<Event> {
    let project = format!("p{network}");
    let of_owner = |(audience, event)| match audience {
        Audience::OwnersOf(projects) => projects.iter().any(|it| **it == *project).then_some(event),
        Audience::AllOwners => Some(event),
        Audience::Operators => None,
    };
    changes.iter().flat_map(published).filter_map(of_owner).collect()
}

fn hold_events(
    changes: &[Change],
    network: usize,
    allowed: &Allowed,
    step: &str,
) -> Result<(), TestCaseError> {
    for event in events(changes, network) {
        let text = erased::Json::json(&event);
        let held = hold_against(&text, allowed);
        prop_assert!(held.is_ok(), "{step}: p{network} gets {held:?}\n{text}");
    }
    Ok(())
}

/// Views as text.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

fn hold(world: &World, network: usize, allowed: &Allowed, step: &str) -> Result<(), TestCaseError> {
    for text in seen(world, &tenant(network)) {
        prop_assert!(text.contains(&format!("\"project\":\"p{network}\"")), "{text}");
        let held = hold_against(&text, allowed);
        prop_assert!(held.is_ok(), "{step}: p{network} is shown {held:?}\n{text}");
    }
    Ok(())
}

/// Whether an action leaves network 0 to itself: nobody agrees with it, nobody else is bound to its router (which is the
/// operator's to see to), and nobody deletes what is remembered of it.
fn leaves_alone(action: &Action) -> bool {
    match action {
        Action::Declare(from, to, _) => *from == 0 || *to != 0,
        Action::Store(from, halves, rejects) => {
            *from == 0 || !halves.contains_key(&0) && !rejects.contains(&0)
        }
        Action::Bind(network, Some(router)) => (*network == 0) == (*router == 0),
        Action::Delete(_) => false,
        _ => true,
    }
}

/// So what random worlds hold is about chains that stand, too.
#[test]
fn a_hub_sees_whom_its_chain_leads_to_whom_and_a_peer_sees_prefixes() {
    let mut world = prepared(0..NETWORKS);
    chain(&mut world, 0, &([1, 2].into(), BTreeSet::new()));
    world.settle();
    let of = |network| seen(&world, &tenant(network)).join("\n");
    assert!(of(0).contains("10.0.0.9\"],\"network\":\"p2/n\""), "{}", of(0));
    assert!(of(1).contains("\"reached\":[\"10.2.0.0/24\"]"), "{}", of(1));
    assert!(!of(1).contains("p2"), "{}", of(1));
}

/// So what random worlds hold is about names that are told, too.
#[test]
fn who_asks_sees_the_names_that_are_offered_to_it_and_nobody_else_does() {
    let mut world = prepared(0..NETWORKS);
    let halves = [
        (0, 1, [None, Some(true)]),
        (1, 0, [Some(true), None]),
        (1, 2, [None, Some(true)]),
        (2, 1, [Some(true), None]),
    ];
    for (from, to, names) in halves {
        let terms = Terms { names, ..Terms::default() };
        world.terms.entry(from).or_default().insert(to, terms);
        declare(&mut world, from, to, true);
    }
    world.settle();
    let of = |network| seen(&world, &tenant(network)).join("\n");
    assert!(of(0).contains("r1-g.x") && !of(0).contains("r2-g"), "{}", of(0));
    assert!(of(1).contains("r2-g.x") && !of(1).contains("r0-g"), "{}", of(1));
    assert!(of(1).contains("\"offered\":2") && !of(2).contains("r1-g"), "{}", of(2));
    assert!((0..NETWORKS).all(|network| !of(network).contains("secret")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_tenant_is_shown_no_name_and_no_prefix_of_a_third_network(
        agreed in prop::collection::vec((0..NETWORKS - 1, 0..NETWORKS - 1, lists_and_gateways(), lists_and_gateways()), 0..4),
        hubs in prop::collection::btree_map(0..NETWORKS - 1, hub(), 0..3),
        actions in prop::collection::vec(action(), 1..30),
    ) {
        let mut world = prepared(0..NETWORKS);
        // Whom a tenant has named once, it may be reminded of: what it withdrew is shown for a while.
        let mut named = vec![Allowed::default(); NETWORKS];
        // Some pairs have agreed to begin with, with lists and gateways. (The last network has no prefix in IPv4.)
        let both = agreed.into_iter().flat_map(|(a, b, one, other)| [(a, b, one), (b, a, other)]);
        for (from, to, terms) in both.filter(|(from, to, _)| from != to) {
            named[from].names.insert(format!("p{to}"));
            world.terms.entry(from).or_default().insert(to, terms);
            declare(&mut world, from, to, true);
        }
        for (hub, chained) in &hubs {
            chain(&mut world, *hub, chained);
            for peer in &chained.0 {
                named[*hub].names.insert(format!("p{peer}"));
                named[*peer].names.insert(format!("p{hub}"));
            }
        }
        world.toggle_uplink(1);
        world.settle();
        world.engine.changes();
        for (number, action) in actions.iter().enumerate() {
            if let Action::Declare(from, to, _) = action {
                named[*from].names.insert(format!("p{to}"));
            }
            if let Action::Store(from, halves, _) = action {
                named[*from].names.extend(halves.keys().map(|to| format!("p{to}")));
            }
            let before: Vec<Allowed> = (0..NETWORKS).map(|network| allowed(&world, network)).collect();
            let asked: Vec<Allowed> = (0..NETWORKS).map(|network| askers(&world, network)).collect();
            act(&mut world, action);
            let mut changes = world.engine.changes();
            // The engine may not have read yet what has changed: what was allowed still is.
            for (network, before) in before.iter().enumerate() {
                let step = format!("step {number}, {action:?}, not settled");
                let now = allowed(&world, network).or(named[network].clone());
                hold(&world, network, &now.or(before.clone()), &step)?;
            }
            world.settle();
            changes.extend(world.engine.changes());
            for (network, (before, asked)) in before.into_iter().zip(asked).enumerate() {
                let step = format!("step {number}, {action:?}");
                let asks = askers(&world, network).or(asked);
                let now = allowed(&world, network).or(named[network].clone());
                hold_events(&changes, network, &now.or(before).or(asks), &step)?;
            }
            for (network, named) in named.iter().enumerate() {
                let step = format!("step {number}, {action:?}");
                let allowed = allowed(&world, network).or(named.clone());
                hold(&world, network, &allowed, &step)?;
            }
        }
    }

    #[test]
    fn while_nobody_agrees_a_tenant_is_shown_the_same_whatever_the_others_do(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        let (mut among_others, mut alone) = (prepared(0..NETWORKS), prepared([0]));
        for (number, action) in actions.iter().filter(|action| leaves_alone(action)).enumerate() {
            act(&mut among_others, action);
            let own = match action {
                Action::Bind(network, _)
                | Action::Declare(network, ..)
                | Action::Withdraw(network, _)
                | Action::Store(network, ..) => *network == 0,
                Action::Terms(from, ..) => *from == 0,
                Action::Router(router) | Action::Port(router, _) | Action::Route(router, _) | Action::Uplink(router) => *router == 0,
                Action::Delete(_) => false,
                Action::Northd | Action::Settle | Action::Restart => true,
            };
            let other = match action {
                // Whoever stores waits until it is written.
                Action::Store(..) => &Action::Settle,
                _ => &Action::Port(NOWHERE, 0),
            };
            act(&mut alone, if own { action } else { other });
            let (one, other) = (seen(&among_others, &tenant(0)), seen(&alone, &tenant(0)));
            prop_assert_eq!(one, other, "step {}, {:?}", number, action);
            // Others may ask: that is theirs to disclose. How often a test's server goes away follows from its rows.
            let told = |world: &mut World| {
                let mut events = events(&world.engine.changes(), 0);
                events.retain(|event| ![EventKind::Request, EventKind::Northbound].contains(&event.kind));
                events
            };
            let (one, other) = (told(&mut among_others), told(&mut alone));
            prop_assert_eq!(one, other, "events of step {}, {:?}", number, action);
        }
    }

    #[test]
    fn a_half_that_nobody_answers_makes_the_same_work_whatever_its_target_is(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        // Network 0 has no other half.
        let quiet = actions.iter().filter(|action| {
            leaves_alone(action) && !matches!(
                    action,
                    Action::Declare(0, ..) | Action::Terms(0, ..) | Action::Store(0, ..)
                )
        });
        let quiet: Vec<_> = quiet.collect();
        let work = |target: usize, by_command: bool| {
            let mut world = prepared(0..NETWORKS);
            quiet.iter().for_each(|action| act(&mut world, action));
            world.settle();
            world.northd();
            world.settle();
            world.engine.changes();
            let before = world.engine.counters();
            if by_command {
                world.store(0, &[(target, true)].into(), &BTreeSet::new());
            } else {
                declare(&mut world, 0, target, true);
            }
            let transactions = world.settle();
            let mut changes = world.engine.changes();
            // Whom it asks gets that, and the half's owner learns nothing of it.
            changes.retain(|change| !matches!(change, Change::Requested { .. }));
            let rows: Vec<String> = world.own_content().into_iter().filter(|row| row.contains("p0/n")).collect();
            let done = Done { counters: since(before, world.engine.counters()), transactions, changes, rows, seen: seen(&world, &tenant(0)) };
            // Families are called so in names of rows.
            let text = format!("{done:#?}").replace("_ip4", "_v4");
            let text = text.replace(&format!("p{target}"), "TARGET");
            without_digests(&text.replace(&format!("to-{target}"), "NAME"))
        };
        for by_command in [false, true] {
            let expected = work(NOWHERE, by_command);
            for target in 1..NETWORKS {
                prop_assert_eq!(&work(target, by_command), &expected, "target {}", target);
            }
        }
    }
}

/// What a half took.
#[derive(Debug)]
#[allow(dead_code, reason = "compared and shown as text")]
struct Done {
    counters: Counters,
    transactions: usize,
    changes: Vec<Change>,
    rows: Vec<String>,
    seen: Vec<String>,
}

fn since(before: Counters, after: Counters) -> Counters {
    Counters {
        transactions: after.transactions - before.transactions,
        transactions_failed: after.transactions_failed - before.transactions_failed,
        row_changes: after.row_changes - before.row_changes,
        entries_read: after.entries_read - before.entries_read,
        peerings_resolved: after.peerings_resolved - before.peerings_resolved,
        peerings_compared: after.peerings_compared - before.peerings_compared,
        drift_repaired: after.drift_repaired - before.drift_repaired,
        links_taken_over: after.links_taken_over - before.links_taken_over,
    }
}

/// Without what follows from the half's name and target, which have the target's number here: its UUID and its etag.
fn without_digests(text: &str) -> String {
    let without = |text: &str, key: &str, digits: usize| {
        let mut parts = text.split(key);
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, rest| all + key + &rest[digits..])
    };
    without(&without(text, r#"\"uuid\":\""#, 36), r#"\"etag\":\""#, 16)
}
