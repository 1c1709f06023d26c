//! Daemons of different versions on one northbound: what a newer one has written an older one leaves alone, and says so;
//! what is merely damaged is repaired.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::declare::{NetworkKey, PeeringKey};
use ovn_peerd::engine::{Level, NotForgotten};
use ovn_peerd::northbound::owner::{Family, Id, OWNER_KEY, UNIT_KEY, UnitId, address_set_name};
use ovn_peerd::northbound::registration::{NETWORK_KEY, half_key};
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, address_set,
};
use ovn_peerd::northbound::tags_of;
use ovn_peerd::ovsdb::{Atom, ColumnId, Row, TableId, Value};
use ovn_peerd::view::{HalfView, Reason, State};
use proptest::prelude::*;
use uuid::Uuid;

use crate::random::{Action, act, action, prepared};
use crate::world::{NETWORKS, World};

fn key(network: usize) -> NetworkKey {
    NetworkKey::new(format!("p{network}"), "n")
}

fn peering(a: usize, b: usize) -> UnitId {
    UnitId::Peering(Id::of_peering(&PeeringKey::new(key(a), key(b)).unwrap()))
}

/// A row of a unit, and its tags.
fn row_of(world: &World, unit: UnitId, table: TableId) -> Uuid {
    let column = tags_of(table).unwrap();
    let serves = |(of, uuid): &(TableId, Uuid)| {
        *of == table
            && world.database.cell(table, *uuid, column).get(UNIT_KEY).as_deref()
                == Some(unit.tag().as_str())
    };
    world.database.rows.keys().copied().find(serves).unwrap().1
}

fn set_of(world: &World, network: usize, family: Family) -> Uuid {
    let name = address_set_name(Id::of_network(&key(network)), family);
    let named = |(table, uuid): &(TableId, Uuid)| {
        *table == ADDRESS_SET
            && world.database.cell(*table, *uuid, address_set::NAME).string() == name
    };
    world.database.rows.keys().copied().find(named).unwrap().1
}

/// Somebody sets an entry of a row's `external_ids`.
fn set_entry(world: &mut World, table: TableId, row: Uuid, key: &str, text: &str) {
    let column: ColumnId = tags_of(table).unwrap();
    let mut entries: BTreeMap<String, String> = world
        .database
        .cell(table, row, column)
        .entries()
        .map(|(key, value)| (key.to_owned(), value.into_owned()))
        .collect();
    entries.insert(key.to_owned(), text.to_owned());
    let atom = |text: String| Atom::from(text.as_str());
    let map = entries.into_iter().map(|(key, value)| (atom(key), atom(value))).collect();
    world.database.set(table, row, column, Value::map(map));
}

fn declare(world: &mut World, pairs: &[(usize, usize)]) {
    for (a, b) in pairs {
        world.halves.entry(*a).or_default().insert(*b, true);
        world.halves.entry(*b).or_default().insert(*a, true);
    }
    for network in 0..NETWORKS {
        let file = world.halves_file(network);
        world.read(file);
    }
    world.rest();
}

fn view(world: &World, from: usize, to: usize) -> HalfView {
    let (project, target) = (format!("p{from}"), format!("p{to}"));
    let mut list = world.engine.list().into_iter();
    list.find(|half| half.project == project && half.target_project == target).unwrap()
}

fn warnings(world: &mut World) -> usize {
    let notices = world.engine.notices();
    let newer = notices.iter().filter(|it| it.message.contains("newer version"));
    newer
        .filter(|it| {
            it.level == Level::Warn && it.fields().iter().any(|(key, _)| *key == "version")
        })
        .count()
}

/// The ways in which a newer version shows in what it keeps of network 0.
const WAYS: usize = 4;

fn raise(world: &mut World, way: usize) {
    let set = set_of(world, 0, Family::Ip4);
    match way {
        // As one that means something else by all that it says.
        0 => {
            let record = r#"{"version":2,"network":{"project":"p0"},"router":"r0"}"#;
            set_entry(world, ADDRESS_SET, set, NETWORK_KEY, record);
            set_entry(
                world,
                ADDRESS_SET,
                set,
                &half_key("to-1"),
                r#"{"state":"drained","by":[1]}"#,
            );
            set_entry(
                world,
                ADDRESS_SET,
                set,
                "ovn-peerd-declared:hv1:to-1",
                r#"{"to":{"p":"p1"}}"#,
            );
            set_entry(world, ADDRESS_SET, set, "ovn-peerd-quorum", "3");
        }
        // As one that says the same and more.
        1 => {
            let record = r#"{"version":2,"project":"p0","name":"n","router":"r0","more":true}"#;
            set_entry(world, ADDRESS_SET, set, NETWORK_KEY, record);
        }
        2 => set_entry(world, ADDRESS_SET, set, OWNER_KEY, "2"),
        _ => {
            let set = set_of(world, 0, Family::Ip6);
            set_entry(world, ADDRESS_SET, set, OWNER_KEY, "9");
        }
    }
}

fn lower(world: &mut World) {
    for family in Family::BOTH {
        let set = set_of(world, 0, family);
        set_entry(world, ADDRESS_SET, set, OWNER_KEY, "1");
    }
    let set = set_of(world, 0, Family::Ip4);
    set_entry(
        world,
        ADDRESS_SET,
        set,
        NETWORK_KEY,
        r#"{"version":1,"project":"p0","name":"n","router":"r0"}"#,
    );
}

/// The rows of network 0, of all its peerings, and of those between others that are marked.
fn kept(world: &World) -> BTreeMap<(TableId, Uuid), Row> {
    let mut units: BTreeSet<String> = (1..NETWORKS).map(|other| peering(0, other).tag()).collect();
    units.insert(UnitId::Network(Id::of_network(&key(0))).tag());
    let mut rows = world.database.rows.clone();
    rows.retain(|(table, uuid), _| {
        let unit = tags_of(*table)
            .and_then(|column| world.database.cell(*table, *uuid, column).get(UNIT_KEY));
        unit.is_some_and(|unit| units.contains(&*unit))
    });
    rows
}

#[test]
fn what_a_newer_version_keeps_is_told_once_and_left_alone() {
    for way in 0..WAYS {
        let mut world = prepared();
        declare(&mut world, &[(0, 1), (2, 3)]);
        world.engine.notices();
        raise(&mut world, way);
        let before = kept(&world);
        assert_eq!(world.settle(), 0, "way {way}");
        assert_eq!(warnings(&mut world), 1, "way {way}");
        for (from, to) in [(0, 1), (1, 0)] {
            let half = view(&world, from, to);
            assert_eq!((half.state, half.reason), (State::Active, Some(Reason::NewerVersion)));
            assert!(half.degraded[0].contains("newer version"), "{half:?}");
            assert!(half.next_step.unwrap().contains("upgrade"));
        }
        assert_eq!(view(&world, 2, 3).reason, None);
        let newer = world.engine.status().newer;
        assert_eq!(newer.len(), 1);
        assert!(newer[0].ends_with(if way == 3 { "version 9" } else { "version 2" }), "{newer:?}");
        assert!(world.engine.plan(None, world.now()).is_empty());
        // What this host declares of a network of its own version is written, and nothing else.
        declare(&mut world, &[(0, 3)]);
        let half = view(&world, 3, 0);
        assert_eq!((half.state, half.reason), (State::Failed, Some(Reason::NewerVersion)));
        assert_eq!(kept(&world), before, "way {way}");
        let set = set_of(&world, 3, Family::Ip4);
        let registered = world.database.cell(ADDRESS_SET, set, address_set::EXTERNAL_IDS);
        assert!(registered.get("ovn-peerd-declared:hv1:to-0").is_some());
        // Withdrawn here, or asked for by a process that never knew it: its rows stay.
        for network in [0, 1] {
            world.halves.get_mut(&network).unwrap().remove(&(1 - network));
            let file = world.halves_file(network);
            world.read(file);
        }
        world.settle();
        world.restart();
        world.settle();
        assert_eq!(kept(&world), before, "way {way}");
        assert_eq!(warnings(&mut world), 1, "a process tells it once");
        // The other host has gone back to this version: all is as declared again.
        lower(&mut world);
        world.rest();
        assert_eq!(warnings(&mut world), 0);
        assert!(world.engine.status().newer.is_empty());
        let half = view(&world, 3, 0);
        assert_eq!((half.state, half.reason), (State::Active, None));
        assert!(world.engine.plan(None, world.now()).is_empty());
    }
}

#[test]
fn a_row_of_a_newer_version_keeps_its_whole_peering() {
    for table in [ROUTER_PORT, STATIC_ROUTE, ROUTER_POLICY] {
        let mut world = prepared();
        declare(&mut world, &[(0, 1), (2, 3)]);
        let row = row_of(&world, peering(0, 1), table);
        set_entry(&mut world, table, row, OWNER_KEY, "2");
        let port = row_of(&world, peering(0, 1), ROUTER_PORT);
        world.database.set(ROUTER_PORT, port, ColumnId(3), Value::from("elsewhere"));
        let before = kept(&world);
        assert_eq!(world.settle(), 0);
        assert_eq!(kept(&world), before);
        assert_eq!(view(&world, 1, 0).reason, Some(Reason::NewerVersion));
        assert_eq!(view(&world, 2, 3).reason, None);
    }
}

/// What stands of a newer version has its prefixes: nobody gets them a second time.
#[test]
fn nobody_gets_a_prefix_that_a_newer_version_routes() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    raise(&mut world, 0);
    world.settle();
    // Network 3 moves into the space of network 0, and asks network 1.
    world.toggle_port(3, 5);
    world.toggle_port(3, 0);
    declare(&mut world, &[(1, 3)]);
    let half = view(&world, 1, 3);
    assert_eq!((half.state, half.reason), (State::Failed, Some(Reason::ConflictSubnet)));
}

/// Until it is seen that the other side has agreed, nothing of its registration is told.
#[test]
fn a_registration_of_a_newer_version_is_no_answer_to_a_stranger() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    raise(&mut world, 0);
    world.settle();
    for target in [0, 3] {
        world.halves.entry(2).or_default().insert(target, true);
    }
    let file = world.halves_file(2);
    world.read(file);
    world.settle();
    let (newer, silent) = (view(&world, 2, 0), view(&world, 2, 3));
    assert_eq!((newer.state, newer.reason), (silent.state, silent.reason));
    let text =
        |half: &HalfView| half.explanation.clone().unwrap().replace(&half.target_project, "");
    assert_eq!(text(&newer), text(&silent));
}

#[test]
fn a_host_that_declares_in_a_newer_registration_is_not_forgotten_by_an_older_one() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    let set = set_of(&world, 0, Family::Ip4);
    set_entry(&mut world, ADDRESS_SET, set, "ovn-peerd-host:hv2", r#"{"project":"p0","name":"n"}"#);
    let half = r#"{"file":"","target":["p3","n"]}"#;
    set_entry(&mut world, ADDRESS_SET, set, "ovn-peerd-declared:hv2:to-3", half);
    raise(&mut world, 1);
    world.settle();
    assert_eq!(world.engine.forget("hv2"), Err(NotForgotten::Newer));
    assert_eq!(world.settle(), 0);
}

/// Whatever is not a number of a newer version is damage, and is repaired.
#[test]
fn a_damaged_registration_is_repaired() {
    let damages = [
        (NETWORK_KEY, ""),
        (NETWORK_KEY, "{"),
        (NETWORK_KEY, r#"{"version":"2","project":"p0","name":"n"}"#),
        (NETWORK_KEY, r#"{"version":-1,"project":"p0","name":"n"}"#),
        (NETWORK_KEY, r#"{"version":0,"project":"p0","name":"n"}"#),
        (NETWORK_KEY, r#"{"version":1,"project":"p4","name":"somebody else's"}"#),
        (NETWORK_KEY, r#"{"version":99999999999999999999,"project":"p0","name":"n"}"#),
        (OWNER_KEY, "0"),
        (OWNER_KEY, "two"),
        (UNIT_KEY, "network-zz"),
        ("ovn-peerd-label", ""),
        ("ovn-peerd-half:to-1", "[]"),
        (
            "ovn-peerd-half:to-1",
            r#"{"target":["p1","n"],"state":"drained","since":"2026-01-01T00:00:00Z"}"#,
        ),
        ("ovn-peerd-half:to-1", r#"{"target":["p1","n"],"state":"linked","since":"yesterday"}"#),
        ("ovn-peerd-half:", "{}"),
        ("ovn-peerd-half:gone", "{"),
        ("ovn-peerd-declared:hv1:to-1", "{"),
        ("ovn-peerd-declared:hv1:to-9", r#"{"file":"","target":["p9","n"]}"#),
        ("ovn-peerd-host:hv1", "null"),
        ("ovn-peerd-rejects:hv1:p9:n", "{}"),
    ];
    for (entry, text) in damages {
        let mut world = prepared();
        declare(&mut world, &[(0, 1)]);
        let content = world.own_content();
        let set = set_of(&world, 0, Family::Ip4);
        set_entry(&mut world, ADDRESS_SET, set, entry, text);
        // Whoever lost sight of it finds its name taken.
        world.expected_errors = vec!["constraint violation"];
        world.rest();
        let drift: Vec<_> = world.own_content().symmetric_difference(&content).cloned().collect();
        let port = |row: &&String| !row.contains("TableId(0)");
        assert_eq!(drift.iter().find(port), None, "{entry} = {text}");
        assert_eq!(view(&world, 0, 1).state, State::Active, "{entry} = {text}");
        assert!(world.engine.status().newer.is_empty(), "{entry} = {text}");
    }
}

/// Keys that a newer version adds without a word are nobody's to remove.
#[test]
fn unknown_keys_are_kept() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    let set = set_of(&world, 0, Family::Ip4);
    for (key, text) in [("ovn-peerd-quorum", "3"), ("ovn-peerd-declared", "x"), ("neutron:id", "7")]
    {
        set_entry(&mut world, ADDRESS_SET, set, key, text);
    }
    assert_eq!(world.settle(), 0);
    declare(&mut world, &[(0, 2), (0, 3)]);
    let found = world.database.cell(ADDRESS_SET, set, address_set::EXTERNAL_IDS);
    for (key, text) in [("ovn-peerd-quorum", "3"), ("ovn-peerd-declared", "x"), ("neutron:id", "7")]
    {
        assert_eq!(found.get(key).as_deref(), Some(text));
    }
}

/// What is left of a peering is on the other router alone: nobody knows whose it was.
#[test]
fn what_is_left_of_a_newer_versions_peering_stays_although_its_router_is_gone() {
    for way in 0..WAYS {
        let mut world = prepared();
        declare(&mut world, &[(0, 1), (0, 2), (1, 2), (3, 4)]);
        raise(&mut world, way);
        for action in [Action::Withdraw(2, 0), Action::Router(0), Action::Withdraw(0, 2)] {
            act(&mut world, &action);
            let before = kept(&world);
            world.settle();
            assert_eq!(kept(&world), before, "{action:?}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_moves_an_older_version_to_touch_a_newer_ones_rows(
        way in 0..WAYS,
        actions in prop::collection::vec(action(), 1..25),
    ) {
        let mut world = prepared();
        declare(&mut world, &[(0, 1), (0, 2), (1, 2), (3, 4)]);
        raise(&mut world, way);
        for action in &actions {
            // What somebody does to these rows by hand is not ours to judge.
            if matches!(action, Action::Delete(_) | Action::Alter(_)) {
                continue;
            }
            act(&mut world, action);
            let (before, foreign) = (kept(&world), world.foreign());
            world.settle();
            prop_assert_eq!(&kept(&world), &before, "{:?}", action);
            prop_assert_eq!(world.foreign(), foreign, "{:?}", action);
            world.northd();
            prop_assert_eq!(world.settle(), 0, "{:?}", action);
            prop_assert!(world.engine.plan(None, world.now()).is_empty(), "{:?}", action);
        }
    }
}
