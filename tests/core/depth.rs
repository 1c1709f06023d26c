//! Meshes that are deep: told at 50 datapaths, refused from 90 on, and what stands is kept.

use std::fmt::Write as _;

use ovn_peerd::declare::{Directory, FileId, SourceFile};
use ovn_peerd::engine::{Change, Reader};
use ovn_peerd::view::{HalfView, PerHalf, Reason, State};

use crate::golden::populate;
use crate::world::{World, settings};

/// Networks `p0` to `p<count-1>` on routers of their own.
fn deployment(count: usize, gateways: &[usize]) -> World {
    let mut world = World::bare(&settings());
    let (mut northbound, mut networks) = (String::new(), String::new());
    for at in 0..count {
        let chassis = if gateways.contains(&at) { "chassis = \"hv1\"\n" } else { "" };
        write!(
            northbound,
            "[[router]]\nname = \"r{at}\"\n{chassis}\
             [[router.port]]\nname = \"r{at}-in\"\nnetworks = [\"10.{at}.0.1/24\"]\n"
        )
        .unwrap();
        let network = "[[network]]\nproject = ";
        write!(networks, "{network}\"p{at}\"\nname = \"n\"\nrouter = \"r{at}\"\n").unwrap();
    }
    populate(&mut world, &toml::from_str(&northbound).unwrap());
    world.connect();
    read(&mut world, Directory::Networks, "networks", networks);
    world
}

fn read(world: &mut World, directory: Directory, name: &str, text: String) {
    let name = format!("{name}.toml");
    world.read(SourceFile {
        id: FileId { directory, name: name.as_str().into() },
        path: name.as_str().into(),
        text: Ok(text),
        owner: None,
    });
}

/// One network's halves, towards these.
fn declare(world: &mut World, from: usize, to: &[usize]) {
    let mut text = format!("project = \"p{from}\"\n");
    for to in to {
        let half = format!("[[peering]]\nname = \"to-{to}\"\nnetwork = \"n\"\n");
        write!(text, "{half}target_project = \"p{to}\"\ntarget_network = \"n\"\n").unwrap();
    }
    read(world, Directory::Peerings, &format!("p{from}"), text);
}

/// The operator's policy is read again.
fn configure(world: &mut World) {
    world.engine.configure(&world.settings);
    world.pass(1);
}

fn settle(world: &mut World) -> Vec<HalfView> {
    assert_eq!(world.rest(), 0, "it comes to rest");
    let plan = world.engine.plan(None, world.now());
    assert!(plan.is_empty(), "incremental and full recompute differ: {plan:#?}");
    world.engine.list()
}

/// Each network peers with the next one.
fn chain(world: &mut World, routers: usize) -> Vec<HalfView> {
    for at in 0..routers {
        let mut to = Vec::new();
        to.extend(at.checked_sub(1));
        to.extend((at + 1 < routers).then_some(at + 1));
        declare(world, at, &to);
    }
    settle(world)
}

fn told(halves: &[HalfView]) -> usize {
    halves.iter().filter(|half| half.degraded.join(" ").contains("datapaths")).count()
}

fn refused(halves: &[HalfView]) -> Vec<String> {
    let too_deep = |half: &&HalfView| half.reason == Some(Reason::MeshTooDeep);
    let refused = halves.iter().filter(too_deep);
    refused.map(|half| format!("{}-{}", half.project, half.target_project)).collect()
}

#[test]
fn a_chain_is_reported_from_50_on_and_rejected_from_90_on() {
    let mut world = deployment(96, &[]);
    let halves = chain(&mut world, 49);
    assert_eq!((told(&halves), refused(&halves).len()), (0, 0));
    let halves = chain(&mut world, 50);
    assert_eq!((told(&halves), refused(&halves).len()), (98, 0), "all of them are told");
    assert!(halves[0].degraded.join(" ").contains("up to 50 datapaths"), "{:?}", halves[0]);
    let halves = chain(&mut world, 89);
    assert!(halves.iter().all(|half| half.state == State::Active));
    // The 90th: it is refused, both sides are told, and nothing else changes.
    let halves = chain(&mut world, 90);
    assert_eq!(refused(&halves), ["p88-p89", "p89-p88"]);
    let half = halves.iter().find(|half| half.project == "p89").unwrap();
    let explanation = half.explanation.as_deref().unwrap_or_default();
    assert!(explanation.contains("too deep for OVN") && half.next_step.is_some(), "{half:?}");
    // The two parts of a chain are not deep, and may grow: what was refused comes up by itself.
    declare(&mut world, 40, &[39]);
    let halves = settle(&mut world);
    assert_eq!((refused(&halves).len(), told(&halves)), (0, 0), "of 41 and 49 routers");
    assert!(halves.iter().all(|half| half.state == State::Active
        || half.target_project == ["p41", "p40"][usize::from(half.project == "p41")]));
    // What was in the middle does not come back: now it would close the long chain.
    declare(&mut world, 40, &[39, 41]);
    let halves = settle(&mut world);
    assert_eq!(refused(&halves), ["p40-p41", "p41-p40"]);
    // The operator may allow it.
    world.settings.policy.max_mesh_depth = 95;
    configure(&mut world);
    assert_eq!(refused(&settle(&mut world)).len(), 0);
    // And forbid it again: what stands is kept.
    world.settings.policy.max_mesh_depth = 60;
    configure(&mut world);
    let halves = settle(&mut world);
    assert!(halves.iter().all(|half| half.state == State::Active));
    declare(&mut world, 95, &[0]);
    declare(&mut world, 0, &[1, 95]);
    assert_eq!(refused(&settle(&mut world)), ["p0-p95", "p95-p0"]);
}

/// Whatever made the path shorter: also of halves that nothing else concerns.
#[test]
fn a_path_that_gets_deep_or_is_not_any_more_is_said_of_all_halves_on_it() {
    let mut world = deployment(50, &[]);
    chain(&mut world, 49);
    let _ = world.engine.changes();
    chain(&mut world, 50);
    // Its owner reads it in other words.
    let degraded = |it: &Change| matches!(it, Change::Degraded { reader: Reader::Operators, .. });
    let over =
        |it: &Change| matches!(it, Change::DegradationEnded { reader: Reader::Operators, .. });
    let changes = world.engine.changes();
    assert_eq!(changes.iter().filter(|it| degraded(it)).count(), 98, "{changes:?}");
    let (status, now) = (world.engine.status(), world.now());
    let view = world.engine.meter().view(status, PerHalf::All, now);
    assert_eq!((view.degraded, view.mesh_depth, view.mesh_depth_limit), (98, 50, 89));
    declare(&mut world, 25, &[24]);
    settle(&mut world);
    let changes = world.engine.changes();
    // Those of the link that ended have another state, which says enough.
    assert_eq!(changes.iter().filter(|it| over(it)).count(), 96, "{changes:?}");
}

#[test]
fn switches_of_gateway_routers_count() {
    let gateways: Vec<usize> = (0..60).collect();
    let mut world = deployment(60, &gateways);
    let halves = chain(&mut world, 45);
    assert_eq!(refused(&halves).len(), 0, "45 routers and 44 switches");
    assert_eq!(refused(&chain(&mut world, 46)), ["p44-p45", "p45-p44"]);
}

#[test]
fn hubs_are_not_deep_whatever_they_have_of_spokes() {
    let mut world = deployment(120, &[1]);
    let spokes: Vec<usize> = (2..120).collect();
    for spoke in &spokes {
        declare(&mut world, *spoke, &[0, 1]);
    }
    declare(&mut world, 0, &spokes);
    declare(&mut world, 1, &spokes);
    let halves = settle(&mut world);
    assert_eq!(halves.len(), 4 * spokes.len());
    assert!(halves.iter().all(|half| half.state == State::Active && half.degraded.is_empty()));
}

#[test]
fn a_mesh_in_which_each_peers_with_each_is_as_deep_as_it_is_large() {
    let mut world = deployment(11, &[]);
    world.settings.policy.max_mesh_depth = 10;
    configure(&mut world);
    let mesh = |world: &mut World, count: usize| {
        for at in 0..count {
            let others: Vec<usize> = (0..count).filter(|other| *other != at).collect();
            declare(world, at, &others);
        }
        settle(world)
    };
    let halves = mesh(&mut world, 10);
    assert!(halves.iter().all(|half| half.state == State::Active));
    let halves = mesh(&mut world, 11);
    let active = halves.iter().filter(|half| half.state == State::Active).count();
    assert_eq!((active, refused(&halves).len()), (90, 20));
}
