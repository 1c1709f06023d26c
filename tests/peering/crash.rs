//! Killed at random points of 200 random changes, and whole afterwards; what others own is never touched (B2, B3, B10).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::changes::{NETWORKS, World, run};
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{contents, foreign, link_rows, owned};
use crate::tenants::wait_all_active;

/// A half's networks, by number.
fn key(half: &Value) -> Option<(usize, usize)> {
    let number = |v: &Value| v.as_str().and_then(|s| s[1..].parse().ok());
    Some((number(&half["project"])?, number(&half["target_project"])?))
}

#[test]
fn killed_at_random_points_of_200_changes_it_converges() {
    let lab = Lab::databases_only();
    let mut world = run(&lab, false);
    let theirs = foreign(&lab);
    converges(&world);
    // Once more to a daemon that is not started afresh.
    world.damage();
    lab.sync();
    converges(&world);
    foreign(&lab).assert_same_as(&theirs);
    // Everything up once more, from whatever this came to; then everything away.
    if world.routers.len() < NETWORKS {
        world.change_a_router();
    }
    let all = (0..NETWORKS).flat_map(|a| (0..NETWORKS).map(move |b| (a, b)));
    world.halves = all.filter(|(a, b)| a != b).map(|key| (key, true)).collect();
    world.forget_gateways();
    (0..NETWORKS).for_each(|n| world.declare(n));
    converges(&world);
    wait_all_active(&world.daemon);
    let theirs = foreign(&lab);
    world.halves.clear();
    (0..NETWORKS).for_each(|n| world.declare(n));
    assert!(world.daemon.ctl(&["reload"]).status.success());
    world.daemon.confirm();
    poll("nothing of ours is left", Duration::from_secs(10), || {
        match owned(&lab.dump()).as_slice() {
            [] => Ok(()),
            [first, ..] => Err(format!("{first:?}")),
        }
    });
    foreign(&lab).assert_same_as(&theirs);
}

/// With subnets that clash all the time: both sides of a mutual peering come to the same, a full recompute agrees, and
/// so does a daemon that is started afresh.
#[test]
fn killed_amid_clashes_it_converges_and_a_restart_agrees() {
    let lab = Lab::databases_only();
    let world = run(&lab, true);
    let theirs = foreign(&lab);
    let mutual = world.mutual();
    let states = world.daemon.wait_until("mutual halves are active or clash", |halves| {
        let by_key: BTreeMap<_, _> =
            halves.iter().filter_map(|half| Some((key(half)?, half))).collect();
        for (one, other) in &mutual {
            let [here, there] = [(*one, *other), (*other, *one)]
                .map(|k| by_key.get(&k).map(|h| (&h["state"], &h["reason"])));
            let fine = here.is_some_and(|(s, why)| s == "active" || why == "conflict-subnet");
            if !fine || here != there {
                return Err(format!("{one} to {other}: {here:?}, {there:?}"));
            }
        }
        if by_key.len() == world.halves.len() {
            Ok(halves.clone())
        } else {
            Err(format!("{halves:?}"))
        }
    });
    plans_nothing(&world);
    let rows = contents(&lab.dump());
    world.daemon.restart();
    world.daemon.wait_until("a fresh daemon says the same", |halves| {
        if halves == states { Ok(()) } else { Err(format!("{halves:?}, not {states:?}")) }
    });
    plans_nothing(&world);
    assert_eq!(contents(&lab.dump()), rows);
    foreign(&lab).assert_same_as(&theirs);
}

/// A full recompute finds nothing to write, once what is under way is through.
#[track_caller]
fn plans_nothing(world: &World<'_>) {
    poll("a full recompute finds nothing to write", Duration::from_secs(5), || {
        let plan = world.daemon.ctl(&["plan"]);
        let text = String::from_utf8_lossy(&plan.stdout);
        if plan.status.code() == Some(0) {
            Ok(())
        } else {
            Err(format!("{text}\n{}", world.daemon.log()))
        }
    });
}

/// Waits until exactly the mutual halves are active; then a full recompute finds nothing to write.
#[track_caller]
fn converges(world: &World<'_>) {
    let wanted = world.mutual();
    world.daemon.wait_until("exactly the mutual halves are active", |halves| {
        let active = halves.iter().filter(|half| half["state"] == "active");
        let active: BTreeSet<_> = active.filter_map(key).collect();
        if active == wanted && halves.len() == world.halves.len() {
            return Ok(());
        }
        Err(format!("active {active:?}, mutual {wanted:?}, {halves:?}"))
    });
    plans_nothing(world);
    let rows = link_rows(&world.lab.dump());
    let ports = rows.iter().filter(|r| r.table == "Logical_Router_Port").count();
    assert_eq!(ports, wanted.len(), "a port for each half that is active");
}
