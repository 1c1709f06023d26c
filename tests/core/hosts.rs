//! Several hosts: whoever programs, and whichever of them lives, what stands is what all of them declare.

use ovn_peerd::declare::{HalfKey, NetworkKey};
use ovn_peerd::view::{HalfView, Reason, State};
use proptest::prelude::*;

use crate::doors::LISTS;
use crate::fleet::{Fleet, HOSTS, Host, NETWORKS};

#[derive(Clone, Debug)]
pub enum Action {
    Declare(usize, usize, usize, bool),
    /// Other lists of a half, at one host or at all that are awake.
    Lists(Option<usize>, usize, usize, usize),
    Withdraw(usize, usize, usize),
    Reject(usize, usize, usize),
    Kill(usize),
    Start(usize),
    Freeze(usize),
    Thaw(usize),
    Delete(usize),
    Alter(usize),
    /// An older northbound comes back, under a running server.
    Restore(usize),
    /// Who may declare for a project: hosts by bits, at least one; none for all.
    Name(usize, Option<usize>),
}

pub fn action() -> impl Strategy<Value = Action> {
    let (host, network) = (0..HOSTS, 0..NETWORKS);
    prop_oneof![
        8 => (host.clone(), network.clone(), network.clone(), prop::bool::weighted(0.9))
            .prop_map(|(h, a, b, on)| Action::Declare(h, a, b, on)),
        4 => (prop::option::of(host.clone()), network.clone(), network.clone(), 0..LISTS)
            .prop_map(|(h, a, b, lists)| Action::Lists(h, a, b, lists)),
        3 => (host.clone(), network.clone(), network.clone())
            .prop_map(|(h, a, b)| Action::Withdraw(h, a, b)),
        3 => (host.clone(), network.clone(), network.clone())
            .prop_map(|(h, a, b)| Action::Reject(h, a, b)),
        2 => (network, prop::option::weighted(0.7, 1..1_usize << HOSTS))
            .prop_map(|(network, hosts)| Action::Name(network, hosts)),
        1 => host.clone().prop_map(Action::Kill),
        3 => host.clone().prop_map(Action::Start),
        1 => host.clone().prop_map(Action::Freeze),
        3 => host.prop_map(Action::Thaw),
        1 => any::<usize>().prop_map(Action::Delete),
        1 => any::<usize>().prop_map(Action::Alter),
        1 => any::<usize>().prop_map(Action::Restore),
    ]
}

/// No host is down or stopped any more.
pub fn wake_all(fleet: &mut Fleet) {
    for host in 0..HOSTS {
        fleet.start(host);
        fleet.hosts[host].frozen = false;
    }
}

pub fn act(fleet: &mut Fleet, action: &Action) {
    match action {
        // A host that is down or stopped has no files that anybody could edit.
        Action::Declare(host, from, to, _)
        | Action::Withdraw(host, from, to)
        | Action::Reject(host, from, to)
            if from == to || !fleet.hosts[*host].is_awake() => {}
        Action::Declare(host, from, to, enabled) => {
            fleet.hosts[*host].declared.insert((*from, *to), *enabled);
            fleet.read(*host);
        }
        Action::Lists(host, from, to, lists) => {
            for at in (0..HOSTS).filter(|at| host.is_none_or(|it| it == *at)) {
                if fleet.hosts[at].is_awake() {
                    fleet.hosts[at].lists.insert((*from, *to), *lists);
                    fleet.read(at);
                }
            }
        }
        Action::Withdraw(host, from, to) => {
            fleet.hosts[*host].declared.remove(&(*from, *to));
            fleet.read(*host);
        }
        Action::Reject(host, from, whom) => {
            let rejects = &mut fleet.hosts[*host].rejects;
            if !rejects.remove(&(*from, *whom)) {
                rejects.insert((*from, *whom));
            }
            fleet.read(*host);
        }
        Action::Name(project, hosts) => {
            // One that was not named has withdrawn what it had registered, and says it again only
            // once it runs.
            wake_all(fleet);
            fleet.settle();
            fleet.named.remove(project);
            fleet.named.extend(hosts.map(|hosts| {
                (*project, (0..HOSTS).filter(|host| hosts & (1 << host) != 0).collect())
            }));
            fleet.configure();
        }
        Action::Kill(host) => fleet.kill(*host),
        Action::Start(host) => fleet.start(*host),
        Action::Freeze(host) => fleet.hosts[*host].frozen = fleet.hosts[*host].engine.is_some(),
        Action::Thaw(host) => fleet.hosts[*host].frozen = false,
        // What nobody awake remembers cannot be put back: that has a case of its own.
        Action::Delete(_) | Action::Restore(_) if !fleet.hosts.iter().any(Host::is_awake) => {}
        Action::Delete(choice) => fleet.world.delete_own(*choice),
        Action::Alter(choice) => fleet.world.alter_own(*choice),
        Action::Restore(choice) => fleet.restore(*choice),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 104, ..ProptestConfig::default() })]

    #[test]
    fn whoever_lives_what_all_declare_stands(actions in prop::collection::vec(action(), 1..40)) {
        let mut fleet = Fleet::new();
        fleet.settle();
        let foreign = fleet.world.foreign();
        for action in &actions {
            act(&mut fleet, action);
            fleet.check();
        }
        wake_all(&mut fleet);
        fleet.check();
        prop_assert_eq!(foreign, fleet.world.foreign());
    }
}

/// Milliseconds.
const DAY: u64 = 24 * 3_600_000;

pub fn half(view: &[HalfView], from: usize, to: usize) -> HalfView {
    let found = view
        .iter()
        .find(|half| half.project == format!("p{from}") && half.target_project == format!("p{to}"));
    found.cloned().unwrap()
}

#[test]
fn halves_and_bindings_on_different_hosts_make_a_peering() {
    let mut fleet = Fleet::with(HOSTS, true);
    fleet.settle();
    act(&mut fleet, &Action::Declare(1, 0, 1, true));
    fleet.check();
    assert_eq!(half(&fleet.list(2), 0, 1).state, State::PendingPeer);
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    let shown = half(&fleet.list(0), 0, 1);
    assert_eq!((shown.state, shown.hosts), (State::Active, vec!["hv1".to_owned()]));
    // Both hosts that declare it are down: no reason to cut a network.
    fleet.kill(1);
    fleet.kill(2);
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

/// Each host knows the lists of one half: both count, edits are followed, and neither what dies nor what is restored takes
/// a list away.
#[test]
fn lists_of_halves_on_different_hosts_decide_and_outlive_their_hosts() {
    let mut fleet = Fleet::with(HOSTS, true);
    for (host, from, to) in [(1, 0, 1), (2, 1, 0)] {
        act(&mut fleet, &Action::Lists(Some(host), from, to, 1));
        act(&mut fleet, &Action::Declare(host, from, to, true));
    }
    fleet.check();
    let doors = |fleet: &Fleet| [fleet.doors(0, 1), fleet.doors(1, 0)];
    assert_eq!(doors(&fleet), [[50_011].into(), [50_101].into()]);
    // By a standby: `out` for `in`, which at the other end leaves nothing to have in common.
    act(&mut fleet, &Action::Lists(Some(2), 1, 0, 2));
    fleet.check();
    assert_eq!(doors(&fleet), [[].into(), [].into()]);
    act(&mut fleet, &Action::Lists(Some(1), 0, 1, 2));
    fleet.check();
    let both = [[50_102].into(), [50_012].into()];
    assert_eq!(doors(&fleet), both);
    let backup = fleet.backups.len() - 1;
    for host in [2, 1] {
        fleet.kill(host);
        fleet.check();
        assert_eq!(doors(&fleet), both);
    }
    // Somebody deletes what is remembered of them, or restores it from a time at which the lists were others.
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.check();
        assert_eq!(doors(&fleet), both, "row {choice}");
    }
    for older in 0..=backup {
        fleet.restore(older);
        fleet.check();
        assert_eq!(doors(&fleet), both, "backup {older}");
    }
    // What was edited while its host was down counts once that is back.
    fleet.hosts[2].lists.insert((1, 0), 3);
    fleet.start(2);
    fleet.check();
    assert_eq!(doors(&fleet), [[].into(), [].into()]);
    fleet.start(1);
    act(&mut fleet, &Action::Lists(Some(1), 0, 1, 0));
    fleet.check();
    assert_eq!(doors(&fleet), [[].into(), [50_103].into()]);
}

/// Lists that differ from host to host are a disagreement like any other: those that stand go on.
#[test]
fn hosts_that_differ_about_lists_change_nothing_until_they_agree() {
    let mut fleet = Fleet::new();
    for (from, to) in [(0, 1), (1, 0)] {
        act(&mut fleet, &Action::Lists(None, from, to, 1));
        (0..HOSTS).for_each(|host| act(&mut fleet, &Action::Declare(host, from, to, true)));
    }
    fleet.check();
    assert_eq!(fleet.doors(0, 1), [50_011].into());
    act(&mut fleet, &Action::Lists(Some(2), 0, 1, 0));
    fleet.check();
    let shown = half(&fleet.list(1), 0, 1);
    assert_eq!(shown.state, State::Active);
    assert!(shown.degraded[0].contains("hv2"), "{:?}", shown.degraded);
    assert_eq!(fleet.doors(0, 1), [50_011].into(), "open for nobody meanwhile");
    act(&mut fleet, &Action::Lists(None, 0, 1, 3));
    fleet.check();
    assert_eq!(fleet.doors(0, 1), [50_013].into());
}

#[test]
fn hosts_that_differ_are_not_believed_but_what_stands_goes_on() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(0, 1, 0, true));
    fleet.check();
    act(&mut fleet, &Action::Declare(2, 0, 1, false));
    fleet.check();
    let shown = half(&fleet.list(1), 0, 1);
    assert_eq!(shown.state, State::Active);
    assert!(shown.degraded[0].contains("hv0, hv2"), "{:?}", shown.degraded);
    act(&mut fleet, &Action::Declare(0, 2, 3, true));
    act(&mut fleet, &Action::Declare(1, 2, 3, false));
    act(&mut fleet, &Action::Declare(1, 3, 2, true));
    fleet.check();
    let shown = half(&fleet.list(0), 2, 3);
    assert_eq!(shown.reason, Some(Reason::ConflictingDeclarations));
    assert_eq!(half(&fleet.list(0), 3, 2).state, State::PendingPeer);
    act(&mut fleet, &Action::Withdraw(1, 2, 3));
    fleet.check();
    assert_eq!(half(&fleet.list(0), 2, 3).state, State::Active);
}

#[test]
fn a_holder_that_is_silent_loses_the_lock_and_does_no_harm_when_it_wakes() {
    let mut fleet = Fleet::new();
    fleet.settle();
    fleet.hosts[0].frozen = true;
    act(&mut fleet, &Action::Declare(1, 0, 1, true));
    act(&mut fleet, &Action::Declare(1, 1, 0, true));
    let began = fleet.milliseconds;
    fleet.check();
    assert!(fleet.milliseconds - began < 2_000, "it took {} ms", fleet.milliseconds - began);
    assert_eq!(fleet.linked(), 2);
    assert_ne!(fleet.queue[0], 0);
    fleet.hosts[0].frozen = false;
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

#[test]
fn a_registration_that_is_deleted_comes_back_with_what_dead_hosts_declared() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(2, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    fleet.kill(2);
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.check();
        assert_eq!(fleet.linked(), 2);
    }
    fleet.start(2);
    fleet.check();
    let key = HalfKey::new(NetworkKey::new("p0", "n"), "to-1");
    let shown = fleet.hosts[2].engine.as_ref().unwrap().show(&key).unwrap();
    assert_eq!(shown.half.state, State::Active);
}

#[test]
fn a_registration_put_back_by_a_standby_holds_what_a_stopped_host_declared() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(2, 0, 1, true));
    fleet.check();
    fleet.hosts[2].frozen = true;
    fleet.kill(0);
    fleet.check();
    fleet.start(0);
    fleet.check();
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.check();
    }
    act(&mut fleet, &Action::Declare(0, 1, 0, true));
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

#[test]
fn a_rejection_stands_as_long_as_one_host_says_it() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Reject(1, 1, 0));
    act(&mut fleet, &Action::Reject(2, 1, 0));
    fleet.check();
    assert_eq!(half(&fleet.list(0), 0, 1).state, State::Rejected);
    act(&mut fleet, &Action::Reject(1, 1, 0));
    fleet.check();
    assert_eq!(half(&fleet.list(1), 0, 1).state, State::Rejected, "hv2 still says it");
    // What a host said that is down stands, too.
    fleet.kill(2);
    fleet.check();
    assert_eq!(half(&fleet.list(1), 0, 1).state, State::Rejected);
    fleet.hosts[2].rejects.clear();
    fleet.start(2);
    fleet.check();
    assert_eq!(half(&fleet.list(1), 0, 1).state, State::PendingPeer);
}

#[test]
fn of_hosts_that_ask_at_different_times_the_last_one_counts() {
    let mut fleet = Fleet::new();
    for host in [0, 2] {
        act(&mut fleet, &Action::Declare(host, 0, 1, true));
    }
    fleet.settle();
    fleet.milliseconds += 8 * DAY;
    fleet.settle();
    assert_eq!(half(&fleet.list(1), 0, 1).state, State::Expired);
    let renewed = fleet.milliseconds;
    fleet.hosts[2].requested.insert((0, 1), renewed);
    fleet.read(2);
    fleet.check();
    let shown = half(&fleet.list(1), 0, 1);
    assert_eq!((shown.state, shown.degraded), (State::PendingPeer, Vec::new()));
    // A host whose files are older takes nothing back, whatever its name.
    fleet.milliseconds += DAY;
    fleet.hosts[0].requested.insert((0, 1), renewed - DAY);
    fleet.read(0);
    fleet.milliseconds += 6 * DAY - 60_000;
    fleet.check();
    assert_eq!(half(&fleet.list(1), 0, 1).state, State::PendingPeer);
    fleet.milliseconds += 120_000;
    fleet.check();
    assert_eq!(half(&fleet.list(1), 0, 1).state, State::Expired, "a week after it was asked last");
}

#[test]
fn a_request_that_expired_stays_so_while_hosts_differ_about_it() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    fleet.settle();
    fleet.milliseconds += 8 * DAY;
    fleet.settle();
    act(&mut fleet, &Action::Declare(1, 0, 1, false));
    fleet.check();
    let shown = half(&fleet.list(2), 0, 1);
    assert_eq!(shown.reason, Some(Reason::ConflictingDeclarations));
    act(&mut fleet, &Action::Withdraw(1, 0, 1));
    fleet.check();
    assert_eq!(half(&fleet.list(2), 0, 1).state, State::Expired);
}

#[test]
fn what_is_deleted_while_nobody_runs_is_lost_until_its_host_returns() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    for host in 0..HOSTS {
        fleet.kill(host);
    }
    while !fleet.world.own_rows().is_empty() {
        fleet.world.delete_own(0);
    }
    fleet.start(0);
    fleet.settle();
    let shown = half(&fleet.list(0), 0, 1);
    assert_eq!((shown.state, fleet.linked()), (State::PendingPeer, 0));
    fleet.start(2);
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

#[test]
fn what_only_stopped_hosts_know_is_back_when_they_are() {
    let mut fleet = Fleet::new();
    fleet.settle();
    fleet.hosts[0].frozen = true;
    act(&mut fleet, &Action::Declare(1, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    fleet.kill(2);
    fleet.hosts[1].frozen = true;
    fleet.hosts[0].frozen = false;
    fleet.settle();
    // The one that was away has learned it since: it remembers it for the others.
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.check();
        assert_eq!(fleet.linked(), 2);
    }
}

/// All act in the same moment: of those that insert a registration first, one succeeds.
#[test]
fn hosts_that_declare_the_same_at_once_do_not_wait_for_one_another() {
    let mut fleet = Fleet::with(8, false);
    fleet.settle();
    for host in 0..8 {
        for (from, to) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            fleet.hosts[host].declared.insert((from, to), true);
        }
        fleet.read(host);
    }
    let (began, transactions) = (fleet.milliseconds, fleet.settle());
    fleet.check();
    let taken = fleet.milliseconds - began;
    assert!(taken < 1_000 && fleet.takeovers == 0, "{taken} ms, {} takeovers", fleet.takeovers);
    assert!(transactions < 6 * 8, "{transactions} transactions");
    assert_eq!(fleet.linked(), 4);
    assert_eq!(half(&fleet.list(7), 0, 1).hosts.len(), 8);
}

/// The holder is silent, and many see it.
#[test]
fn of_many_standbys_one_takes_the_lock() {
    let mut fleet = Fleet::with(30, false);
    for host in 0..30 {
        fleet.hosts[host].declared.insert((0, 1), true);
        fleet.read(host);
    }
    fleet.check();
    let holder = fleet.queue[0];
    fleet.hosts[holder].frozen = true;
    act(&mut fleet, &Action::Declare((holder + 1) % 30, 1, 0, true));
    fleet.check();
    assert_eq!((fleet.takeovers, fleet.linked()), (1, 2));
}
