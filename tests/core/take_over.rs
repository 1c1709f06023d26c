//! Links of others whose place peerings take: whatever becomes of the transaction, it is the old link or
//! the new one, and nothing else of others changes.

use std::collections::BTreeSet;

use ovn_peerd::engine::{Event, NotReplaced, Submission};
use ovn_peerd::northbound::tables::{
    LOGICAL_ROUTER, LOGICAL_SWITCH, ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT, logical_router,
    logical_switch, router_port, static_route, switch_port,
};
use ovn_peerd::ovsdb::{self, Atom, ColumnId, TableId, TransactError, TransactionError, Value};
use ovn_peerd::view::{State, TakeOverOutcome, TakeOverView};
use uuid::Uuid;

use crate::database::Rows;
use crate::random::{Action, act, prepared};
use crate::world::World;

/// How two routers are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Peers,
    Switch,
}

/// Another tool links the routers of two networks, with a route on each side; its rows.
fn link(world: &mut World, kind: Kind, [a, b]: [usize; 2]) -> Vec<(TableId, Uuid)> {
    let mut rows = Vec::new();
    let names = [format!("theirs-{a}-{b}"), format!("theirs-{b}-{a}")];
    let subnet = |index: usize| {
        let facts = world.routers[&index].ports.keys().next().copied().expect("a subnet");
        crate::world::prefix(facts).to_string()
    };
    let (subnets, routers) = ([a, b].map(subnet), [a, b].map(|it| world.routers[&it].uuid));
    for end in 0..2 {
        let (address, hop) =
            (format!("169.254.9.{}/30", end + 1), format!("169.254.9.{}", 2 - end));
        let cells = [
            (router_port::NAME, Atom::from(names[end].as_str())),
            (router_port::NETWORKS, address.as_str().into()),
        ];
        let port = world.database.insert(ROUTER_PORT, &cells);
        if kind == Kind::Peers {
            let peer = Value::from(names[1 - end].as_str());
            world.database.set(ROUTER_PORT, port, router_port::PEER, peer);
        }
        world.database.refer(routers[end], logical_router::PORTS, port, true);
        let cells = [
            (static_route::IP_PREFIX, Atom::from(subnets[1 - end].as_str())),
            (static_route::NEXTHOP, hop.as_str().into()),
        ];
        let route = world.database.insert(STATIC_ROUTE, &cells);
        // One is known by its port, the other one by its next hop.
        if end == 0 {
            let out = Value::from(names[0].as_str());
            world.database.set(STATIC_ROUTE, route, static_route::OUTPUT_PORT, out);
        }
        world.database.refer(routers[end], logical_router::STATIC_ROUTES, route, true);
        rows.extend([(ROUTER_PORT, port), (STATIC_ROUTE, route)]);
    }
    if kind == Kind::Switch {
        let mut ports = Vec::new();
        for name in &names {
            let cells = [(switch_port::TYPE, Atom::from("router"))];
            let port = world.database.insert(SWITCH_PORT, &cells);
            let to = Value::map(vec![("router-port".into(), name.as_str().into())]);
            world.database.set(SWITCH_PORT, port, switch_port::OPTIONS, to);
            ports.push(port);
        }
        let switch = world.database.insert(LOGICAL_SWITCH, &[]);
        let refers = Value::set(ports.iter().map(|port| (*port).into()).collect());
        world.database.set(LOGICAL_SWITCH, switch, logical_switch::PORTS, refers);
        rows.extend(ports.into_iter().map(|port| (SWITCH_PORT, port)));
        rows.push((LOGICAL_SWITCH, switch));
    }
    rows
}

/// Two networks whose halves another tool's link is in the way of, with its rows.
fn in_the_way(kind: Kind) -> (World, Vec<(TableId, Uuid)>) {
    let mut world = prepared();
    let theirs = link(&mut world, kind, [0, 1]);
    world.settle();
    act(&mut world, &Action::Declare(0, 1, true));
    act(&mut world, &Action::Declare(1, 0, true));
    world.rest();
    assert_eq!(states(&world), [State::Failed; 2]);
    (world, theirs)
}

fn states(world: &World) -> Vec<State> {
    world.engine.list().into_iter().map(|half| half.state).collect()
}

fn begin(world: &mut World) -> u64 {
    let now = world.now();
    let id = world.engine.take_over().begin(None, now).expect("it begins");
    world.decide();
    id
}

fn outcome(world: &mut World, id: u64) -> TakeOverView {
    let mut results = world.engine.take_over().take();
    assert_eq!(results.len(), 1, "it is answered once");
    let (of, view) = results.remove(0);
    assert_eq!(of, id);
    view
}

/// The transaction that does it, which is the first.
fn transaction(world: &mut World) -> Submission {
    let now = world.now();
    world.engine.poll(now).expect("there is one")
}

fn ended(world: &mut World, id: u64, result: Result<(), TransactError>) {
    let result = result.map(|()| Vec::new());
    world.client(ovsdb::Event::Transacted { id, result });
}

fn refused(error: String) -> TransactError {
    TransactError::Rejected(TransactionError { index: None, error, details: None })
}

/// How many rows of theirs are there.
fn count(world: &World, theirs: &[(TableId, Uuid)]) -> usize {
    theirs.iter().filter(|row| world.database.rows.contains_key(row)).count()
}

/// Which it is: exactly one of the two is there.
fn is_new(world: &World, theirs: &[(TableId, Uuid)]) -> bool {
    let ours = world.own_rows().into_iter().filter(|(table, _)| *table == ROUTER_PORT).count();
    match (count(world, theirs), ours) {
        (all, 0) if all == theirs.len() => false,
        (0, 2) => true,
        (theirs, ours) => panic!("{theirs} rows of theirs and {ours} ports of ours"),
    }
}

/// Rows of others, without those of their link and the references to these.
fn others(world: &World, theirs: &[(TableId, Uuid)]) -> Rows {
    let link: BTreeSet<Uuid> = theirs.iter().map(|(_, uuid)| *uuid).collect();
    let mut rows = world.foreign();
    rows.retain(|(_, uuid), _| !link.contains(uuid));
    let routers = world.routers.values().map(|router| router.uuid);
    for router in routers {
        rows.remove(&(LOGICAL_ROUTER, router));
    }
    rows
}

#[test]
fn one_transaction_takes_a_link_over_and_touches_nothing_else() {
    for kind in [Kind::Peers, Kind::Switch] {
        let (mut world, theirs) = in_the_way(kind);
        let before = others(&world, &theirs);
        let found = world.engine.take_over().look(None).unwrap();
        assert_eq!(found.links.len(), 1);
        assert_eq!(found.links[0].outcome, TakeOverOutcome::Ready, "{found:?}");
        // The switch goes with its ports.
        let named = if kind == Kind::Switch { 5 } else { 4 };
        assert_eq!(found.links[0].rows.len(), named, "{found:?}");
        assert!(!is_new(&world, &theirs), "looking does nothing");
        assert_eq!(world.settle(), 0);
        let id = begin(&mut world);
        assert_eq!(world.settle(), 1, "one transaction");
        assert!(is_new(&world, &theirs));
        assert_eq!(others(&world, &theirs), before);
        assert!(outcome(&mut world, id).is_well());
        world.rest();
        assert_eq!(states(&world), [State::Active; 2]);
        assert!(world.engine.plan(None, world.now()).is_empty());
        assert_eq!(world.engine.counters().links_taken_over, 1);
        world.restart();
        assert_eq!(world.settle(), 0, "a restart finds nothing to write");
    }
}

#[test]
fn whatever_changes_of_their_rows_meanwhile_makes_it_refused() {
    for kind in [Kind::Peers, Kind::Switch] {
        let (world, theirs) = in_the_way(kind);
        drop(world);
        for at in 0..theirs.len() {
            let (mut world, theirs) = in_the_way(kind);
            let id = begin(&mut world);
            let submission = transaction(&mut world);
            // Somebody writes a cell of one of their rows, and the engine has not heard of it.
            let (table, uuid) = theirs[at];
            let (column, value) = altered(table);
            world.database.set(table, uuid, column, value);
            let error = world.database.transact(&submission.operations).expect_err("it is refused");
            assert_eq!(error, "timed out", "row {at} of {kind:?}");
            world.hear();
            ended(&mut world, submission.id, Err(refused(error)));
            world.decide();
            assert!(!is_new(&world, &theirs), "row {at} of {kind:?}");
            let view = outcome(&mut world, id);
            assert_eq!(view.links[0].outcome, TakeOverOutcome::NotTakenOver, "{view:?}");
            // Nothing follows without another command.
            world.steps += 60;
            world.handle(Event::Tick);
            world.rest();
            assert_eq!(states(&world), [State::Failed; 2]);
            assert!(!is_new(&world, &theirs));
        }
        // A route more on either router, over that link or not.
        for router in 0..2 {
            let (mut world, theirs) = in_the_way(kind);
            let id = begin(&mut world);
            let submission = transaction(&mut world);
            let cells = [
                (static_route::IP_PREFIX, Atom::from("10.99.0.0/24")),
                (static_route::NEXTHOP, "169.254.9.1".into()),
            ];
            let route = world.database.insert(STATIC_ROUTE, &cells);
            let uuid = world.routers[&router].uuid;
            world.database.refer(uuid, logical_router::STATIC_ROUTES, route, true);
            let error = world.database.transact(&submission.operations).expect_err("it is refused");
            world.hear();
            ended(&mut world, submission.id, Err(refused(error)));
            assert!(!outcome(&mut world, id).is_well());
            assert!(!is_new(&world, &theirs));
        }
    }
}

/// A cell of a row of theirs, and another value of it.
fn altered(table: TableId) -> (ColumnId, Value) {
    match table {
        ROUTER_PORT => (router_port::MAC, Value::from("0a:00:00:00:00:99")),
        STATIC_ROUTE => (static_route::NEXTHOP, Value::from("169.254.9.3")),
        SWITCH_PORT => (switch_port::NAME, Value::from("another")),
        _ => (logical_switch::NAME, Value::from("another")),
    }
}

/// The reply is lost, and the process lives: the rows of the next session say what was done. Or the
/// process dies: the next one knows of no command.
#[test]
fn a_lost_reply_and_a_dead_process_leave_one_of_the_two() {
    for kind in [Kind::Peers, Kind::Switch] {
        for done in [false, true] {
            for dies in [false, true] {
                let (mut world, theirs) = in_the_way(kind);
                let id = begin(&mut world);
                let submission = transaction(&mut world);
                if done {
                    world.database.transact(&submission.operations).unwrap();
                }
                if dies {
                    world.restart();
                } else {
                    let lost = TransactError::Unknown("the connection was lost".into());
                    ended(&mut world, submission.id, Err(lost));
                    assert!(world.engine.take_over().take().is_empty(), "nothing is known yet");
                    world.connect();
                    world.steps += 3;
                    world.handle(Event::Tick);
                    let view = outcome(&mut world, id);
                    assert_eq!(view.is_well(), done, "{view:?}");
                }
                world.rest();
                assert_eq!(is_new(&world, &theirs), done);
                let state = if done { State::Active } else { State::Failed };
                assert_eq!(states(&world), [state; 2]);
                assert!(world.engine.plan(None, world.now()).is_empty());
            }
        }
    }
}

/// A link of which the peering would not carry all, and one that goes by itself.
#[test]
fn a_link_is_taken_over_in_parity_only() {
    let (mut world, theirs) = in_the_way(Kind::Peers);
    let cells = [
        (static_route::IP_PREFIX, Atom::from("10.99.0.0/24")),
        (static_route::NEXTHOP, "169.254.9.2".into()),
    ];
    let route = world.database.insert(STATIC_ROUTE, &cells);
    let router = world.routers[&0].uuid;
    world.database.refer(router, logical_router::STATIC_ROUTES, route, true);
    world.hear();
    let id = begin(&mut world);
    let view = outcome(&mut world, id);
    assert_eq!(view.links[0].outcome, TakeOverOutcome::NoParity);
    assert!(view.links[0].explanations.iter().any(|it| it.contains("10.99.0.0/24")), "{view:?}");
    assert_eq!(world.settle(), 0);
    assert!(!is_new(&world, &theirs));
    world.database.refer(router, logical_router::STATIC_ROUTES, route, false);
    world.database.collect();
    world.hear();
    // Their tool is faster: nothing of theirs is left to be deleted.
    let id = begin(&mut world);
    for (router, at) in [(0, 0), (0, 1), (1, 2), (1, 3)] {
        let uuid = world.routers[&router].uuid;
        let column =
            if at % 2 == 0 { logical_router::PORTS } else { logical_router::STATIC_ROUTES };
        world.database.refer(uuid, column, theirs[at].1, false);
    }
    world.database.collect();
    world.hear();
    assert!(outcome(&mut world, id).links[0].explanations[0].contains("gone already"));
    world.rest();
    assert_eq!(states(&world), [State::Active; 2]);
    let now = world.now();
    let half = world.engine.list().remove(0);
    let key = ovn_peerd::declare::NetworkKey::new(half.project, half.network);
    let key = ovn_peerd::declare::HalfKey::new(key, half.name);
    let none = world.engine.take_over().begin(Some(&key), now);
    assert_eq!(none, Err(NotReplaced::NoLink(key, State::Active, None)));
}

/// Who does not write takes nothing over, and what cannot be written is given up.
#[test]
fn a_standby_takes_nothing_over_and_a_mark_has_an_end() {
    let (mut world, theirs) = in_the_way(Kind::Peers);
    let id = begin(&mut world);
    // Another instance gets the lock before it is sent.
    world.client(ovsdb::Event::Lock { held: false });
    world.settle();
    assert!(world.engine.take_over().take().is_empty());
    world.steps += 41;
    world.handle(Event::Tick);
    let view = outcome(&mut world, id);
    assert_eq!(view.links[0].outcome, TakeOverOutcome::NotTakenOver);
    let now = world.now();
    assert_eq!(world.engine.take_over().begin(None, now), Err(NotReplaced::Standby));
    world.client(ovsdb::Event::Lock { held: true });
    world.rest();
    assert!(!is_new(&world, &theirs));
    assert_eq!(states(&world), [State::Failed; 2]);
}
