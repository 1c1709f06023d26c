//! What one party can have written, and what it costs others.

use std::path::Path;

use ovn_peerd::declare::{Directory, FileId, Quotas, Settings, SourceFile};
use ovn_peerd::view::{HalfView, Reason, State};

use crate::world::{World, source};

/// Two networks that are bound, and their own files.
fn world(quota: u32) -> World {
    let mut settings = Settings::defaults(Path::new("/etc/ovn-peerd"));
    settings.policy.quotas = Quotas { per_network: None, per_project: Some(quota) };
    let mut world = World::with(settings);
    for (network, subnet) in [(0, 0), (1, 4), (2, 5)] {
        world.add_router(network);
        world.toggle_port(network, subnet);
        world.bindings.insert(network, network);
        let file = world.network_file(network);
        world.read(file);
    }
    world.settle();
    world
}

fn file(project: &str, halves: impl Iterator<Item = (String, String, String)>) -> SourceFile {
    let mut text = format!("project = \"{project}\"\n");
    for (name, network, target) in halves {
        text += &format!(
            "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"!\"\n\
             target_network = \"{target}\"\n"
        );
    }
    let name = format!("{project}-many.toml");
    let file = source(Directory::Peerings, 0, text);
    SourceFile { id: FileId::peerings(&name), path: name.into(), ..file }
}

/// So many halves of one bound network.
fn many(count: usize) -> SourceFile {
    let half = |number: usize| (format!("h{number:05}"), "n".to_owned(), format!("t{number}"));
    file("p0", (0..count).map(half))
}

fn half(world: &World, name: &str) -> HalfView {
    world.engine.list().into_iter().find(|half| half.name == name).unwrap()
}

#[test]
fn halves_beyond_the_quota_say_which_key_raises_it() {
    let mut world = world(10);
    world.read(many(25));
    world.settle();
    let over = half(&world, "h00010");
    assert_eq!((over.state, over.reason), (State::Failed, Some(Reason::Quota)));
    assert!(over.explanation.unwrap().contains("(max_halves_per_project)"));
    assert!(over.next_step.unwrap().contains("raise max_halves_per_project under [policy]"));
    assert_eq!(half(&world, "h00009").state, State::PendingPeer);
    assert_eq!(Settings::defaults(Path::new("/")).policy.quotas.per_project, Some(1000));
}

#[test]
fn the_sequence_number_moves_for_a_first_commit_alone() {
    let mut world = world(100_000);
    let number = |world: &World| world.database.global().1;
    for (from, to) in [(1, 2), (2, 1)] {
        world.halves.entry(from).or_default().insert(to, true);
        let file = world.halves_file(from);
        world.read(file);
    }
    let before = number(&world);
    world.rest();
    assert_eq!(number(&world), before + 1, "the link is awaited");
    let before = number(&world);
    // Records, prefixes, repairs, and what goes: nobody waits for OVN to act on these.
    world.read(many(50));
    world.settle();
    world.toggle_port(1, 6);
    assert!(world.settle() > 0);
    world.delete_own(0);
    assert!(world.settle() > 0);
    world.halves.entry(1).or_default().insert(2, false);
    let file = world.halves_file(1);
    world.read(file);
    assert!(world.settle() > 0);
    assert_eq!(number(&world), before);
    world.halves.entry(1).or_default().insert(2, true);
    let file = world.halves_file(1);
    world.read(file);
    world.rest();
    assert_eq!(number(&world), before + 1);
    assert!(world.engine.list().iter().filter(|it| it.state == State::Active).count() == 2);
}
