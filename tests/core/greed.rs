//! What one party can have written, in turns with everybody else, and what it costs others.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;
use ovn_peerd::declare::{
    Directory, FileId, MAX_HALVES, MaxWithdrawals, NetworkKey, Quotas, Settings, SourceFile,
};
use ovn_peerd::engine::Event;
use ovn_peerd::northbound::Id;
use ovn_peerd::northbound::tables::{ADDRESS_SET, ROUTER_PORT, address_set};
use ovn_peerd::ovsdb::{self, Atom, Value};
use ovn_peerd::view::{HalfView, Reason, State, Viewer};
use uuid::Uuid;

use crate::fleet::Fleet;
use crate::texts::source;
use crate::world::World;

/// Two networks that are bound, and their own files.
fn world(quota: u32) -> World {
    let mut settings = Settings::defaults(Path::new("/etc/ovn-peerd"));
    settings.policy.quotas = Quotas { per_project: Some(quota), ..Quotas::NONE };
    // What a tenant withdraws in these tests it means.
    settings.policy.max_withdrawals = MaxWithdrawals { halves: 0, percent: 100 };
    let mut world = World::with(settings);
    world.add_networks(&[(0, 0), (1, 4), (2, 5)]);
    world.settle();
    world
}

/// So many halves of one bound network, in as few files as hold them.
fn declare(world: &mut World, count: usize) {
    declare_as(world, "h", count);
}

/// The same, by names that begin so.
fn declare_as(world: &mut World, prefix: &str, count: usize) {
    for first in (0..count).step_by(MAX_HALVES) {
        let mut text = "project = \"p0\"\n".to_owned();
        for number in first..count.min(first + MAX_HALVES) {
            text += &format!(
                "[[peering]]\nname = \"{prefix}{number:05}\"\nnetwork = \"n\"\n\
                 target_project = \"!\"\ntarget_network = \"t{number}\"\n"
            );
        }
        let name = format!("p0-from-{first}.toml");
        let file = source(Directory::Peerings, 0, text);
        world.read(SourceFile { id: FileId::peerings(&name), path: name.into(), ..file });
    }
}

/// One transaction, and its result; whether there was one.
fn step(world: &mut World) -> bool {
    world.hear();
    let Some(submission) = world.engine.poll(world.now()) else { return false };
    world.database.transact(&submission.operations).unwrap();
    world.hear();
    let event = ovsdb::Event::Transacted { id: submission.id, result: Ok(Vec::new()) };
    world.client(event);
    true
}

fn registration(world: &World, project: &str, network: &str) -> Option<Uuid> {
    let name = format!("ovn_peerd_{}_ip4", Id::of_network(&NetworkKey::new(project, network)));
    let sets = world.database.rows.iter().filter(|((table, _), _)| *table == ADDRESS_SET);
    let mut named = sets.filter(|(_, row)| row.get(address_set::NAME).is_string(&name));
    named.next().map(|((_, uuid), _)| *uuid)
}

/// The keys of a network's registration that begin so.
fn keys(world: &World, project: &str, network: &str, prefix: &str) -> BTreeSet<String> {
    let Some(uuid) = registration(world, project, network) else { return BTreeSet::new() };
    let tags = world.database.cell(ADDRESS_SET, uuid, address_set::EXTERNAL_IDS);
    let keys = tags.entries().filter(|(key, _)| key.starts_with(prefix));
    keys.map(|(key, _)| key.to_owned()).collect()
}

fn half(world: &World, name: &str) -> HalfView {
    world.engine.list().into_iter().find(|half| half.name == name).unwrap()
}

#[test]
fn few_networks_that_nobody_binds_are_registered() {
    let mut world = world(100_000);
    let invented = |names: &[(&str, usize)]| {
        let mut text = "project = \"p0\"\n".to_owned();
        let names = names.iter().flat_map(|(name, count)| (0..*count).map(move |at| (name, at)));
        for (name, number) in names {
            text += &format!(
                "[[peering]]\nname = \"to\"\nnetwork = \"{name}{number:04}\"\n\
                 target_project = \"p1\"\ntarget_network = \"n\"\n\
                 [[rejection]]\nnetwork = \"{name}{number:04}\"\n\
                 from_project = \"p2\"\nfrom_network = \"n\"\n"
            );
        }
        source(Directory::Peerings, 7, text)
    };
    world.read(invented(&[("x", 1000)]));
    world.settle();
    assert_eq!(world.own_rows().len(), 2 * 64);
    let views = world.engine.list();
    assert_eq!(views.len(), 1000);
    assert!(views.iter().all(|half| half.reason == Some(Reason::MissingLocalRouter)));
    let explained = |at: usize| views[at].explanation.as_ref().unwrap().contains("64 networks");
    assert_eq!((0..1000).map(explained).filter(|waits| *waits).count(), 1000 - 64);
    // Whoever binds one of them has it registered, with all that is declared of it.
    let text = "[[network]]\nproject = \"p0\"\nname = \"x0500\"\nrouter = \"r0\"\n";
    world.read(source(Directory::Networks, 9, text.to_owned()));
    world.settle();
    assert_eq!(keys(&world, "p0", "x0500", "ovn-peerd-declared:").len(), 1);
    assert_eq!(keys(&world, "p0", "x0500", "ovn-peerd-rejects:").len(), 1);
    assert_eq!(world.own_rows().len(), 2 * 65);
    // A place that is given up is the next one's. What was bound once keeps its registration.
    let text = "[[network]]\nproject = \"p0\"\nname = \"x0000\"\nrouter = \"r0\"\n";
    world.read(source(Directory::Networks, 9, text.to_owned()));
    world.settle();
    assert_eq!(world.own_rows().len(), 2 * 65);
    world.read(source(Directory::Networks, 9, "# bound by nobody\n".to_owned()));
    assert_eq!(world.settle(), 1, "the binding is withdrawn");
    assert_eq!(world.own_rows().len(), 2 * 65);
    // Other names take no further places as long as the former ones are remembered.
    world.read(invented(&[("x", 600), ("a", 300)]));
    world.settle();
    assert_eq!(world.own_rows().len(), 2 * 65);
    world.read(invented(&[]));
    world.settle();
    world.pass(7200);
    world.settle();
    assert!(world.own_rows().is_empty(), "nothing is left of it: {:?}", world.own_content());
}

#[test]
fn halves_beyond_the_quota_say_which_key_raises_it() {
    let mut world = world(10);
    declare(&mut world, 25);
    world.settle();
    let over = half(&world, "h00010");
    assert_eq!((over.state, over.reason), (State::Failed, Some(Reason::Quota)));
    assert!(over.explanation.unwrap().contains("(max_halves_per_project)"));
    assert!(over.next_step.unwrap().contains("raise max_halves_per_project under [policy]"));
    assert_eq!(half(&world, "h00009").state, State::PendingPeer);
    assert_eq!(Settings::defaults(Path::new("/")).policy.quotas.per_project, Some(1000));
}

#[test]
fn rejections_beyond_the_quota_say_which_key_raises_it() {
    let rejecting = |networks: &[String]| {
        let entries = networks.iter().map(|from| {
            format!("[[rejection]]\nnetwork = \"n\"\nfrom_project = {from}\nfrom_network = \"n\"\n")
        });
        source(Directory::Peerings, 8, format!("project = \"p0\"\n{}", entries.collect::<String>()))
    };
    let mut world = world(100);
    world.settings.policy.quotas.rejections_per_project = Some(10);
    world.engine.configure(&world.settings);
    // The request that is rejected last by name comes from the network that asks.
    world.halves.entry(1).or_default().insert(0, true);
    let file = world.halves_file(1);
    world.read(file);
    let others: Vec<String> = (0..12).map(|at| format!("\"o{at:02}\"")).collect();
    let all: Vec<String> = others.iter().cloned().chain(["\"p1\"".to_owned()]).collect();
    world.read(rejecting(&all));
    world.settle();
    let registered = |world: &World| keys(world, "p0", "n", "ovn-peerd-rejects:").len();
    let asks = |world: &World| {
        let views = world.engine.list();
        views.into_iter().find(|half| *half.project == *"p1").unwrap().state
    };
    let faults = |world: &World| -> Vec<String> {
        let found = world.engine.diagnostics(&Viewer::Operator).diagnostics;
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!((registered(&world), asks(&world)), (10, State::PendingPeer));
    let told = faults(&world);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].contains("project p0 may have 10 rejections (max_rejections_per_project)"));
    assert!(told[0].contains("raise max_rejections_per_project under [policy]"), "{told:#?}");
    // A place that is given up is the next one's, and a higher limit gives places to all.
    world.read(rejecting(&all[3..]));
    world.settle();
    assert_eq!((registered(&world), asks(&world)), (10, State::Rejected));
    assert_eq!(faults(&world), [""; 0]);
    world.read(rejecting(&all));
    world.settle();
    assert_eq!((registered(&world), asks(&world)), (10, State::PendingPeer));
    world.settings.policy.quotas.rejections_per_project = Some(13);
    world.engine.configure(&world.settings);
    world.read(rejecting(&all));
    world.settle();
    assert_eq!((registered(&world), asks(&world)), (13, State::Rejected));
    assert_eq!(faults(&world), [""; 0]);
    let default = Settings::defaults(Path::new("/")).policy.quotas;
    assert_eq!(default.rejections_per_project, Some(1000));
}

#[test]
fn a_registration_is_written_once_with_all_its_records() {
    let mut world = world(100_000);
    declare(&mut world, 1000);
    assert!(step(&mut world));
    assert_eq!(keys(&world, "p0", "n", "ovn-peerd-half:").len(), 1000, "one transaction");
    assert_eq!(world.settle(), 0);
    // What is too much for one transaction is written by few.
    declare(&mut world, 2500);
    let transactions = std::iter::from_fn(|| step(&mut world).then_some(())).count();
    assert!((2..=6).contains(&transactions), "{transactions} transactions");
    assert_eq!(keys(&world, "p0", "n", "ovn-peerd-half:").len(), 2500);
}

#[test]
fn a_cut_does_not_wait_for_what_others_have_declared() {
    let linked = |world: &World| world.own_rows().iter().any(|(table, _)| *table == ROUTER_PORT);
    for disables in [true, false] {
        let mut world = world(100_000);
        for (from, to) in [(1, 2), (2, 1)] {
            world.halves.entry(from).or_default().insert(to, true);
            let file = world.halves_file(from);
            world.read(file);
        }
        world.rest();
        assert!(linked(&world));
        declare(&mut world, 10_000);
        assert!(step(&mut world), "it is being written");
        if disables {
            world.halves.entry(1).or_default().insert(2, false);
        } else {
            world.halves.remove(&1);
        }
        let file = world.halves_file(1);
        world.read(file);
        assert!(step(&mut world));
        assert!(!linked(&world), "the next transaction cuts the link");
    }
}

#[test]
fn halves_that_are_renamed_again_and_again_leave_a_bounded_registration() {
    let mut world = world(1000);
    for turn in 0..6 {
        declare_as(&mut world, &format!("turn{turn}-"), 300);
        world.settle();
        world.pass(100);
        let records = keys(&world, "p0", "n", "ovn-peerd-half:");
        assert!(records.len() <= 300 + 256 + 1, "{} records in turn {turn}", records.len());
    }
    let shown = world.engine.list();
    let (ended, others): (Vec<_>, Vec<_>) =
        shown.iter().partition(|half| half.state == State::Deleted);
    assert_eq!((ended.len(), others.len()), (256, 300));
    assert!(ended.iter().all(|half| half.name.starts_with("turn4-")), "the last ones are kept");
    assert!(world.engine.plan(None, world.now()).is_empty());
}

#[test]
fn of_a_registration_only_the_entry_that_differs_is_read() {
    let mut world = world(100_000);
    declare(&mut world, 1);
    world.settle();
    let registration = registration(&world, "p0", "n").unwrap();
    let before = world.engine.counters().entries_read;
    for number in 0..300 {
        let tags = world.database.cell(ADDRESS_SET, registration, address_set::EXTERNAL_IDS);
        let mut tags: Vec<(Atom, Atom)> =
            tags.entries().map(|(key, text)| (Atom::from(key), Atom::from(text))).collect();
        let text = format!("{{\"file\":\"x.toml\",\"target\":[\"!\",\"e{number}\"]}}");
        tags.push((Atom::from(&*format!("ovn-peerd-declared:hv2:e{number}")), Atom::from(&*text)));
        tags.sort();
        world.database.set(ADDRESS_SET, registration, address_set::EXTERNAL_IDS, Value::map(tags));
        world.settle();
    }
    let read = world.engine.counters().entries_read - before;
    assert_eq!(world.engine.list().len(), 301, "all of them are known");
    assert!((300..=302).contains(&read), "{read} entries were read");
    // One that goes, and one that becomes illegible, are declared no more.
    let tags = world.database.cell(ADDRESS_SET, registration, address_set::EXTERNAL_IDS);
    let tags = tags.entries().filter(|(key, _)| *key != "ovn-peerd-declared:hv2:e7");
    let tags: Vec<(Atom, Atom)> = tags
        .map(|(key, text)| {
            let spoiled = key == "ovn-peerd-declared:hv2:e8";
            (Atom::from(key), Atom::from(if spoiled { "?" } else { text }))
        })
        .collect();
    world.database.set(ADDRESS_SET, registration, address_set::EXTERNAL_IDS, Value::map(tags));
    world.settle();
    let declared = world.engine.list().into_iter().filter(|half| half.state != State::Deleted);
    assert_eq!(declared.count(), 299);
}

/// Whoever puts a registration back that was deleted puts back what its absent hosts had said, byte by byte.
#[test]
fn what_is_put_back_for_another_host_names_its_files() {
    let mut fleet = Fleet::new();
    for pair in [(0, 1), (1, 0)] {
        fleet.hosts[2].declared.insert(pair, true);
    }
    fleet.hosts[2].rejects.insert((0, 3));
    fleet.read(2);
    fleet.settle();
    fleet.kill(2);
    fleet.settle();
    let entries = |fleet: &Fleet| -> BTreeSet<(String, String)> {
        let of = |row| fleet.world.database.cell(ADDRESS_SET, row, address_set::EXTERNAL_IDS);
        let own = fleet.world.own_rows().into_iter().filter(|(table, _)| *table == ADDRESS_SET);
        own.flat_map(|(_, row)| {
            of(row).entries().map(|(key, text)| (key.to_owned(), text.to_owned()))
        })
        .filter(|(key, _)| key.contains(":hv2"))
        .collect()
    };
    let before = entries(&fleet);
    assert!(before.iter().any(|(_, text)| text.contains("p0.toml")), "{before:?}");
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.settle();
        assert_eq!(entries(&fleet), before);
    }
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
    // Records, prefixes, repairs, and what goes: nobody waits for OVN to act on these at once.
    declare(&mut world, 50);
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

#[test]
fn the_routes_of_guests_are_forgotten_with_their_network() {
    let mut world = world(1000);
    world.settings.policy.history = SignedDuration::ZERO;
    world.configure();
    world.tells.insert(1);
    let network = world.network_file(1);
    world.read(network);
    world.toggle_lease(4, 6);
    let declare = |world: &mut World, from: usize, says: bool| {
        world.halves.insert(from, says.then_some((3 - from, true)).into_iter().collect());
        let file = world.halves_file(from);
        world.read(file);
        world.rest();
    };
    let since = |world: &World| world.engine.list()[0].guests_since;
    declare(&mut world, 1, true);
    declare(&mut world, 2, true);
    assert!(since(&world).is_some(), "its guests are told");
    declare(&mut world, 1, false);
    declare(&mut world, 2, false);
    declare(&mut world, 1, true);
    assert_eq!(since(&world), None, "nothing is remembered of a network that was not declared");
}

#[test]
fn a_session_that_ended_leaves_no_remote() {
    let mut world = world(1000);
    let remote = |world: &World| world.engine.status().northbound.remote;
    assert!(remote(&world).is_some());
    let (error, retry_in) = ("gone".to_owned(), std::time::Duration::from_secs(1));
    world.handle(Event::Northbound(ovsdb::Event::Disconnected {
        error,
        read_only: false,
        retry_in,
    }));
    assert_eq!(remote(&world), None);
}

/// What changes of a link that stands: asked about once for many changes, after a while, and no more while that is
/// not answered.
#[test]
fn ovn_northd_is_asked_once_about_many_changes() {
    let mut world = world(100);
    for (from, to) in [(1, 2), (2, 1)] {
        world.halves.entry(from).or_default().insert(to, true);
        let file = world.halves_file(from);
        world.read(file);
    }
    world.rest();
    let number = |world: &World| world.database.global().1;
    let late = |world: &World| {
        let halves = world.engine.list();
        let late = halves
            .iter()
            .filter(|half| half.degraded.iter().any(|why| why.starts_with("awaiting-northd")));
        late.count()
    };
    let pass = |world: &mut World, seconds: u64| {
        for _ in 0..seconds {
            world.pass(1);
            world.settle();
        }
    };
    let begun = number(&world);
    for _ in 0..3 {
        world.toggle_port(1, 5);
        world.settle();
        pass(&mut world, 1);
    }
    assert_eq!(number(&world), begun, "not at once");
    pass(&mut world, 2);
    assert_eq!(number(&world), begun + 1, "five seconds after the first");
    pass(&mut world, 4);
    assert_eq!(late(&world), 0);
    pass(&mut world, 1);
    assert_eq!(late(&world), 2, "ten seconds after the first, at both sides");
    world.toggle_port(1, 5);
    assert!(world.settle() > 0);
    pass(&mut world, 60);
    assert_eq!(number(&world), begun + 1, "a question waits already");
    world.northd();
    world.settle();
    assert_eq!((number(&world), late(&world)), (begun + 2, 0), "about what changed meanwhile");
    world.rest();
    pass(&mut world, 60);
    assert_eq!(number(&world), begun + 2, "nothing changes, nothing is asked");
    let transactions = world.database.transactions;
    world.restart();
    pass(&mut world, 60);
    assert_eq!(world.database.transactions, transactions, "another process has nothing to ask");
}
