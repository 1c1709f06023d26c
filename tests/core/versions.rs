//! Daemons of different versions on one northbound: as long as a newer one has written there, an older one writes nothing, and
//! says so; what is merely damaged is repaired.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::declare::{NetworkKey, PeeringKey};
use ovn_peerd::engine::{Change, Level, NotForgotten};
use ovn_peerd::northbound::owner::{Family, Id, OWNER_KEY, UNIT_KEY, UnitId, address_set_name};
use ovn_peerd::northbound::registration::{NETWORK_KEY, half_key};
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, ROUTER_POLICY, ROUTER_PORT, address_set, router_policy,
};
use ovn_peerd::northbound::{NetworkRecord, tags_of};
use ovn_peerd::ovsdb::{self, Atom, ColumnId, Operation, TableId, Value};
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
            && world.database.cell(table, *uuid, column).get(UNIT_KEY) == Some(unit.tag().as_str())
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
pub fn set_entry(world: &mut World, table: TableId, row: Uuid, key: &str, text: &str) {
    let column: ColumnId = tags_of(table).unwrap();
    let mut entries: BTreeMap<String, String> = world
        .database
        .cell(table, row, column)
        .entries()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
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

/// How often it was reported that a newer version writes, and that none does any more.
fn reports(world: &mut World) -> (usize, usize) {
    let changes = world.engine.changes();
    let loud = changes.iter().filter(|change| change.level() != Level::Debug);
    let (come, gone): (Vec<&Change>, Vec<_>) =
        loud.partition(|change| change.level() == Level::Warn);
    let is_version = |change: &&Change| matches!(change, Change::NewerVersion { .. });
    assert!(come.iter().all(is_version), "one line is enough for all halves: {come:?}");
    (come.len(), gone.into_iter().filter(is_version).count())
}

const NEWER: &str = r#"{"version":70,"project":"p0","name":"n","router":"r0","more":true}"#;
const OLDER: &str = r#"{"version":0,"project":"p0","name":"n","router":"r0"}"#;

/// A newer version registers network 0 as it knows it: what it says there may mean something else.
fn raise(world: &mut World) {
    let set = set_of(world, 0, Family::Ip4);
    set_entry(world, ADDRESS_SET, set, NETWORK_KEY, NEWER);
    let entries = [
        (half_key("to-1"), r#"{"state":"drained","by":[1]}"#),
        ("ovn-peerd-declared:hv2:to-1".to_owned(), r#"{"to":{"p":"p1"}}"#),
        ("ovn-peerd-quorum".to_owned(), "3"),
    ];
    for (key, text) in entries {
        set_entry(world, ADDRESS_SET, set, &key, text);
    }
}

fn lower(world: &mut World) {
    let set = set_of(world, 0, Family::Ip4);
    let record = NetworkRecord::new(&key(0), Some("r0".to_owned())).to_text();
    set_entry(world, ADDRESS_SET, set, NETWORK_KEY, &record);
}

#[test]
fn a_newer_version_is_reported_once_and_stops_every_write() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1), (2, 3)]);
    world.halves.entry(4).or_default().insert(0, true);
    world.read(world.halves_file(4));
    world.rest();
    world.engine.changes();
    assert!(world.engine.contends());
    raise(&mut world);
    assert_eq!(world.settle(), 0);
    assert!(!world.engine.contends(), "the lock is given away");
    let before = world.database.rows.clone();
    assert_eq!(reports(&mut world), (1, 0));
    assert!(world.engine.changes().is_empty(), "one line is enough for all halves");
    let status = world.engine.status();
    assert_eq!((status.newer_version, status.northbound.active), (Some(70), false));
    for (from, to) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
        let half = view(&world, from, to);
        assert_eq!((half.state, half.reason), (State::Active, Some(Reason::NewerVersion)));
        assert!(half.degraded[0].contains("newer version"), "{half:?}");
        assert!(half.next_step.unwrap().contains("upgrade"));
    }
    let half = view(&world, 4, 0);
    assert_eq!((half.state, half.reason), (State::PendingPeer, Some(Reason::AwaitingPeer)));
    // What is declared and withdrawn now has no effect, and neither have changes by others.
    for (from, to) in [(0, 3), (3, 0)] {
        world.halves.entry(from).or_default().insert(to, true);
    }
    world.halves.get_mut(&2).unwrap().remove(&3);
    for network in [0, 2, 3] {
        world.read(world.halves_file(network));
    }
    let port = row_of(&world, peering(0, 1), ROUTER_PORT);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.database.rows, before);
    world.database.set(ROUTER_PORT, port, ColumnId(3), Value::from("elsewhere"));
    world.pass(100);
    assert_eq!(world.settle(), 0);
    let half = view(&world, 3, 0);
    assert_eq!((half.state, half.reason), (State::Provisioning, Some(Reason::NewerVersion)));
    let text = view(&world, 3, 2).degraded.join(" ");
    assert!(text.contains("newer version"), "it is not being removed: {text}");
    assert!(world.engine.plan(None, world.now()).is_empty());
    let before = world.database.rows.clone();
    world.restart();
    assert_eq!(world.settle(), 0);
    assert!(!world.engine.contends());
    assert_eq!(reports(&mut world), (1, 0), "each process reports it once");
    assert_eq!(world.database.rows, before);
    // The newer version is gone: all is as declared again.
    lower(&mut world);
    world.rest();
    assert!(world.engine.contends());
    assert_eq!(reports(&mut world), (0, 1));
    assert_eq!(world.engine.status().newer_version, None);
    assert_eq!(view(&world, 3, 0).state, State::Active);
    let half = view(&world, 3, 2);
    assert_eq!((half.state, half.reason), (State::Disconnected, Some(Reason::PeerWithdrew)));
    assert!(world.engine.plan(None, world.now()).is_empty());
}

/// What other hosts declare is read again once the newer version is gone, not before.
#[test]
fn what_others_declared_goes_on_while_a_newer_version_may_say_it_in_another_way() {
    let mut world = prepared();
    let set = |world: &World| set_of(world, 0, Family::Ip4);
    declare(&mut world, &[(0, 1)]);
    let entry = "ovn-peerd-declared:hv2:to-3";
    let host = ("ovn-peerd-host:hv2", r#"{"project":"p0","name":"n"}"#);
    for (entry, text) in [host, (entry, r#"{"file":"","target":["p3","n"]}"#)] {
        let set = set(&world);
        set_entry(&mut world, ADDRESS_SET, set, entry, text);
    }
    world.rest();
    assert_eq!(view(&world, 0, 3).hosts, ["hv2"]);
    raise(&mut world);
    let of_others = set(&world);
    set_entry(&mut world, ADDRESS_SET, of_others, entry, r#"{"to":"p3"}"#);
    world.settle();
    assert_eq!(view(&world, 0, 3).hosts, ["hv2"]);
    lower(&mut world);
    world.rest();
    let is_declared = |half: &HalfView| {
        half.project == "p0" && half.target_project == "p3" && half.state != State::Deleted
    };
    assert!(!world.engine.list().iter().any(is_declared), "no entry that this version can read");
}

/// An upgraded host raises what an older one has registered before it writes anything else; as a standby, too: that is
/// how it gets the lock from older ones.
#[test]
fn older_registrations_are_raised_first_and_without_the_lock() {
    for held in [true, false] {
        let mut world = prepared();
        declare(&mut world, &[(0, 1), (2, 3)]);
        let set = set_of(&world, 0, Family::Ip4);
        set_entry(&mut world, ADDRESS_SET, set, NETWORK_KEY, OLDER);
        world.halves.entry(1).or_default().insert(2, true);
        world.read(world.halves_file(1));
        world.client(ovsdb::Event::Lock { held });
        world.hear();
        let submission = world.engine.poll(world.now()).expect("something is to be written");
        let raised = r#""version":3"#.replace('"', "\\\"");
        assert!(format!("{:?}", submission.operations).contains(&raised), "{submission:?}");
        let [Operation::Mutate { table: "Address_Set", .. }] = submission.operations.as_slice()
        else {
            panic!("{submission:?}");
        };
        world.database.transact(&submission.operations).unwrap();
        // Another host that does the same changes nothing.
        let before = world.database.rows.clone();
        world.database.transact(&submission.operations).unwrap();
        assert_eq!(world.database.rows, before);
        world.hear();
        let result = Ok(Vec::new());
        world.client(ovsdb::Event::Transacted { id: submission.id, result });
        let next = world.engine.poll(world.now()).expect("the rest follows");
        assert!(!format!("{:?}", next.operations).contains("ovn-peerd-network"), "{next:?}");
    }
}

/// A server that does not take it is not asked at its own speed.
#[test]
fn what_cannot_be_raised_is_tried_again_after_a_pause() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    let set = set_of(&world, 0, Family::Ip4);
    set_entry(&mut world, ADDRESS_SET, set, NETWORK_KEY, OLDER);
    world.refuse_all = Some("not allowed".to_owned());
    assert_eq!(world.settle(), 1);
    assert_eq!(world.settle(), 0);
    world.refuse_all = None;
    world.pass(1);
    assert_eq!(world.settle(), 1);
    let text = world.database.cell(ADDRESS_SET, set, address_set::EXTERNAL_IDS);
    assert_eq!(
        text.get(NETWORK_KEY).unwrap(),
        NetworkRecord::new(&key(0), Some("r0".to_owned())).to_text()
    );
}

/// What the release before wrote becomes what this one writes; at no moment has a unit policies of both.
#[test]
fn policies_of_the_release_before_are_moved_a_unit_in_one_transaction() {
    let mut world = prepared();
    for router in [0, 1, 3] {
        world.add_uplink(router);
    }
    declare(&mut world, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
    world.rest();
    let wanted = world.own_content();
    let rows: Vec<(TableId, Uuid)> = world.database.rows.keys().copied().collect();
    for (table, row) in rows {
        let tags = tags_of(table).map(|tags| world.database.cell(table, row, tags));
        let record = tags.and_then(|tags| Some(tags.get(NETWORK_KEY)?.to_owned()));
        if let Some(record) = record {
            set_entry(&mut world, table, row, NETWORK_KEY, &record.replace(":3,", ":1,"));
        }
        if let Some(priority) = priority(&world, table, row) {
            let before = Value::from(priority - 2000);
            world.database.set(table, row, router_policy::PRIORITY, before);
        }
    }
    assert_ne!(world.own_content(), wanted);
    world.restart();
    let mut steps = 0;
    while let Some(submission) = world.engine.poll(world.now()) {
        world.database.transact(&submission.operations).unwrap();
        let mut bands: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for (table, row) in world.database.rows.keys() {
            let unit = priority(&world, *table, *row).zip(tags_of(*table));
            let unit = unit.map(|(at, tags)| (at, world.database.cell(*table, *row, tags)));
            if let Some((at, unit)) = unit.and_then(|(at, tags)| Some((at, tags.get(UNIT_KEY)?))) {
                bands.entry(unit.to_owned()).or_default().insert(at / 1000);
            }
        }
        assert!(bands.values().all(|bands| bands.len() == 1), "{bands:?}");
        assert!(
            steps > 0 || bands.values().all(|bands| bands.contains(&30)),
            "the versions come first"
        );
        world.hear();
        world.client(ovsdb::Event::Transacted { id: submission.id, result: Ok(Vec::new()) });
        steps += 1;
    }
    assert_eq!(world.own_content(), wanted);
    assert!((2..5).contains(&steps), "{steps}");
    assert!(world.engine.plan(None, world.now()).is_empty());
}

/// The priority of a policy of ours.
fn priority(world: &World, table: TableId, row: Uuid) -> Option<i64> {
    let ours = table == ROUTER_POLICY
        && world.database.cell(table, row, router_policy::EXTERNAL_IDS).has_key(UNIT_KEY);
    ours.then(|| world.database.cell(table, row, router_policy::PRIORITY).integer()).flatten()
}

/// Until it is seen that the other side has agreed, nothing of its registration is shown.
#[test]
fn a_registration_of_a_newer_version_is_no_answer_to_a_stranger() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    raise(&mut world);
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
fn an_older_version_forgets_no_host() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    let set = set_of(&world, 0, Family::Ip4);
    set_entry(&mut world, ADDRESS_SET, set, "ovn-peerd-host:hv2", r#"{"project":"p0","name":"n"}"#);
    let half = r#"{"file":"","target":["p3","n"]}"#;
    set_entry(&mut world, ADDRESS_SET, set, "ovn-peerd-declared:hv2:to-3", half);
    world.rest();
    raise(&mut world);
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
        assert!(world.engine.status().newer_version.is_none(), "{entry} = {text}");
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
        assert_eq!(found.get(key), Some(text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_moves_an_older_version_to_write_and_it_recovers(
        actions in prop::collection::vec(action(), 1..25),
    ) {
        let mut world = prepared();
        declare(&mut world, &[(0, 1), (0, 2), (1, 2), (3, 4)]);
        raise(&mut world);
        for action in &actions {
            // Somebody who deletes or alters our rows may end the newer version's registration by that.
            if matches!(action, Action::Delete(_) | Action::Alter(_)) {
                continue;
            }
            act(&mut world, action);
            let before = world.database.rows.clone();
            prop_assert_eq!(world.settle(), 0, "{:?}", action);
            prop_assert_eq!(&world.database.rows, &before, "{:?}", action);
            prop_assert!(world.engine.plan(None, world.now()).is_empty(), "{:?}", action);
        }
        lower(&mut world);
        let foreign = world.foreign();
        world.rest();
        prop_assert_eq!(world.foreign(), foreign);
        prop_assert!(world.engine.contends());
        prop_assert!(world.engine.plan(None, world.now()).is_empty());
    }
}
