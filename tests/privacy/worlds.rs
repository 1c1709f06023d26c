//! The core by itself, in random worlds: what a tenant is shown holds no name and no prefix of a third network, and while
//! nobody has agreed to anything, it is the same whatever the others do.

use std::collections::BTreeSet;

use ipnet::IpNet;
use ovn_peerd::declare::{HalfKey, NetworkKey};
use ovn_peerd::engine::{Change, published};
use ovn_peerd::view::{Audience, Counters, Event, EventKind, Viewer};
use proptest::prelude::*;

use crate::lists::Lists;
use crate::terms::{LISTED, Terms, lists_and_gateways, passed, terms};
use crate::world::{Halves, NETWORKS, PREFIXES, World, halves, prefix};

/// A network that is nowhere.
const NOWHERE: usize = 9;

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
        world.toggle_port(index, [0, 1, 4, 5, 6][index]);
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

/// Those who ask a network disclose themselves to it.
fn askers(world: &World, network: usize) -> Allowed {
    let asks = |from: &usize| said(world, *from).contains_key(&network);
    let names = (0..NETWORKS).filter(asks).map(|from| format!("p{from}")).collect();
    Allowed { names, prefixes: BTreeSet::new() }
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

/// What a tenant may be shown besides words: names of projects and routers, and prefixes.
#[derive(Clone, Default)]
struct Allowed {
    names: BTreeSet<String>,
    prefixes: BTreeSet<IpNet>,
}

impl Allowed {
    fn or(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.prefixes.extend(other.prefixes);
        self
    }
}

fn allowed(world: &World, network: usize) -> Allowed {
    let mut names = BTreeSet::from([format!("p{network}")]);
    let mut prefixes = BTreeSet::new();
    if let Some(router) = world.bindings.get(&network) {
        names.insert(format!("r{router}"));
        if let Some(router) = world.routers.get(router) {
            prefixes.extend(router.ports.keys().chain(router.routes.keys()).map(|it| prefix(*it)));
        }
    }
    for (target, enabled) in said(world, network) {
        // The tenant wrote it.
        names.insert(format!("p{target}"));
        let (target, agreed) = (&target, said(world, target).get(&network).copied());
        if enabled && agreed == Some(true) {
            let router = world.bindings.get(target).and_then(|router| world.routers.get(router));
            let all = router.into_iter().flat_map(|router| router.ports.keys());
            // What it announces, and no more.
            let all = all.map(|it| prefix(*it)).collect();
            // Terms are keys of the file's half; a stored one has none.
            let in_file = |from: &usize, to| {
                world.halves.get(from).is_some_and(|halves| halves.contains_key(to))
            };
            let terms = |from: usize, to| {
                world.terms.get(&from).filter(|_| in_file(&from, to)).and_then(|of| of.get(to))
            };
            let export = terms(*target, &network).and_then(|terms| terms.export.as_ref());
            let announced = passed(&all, export);
            let import = terms(network, target).and_then(|terms| terms.import.as_ref());
            prefixes.extend(passed(&announced, import));
            // Of the other side's lists, what is of either network: `show` says what both lists let.
            if let Some(router) = world.bindings.get(&network).and_then(|it| world.routers.get(it))
            {
                let own: Vec<IpNet> = router.ports.keys().map(|it| prefix(*it)).collect();
                let crossing =
                    |net: &IpNet| own.iter().chain(&announced).any(|it| it.contains(net));
                let listed = terms(*target, &network).into_iter();
                prefixes.extend(listed.flat_map(|it| of_lists(&it.lists)).filter(crossing));
            }
            // Who offers a gateway sees what the other side uses it for.
            if terms(network, target).is_some_and(|terms| terms.offers)
                && terms(*target, &network).is_some_and(|terms| terms.uses.is_some())
            {
                prefixes.insert(LISTED.parse().expect("a prefix"));
            }
            prefixes.extend(announced);
        }
        // What it has written itself.
        if let Some(terms) = world.terms.get(&network).and_then(|of| of.get(target)) {
            prefixes.extend(written(terms));
        }
    }
    Allowed { names, prefixes }
}

/// What a network declares: a file counts before the store.
fn said(world: &World, network: usize) -> Halves {
    let mut said = world.stored.get(&network).cloned().unwrap_or_default();
    said.extend(world.halves.get(&network).into_iter().flatten());
    said
}

/// All prefixes that somebody wrote.
fn written(terms: &Terms) -> BTreeSet<IpNet> {
    let entries = terms.export.iter().chain(&terms.import).flatten().map(|(_, at, _)| *at);
    let named = entries.chain(terms.manual.iter().flatten().copied()).map(prefix);
    let beyond = terms.uses.map(|_| LISTED.parse().expect("a prefix"));
    named.chain(of_lists(&terms.lists)).chain(beyond).collect()
}

/// All prefixes that lists name.
fn of_lists(lists: &Lists) -> impl Iterator<Item = IpNet> {
    let entries = lists.inward.iter().chain(&lists.out).flatten();
    entries.flat_map(|entry| entry.remote.iter().chain(&entry.local)).copied()
}

/// Holds each word of the text against what is allowed.
fn hold_against(text: &str, allowed: &Allowed) -> Result<(), String> {
    let of_words = |letter: char| letter.is_ascii_alphanumeric() || "-.:/".contains(letter);
    for word in text.split(|letter| !of_words(letter)) {
        let word = word.trim_end_matches([':', '.']);
        if let Ok(net) = word.parse::<IpNet>() {
            if !allowed.prefixes.contains(&net.trunc()) {
                return Err(format!("{net}"));
            }
            continue;
        }
        if word.parse::<std::net::IpAddr>().is_ok() && word != "192.0.2.1" && word.len() > 3 {
            return Err(word.to_owned());
        }
        for part in word.split(['/', '-']) {
            let is_name = part.len() == 2
                && part.starts_with(['p', 'r'])
                && part.ends_with(|letter: char| letter.is_ascii_digit());
            if is_name && !allowed.names.contains(part) {
                return Err(part.to_owned());
            }
        }
    }
    Ok(())
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_tenant_is_shown_no_name_and_no_prefix_of_a_third_network(
        agreed in prop::collection::vec((0..NETWORKS - 1, 0..NETWORKS - 1, lists_and_gateways(), lists_and_gateways()), 0..4),
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
