//! Which hosts' word counts: those that may declare for a project, and those with the same rules.

use ovn_peerd::declare::PolicySettings;
use ovn_peerd::engine::Level;
use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set};
use ovn_peerd::view::{Reason, State};

use crate::fleet::Fleet;
use crate::hosts::{Action, act, half};

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
