//! What the server refuses: one unit must not hold up the others, and a registration that lost its
//! tag is found by its name. Updates that do not follow are not believed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use ovn_peerd::declare::PolicySettings;
use ovn_peerd::engine::Event;
use ovn_peerd::northbound::owner::{Family, Id, OWNER_KEY, address_set_name};
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, ROUTER_POLICY, ROUTER_PORT, address_set, router_policy,
};
use ovn_peerd::northbound::{UnitId, owner};
use ovn_peerd::ovsdb::update::{RowUpdate, TableUpdates};
use ovn_peerd::ovsdb::{self, Atom, TableId, Updates, Value};
use ovn_peerd::view::{Reason, State};
use uuid::Uuid;

use crate::random::{Action, act, prepared, prepared_on};
use crate::world::World;

fn declare(world: &mut World, pairs: &[(usize, usize)]) {
    for (a, b) in pairs {
        world.halves.entry(*a).or_default().insert(*b, true);
        world.halves.entry(*b).or_default().insert(*a, true);
    }
    for network in pairs.iter().flat_map(|(a, b)| [*a, *b]) {
        let file = world.halves_file(network);
        world.read(file);
    }
}

/// Networks with a guard each, of which ended halves leave no record.
fn guarded(pairs: &[(usize, usize)]) -> World {
    let policy = PolicySettings { history: SignedDuration::ZERO, ..PolicySettings::default() };
    let mut world = prepared_on(None, &policy);
    (0..4).for_each(|index| world.add_uplink(index));
    world.expected_errors = vec!["constraint violation"];
    declare(&mut world, pairs);
    rest(&mut world);
    world
}

/// All that is refused has been tried again.
fn rest(world: &mut World) {
    for _ in 0..3 {
        world.settle();
        world.northd();
        world.steps += 31;
        world.handle(Event::Tick);
    }
    world.settle();
}

fn network(index: usize) -> Id {
    Id::of_network(&ovn_peerd::declare::NetworkKey::new(format!("p{index}"), "n"))
}

fn link_ports(world: &World) -> BTreeSet<(TableId, Uuid)> {
    world.own_rows().into_iter().filter(|(table, _)| *table == ROUTER_PORT).collect()
}

/// How many policies guard a network's own prefixes.
fn guards(world: &World, index: usize) -> usize {
    let unit = UnitId::Network(network(index)).tag();
    let policies = world.own_rows().into_iter().filter(|(table, _)| *table == ROUTER_POLICY);
    let tags = |row| world.database.cell(ROUTER_POLICY, row, router_policy::EXTERNAL_IDS);
    policies.filter(|(_, row)| tags(*row).holds(owner::UNIT_KEY, &unit)).count()
}

fn states(world: &World) -> BTreeMap<String, (State, Option<Reason>)> {
    let views = world.engine.list().into_iter();
    views
        .map(|view| (format!("{}{}", view.project, view.target_project), (view.state, view.reason)))
        .collect()
}

fn set_named(world: &World, name: &str) -> Uuid {
    let sets = world.database.rows.keys().filter(|(table, _)| *table == ADDRESS_SET);
    let named =
        |uuid: &Uuid| world.database.cell(ADDRESS_SET, *uuid, address_set::NAME).string() == name;
    sets.map(|(_, uuid)| *uuid).find(named).unwrap()
}

/// Somebody keeps the name of a set of network 0 for himself: its registration is refused.
fn occupy(world: &mut World) -> Uuid {
    let name = address_set_name(network(0), Family::Ip6);
    let cells = [(address_set::NAME, Atom::from(name.as_str()))];
    let set = world.database.insert(ADDRESS_SET, &cells);
    world.refuse_tagging_of = Some(set);
    set
}

#[test]
fn a_registration_that_lost_its_tag_is_found_by_its_name() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    world.settle();
    let name = address_set_name(network(0), Family::Ip4);
    let set = set_named(&world, &name);
    world.database.set(ADDRESS_SET, set, address_set::EXTERNAL_IDS, Value::empty());
    world.expected_errors = vec!["constraint violation"];
    world.rest();
    assert_eq!(set_named(&world, &name), set, "the row itself is kept");
    assert!(
        world.database.cell(ADDRESS_SET, set, address_set::EXTERNAL_IDS).get(OWNER_KEY).is_some()
    );
    assert!(states(&world).values().all(|state| *state == (State::Active, None)));
    assert!(world.engine.plan(None, world.now()).is_empty());
}

#[test]
fn a_unit_that_is_refused_holds_up_no_other() {
    let mut world = prepared();
    world.expected_errors = vec!["constraint violation"];
    occupy(&mut world);
    declare(&mut world, &[(0, 1), (2, 3)]);
    world.rest();
    let states = states(&world);
    for half in ["p2p3", "p3p2"] {
        assert_eq!(states[half], (State::Active, None), "{half}");
    }
    for half in ["p0p1", "p1p0"] {
        assert_eq!(states[half], (State::Failed, Some(Reason::NorthboundRefused)), "{half}");
    }
}

/// A network is refused together with its first pair; the second one does not stand on nothing.
#[test]
fn no_pair_is_written_without_a_network_that_is_refused() {
    let mut world = guarded(&[]);
    let foreign = occupy(&mut world);
    declare(&mut world, &[(0, 1)]);
    act(&mut world, &Action::Declare(0, 2, true));
    world.settle();
    act(&mut world, &Action::Declare(2, 0, true));
    world.settle();
    assert!(link_ports(&world).is_empty(), "a link without a registration");
    let refused = (State::Failed, Some(Reason::NorthboundRefused));
    assert!(states(&world).values().all(|state| *state == refused), "{:?}", states(&world));

    world.refuse_tagging_of = None;
    world.database.rows.remove(&(ADDRESS_SET, foreign));
    rest(&mut world);
    assert!(states(&world).values().all(|state| *state == (State::Active, None)));
    assert!(world.engine.plan(None, world.now()).is_empty());
}

/// Nor does what only goes wait for such a network.
#[test]
fn a_link_goes_whatever_is_refused_of_its_networks() {
    let mut world = guarded(&[(0, 1), (0, 2)]);
    let set = set_named(&world, &address_set_name(network(0), Family::Ip6));
    world.database.rows.remove(&(ADDRESS_SET, set));
    occupy(&mut world);
    world.settle();
    act(&mut world, &Action::Withdraw(2, 0));
    world.settle();
    assert_eq!(link_ports(&world).len(), 2, "that which is wanted still");
    // The last one, with which the network itself changes, and is refused again.
    act(&mut world, &Action::Withdraw(1, 0));
    world.settle();
    assert!(link_ports(&world).is_empty(), "nobody wants it");
}

/// Guards stay as long as the link of which the removal is refused, whatever else changes.
#[test]
fn the_uplink_anti_spoof_stays_while_the_server_rejects_the_removal_of_a_link() {
    for sides in [&[(0, 1), (1, 0)][..], &[(0, 1)]] {
        let mut world = guarded(&[(2, 3)]);
        let others = link_ports(&world);
        declare(&mut world, &[(0, 1)]);
        rest(&mut world);
        world.database.kept = link_ports(&world).difference(&others).copied().collect();
        sides.iter().for_each(|(from, to)| act(&mut world, &Action::Withdraw(*from, *to)));
        for index in [0, 1, 0] {
            world.settle();
            assert_eq!([guards(&world, 0), guards(&world, 1)], [2, 2], "{sides:?}");
            // Something else of the network.
            act(&mut world, &Action::Tell(index));
        }
        rest(&mut world);
        assert_eq!([guards(&world, 0), guards(&world, 1)], [2, 2], "{sides:?}");
        // Others have nothing to do with it.
        act(&mut world, &Action::Withdraw(3, 2));
        rest(&mut world);
        assert_eq!([guards(&world, 2), guards(&world, 3)], [0, 0], "{sides:?}");

        world.database.kept.clear();
        rest(&mut world);
        assert!(link_ports(&world).is_empty(), "{sides:?}");
        assert_eq!([guards(&world, 0), guards(&world, 1)], [0, 0], "{sides:?}");
        assert!(world.engine.plan(None, world.now()).is_empty());
    }
}

/// What is on its way from a session that is to end is ignored, and what another one continues, until all rows have come anew.
#[test]
fn everything_is_read_anew_once_where_updates_do_not_follow() {
    let mut world = prepared();
    declare(&mut world, &[(0, 1)]);
    world.rest();
    let delete = |world: &mut World, row: Uuid| {
        let rows = vec![(row, RowUpdate::Delete)];
        let updates = Updates { tables: vec![TableUpdates { table: ADDRESS_SET, rows }] };
        world.client(ovsdb::Event::Update { updates, last_id: Uuid::nil() });
    };
    let is_there = set_named(&world, &address_set_name(network(0), Family::Ip6));
    delete(&mut world, Uuid::from_u128(1));
    assert!(world.engine.wants_resync());
    for row in [Uuid::from_u128(1), is_there] {
        delete(&mut world, row);
    }
    world.client(ovsdb::Event::Resumed);
    assert!(!world.engine.wants_resync() && !world.engine.is_synced());
    assert_eq!(world.engine.poll(world.now()), None, "nothing is decided by such rows");
    world.connect();
    assert!(!world.engine.wants_resync() && world.engine.is_synced());
    assert_eq!(world.settle(), 0, "nothing has changed");
    assert!(states(&world).values().all(|state| *state == (State::Active, None)));
}

/// A server that commits and changes nothing: the same would change nothing the next time either, so the unit waits as one that is
/// refused, and is written once the server does what it is asked for.
#[test]
fn a_transaction_without_effect_is_reported_and_not_repeated() {
    let mut world = guarded(&[(0, 1)]);
    let before = world.own_rows();
    let policies = before.iter().filter(|(table, _)| *table == ROUTER_POLICY);
    let (table, policy) = *policies.copied().collect::<Vec<_>>().first().expect("a policy");
    world.database.set(table, policy, router_policy::MATCH, Value::from("0"));
    world.hear();
    let mut sent = 0;
    while let Some(submission) = world.engine.poll(world.now()) {
        sent += 1;
        assert!(sent <= 4, "it is repeated at the pace of the server");
        world.client(ovsdb::Event::Transacted { id: submission.id, result: Ok(Vec::new()) });
    }
    assert!(sent >= 1, "a policy is another one");
    let refusal = world.engine.status().northbound.refusal.expect("it is reported");
    assert!(refusal.error.contains("nothing has changed by it"), "{refusal:?}");
    world.pass(1);
    assert_eq!(world.engine.poll(world.now()), None, "it waits");
    rest(&mut world);
    assert_eq!(world.own_rows().len(), before.len());
    assert!(world.engine.plan(None, world.now()).is_empty());
    assert_eq!(world.engine.status().northbound.refusal, None);
}
