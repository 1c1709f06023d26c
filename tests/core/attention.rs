//! What needs attention, and who may know it.

use std::sync::Arc;

use ovn_peerd::declare::MaxWithdrawals;
use ovn_peerd::engine::Event;
use ovn_peerd::ovsdb;
use ovn_peerd::view::{AttentionView, Viewer};

use crate::world::{World, settings};

fn owner_of(project: &str) -> Viewer {
    Viewer::Tenant(Arc::new([Arc::from(project)].into()))
}

fn attention(world: &World, viewer: &Viewer) -> AttentionView {
    world.engine.attention(viewer)
}

#[test]
fn a_tenant_learns_of_its_own_held_withdrawals_alone() {
    let mut settings = settings();
    settings.policy.max_withdrawals = MaxWithdrawals { halves: 0, percent: 0 };
    let mut world = World::with(settings);
    for (network, targets) in [(0, &[1, 2][..]), (1, &[0]), (2, &[])] {
        world.halves.insert(network, targets.iter().map(|target| (*target, true)).collect());
    }
    world.read_all();
    world.settle();
    let held = |world: &World| {
        let tenants = ["p0", "p1", "p2"].map(owner_of);
        (
            attention(world, &Viewer::Operator).held,
            tenants.map(|tenant| attention(world, &tenant).held),
        )
    };
    assert_eq!(held(&world), (0, [0, 0, 0]));
    world.halves.clear();
    world.read_all();
    assert_eq!(held(&world), (3, [2, 1, 0]));
}

#[test]
fn the_northbound_is_said_to_be_away_since_it_was_lost() {
    let mut world = World::with(settings());
    world.settle();
    let since = |world: &World| attention(world, &owner_of("p0")).northbound_away_since;
    assert_eq!(since(&world), None);
    let lost = world.now().wall;
    let (error, retry_in) = ("gone".to_owned(), std::time::Duration::from_secs(1));
    world.handle(Event::Northbound(ovsdb::Event::Disconnected {
        error,
        read_only: false,
        retry_in,
    }));
    assert_eq!(since(&world), Some(lost));
    world.seconds += 60;
    world.handle(Event::Tick);
    assert_eq!(since(&world), Some(lost), "not since it was asked for last");
    assert_eq!(world.engine.status().northbound.away_since, Some(lost));
    world.connect();
    assert_eq!(since(&world), None);
}
