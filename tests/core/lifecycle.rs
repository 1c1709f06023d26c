//! The lifecycle: which action in which state leads where (S1.18 to S1.27), and time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use ovn_peerd::declare::{AddressSpace, Directory, Quotas, Settings};
use ovn_peerd::engine::Change;
use ovn_peerd::view::{HalfView, Reason, State, Viewer};

use crate::random::routed_prefixes;
use crate::texts::source;
use crate::world::{World, moment};

const DAY: i64 = 24 * 3600;
const HOUR: i64 = 3600;

/// What happens. Network 0 asks, network 1 answers.
#[derive(Clone, Copy, Debug)]
enum Action {
    Accept,
    Reject,
    Relent,
    WithdrawA,
    WithdrawB,
    Disable,
    Renew,
    Wait(i64),
    AskAgain,
}

use Action::*;

fn with(alter: impl FnOnce(&mut Settings)) -> World {
    let mut settings = Settings::defaults(Path::new("/etc/ovn-peerd"));
    alter(&mut settings);
    let mut world = World::with(settings);
    world.add_networks(&[(0, 0), (1, 4), (2, 5)]);
    world
}

/// Lets everybody act, and the process be replaced by another one in between: nothing may change.
fn rest(world: &mut World) {
    world.rest();
    let before = world.engine.list();
    world.restart();
    assert_eq!(world.settle(), 0, "a fresh host writes nothing");
    assert_eq!(world.engine.list(), before, "a fresh host tells the same");
    assert!(world.engine.plan(None, world.now()).is_empty());
}

fn declare(world: &mut World, from: usize, to: usize, enabled: Option<bool>) {
    let halves = world.halves.entry(from).or_default();
    match enabled {
        Some(enabled) => drop(halves.insert(to, enabled)),
        None => drop(halves.remove(&to)),
    }
    let file = world.halves_file(from);
    world.read(file);
}

fn act(world: &mut World, action: Action) {
    world.pass(1);
    match action {
        Accept => declare(world, 1, 0, Some(true)),
        Disable => declare(world, 0, 1, Some(false)),
        WithdrawA => declare(world, 0, 1, None),
        WithdrawB => declare(world, 1, 0, None),
        AskAgain => declare(world, 0, 1, Some(true)),
        Reject | Relent => {
            let rejects = world.rejects.entry(1).or_default();
            if matches!(action, Reject) {
                rejects.insert(0)
            } else {
                rejects.remove(&0)
            };
            let file = world.rejections_file(1);
            world.read(file);
        }
        Renew => {
            world.requested.entry(0).or_default().insert(1, world.seconds);
            let file = world.halves_file(0);
            world.read(file);
        }
        Wait(seconds) => world.pass(seconds),
    }
    rest(world);
}

fn view(world: &World, network: usize, to: usize) -> Option<HalfView> {
    let (project, target) = (format!("p{network}"), format!("p{to}"));
    let mut list = world.engine.list().into_iter();
    list.find(|half| half.project == project && half.target_project == target)
}

fn state(world: &World, network: usize) -> Option<State> {
    view(world, network, 1 - network).map(|half| half.state)
}

/// A world in which the half of network 0 stands in a state, and what led there.
fn in_state(state: &str) -> World {
    let mut world = with(|_| ());
    let way: &[Action] = match state {
        "failed" => {
            world.toggle_port(1, 0);
            &[AskAgain, Accept]
        }
        "pending" => &[AskAgain],
        "expired" => &[AskAgain, Wait(7 * DAY)],
        "rejected" => &[AskAgain, Reject],
        "active" => &[AskAgain, Accept],
        "deleted" => &[AskAgain, WithdrawA],
        "disconnected" => &[AskAgain, Accept, WithdrawB],
        "disabled" => &[AskAgain, Accept, Disable],
        other => panic!("{other}"),
    };
    for action in way {
        act(&mut world, *action);
    }
    world
}

#[test]
fn each_action_in_each_state() {
    use State::{Active, Deleted, Disabled, Disconnected, Expired, Failed, PeerDisabled};
    let (pending, rejected) = (Some(State::PendingPeer), Some(State::Rejected));
    let (active, deleted, failed) = (Some(Active), Some(Deleted), Some(Failed));
    let (expired, disabled) = (Some(Expired), Some(Disabled));
    let (lost, peer_disabled) = (Some(Disconnected), Some(PeerDisabled));
    let week = Wait(8 * DAY);
    // (state of the half that asked, action, its state then, the state of the other one then)
    let table = [
        // S1.19: it can be neither accepted nor rejected; it leaves once the cause is gone.
        ("failed", Accept, failed, failed),
        ("failed", Reject, failed, failed),
        ("failed", Renew, failed, failed),
        ("failed", week, failed, failed),
        ("failed", WithdrawA, deleted, pending),
        ("failed", WithdrawB, pending, deleted),
        // S1.20 to S1.22: accepted, rejected, deleted by who asked, or expired.
        ("pending", Accept, active, active),
        ("pending", Reject, rejected, None),
        ("pending", WithdrawA, deleted, None),
        ("pending", WithdrawB, pending, None),
        ("pending", Renew, pending, None),
        ("pending", Disable, disabled, None),
        ("pending", Wait(6 * DAY), pending, None),
        ("pending", week, expired, None),
        // S1.23: no answer counts any more, until it is asked again.
        ("expired", Accept, expired, pending),
        ("expired", Reject, expired, None),
        ("expired", AskAgain, expired, None),
        ("expired", Disable, disabled, None),
        ("expired", week, expired, None),
        ("expired", WithdrawA, deleted, None),
        ("expired", Renew, pending, None),
        // S1.24: it stays until either side does something; it does not expire.
        ("rejected", Renew, rejected, None),
        ("rejected", week, rejected, None),
        ("rejected", WithdrawA, deleted, None),
        ("rejected", Relent, pending, None),
        // Who rejects may think better of it: a half of one's own outweighs a rejection.
        ("rejected", Accept, active, active),
        // S1.25, S1.26: either owner ends it; a rejection without that does not.
        ("active", Accept, active, active),
        ("active", Reject, active, active),
        ("active", Renew, active, active),
        ("active", week, active, active),
        ("active", Disable, disabled, peer_disabled),
        ("active", WithdrawA, deleted, lost),
        ("active", WithdrawB, lost, deleted),
        // S1.27: shown for an hour, and nothing but asking again brings it back.
        ("deleted", Accept, deleted, pending),
        ("deleted", Reject, deleted, None),
        ("deleted", Renew, deleted, None),
        ("deleted", WithdrawB, deleted, None),
        ("deleted", Wait(HOUR - 60), deleted, None),
        ("deleted", Wait(HOUR), None, None),
        ("deleted", AskAgain, pending, None),
        // S2.31: it waits for the other side, without end.
        ("disconnected", Accept, active, active),
        ("disconnected", Reject, rejected, deleted),
        ("disconnected", Renew, lost, deleted),
        ("disconnected", week, lost, None),
        ("disconnected", WithdrawA, deleted, deleted),
        ("disabled", Accept, disabled, peer_disabled),
        ("disabled", Reject, disabled, peer_disabled),
        ("disabled", week, disabled, peer_disabled),
        ("disabled", AskAgain, active, active),
        ("disabled", WithdrawA, deleted, lost),
        ("disabled", WithdrawB, disabled, deleted),
    ];
    for (from, action, a, b) in table {
        let mut world = in_state(from);
        act(&mut world, action);
        let found = (state(&world, 0), state(&world, 1));
        assert_eq!(found, (a, b), "{action:?} when {from}");
        let linked = routed_prefixes(&world).len();
        assert_eq!(linked, if a == active { 2 } else { 0 }, "routes: {action:?} when {from}");
    }
}

#[test]
fn the_engine_wakes_in_time_and_not_before() {
    let mut world = with(|settings| {
        settings.policy.request_expiry = Some(SignedDuration::from_secs(50));
        settings.policy.history = SignedDuration::from_secs(40);
    });
    declare(&mut world, 0, 1, Some(true));
    world.rest();
    let deadline = world.engine.deadline().expect("something to wait for");
    assert_eq!(deadline.at, world.now().since_start + Duration::from_secs(50));
    world.pass(49);
    assert_eq!((world.settle(), state(&world, 0)), (0, Some(State::PendingPeer)));
    world.pass(1);
    assert_eq!((world.settle(), state(&world, 0)), (1, Some(State::Expired)));
    assert_eq!(view(&world, 0, 1).unwrap().since, Some(moment(50)));
    world.rest();
    assert_eq!(world.engine.deadline(), None, "nothing is due any more");
    declare(&mut world, 0, 1, None);
    world.settle();
    assert_eq!(state(&world, 0), Some(State::Deleted));
    world.pass(40);
    assert_eq!((world.settle() > 0, state(&world, 0)), (true, None));
    assert!(world.own_rows().is_empty(), "nothing of it is left");
    world.rest();
    assert_eq!(world.engine.deadline(), None);
}

/// Whatever else waits: what is due is found in an order, and nothing is walked.
#[test]
fn expiry_and_history_cost_what_is_due() {
    let costs = |halves: usize| {
        let mut world = with(|settings| {
            settings.policy.request_expiry = Some(SignedDuration::from_secs(10_000));
            settings.policy.history = SignedDuration::from_secs(10_000);
        });
        // Asked for, and later withdrawn, one after the other.
        let targets = 10..10 + halves;
        let mut all = Vec::new();
        for declared in [Some(true), None] {
            for target in targets.clone() {
                world.pass(1);
                declare(&mut world, 0, target, declared);
                world.settle();
            }
            world.pass(10_000 - i64::try_from(halves).unwrap() - 1);
            world.settle();
            for step in 0..3 {
                let before = world.engine.counters();
                world.pass(1);
                let transactions = world.settle();
                let after = world.engine.counters();
                let resolved = after.peerings_resolved - before.peerings_resolved;
                let compared = after.peerings_compared - before.peerings_compared;
                all.push((declared, step, transactions, resolved, compared));
            }
            world.pass(10_000);
            world.settle();
        }
        all
    };
    let few = costs(10);
    assert!(
        few.iter().all(|(_, step, transactions, ..)| *transactions == usize::from(*step != 0)),
        "{few:?}"
    );
    assert!(few.iter().all(|(.., resolved, compared)| resolved + compared <= 8), "{few:?}");
    assert_eq!(costs(200), few);
}

#[test]
fn a_clock_that_jumps_expires_nothing_twice_and_revives_what_has_not_expired() {
    let mut world = in_state("expired");
    let expired = view(&world, 0, 1).unwrap().since.unwrap();
    let asked = expired - SignedDuration::from_hours(7 * 24);
    for jump in [2 * DAY, -3 * DAY / 2, -DAY, -30 * DAY, 30 * DAY, 365 * DAY, -364 * DAY, -10 * DAY]
    {
        act(&mut world, Wait(jump));
        let is = if moment(world.seconds) < expired {
            (State::PendingPeer, asked)
        } else {
            (State::Expired, expired)
        };
        let shown = view(&world, 0, 1).unwrap();
        assert_eq!((shown.state, shown.since.unwrap()), is, "after {jump} s");
        let before = world.database.transactions;
        world.restart();
        world.settle();
        assert_eq!(world.database.transactions, before, "what is written is what is so");
    }
    // What expires while nobody looks is told with the moment at which it did.
    let mut world = in_state("pending");
    let asked = view(&world, 0, 1).unwrap().since.unwrap();
    act(&mut world, Wait(30 * DAY));
    let expired = asked + SignedDuration::from_hours(7 * 24);
    assert_eq!(view(&world, 0, 1).unwrap().since, Some(expired));
}

#[test]
fn a_second_half_for_the_same_network_renews_nothing() {
    let mut world = in_state("expired");
    let half = |name: &str, rest: &str| {
        format!(
            "[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_project = \"p1\"\ntarget_network = \"n\"\n{rest}"
        )
    };
    let read = |world: &mut World, halves: &[String]| {
        let text = format!("project = \"p0\"\n{}", halves.concat());
        world.read(source(Directory::Peerings, 0, text));
        world.settle();
        world.settle();
        let shown = |it: HalfView| (it.name, (it.state, it.reason));
        world.engine.list().into_iter().map(shown).collect::<BTreeMap<_, _>>()
    };
    let (first, second) = (half("to-1", ""), half("again", ""));
    let shown = read(&mut world, &[first.clone(), second.clone()]);
    assert_eq!(shown["again"].0, State::PendingPeer);
    assert_eq!(shown["to-1"], (State::Failed, Some(Reason::PeeringConflict)));
    let shown = read(&mut world, std::slice::from_ref(&first));
    assert_eq!(shown["to-1"].0, State::Expired, "{shown:?}");
    // Asked again while the other one counted: that is a renewal.
    read(&mut world, &[first, second]);
    world.pass(60);
    let renewed = half("to-1", &format!("requested = {}\n", moment(world.seconds)));
    read(&mut world, &[renewed.clone(), half("again", "")]);
    world.pass(60);
    assert_eq!(read(&mut world, &[renewed])["to-1"].0, State::PendingPeer);
}

#[test]
fn both_may_expire_and_each_renews_its_own() {
    let mut world = in_state("expired");
    act(&mut world, Accept);
    act(&mut world, Wait(8 * DAY));
    let states = |world: &World| [0, 1].map(|network| state(world, network).unwrap());
    assert_eq!(states(&world), [State::Expired, State::Expired]);
    act(&mut world, Renew);
    assert_eq!(states(&world), [State::PendingPeer, State::Expired]);
    let at = world.seconds;
    world.requested.entry(1).or_default().insert(0, at);
    act(&mut world, Accept);
    assert_eq!(states(&world), [State::Active, State::Active]);
}

#[test]
fn places_go_to_what_stands_and_then_by_name() {
    let mut world = with(|settings| {
        settings.policy.quotas = Quotas { per_network: Some(1), ..Quotas::NONE };
    });
    declare(&mut world, 0, 2, Some(true));
    declare(&mut world, 2, 0, Some(true));
    rest(&mut world);
    let told = |world: &World, to: usize| view(world, 0, to).map(|it| (it.state, it.reason));
    assert_eq!(told(&world, 2), Some((State::Active, None)));
    // Its name comes first, but the other one stands.
    declare(&mut world, 0, 1, Some(true));
    declare(&mut world, 1, 0, Some(true));
    rest(&mut world);
    assert_eq!(told(&world, 2), Some((State::Active, None)));
    assert_eq!(told(&world, 1), Some((State::Failed, Some(Reason::Quota))));
    assert_eq!(state(&world, 1), Some(State::PendingPeer), "the other side learns nothing of it");
    // A lower limit cuts nothing; a higher one lets the other one in.
    world.settings.policy.quotas.per_network = Some(0);
    world.configure();
    rest(&mut world);
    assert_eq!(told(&world, 2), Some((State::Active, None)));
    world.settings.policy.quotas.per_network = None;
    world.configure();
    rest(&mut world);
    assert_eq!(told(&world, 1), Some((State::Active, None)));
}

#[test]
fn a_frozen_space_stands_until_it_is_renewed() {
    let mut world = with(|settings| settings.policy.address_space = AddressSpace::Freeze);
    declare(&mut world, 0, 1, Some(true));
    declare(&mut world, 1, 0, Some(true));
    rest(&mut world);
    let before = routed_prefixes(&world);
    world.pass(1);
    world.toggle_port(0, 7);
    rest(&mut world);
    assert_eq!(routed_prefixes(&world), before);
    for network in [0, 1] {
        let half = view(&world, network, 1 - network).unwrap();
        assert_eq!(half.state, State::Active);
        let told = half.degraded.join("");
        assert!(told.contains("p0/n has changed (+fd01::/64) but is frozen"), "{told}");
    }
    act(&mut world, Renew);
    let half = view(&world, 0, 1).unwrap();
    assert_eq!((half.state, half.degraded), (State::Active, Vec::new()));
    // Followed from now on: what was frozen is forgotten.
    world.settings.policy.address_space = AddressSpace::Follow;
    world.configure();
    rest(&mut world);
    assert_eq!(view(&world, 0, 1).unwrap().degraded, Vec::<String>::new());
}

#[test]
fn an_ended_half_is_reported_to_its_owner_alone() {
    use ovn_peerd::view::Viewer;
    let world = in_state("deleted");
    let seen = |project: &str| {
        let own = std::iter::once(project.into()).collect();
        world.engine.list_for(&Viewer::Tenant(std::sync::Arc::new(own)))
    };
    let half = seen("p0").remove(0);
    assert_eq!((half.state, half.reason), (State::Deleted, Some(Reason::Withdrawn)));
    assert_eq!(half.target_project, "p1");
    assert!(seen("p1").is_empty());
    let shown: BTreeMap<_, _> =
        world.engine.list().into_iter().map(|it| (it.name, it.state)).collect();
    assert_eq!(shown, BTreeMap::from([("to-1".to_owned(), State::Deleted)]));
}

/// Packets pass as long as rows are there: until they are gone the state is not told.
#[test]
fn an_end_is_reported_when_its_rows_are_gone() {
    for action in [WithdrawB, Disable, Wait(0)] {
        let mut world = in_state("active");
        world.engine.changes();
        let since = view(&world, 0, 1).unwrap().since;
        match action {
            WithdrawB => declare(&mut world, 1, 0, None),
            Disable => declare(&mut world, 0, 1, Some(false)),
            _ => world.toggle_port(1, 4),
        }
        // Decided, and nothing of it done yet.
        world.hear();
        let half = view(&world, 0, 1).unwrap();
        assert_eq!((half.state, half.reason), (State::Active, None), "{action:?}");
        assert!(half.degraded[0].contains("its rows are being removed"), "{half:?}");
        assert_eq!(half.since, since, "since when it is up");
        assert!(!is_reported(&mut world, "p0/n/to-1"), "{action:?}");
        world.settle();
        let half = view(&world, 0, 1).unwrap();
        assert_ne!(half.state, State::Active, "{action:?}");
        assert!(half.degraded.is_empty(), "{half:?}");
        assert!(is_reported(&mut world, "p0/n/to-1"), "{action:?}");
    }
}

fn is_reported(world: &mut World, half: &str) -> bool {
    let changes = world.engine.changes();
    // That it is declared otherwise is no end of it.
    let mut changes = changes.iter().filter(|change| !matches!(change, Change::Declared { .. }));
    changes.any(|change| change.half().is_some_and(|it| it.to_string() == half))
}

/// A server that does not take what is written is told of, with since when, until it does.
#[test]
fn what_the_server_does_not_take_is_in_the_status() {
    let mut world = in_state("pending");
    world.refuse_all = Some("I/O error".to_owned());
    declare(&mut world, 1, 0, Some(true));
    let since = world.seconds;
    for _ in 0..3 {
        world.settle();
        world.pass(20);
    }
    let refusal = world.engine.status().northbound.refusal.expect("it is told");
    assert!(refusal.error.contains("is the disk full?"), "{refusal:?}");
    assert_eq!(refusal.since, moment(since));
    assert!(refusal.times >= 2, "{refusal:?}");
    let told = world.engine.changes();
    let told = told.iter().filter(|it| matches!(it, Change::TransactionFailed { .. }));
    assert_eq!(told.count(), 1);
    world.refuse_all = None;
    world.pass(20);
    world.settle();
    assert_eq!(world.engine.status().northbound.refusal, None);
}

/// Who else is on a router is the operator's to know.
#[test]
fn an_owner_does_not_learn_whose_router_it_shares() {
    let mut world = with(|_| ());
    world.bindings.insert(1, 0);
    let file = world.network_file(1);
    world.read(file);
    declare(&mut world, 0, 2, Some(true));
    declare(&mut world, 1, 2, Some(true));
    rest(&mut world);
    let owner = Viewer::Tenant(Arc::new(BTreeSet::from(["p1".into()])));
    let told = |viewer: &Viewer| {
        let half = world.engine.list_for(viewer).into_iter().find(|half| half.project == "p1");
        let half = half.unwrap();
        assert_eq!(half.reason, Some(Reason::UnsupportedRouter));
        half.explanation.unwrap() + &half.next_step.unwrap()
    };
    assert!(told(&Viewer::Operator).contains("another network"));
    assert!(!told(&owner).contains("another") && !told(&owner).contains("each"));
}
