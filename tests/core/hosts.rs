//! Several hosts: whoever programs, and whichever of them lives, what stands is what all of them declare.

use std::collections::BTreeSet;

use ovn_peerd::declare::{HalfKey, NetworkKey};
use ovn_peerd::northbound::counters::counter_key;
use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set};
use ovn_peerd::view::{HalfView, Reason, State};
use proptest::prelude::*;

use crate::database::Rows;
use crate::fleet::{Fleet, HOSTS, Host, NETWORKS};

#[derive(Clone, Debug)]
pub enum Action {
    Declare(usize, usize, usize, bool),
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
            for host in 0..HOSTS {
                fleet.start(host);
                fleet.hosts[host].frozen = false;
            }
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
    #[test]
    fn whoever_lives_what_all_declare_stands(actions in prop::collection::vec(action(), 1..40)) {
        let mut fleet = Fleet::new();
        fleet.settle();
        let foreign = fleet.world.foreign();
        for action in &actions {
            act(&mut fleet, action);
            fleet.check();
        }
        for host in 0..HOSTS {
            fleet.start(host);
            fleet.hosts[host].frozen = false;
        }
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

/// Both sides are declared on hosts of their own and linked; then hv2 withdraws its side and is
/// gone. Returns the northbound as it was before.
fn withdrawn_by_a_host_that_is_gone(fleet: &mut Fleet) -> Rows {
    act(fleet, &Action::Declare(0, 0, 1, true));
    act(fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    let (backup, linked) = (fleet.world.database.rows.clone(), fleet.linked());
    act(fleet, &Action::Withdraw(2, 1, 0));
    fleet.check();
    assert_eq!(fleet.linked(), linked - 2);
    fleet.kill(2);
    fleet.check();
    backup
}

/// Everything that each host has seen of a half that must not be believed.
fn restore(fleet: &mut Fleet, backup: &Rows) {
    fleet.world.database.rows.clone_from(backup);
    // Not for a moment: what hosts write first is written without it, too.
    for _ in 0..8 {
        fleet.step();
        for host in [0, 1] {
            let believed = fleet.list(host).iter().any(|half| half.hosts.contains(&"hv2".into()));
            assert!(!believed, "hv{host} believes what hv2 has withdrawn");
        }
    }
    fleet.check();
}

fn older(fleet: &Fleet, host: usize) -> Option<String> {
    fleet.hosts[host].engine.as_ref().unwrap().status().northbound.older
}

#[test]
fn a_restored_northbound_does_not_revive_what_a_running_host_saw_withdrawn() {
    let mut fleet = Fleet::new();
    let backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
    restore(&mut fleet, &backup);
    assert_eq!((fleet.linked(), older(&fleet, 0)), (0, None));
    assert_ne!(half(&fleet.list(1), 0, 1).state, State::Active);
    // The northbound contains what the hosts knew: nobody needs to remember it any more.
    for host in [0, 1] {
        fleet.kill(host);
    }
    fleet.start(0);
    fleet.check();
    assert_eq!(fleet.linked(), 0);
    // The host returns without that half; then it declares it, and is believed.
    fleet.start(1);
    fleet.start(2);
    fleet.check();
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

#[test]
fn the_changes_say_that_the_northbound_is_older_and_when_it_is_no_longer() {
    let mut fleet = Fleet::new();
    let backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
    let told = |fleet: &mut Fleet| -> Vec<String> {
        let changes = fleet.hosts[1].engine.as_mut().unwrap().changes();
        let lines = changes.iter().map(|change| change.notice().message);
        lines.filter(|line| line.starts_with("the northbound")).collect()
    };
    told(&mut fleet);
    fleet.world.database.rows = backup;
    fleet.check();
    let lines = told(&mut fleet);
    let [begin, end] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(begin.contains("counter of host hv0: 2, known: 3, and 2 more are lower"), "{begin}");
    assert_eq!(end, "the northbound contains what this host knows of other hosts again");
}

#[test]
fn what_was_withdrawn_from_a_network_that_has_other_halves_is_not_revived() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(2, 1, 2, true));
    act(&mut fleet, &Action::Declare(1, 2, 1, true));
    let backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
    fleet.world.database.rows = backup;
    fleet.check();
    // The one that stood stands: hv2 declares what it declared last.
    assert_eq!((fleet.linked(), half(&fleet.list(0), 1, 2).state), (2, State::Active));
}

/// The host has no entry left anywhere, and no registration of that network is left.
#[test]
fn a_host_that_withdrew_everything_is_not_revived() {
    let mut fleet = Fleet::with(HOSTS, true);
    act(&mut fleet, &Action::Declare(2, 2, 3, true));
    act(&mut fleet, &Action::Declare(0, 3, 2, true));
    fleet.check();
    let (backup, linked) = (fleet.world.database.rows.clone(), fleet.linked());
    assert_eq!(linked, 2);
    act(&mut fleet, &Action::Withdraw(2, 2, 3));
    fleet.check();
    fleet.kill(2);
    fleet.check();
    // One that has started since knows of the withdrawal by the counter alone.
    fleet.kill(0);
    fleet.kill(1);
    fleet.start(0);
    fleet.check();
    fleet.world.database.rows = backup;
    fleet.check();
    assert_eq!(fleet.linked(), 0);
    assert!(!fleet.list(0).iter().any(|half| half.hosts.contains(&"hv2".into())));
}

#[test]
fn a_standby_that_saw_a_withdrawal_restores_it_for_a_holder_that_did_not() {
    let mut fleet = Fleet::new();
    let backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
    // The holder has no memory: it reads the backup first, and believes it.
    fleet.kill(0);
    fleet.world.database.rows = backup;
    fleet.start(0);
    fleet.steal(0);
    fleet.check();
    assert_eq!((fleet.queue[0], fleet.linked()), (0, 0));
}

/// Whoever restores must not overwrite what the host declares in the same moment, in any order of
/// the transactions.
#[test]
fn a_host_that_declares_anew_while_others_restore_is_believed() {
    for first in 0..3 {
        let mut fleet = Fleet::new();
        let backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
        fleet.start(2);
        fleet.check();
        act(&mut fleet, &Action::Declare(2, 1, 2, true));
        fleet.check();
        fleet.order = (0..HOSTS).map(|at| (first + at) % HOSTS).collect();
        fleet.world.database.rows = backup;
        // Another declaration than all that the others know.
        act(&mut fleet, &Action::Withdraw(2, 1, 2));
        act(&mut fleet, &Action::Declare(2, 1, 3, true));
        let transactions = fleet.settle();
        fleet.check();
        let list = fleet.list(0);
        let of_hv2 = list.iter().filter(|half| half.hosts.contains(&"hv2".into()));
        let of_hv2: Vec<&str> = of_hv2.map(|half| half.name.as_str()).collect();
        assert_eq!(of_hv2, ["to-3"], "from {first} on");
        assert!(transactions < 24, "{transactions} transactions from {first} on");
    }
}

/// It has no memory, and its counter is far behind what the others know.
#[test]
fn a_host_that_starts_on_the_backup_is_believed_once_it_has_declared_anew() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    fleet.check();
    let backup = fleet.world.database.rows.clone();
    for turn in 0..20 {
        act(&mut fleet, &Action::Declare(2, 1, 2, turn % 2 == 0));
        fleet.check();
    }
    fleet.kill(2);
    fleet.hosts[2].declared = [((1, 0), true)].into();
    fleet.world.database.rows = backup;
    fleet.start(2);
    let transactions = fleet.settle();
    fleet.check();
    assert_eq!(fleet.linked(), 2);
    assert!(transactions < 24, "{transactions} transactions");
}

#[test]
fn a_host_that_was_forgotten_is_not_revived() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    let backup = fleet.world.database.rows.clone();
    fleet.kill(2);
    fleet.check();
    fleet.hosts[0].engine.as_mut().unwrap().forget("hv2").unwrap();
    fleet.settle();
    assert_eq!((fleet.linked(), older(&fleet, 1)), (0, None));
    fleet.hosts[2].declared.clear();
    restore(&mut fleet, &backup);
    assert_eq!(fleet.linked(), 0);
}

/// All act in the same moment, and nobody writes again and again.
#[test]
fn many_hosts_that_restore_at_once_come_to_rest() {
    let mut fleet = Fleet::with(8, false);
    for host in 0..8 {
        act(&mut fleet, &Action::Declare(host, 2, 3, true));
    }
    act(&mut fleet, &Action::Declare(7, 1, 0, true));
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    fleet.check();
    let backup = fleet.world.database.rows.clone();
    for host in 0..8 {
        act(&mut fleet, &Action::Withdraw(host, 2, 3));
    }
    act(&mut fleet, &Action::Withdraw(7, 1, 0));
    fleet.check();
    fleet.kill(7);
    fleet.check();
    fleet.world.database.rows = backup;
    let (began, transactions) = (fleet.milliseconds, fleet.settle());
    let taken = fleet.milliseconds - began;
    fleet.check();
    assert_eq!(fleet.linked(), 0);
    assert!(taken < 5_000 && transactions < 8 * 8, "{transactions} transactions in {taken} ms");
}

/// Somebody lowers a counter as soon as it is right.
#[test]
fn counters_that_are_lowered_again_and_again_are_written_ever_less_often() {
    let mut fleet = Fleet::new();
    let backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
    let mut minutes = Vec::new();
    for minute in 0..10 {
        let (mut transactions, end) = (0, 60_000 * (minute + 1));
        while fleet.milliseconds < end {
            fleet.world.database.rows.clone_from(&backup);
            transactions += fleet.settle();
            fleet.milliseconds += 100;
        }
        minutes.push(transactions);
    }
    // Two networks, a peering, the counters and `nb_cfg`, by two hosts.
    let later: usize = minutes[5..].iter().sum();
    assert!(later < 5 * 20, "{minutes:?}");
}

/// A host of an older version writes no counter. Those of the others show the age of the northbound.
#[test]
fn a_host_without_a_counter_is_not_revived_either() {
    let mut fleet = Fleet::new();
    let mut backup = withdrawn_by_a_host_that_is_gone(&mut fleet);
    std::mem::swap(&mut backup, &mut fleet.world.database.rows);
    fleet.world.delete_counter("hv2");
    std::mem::swap(&mut backup, &mut fleet.world.database.rows);
    fleet.world.delete_counter("hv2");
    for host in [0, 1] {
        fleet.kill(host);
        fleet.start(host);
    }
    fleet.check();
    assert_eq!(older(&fleet, 0), None, "nobody knows of a counter");
    act(&mut fleet, &Action::Declare(0, 2, 3, true));
    fleet.check();
    fleet.world.database.rows = backup;
    fleet.check();
    assert_eq!(fleet.linked(), 0);
}

/// Nobody needs the tag: the row is recognised by its name, which is unique.
#[test]
fn counters_without_our_tag_count_and_deleted_ones_come_back() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    fleet.world.delete_counter_tag();
    act(&mut fleet, &Action::Declare(1, 2, 3, true));
    fleet.check();
    assert_eq!((fleet.linked(), older(&fleet, 0)), (2, None));
    // Without the row nobody can say how old the northbound is: it is restored, and nothing else.
    fleet.world.delete_counters();
    let transactions = fleet.settle();
    assert!((1..=4).contains(&transactions), "{transactions} transactions");
    assert_eq!((fleet.linked(), older(&fleet, 0)), (2, None));
}

/// The counter of hv2, and the halves that it declares, as the northbound has them.
fn registered_by_hv2(fleet: &Fleet) -> (u64, Vec<String>) {
    let sets = fleet.world.database.rows.iter().filter(|((table, _), _)| *table == ADDRESS_SET);
    let entries = sets.flat_map(|(_, row)| row.get(address_set::EXTERNAL_IDS).entries());
    let (mut counter, mut declared) = (0, Vec::new());
    for (key, text) in entries {
        if key == counter_key("hv2") {
            counter = text.parse().unwrap();
        } else if key.starts_with("ovn-peerd-declared:hv2:") {
            declared.push(key.to_owned());
        }
    }
    (counter, declared)
}

/// It withdraws what the backup does not contain and the others restore, in the same moment.
#[test]
fn what_a_host_withdraws_while_others_restore_it_is_not_in_the_northbound_after_that() {
    for first in 0..HOSTS {
        let mut fleet = Fleet::new();
        // The registrations exist in the backup, too.
        act(&mut fleet, &Action::Declare(1, 1, 3, true));
        act(&mut fleet, &Action::Declare(1, 2, 0, true));
        fleet.check();
        let backup = fleet.world.database.rows.clone();
        act(&mut fleet, &Action::Declare(2, 1, 0, true));
        act(&mut fleet, &Action::Declare(2, 2, 3, true));
        fleet.check();
        let (known, declared) = registered_by_hv2(&fleet);
        assert_eq!(declared.len(), 2);
        fleet.order = (0..HOSTS).map(|at| (first + at) % HOSTS).collect();
        fleet.world.database.rows = backup;
        fleet.hosts[2].declared.clear();
        fleet.read(2);
        for _ in 0..12 {
            fleet.step();
            let (counter, declared) = registered_by_hv2(&fleet);
            assert!(counter <= known || declared.is_empty(), "{declared:?} from {first} on");
            fleet.milliseconds += 50;
        }
        fleet.check();
        assert!(registered_by_hv2(&fleet).0 > known);
    }
}

/// Its entries are written by several transactions, and nobody else restores them.
#[test]
fn a_host_raises_its_counter_when_all_of_its_entries_are_in_place() {
    let mut fleet = Fleet::new();
    for network in 1..NETWORKS {
        act(&mut fleet, &Action::Declare(2, network, 0, true));
    }
    fleet.check();
    let backup = fleet.world.database.rows.clone();
    for network in 1..NETWORKS {
        act(&mut fleet, &Action::Withdraw(2, network, 0));
    }
    fleet.check();
    let (known, _) = registered_by_hv2(&fleet);
    fleet.hosts[2].engine.as_mut().unwrap().fill_transactions_with(1);
    fleet.hosts[0].frozen = true;
    fleet.hosts[1].frozen = true;
    fleet.world.database.rows = backup;
    let mut seen = BTreeSet::new();
    for _ in 0..24 {
        fleet.step();
        let (counter, declared) = registered_by_hv2(&fleet);
        assert!(counter < known || declared.is_empty(), "{counter}: {declared:?}");
        seen.insert(declared.len());
        fleet.milliseconds += 50;
    }
    assert!(seen.len() > 2, "one after the other: {seen:?}");
    assert!(registered_by_hv2(&fleet).0 > known);
    fleet.hosts[0].frozen = false;
    fleet.hosts[1].frozen = false;
    fleet.check();
}
