//! One unit has two names, one while somebody declares it and one else. Whatever it was called when it became
//! dirty, it is written once.

use jiff::SignedDuration;
use ovn_peerd::northbound::UnitId;
use ovn_peerd::northbound::owner::UNIT_KEY;
use ovn_peerd::northbound::tables::{ROUTER_POLICY, ROUTER_PORT, logical_router, router_policy};
use uuid::Uuid;

use crate::fleet::Fleet;
use crate::late::Late;
use crate::world::{World, settings};

/// Networks 0 and 1 linked, on a server that takes its time.
fn linked(groups: usize, seed: u64) -> World {
    let mut settings = settings();
    settings.policy.history = SignedDuration::ZERO;
    let mut world = World::on(Some(Late::new(groups, seed, 0)), settings);
    for (network, subnet) in [(0, 0), (1, 4)] {
        world.add_router(network);
        world.toggle_port(network, subnet);
        world.bindings.insert(network, network);
        let file = world.network_file(network);
        world.read(file);
    }
    declare(&mut world, [true, true]);
    world.rest();
    world
}

fn declare(world: &mut World, says: [bool; 2]) {
    for (network, says) in says.into_iter().enumerate() {
        let halves = world.halves.entry(network).or_default();
        halves.clear();
        if says {
            halves.insert(1 - network, true);
        }
        let file = world.halves_file(network);
        world.read(file);
    }
}

/// The policies that guard a network's own prefixes.
fn guards(world: &World) -> Vec<Uuid> {
    let serves = |row| {
        let tags = world.database.cell(ROUTER_POLICY, row, router_policy::EXTERNAL_IDS);
        tags.get(UNIT_KEY).and_then(UnitId::parse)
    };
    let own = world.own_rows().into_iter().filter(|(table, _)| *table == ROUTER_POLICY);
    own.map(|(_, row)| row).filter(|row| matches!(serves(*row), Some(UnitId::Network(_)))).collect()
}

/// What nobody declared when its rows were read is declared before any of it is written.
#[test]
fn a_network_that_is_declared_before_its_orphans_go_is_written_once() {
    for groups in [1, 256] {
        let mut world = linked(groups, 7);
        for guard in guards(&world) {
            let routers: Vec<Uuid> = world.routers.values().map(|router| router.uuid).collect();
            for router in routers {
                world.database.refer(router, logical_router::POLICIES, guard, false);
            }
        }
        world.database.collect();
        declare(&mut world, [false, false]);
        world.restart();
        declare(&mut world, [true, true]);
        world.send();
        while world.step_late() {
            assert!(guards(&world).len() <= 4, "the same guard stands twice");
        }
        assert_eq!(guards(&world).len(), 4);
        assert!(world.engine.plan(None, world.now()).is_empty());
    }
}

/// A registration goes in two steps; what the first of them changes makes the second one dirty.
#[test]
fn a_network_that_is_withdrawn_goes_once() {
    for (groups, seed) in [1, 2, 256].into_iter().flat_map(|it| (1..32).map(move |at| (it, at))) {
        let mut world = linked(groups, seed);
        declare(&mut world, [false, false]);
        world.settle();
        assert!(world.own_rows().is_empty());
    }
}

/// And it does so again and again while what was declared is being written. As long as there is a link, each
/// network has its guard.
#[test]
fn what_is_declared_and_withdrawn_while_it_is_written_is_written_once() {
    for (groups, seed) in [1, 256].into_iter().flat_map(|it| (1..64).map(move |at| (it, at))) {
        let mut world = linked(groups, seed);
        world.late().faults = 200 * (seed % 2);
        let says = [[true, true], [false, true], [true, true], [true, false], [false, false]];
        for turn in 0..32 {
            declare(&mut world, says[(seed + turn) as usize % 5]);
            for _ in 0..(seed + turn) % 5 {
                world.step_late();
                let linked = world.own_rows().iter().any(|(table, _)| *table == ROUTER_PORT);
                assert!(!linked || guards(&world).len() == 4, "a link stands without its guards");
            }
        }
        declare(&mut world, [true, true]);
        world.settle();
        assert_eq!(guards(&world).len(), 4);
        assert!(world.engine.plan(None, world.now()).is_empty());
    }
}

/// What a standby waits for under a name of the past it would wait for in vain.
#[test]
fn a_standby_does_not_wait_for_what_was_withdrawn() {
    let mut fleet = Fleet::new();
    fleet.settle();
    fleet.hosts[0].frozen = true;
    for (host, (from, to)) in [(1, (0, 1)), (1, (1, 0))] {
        fleet.hosts[host].declared.insert((from, to), true);
    }
    fleet.read(1);
    fleet.step();
    fleet.hosts[1].declared.clear();
    fleet.read(1);
    fleet.hosts[0].frozen = false;
    fleet.settle();
    assert_eq!(fleet.takeovers, 0, "the lock was taken from a host that had all done");
}
