//! The stream of changes: what is in it, and what is not.

use std::path::Path;
use std::time::Duration;

use ovn_peerd::declare::{MaxWithdrawals, Settings, ShowRequests};
use ovn_peerd::engine::{Change, Event, Field, Level, PrefixChange, published};
use ovn_peerd::ovsdb;
use ovn_peerd::view::{self, Audience, EventKind, State};

use crate::world::{World, prefix};

/// Networks 0 and 1 peer.
fn peered() -> World {
    peered_with(Settings::defaults(Path::new("/etc/ovn-peerd")))
}

fn peered_with(settings: Settings) -> World {
    let mut world = World::with(settings);
    for (network, subnet) in [(0, 0), (1, 4)] {
        world.add_router(network);
        world.toggle_port(network, subnet);
        world.bindings.insert(network, network);
        let file = world.network_file(network);
        world.read(file);
    }
    declare(&mut world, 0, 1, Some(true));
    declare(&mut world, 1, 0, Some(true));
    world
}

fn declare(world: &mut World, from: usize, to: usize, enabled: Option<bool>) {
    let halves = world.halves.entry(from).or_default();
    match enabled {
        Some(enabled) => drop(halves.insert(to, enabled)),
        None => drop(halves.remove(&to)),
    }
    let file = world.halves_file(from);
    world.read(file);
}

/// What the engine says of one half, as lines without fields.
fn said_of(world: &mut World, half: &str) -> Vec<String> {
    let changes = world.engine.changes();
    let of_half = changes.iter().filter(|it| it.half().is_some_and(|it| it.to_string() == half));
    let said = of_half.map(|change| {
        let notice = change.notice();
        let cause = notice.field(Field::Cause).unwrap_or_default();
        format!("{:?} {} {cause}", notice.level, notice.message).trim().to_owned()
    });
    said.collect()
}

#[test]
fn a_degradation_is_said_with_its_cause_and_its_end_and_once_each() {
    let mut world = peered();
    world.rest();
    world.engine.changes();
    // Router 0 gets a subnet of its own inside of what is routed to the other side.
    world.toggle_port(0, 4);
    world.rest();
    let said = said_of(&mut world, "p0/n/to-1");
    let is_cause = |it: &String| it.starts_with("Warn degraded ") && it.contains("10.2.0.0/24");
    assert!(!said.is_empty() && said.iter().all(is_cause), "{said:?}");
    world.pass(1);
    world.rest();
    assert_eq!(said_of(&mut world, "p0/n/to-1"), [""; 0], "it is not said again");
    world.toggle_port(0, 4);
    world.rest();
    let ended = said_of(&mut world, "p0/n/to-1");
    let over = said.iter().map(|it| it.replace("Warn degraded", "Info no longer degraded"));
    assert_eq!(ended, over.collect::<Vec<_>>());
}

#[test]
fn what_ends_with_its_state_is_no_change_of_its_own() {
    let mut world = peered();
    world.toggle_port(0, 5);
    world.rest();
    world.toggle_port(0, 4);
    world.rest();
    world.engine.changes();
    declare(&mut world, 1, 0, Some(false));
    world.rest();
    let said = said_of(&mut world, "p0/n/to-1");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("Info ") && !said[0].contains("degraded"), "{said:?}");
}

#[test]
fn other_prefixes_that_cross_are_said_of_both_halves_once_they_do() {
    let mut world = peered();
    world.rest();
    world.engine.changes();
    for (gained, lost) in [(vec![prefix(5)], vec![]), (vec![], vec![prefix(5)])] {
        world.toggle_port(1, 5);
        world.hear();
        let early = world.engine.changes();
        assert_eq!(early, [], "nothing crosses yet");
        world.rest();
        let change = PrefixChange { gained, lost };
        let found: Vec<_> = world.engine.changes().into_iter().map(of_prefixes).collect();
        let none = PrefixChange::default();
        let expected = [
            Some(("p0/n/to-1".to_owned(), none.clone(), change.clone())),
            Some(("p1/n/to-0".to_owned(), change, none)),
        ];
        assert_eq!(found, expected);
    }
}

fn of_prefixes(change: Change) -> Option<(String, PrefixChange, PrefixChange)> {
    match change {
        Change::PrefixesChanged { half, exported, imported } => {
            Some((half.key.to_string(), exported, imported))
        }
        _ => None,
    }
}

/// What is held is said once, and again when it is something else, if of the same size.
#[test]
fn a_held_withdrawal_is_said_when_it_is_another_one() {
    let mut settings = Settings::defaults(Path::new("/etc/ovn-peerd"));
    settings.policy.max_withdrawals = MaxWithdrawals { halves: 0, percent: 0 };
    let mut world = peered_with(settings);
    world.rest();
    world.engine.changes();
    let held = |world: &mut World| {
        let changes = world.engine.changes();
        let held = changes.into_iter().map(|change| match change {
            Change::WithdrawalsHeld { halves, .. } => Some(halves),
            Change::WithdrawalsReleased { .. } => Some(0),
            Change::Declared { .. } => None,
            other => panic!("{other:?}"),
        });
        held.flatten().collect::<Vec<_>>()
    };
    declare(&mut world, 0, 1, None);
    assert_eq!(held(&mut world), [1]);
    let file = world.halves_file(0);
    world.read(file);
    assert_eq!(held(&mut world), [0; 0], "the same");
    declare(&mut world, 0, 1, Some(true));
    declare(&mut world, 1, 0, None);
    assert_eq!(held(&mut world), [0, 1], "the other half, of the same number");
}

/// The state that is shown is exact at any time, whether changes were drawn or not.
#[test]
fn the_status_counts_what_stands_now() {
    let mut world = peered();
    world.rest();
    let count = |world: &World, state| world.engine.status().halves.get(&state).copied();
    assert_eq!(count(&world, State::Active), Some(2));
    world.engine.changes();
    declare(&mut world, 0, 1, Some(false));
    world.settle();
    assert_eq!(count(&world, State::Active), None);
    assert_eq!(count(&world, State::Disabled), Some(1));
    declare(&mut world, 0, 1, None);
    world.settle();
    assert_eq!(count(&world, State::Disabled), None);
    let before = world.engine.status().halves;
    world.engine.changes();
    assert_eq!(world.engine.status().halves, before, "to draw changes changes nothing");
}

/// One file with a thousand faults is a few lines and a number.
#[test]
fn a_file_with_many_faults_is_one_line_with_a_number() {
    let mut world = peered();
    world.rest();
    world.engine.changes();
    let good = world.halves_file(0);
    let mut bad = good.clone();
    bad.text = Ok((0..1000).map(|number| format!("nonsense{number} = 1\n")).collect());
    world.read(bad);
    let changes = world.engine.changes();
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.level(), Level::Warn);
    let line = change.notice();
    assert!(line.message.contains("p0.toml: error: 1001 errors"), "{}", line.message);
    assert!(line.message.contains("nonsense0") && line.field(Field::Count).is_some());
    world.read(good);
    let changes = world.engine.changes();
    assert_eq!(changes, [Change::Mended { file: "p0.toml".to_owned(), owners: Vec::new() }]);
}

/// The events of changes that an audience gets; none is for operators.
fn events_of(changes: &[Change], project: Option<&str>) -> Vec<view::Event> {
    let of_audience = |(audience, event)| {
        let is_theirs = match (audience, project) {
            (Audience::Operators, project) => project.is_none(),
            (Audience::AllOwners, project) => project.is_some(),
            (Audience::OwnersOf(all), Some(project)) => all.iter().any(|it| **it == *project),
            (Audience::OwnersOf(_), None) => false,
        };
        is_theirs.then_some(event)
    };
    changes.iter().flat_map(published).filter_map(of_audience).collect()
}

/// Each by its kind, its half or network, and its state.
fn in_words(events: &[view::Event]) -> Vec<String> {
    let words = |event: &view::Event| {
        let parts = [&event.project, &event.network, &event.name, &event.from_project];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        let state = event.state.map(|state| format!(" {state}")).unwrap_or_default();
        let over = if event.over { " over" } else { "" };
        format!("{} {}{state}{over}", event.kind, parts.join("/"))
    };
    events.iter().map(words).collect()
}

#[test]
fn an_owner_gets_the_events_of_its_halves_and_of_who_asks() {
    let mut world = peered();
    world.add_router(2);
    world.bindings.insert(2, 2);
    let file = world.network_file(2);
    world.read(file);
    world.rest();
    world.engine.changes();
    declare(&mut world, 0, 3, Some(true));
    world.rest();
    let nowhere = world.engine.changes();
    assert_eq!(in_words(&events_of(&nowhere, Some("p3"))), [""; 0], "it has no such network");
    declare(&mut world, 0, 2, Some(true));
    world.rest();
    let changes = world.engine.changes();
    let own = ["half-declared p0/n/to-2", "half-state p0/n/to-2 pending-peer"];
    assert_eq!(in_words(&events_of(&changes, Some("p0"))), own);
    assert_eq!(in_words(&events_of(&changes, Some("p2"))), ["request p2/n/p0"]);
    assert_eq!(in_words(&events_of(&changes, Some("p1"))), [""; 0]);
    let all = ["half-declared p0/n/to-2", "request p2/n/p0", "half-state p0/n/to-2 pending-peer"];
    assert_eq!(in_words(&events_of(&changes, None)), all);
    let request = &events_of(&changes, Some("p2"))[0];
    assert_eq!(request.message, "p0/n asks p2/n to peer");

    declare(&mut world, 0, 2, None);
    world.rest();
    let changes = world.engine.changes();
    assert_eq!(in_words(&events_of(&changes, Some("p0"))), ["half-state p0/n/to-2 deleted"]);
    assert_eq!(in_words(&events_of(&changes, Some("p2"))), ["request p2/n/p0 over"]);
    let gone = &events_of(&changes, Some("p0"))[0];
    assert_eq!(gone.previous, Some(State::PendingPeer));

    world.settings.policy.show_requests = ShowRequests::Operators;
    world.configure();
    world.engine.changes();
    declare(&mut world, 0, 2, Some(true));
    world.rest();
    let changes = world.engine.changes();
    assert_eq!(in_words(&events_of(&changes, Some("p2"))), [""; 0], "by the policy");
    assert_eq!(in_words(&events_of(&changes, None)), all);
}

/// What a server says is the operators'; what happens is everybody's.
#[test]
fn an_owner_gets_events_in_its_own_words() {
    let mut world = peered();
    world.hear();
    let first = in_words(&events_of(&world.engine.changes(), None));
    assert!(first.iter().any(|it| it == "half-state p0/n/to-1 provisioning"), "{first:?}");
    let error = "secret".to_owned();
    let retry_in = Duration::from_secs(1);
    world.handle(Event::Northbound(ovsdb::Event::Disconnected {
        error,
        read_only: false,
        retry_in,
    }));
    let changes = world.engine.changes();
    let is_state = |event: &&view::Event| event.kind == EventKind::HalfState;
    for project in [None, Some("p0")] {
        let events = events_of(&changes, project);
        assert!(events.iter().any(|event| event.kind == EventKind::Northbound), "{events:#?}");
        let has_secret = events.iter().filter(|event| event.message.contains("secret")).count();
        let states = events.iter().filter(is_state).count();
        let expected = if project.is_none() { (3, 2) } else { (0, 1) };
        assert_eq!((has_secret, states), expected, "{project:?}: {events:#?}");
    }
}
