//! The store on several hosts: what was acknowledged is in the northbound until somebody changes it, what was refused
//! changed nothing, nothing is done twice, whoever else writes, is lost, or is restored.

use ovn_peerd::declare::{Edit, HalfKey, NetworkKey, NotStored, StoredChange, parse_stored};
use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set};
use ovn_peerd::view::State;

use crate::clients::{Fault, Wish};
use crate::fleet::Fleet;
use crate::hosts::{self, half};
use crate::random::prepared;
use crate::world::World;

/// All that is asked for is done, whatever becomes of the transactions that carry it.
fn all_done(fleet: &mut Fleet, done: usize) {
    fleet.check();
    let clients = &fleet.clients;
    assert_eq!((clients.open(), clients.done, clients.refused), (0, done, 0));
}

/// Each kind of change, at a host that does not hold the lock, while another one asks, too.
#[test]
fn a_change_is_done_once_whatever_becomes_of_its_transaction() {
    let wishes = [
        Wish::Create(0, 1, true),
        Wish::Set(0, 2, false),
        Wish::Delete(0, 2),
        Wish::Reject(0, 1),
        Wish::Accept(0, 3),
        Wish::Rename(0, 2),
        Wish::Apply(0, [(1, true)].into(), [3].into()),
        Wish::Try(Box::new(Wish::Delete(0, 2))),
    ];
    let faults = [
        None,
        Some(Fault::Outrun),
        Some(Fault::Unanswered),
        Some(Fault::Lost),
        Some(Fault::Late),
        Some(Fault::Deletes(0)),
        Some(Fault::Deletes(1)),
        Some(Fault::Dies),
    ];
    for (wish, fault) in wishes.iter().flat_map(|wish| faults.map(move |fault| (wish, fault))) {
        let mut fleet = Fleet::new();
        hosts::act(&mut fleet, &hosts::Action::Declare(0, 2, 0, true));
        fleet.ask(0, &Wish::Create(0, 2, true));
        fleet.ask(2, &Wish::Reject(0, 3));
        all_done(&mut fleet, 2);
        assert_eq!(half(&fleet.list(1), 0, 2).state, State::Active);
        fleet.hosts[1].fault = fault;
        fleet.ask(1, wish);
        fleet.ask(0, &Wish::Create(1, 3, true));
        fleet.check();
        fleet.start(1);
        fleet.check();
        let dies = usize::from(fault == Some(Fault::Dies) && !matches!(wish, Wish::Try(_)));
        let clients = &fleet.clients;
        let counts = (clients.done, clients.refused, clients.unknown, clients.open());
        assert_eq!(counts, (4 - dies, 0, dies, 0), "{wish:?}, {fault:?}");
    }
}

/// A leader that is new may not know yet what the last one has committed.
#[test]
fn a_change_that_is_taken_for_lost_and_comes_late_is_acknowledged() {
    for wish in [Wish::Create(0, 1, true), Wish::Delete(0, 2), Wish::Rename(0, 2)] {
        let mut fleet = Fleet::new();
        fleet.ask(2, &Wish::Create(0, 2, true));
        fleet.check();
        fleet.hosts[1].fault = Some(Fault::Late);
        fleet.ask(1, &wish);
        all_done(&mut fleet, 2);
    }
}

/// Whoever holds the lock removes the registration of a network of which nothing is left; somebody may also delete it.
#[test]
fn what_is_stored_in_a_registration_that_goes_meanwhile_is_stored() {
    let mut fleet = Fleet::new();
    fleet.forget_at_once();
    fleet.ask(1, &Wish::Create(0, 1, true));
    fleet.check();
    fleet.ask(1, &Wish::Delete(0, 1));
    // Until the holder is about to remove it.
    while fleet.clients.open() > 0 {
        fleet.pass();
    }
    fleet.ask(2, &Wish::Create(0, 2, true));
    all_done(&mut fleet, 3);
    assert_eq!(half(&fleet.list(0), 0, 2).state, State::PendingPeer);
    for choice in 0..fleet.world.own_rows().len() {
        for knows in [false, true] {
            let mut fleet = Fleet::new();
            fleet.ask(1, &Wish::Create(0, 1, true));
            fleet.check();
            if knows {
                fleet.world.delete_own(choice);
                fleet.tell_all();
            } else {
                fleet.hosts[1].fault = Some(Fault::Deletes(choice));
            }
            fleet.ask(1, &Wish::Create(0, 2, true));
            all_done(&mut fleet, 2);
        }
    }
}

/// So many halves of a project, with a description of so many bytes each.
fn large(project: usize, halves: std::ops::Range<usize>, bytes: usize) -> Edit {
    let mut text = format!("project = \"p{project}\"\n");
    for half in halves {
        text += &format!(
            "[[peering]]\nname = \"h{half}\"\nnetwork = \"n\"\ntarget_project = \"x{half}\"\ntarget_network = \"n\"\ndescription = \"{}\"\n",
            "x".repeat(bytes)
        );
    }
    let (project, halves, rejections) = parse_stored("large", text).unwrap();
    Edit { halves, rejections, ..Edit::new(project, "alice".to_owned()) }
}

fn answer(world: &mut World, edit: Edit) -> Result<StoredChange, NotStored> {
    let now = world.now();
    let id = world.engine.store(edit, now);
    for _ in 0..3 {
        world.settle();
        if let Some((answered, result)) = world.engine.take_stored().pop() {
            assert_eq!(answered, id);
            return result;
        }
        world.pass(1);
    }
    panic!("there is no answer")
}

/// What a project stores of halves (name, target), and whom it rejects.
fn edit(halves: &[(&str, usize)], rejects: Option<usize>) -> Edit {
    let mut text = "project = \"p0\"\n".to_owned();
    for (name, target) in halves {
        text += &format!(
            "[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_project = \"p{target}\"\ntarget_network = \"n\"\n"
        );
    }
    text.extend(rejects.map(|from| {
        format!(
            "[[rejection]]\nnetwork = \"n\"\nfrom_project = \"p{from}\"\nfrom_network = \"n\"\n"
        )
    }));
    let (project, halves, rejections) = parse_stored("asked", text).unwrap();
    Edit { halves, rejections, ..Edit::new(project, "alice".to_owned()) }
}

/// Of two halves with one target only one could be up, and a half counts before a rejection.
#[test]
fn a_network_has_one_half_for_each_target_and_rejects_none_that_it_targets() {
    let mut world = prepared();
    let network = |number: usize| NetworkKey::new(format!("p{number}"), "n");
    let key = |name: &str| HalfKey::new(network(0), name);
    let targeted =
        |name: &str, to: usize| Err(NotStored::Targeted { half: key(name), target: network(to) });
    assert!(answer(&mut world, edit(&[("one", 1)], None)).is_ok());
    assert_eq!(answer(&mut world, edit(&[("two", 1)], None)), targeted("one", 1));
    assert_eq!(answer(&mut world, edit(&[("a", 2), ("b", 2)], None)), targeted("a", 2));
    // What is changed together counts together.
    assert!(answer(&mut world, edit(&[("one", 2), ("two", 1)], None)).is_ok());
    let consented = Err(NotStored::Consented { half: key("two"), from: network(1) });
    assert_eq!(answer(&mut world, edit(&[], Some(1))), consented);
    let instead = Edit { remove: vec![key("two")], ..edit(&[], Some(1)) };
    assert!(answer(&mut world, instead).is_ok());
    // A half outweighs the rejection that is there.
    assert!(answer(&mut world, edit(&[("two", 1)], None)).is_ok());
}

/// What others outrun was not written, and what is only tried is not either: neither is charged.
#[test]
fn a_project_may_store_as_much_as_was_not_written() {
    let mut world = prepared();
    // 300 kB each.
    let edit = |turn: usize| {
        let part = turn % 3;
        large(0, 300 * part..300 * (part + 1), 900 + turn)
    };
    world.refuse_all = Some("timed out".to_owned());
    let now = world.now();
    let id = world.engine.store(edit(0), now);
    for _ in 0..4 {
        world.settle();
        world.pass(0);
    }
    assert_eq!(world.engine.take_stored(), []);
    world.refuse_all = None;
    world.settle();
    let answers = world.engine.take_stored();
    assert!(matches!(answers.as_slice(), [(answered, Ok(_))] if *answered == id), "{answers:?}");
    for turn in 1..4 {
        assert_eq!(answer(&mut world, edit(turn)).unwrap().stored.len(), 300);
    }
    let why = answer(&mut world, edit(4)).unwrap_err();
    assert!(matches!(why, NotStored::TooFast(_)), "{why}");
    let tried = answer(&mut world, Edit { dry_run: true, ..edit(4) });
    assert_eq!(tried.unwrap().stored.len(), 300);
}

#[test]
fn the_mark_of_a_host_that_is_forgotten_goes() {
    let mut fleet = Fleet::new();
    hosts::act(&mut fleet, &hosts::Action::Declare(2, 1, 0, true));
    fleet.ask(2, &Wish::Create(0, 1, true));
    all_done(&mut fleet, 1);
    let marks = |fleet: &Fleet| {
        let rows = fleet.world.database.rows.iter().filter(|((table, _), _)| *table == ADDRESS_SET);
        let tags = rows.flat_map(|(_, row)| row.get(address_set::EXTERNAL_IDS).entries());
        tags.filter(|(key, _)| key.starts_with("ovn-peerd-stored:")).count()
    };
    assert_eq!(marks(&fleet), 1);
    fleet.kill(2);
    fleet.hosts[0].engine.as_mut().unwrap().forget("hv2").unwrap();
    fleet.hosts[2].declared.clear();
    fleet.check();
    assert_eq!(marks(&fleet), 0);
}
