//! Several hosts: whoever programs, and whichever of them lives, what stands is what all of them declare.

use ovn_peerd::declare::{HalfKey, NetworkKey, PolicySettings};
use ovn_peerd::engine::Level;
use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set};
use ovn_peerd::view::{HalfView, Reason, State};
use proptest::prelude::*;

use crate::fleet::{Fleet, HOSTS, Host, NETWORKS};

#[derive(Clone, Debug)]
enum Action {
    Declare(usize, usize, usize, bool),
    Withdraw(usize, usize, usize),
    Reject(usize, usize, usize),
    Kill(usize),
    Start(usize),
    Freeze(usize),
    Thaw(usize),
    Delete(usize),
    Alter(usize),
    /// Who may declare for a project: hosts by bits, at least one; none for all.
    Name(usize, Option<usize>),
}

fn action() -> impl Strategy<Value = Action> {
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
    ]
}

fn act(fleet: &mut Fleet, action: &Action) {
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
        Action::Delete(_) if !fleet.hosts.iter().any(Host::is_awake) => {}
        Action::Delete(choice) => fleet.world.delete_own(*choice),
        Action::Alter(choice) => fleet.world.alter_own(*choice),
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

fn half(view: &[HalfView], from: usize, to: usize) -> HalfView {
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

fn problems(fleet: &Fleet, host: usize) -> Vec<String> {
    fleet.hosts[host].engine.as_ref().unwrap().status().host_problems
}

/// What a host has registered.
fn registered(fleet: &Fleet, host: &str) -> Vec<String> {
    let own = fleet.world.own_rows().into_iter().filter(|(table, _)| *table == ADDRESS_SET);
    let mut entries = Vec::new();
    for (table, row) in own {
        let tags = fleet.world.database.cell(table, row, address_set::EXTERNAL_IDS);
        let of_host = tags.entries().filter(|(key, _)| key.contains(host));
        entries.extend(of_host.map(|(key, text)| format!("{key} {text}")));
    }
    entries.sort();
    entries
}

/// The lines of a host's log about other hosts since the last time.
fn lines(fleet: &mut Fleet, host: usize) -> Vec<(Level, String)> {
    let changes = fleet.hosts[host].engine.as_mut().unwrap().changes();
    let notices = changes.iter().map(ovn_peerd::engine::Change::notice);
    let of_hosts = notices.filter(|it| it.message.starts_with("host "));
    of_hosts.map(|notice| (notice.level, notice.message)).collect()
}

#[test]
fn what_a_host_declares_that_may_not_counts_for_nobody() {
    let mut fleet = Fleet::new();
    // hv2 names no hosts, and takes whatever its files say of p1 for p1's word.
    fleet.lax.insert(2);
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    assert_eq!((fleet.linked(), fleet.queue[0]), (2, 0));
    lines(&mut fleet, 0);
    fleet.kill(2);
    // From here on hv0 and hv1 alone may declare for p1: what hv2 has registered is no consent.
    fleet.named.insert(1, [0, 1].into());
    fleet.configure();
    fleet.settle();
    assert_eq!(fleet.linked(), 0);
    for host in [0, 1] {
        let shown = half(&fleet.list(host), 1, 0);
        assert_eq!((shown.state, shown.reason), (State::Failed, Some(Reason::UntrustedHost)));
        assert_eq!(shown.hosts, ["hv2"]);
        assert_eq!(half(&fleet.list(host), 0, 1).state, State::Disconnected);
        // Its settings differ, too.
        let [differs, problem] = &problems(&fleet, host)[..] else { panic!() };
        assert!(differs.contains("host hv2 has another [policy], or other `hosts`"), "{differs}");
        let said = "host hv2 declares for project p1 and is not among its `hosts`";
        assert!(problem.contains(said), "{problem}");
        let expected = [differs, problem].map(|line| (Level::Warn, line.clone()));
        assert_eq!(lines(&mut fleet, host), expected, "once");
    }
    fleet.settle();
    assert_eq!(lines(&mut fleet, 0), []);
    // What it disables, rejects or binds otherwise takes nothing away from what counts.
    act(&mut fleet, &Action::Declare(1, 1, 0, true));
    fleet.start(2);
    fleet.settle();
    act(&mut fleet, &Action::Declare(2, 1, 0, false));
    act(&mut fleet, &Action::Reject(2, 1, 0));
    fleet.settle();
    fleet.kill(2);
    fleet.settle();
    assert_eq!(fleet.linked(), 2);
    let shown = half(&fleet.list(0), 1, 0);
    assert_eq!((shown.state, shown.degraded), (State::Active, Vec::new()));
    // It is that host's all the same: a registration that is deleted comes back with it.
    let entries = registered(&fleet, "hv2");
    assert!(entries.iter().any(|it| it.contains("ovn-peerd-rejects:hv2:p0:n")), "{entries:?}");
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.settle();
    }
    assert_eq!(registered(&fleet, "hv2"), entries);
    // A host that knows that it is not named registers nothing.
    fleet.lax.clear();
    fleet.start(2);
    fleet.check();
    assert_eq!(problems(&fleet, 0), [""; 0]);
    let entries = registered(&fleet, "hv2");
    assert!(entries.iter().all(|it| !it.contains("\"p1\"")), "{entries:?}");
    let over = lines(&mut fleet, 0);
    let [(Level::Info, _), (Level::Info, over)] = &over[..] else { panic!("{over:?}") };
    assert!(over.contains("host hv2 declares nothing for project p1 any more"), "{over}");
    assert_eq!(half(&fleet.list(2), 1, 0).state, State::Active);
    // Without the key all may again.
    act(&mut fleet, &Action::Declare(1, 1, 0, false));
    act(&mut fleet, &Action::Name(1, None));
    fleet.settle();
    assert_eq!(half(&fleet.list(0), 1, 0).hosts, ["hv1", "hv2"]);
}

#[test]
fn a_host_that_may_not_declare_shows_its_own_halves_as_untrusted() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Name(1, Some(0b001)));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    fleet.check();
    let shown = half(&fleet.list(2), 1, 0);
    assert_eq!((shown.state, shown.reason), (State::Failed, Some(Reason::UntrustedHost)));
    assert!(shown.next_step.unwrap().contains("`hosts` of [[project]] p1"));
    assert_eq!(fleet.list(0).len(), 1, "nobody else knows of it");
    assert_eq!((problems(&fleet, 0), problems(&fleet, 2)), (Vec::new(), Vec::new()));
}

#[test]
fn hosts_with_other_rules_are_named_and_the_lock_stays_where_it_is() {
    let mut fleet = Fleet::with(2, false);
    fleet.settle();
    // By the rules of the holder no two routers may be linked; by those of the standby they may.
    fleet.policies.insert(0, PolicySettings { max_mesh_depth: 1, ..PolicySettings::default() });
    fleet.configure();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(1, 1, 0, true));
    fleet.settle();
    for (host, other) in [(0, "hv1"), (1, "hv0")] {
        let [problem] = &problems(&fleet, host)[..] else { panic!("{:?}", problems(&fleet, host)) };
        assert!(problem.contains(&format!("host {other} has another [policy]")), "{problem}");
        assert_eq!(lines(&mut fleet, host), [(Level::Warn, problem.clone())], "once");
    }
    assert_eq!((fleet.takeovers, fleet.queue[0], fleet.linked()), (0, 0, 0));
    assert_eq!(half(&fleet.list(0), 0, 1).reason, Some(Reason::MeshTooDeep));
    for _ in 0..3 {
        assert_eq!(fleet.settle(), 0, "nobody writes");
    }
    // A host that goes leaves the lock: then the rules of the other one count, and it says so.
    fleet.kill(0);
    fleet.settle();
    assert_eq!((fleet.queue[0], fleet.linked()), (1, 2));
    assert_eq!(lines(&mut fleet, 1).len(), 1);
    // With the same rules on all hosts nothing is reported, and a silent holder is replaced.
    fleet.policies.clear();
    fleet.start(0);
    fleet.check();
    for host in [0, 1] {
        assert_eq!(problems(&fleet, host), [""; 0]);
    }
    let [(Level::Info, over)] = &lines(&mut fleet, 1)[..] else { panic!() };
    assert!(over.contains("host hv0 has no other [policy]"), "{over}");
    fleet.hosts[1].frozen = true;
    act(&mut fleet, &Action::Declare(0, 0, 2, true));
    act(&mut fleet, &Action::Declare(0, 2, 0, true));
    fleet.settle();
    assert_eq!((fleet.takeovers, fleet.linked()), (1, 4));
}

#[test]
fn a_policy_that_is_reloaded_is_said_in_every_registration_and_nothing_else_is_written() {
    let mut fleet = Fleet::with(2, false);
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(0, 1, 0, true));
    fleet.check();
    let (entries, content) = (registered(&fleet, "hv0"), fleet.linked());
    let depth = PolicySettings { max_mesh_depth: 50, ..PolicySettings::default() };
    fleet.policies = [(0, depth.clone()), (1, depth)].into();
    fleet.configure();
    let written = fleet.settle();
    assert!((1..=4).contains(&written), "{written} transactions");
    let said = registered(&fleet, "hv0");
    assert_ne!(said, entries);
    let hosts = said.iter().filter(|it| it.starts_with("ovn-peerd-host:"));
    assert!(hosts.clone().count() == 2 && hosts.clone().all(|it| it.contains("rules")));
    assert_eq!((problems(&fleet, 0), problems(&fleet, 1)), (Vec::new(), Vec::new()));
    fleet.policies.clear();
    fleet.configure();
    fleet.settle();
    assert_eq!((registered(&fleet, "hv0"), fleet.linked()), (entries, content));
}
