//! A northbound that is restored from a backup: what a host has withdrawn since is not revived. The counters say how old
//! the northbound is, and the hosts that know more restore it.

use std::collections::BTreeSet;

use ovn_peerd::northbound::counters::counter_key;
use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set};
use ovn_peerd::view::State;

use crate::database::Rows;
use crate::fleet::{Fleet, HOSTS, NETWORKS};
use crate::hosts::{Action, act, half};

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
