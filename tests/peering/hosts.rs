//! Several hosts on one northbound, a daemon on each (B9): halves on different hosts, one that programs, and failover.

use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::traffic::{Asked, Outcome};
use crate::owned::{contents, foreign, link_rows, owned};
use crate::tenants::{BLUE, GREEN, half, status, try_status, wait_all_active, wait_synced};

/// Longer than any failover takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// Packets in a second.
pub(crate) const RATE: u32 = 100;

/// A daemon for a host of this name, which binds blue's, green's and red's networks.
fn start(lab: &Lab, host: &str) -> Daemon {
    start_with(lab, host, "")
}

/// The same, with more in its settings.
fn start_with(lab: &Lab, host: &str, more: &str) -> Daemon {
    let daemon = Daemon::prepare(lab, host, more);
    for (project, network, router) in
        [("blue", "web", "a"), ("green", "db", "b"), ("red", "x", "c")]
    {
        daemon.bind_network(project, network, router);
    }
    daemon.start_again();
    wait_synced(&daemon);
    daemon
}

/// Three networks, a guest in two of them, and two hosts, the first of which writes.
pub(crate) fn raise() -> (Lab, [Host; 2], [Daemon; 2]) {
    let lab = Lab::single_chassis();
    let (a, b) = (lab.add_network("a", &[BLUE]), lab.add_network("b", &[GREEN]));
    lab.add_network("c", &["10.3.0.0/24"]);
    let guests = [lab.add_guest(&a, "a1", 0), lab.add_guest(&b, "b1", 1)];
    lab.settle();
    let daemons = [start(&lab, "hv1"), start(&lab, "hv2")];
    assert!(is_active(&daemons[0]) && !is_active(&daemons[1]));
    (lab, guests, daemons)
}

/// Two networks that are peered by the first host, which is alone; and a third network. None has a guest.
fn peered_by_one() -> (Lab, Daemon) {
    let lab = Lab::databases_only();
    for (name, subnet) in [("a", BLUE), ("b", GREEN), ("c", "10.3.0.0/24")] {
        lab.add_network(name, &[subnet]);
    }
    let hv1 = start(&lab, "hv1");
    hv1.declare("blue", &half("to-db", "web", "green/db"));
    hv1.declare("green", &half("to-web", "db", "blue/web"));
    wait_all_active(&hv1);
    (lab, hv1)
}

fn is_active(daemon: &Daemon) -> bool {
    status(daemon)["northbound"]["active"] == true
}

pub(crate) fn plans_nothing(daemon: &Daemon) {
    let plan = daemon.ctl(&["plan"]);
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stdout));
}

/// What the holder of the lock has made of the routers.
fn programmed(lab: &Lab) -> Vec<String> {
    contents(&lab.dump()).into_iter().filter(|row| !row.starts_with("Address_Set")).collect()
}

/// What both show of all halves, but for the moments of asking.
fn assert_same_view(one: &Daemon, other: &Daemon) {
    poll("both hosts show the same", LIMIT, || {
        let (one, other) = (one.list(), other.list());
        if one == other { Ok(()) } else { Err(format!("{one:?}\n{other:?}")) }
    });
}

#[test]
fn halves_on_different_hosts_make_a_path_which_outlives_both_daemons() {
    let (lab, [a1, b1], [hv1, hv2]) = raise();
    let theirs = foreign(&lab);
    hv2.declare("green", &half("to-web", "db", "blue/web"));
    hv1.wait_state("green", "db", "to-web", "pending-peer");
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    hv1.declare("blue", &half("to-db", "web", "green/db"));
    wait_all_active(&hv1);
    wait_all_active(&hv2);
    assert_same_view(&hv1, &hv2);
    assert_eq!(hv1.list()[1]["hosts"][0], "hv2");
    a1.assert_reaches(&b1);
    b1.assert_tcp(&a1);
    let (rows, written) = (contents(&lab.dump()), lab.northbound_transactions());
    for daemon in [&hv1, &hv2] {
        daemon.kill9();
        a1.assert_reaches(&b1);
    }
    for daemon in [&hv2, &hv1] {
        daemon.start_again();
        wait_all_active(daemon);
        plans_nothing(daemon);
    }
    assert_eq!(contents(&lab.dump()), rows);
    assert_eq!(lab.northbound_transactions(), written, "nothing changed, nothing written");
    // A host that is gone for good stays declared until it is forgotten.
    hv2.kill9();
    let listed = hv1.ctl(&["host", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("hv2"), "{listed:?}");
    a1.assert_reaches(&b1);
    assert!(!hv1.ctl(&["host", "forget", "hv1"]).status.success(), "its own files say that");
    assert!(!hv1.ctl(&["host", "forget", "hv3"]).status.success(), "there is none");
    assert!(hv1.ctl(&["host", "forget", "hv2"]).status.success());
    hv1.wait_state("blue", "web", "to-db", "disconnected");
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    foreign(&lab).assert_same_as(&theirs);
    // It was not gone after all: it declares its half anew.
    hv2.start_again();
    wait_all_active(&hv1);
    a1.assert_reaches(&b1);
    hv1.withdraw("blue");
    hv2.withdraw("green");
    poll("nothing of ours is left", LIMIT, || match owned(&lab.dump()).as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!("{first:?}")),
    });
    foreign(&lab).assert_same_as(&theirs);
}

/// B9, S2.17: a half's lists are known to its own host alone. Both halves' count; an edit takes effect from either host; what
/// dies leaves them in force, and a registration that is deleted meanwhile is put back with them.
#[test]
fn lists_of_halves_on_different_hosts_are_in_force_whoever_lives() {
    let (lab, [a1, b1], [hv1, hv2]) = raise();
    let _serving = b1.serve_all(&[80, 443, 5432], &[]);
    let blue = |lists: &str| hv1.declare("blue", &(half("to-db", "web", "green/db") + lists));
    let green = |lists: &str| hv2.declare("green", &(half("to-web", "db", "blue/web") + lists));
    let open = |wanted: &[u16]| {
        for daemon in [&hv1, &hv2].into_iter().filter(|daemon| daemon.process().is_running()) {
            daemon.wait_quiet();
        }
        lab.sync_packets();
        let both = [b1.v4(), b1.v6()].into_iter();
        let asked = both.flat_map(|to| [80, 443, 5432].map(|port| (to, port)));
        Asked::assert_all(asked.map(|(to, port)| {
            let open = wanted.contains(&port);
            a1.ask_tcp(to, port, 0, if open { Outcome::Answered } else { Outcome::Lost })
        }));
    };
    // What an edit of either host does is seen in the rows: then packets are asked.
    let edited = |mut edit: Box<dyn FnMut() + '_>, wanted: &[u16]| {
        let before = programmed(&lab);
        edit();
        poll("the edit is written", LIMIT, || {
            if programmed(&lab) == before { Err("not yet".to_owned()) } else { Ok(()) }
        });
        open(wanted);
    };
    blue("out = [{ protocol = \"tcp\", ports = [80, 443] }]\n");
    green("in = [{ protocol = \"tcp\", ports = [443, 5432] }]\n");
    wait_all_active(&hv1);
    wait_all_active(&hv2);
    assert_same_view(&hv1, &hv2);
    open(&[443]);
    edited(Box::new(|| green("in = [{ protocol = \"tcp\", ports = [80] }]\n")), &[80]);
    edited(Box::new(|| blue("out = [{ protocol = \"udp\" }]\n")), &[]);
    edited(Box::new(|| blue("")), &[80]);
    let rows = programmed(&lab);
    hv2.kill9();
    // Somebody deletes all that is remembered of both networks, while one host lives.
    for row in owned(&lab.dump()).iter().filter(|row| row.table == "Address_Set") {
        row.delete(&lab);
    }
    poll("all is put back", LIMIT, || {
        let found = programmed(&lab);
        if found == rows { Ok(()) } else { Err(format!("{found:#?}\n{}", hv1.log())) }
    });
    open(&[80]);
    // The other one takes over, and knows the half of the one that is gone.
    hv2.start_again();
    wait_synced(&hv2);
    hv1.kill9();
    edited(Box::new(|| green("in = [{ protocol = \"tcp\" }]\n")), &[80, 443, 5432]);
    hv1.start_again();
    wait_synced(&hv1);
    wait_all_active(&hv1);
    assert_same_view(&hv1, &hv2);
    edited(Box::new(|| blue("out = [{ protocol = \"tcp\", ports = [443] }]\n")), &[443]);
}

/// B9: the holder of the lock is killed, or stopped; another takes over, no packet is lost, and one that wakes does no harm.
#[test]
fn failover_loses_no_packet_and_a_holder_that_wakes_does_no_harm() {
    let (lab, [a1, b1], [hv1, hv2]) = raise();
    for daemon in [&hv1, &hv2] {
        daemon.declare("blue", &half("to-db", "web", "green/db"));
        daemon.declare("green", &half("to-web", "db", "blue/web"));
    }
    wait_all_active(&hv1);
    wait_all_active(&hv2);
    a1.assert_reaches(&b1);
    let theirs = foreign(&lab);
    let stream = a1.stream(b1.v4(), RATE);
    let red = half("to-web", "x", "blue/web");
    let blue = half("to-db", "web", "green/db") + &half("to-red", "web", "red/x");
    for (how, stop) in [("stopped", true), ("killed", false)] {
        let (holder, other) = if is_active(&hv1) { (&hv1, &hv2) } else { (&hv2, &hv1) };
        if stop {
            holder.process().pause();
        } else {
            holder.kill9();
        }
        let begin = Instant::now();
        other.declare("red", &red);
        other.declare("blue", &blue);
        other.wait_until("the new peering is active", |halves| {
            let active = halves.iter().filter(|h| h["state"] == "active").count();
            if active == 4 { Ok(()) } else { Err(format!("{halves:?}")) }
        });
        let taken = begin.elapsed();
        println!("the holder is {how}: a new peering is active after {taken:?}");
        assert!(taken < LIMIT);
        assert!(is_active(other));
        let rows = programmed(&lab);
        if stop {
            holder.process().resume();
        } else {
            holder.start_again();
        }
        assert_same_view(&hv1, &hv2);
        assert_eq!(
            programmed(&lab),
            rows,
            "one that wakes says what it declares, and programs nothing"
        );
        assert!(is_active(other) && !is_active(holder));
        plans_nothing(other);
        other.declare("blue", &half("to-db", "web", "green/db"));
        other.withdraw("red");
        other.wait_until("only the first peering is left", |halves| {
            if halves.len() == 2 { Ok(()) } else { Err(format!("{halves:?}")) }
        });
    }
    let report = stream.finish();
    assert_eq!(report.sent, report.received, "{report:?}");
    foreign(&lab).assert_same_as(&theirs);
}

/// A rejection of one host is heard on the other; of two that ask at different times the last one counts; two that differ in what
/// they want are told so.
#[test]
fn rejections_and_requests_of_one_host_count_on_the_other() {
    let (_lab, [a1, b1], [hv1, hv2]) = raise();
    let ask = |requested: &str| half("to-db", "web", "green/db") + requested;
    hv1.declare("blue", &ask(""));
    hv2.wait_state("blue", "web", "to-db", "pending-peer");
    hv2.declare(
        "green",
        "[[rejection]]\nnetwork = \"db\"\nfrom_project = \"blue\"\nfrom_network = \"web\"\n",
    );
    for daemon in [&hv1, &hv2] {
        daemon.wait_state("blue", "web", "to-db", "rejected");
    }
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    hv2.withdraw("green");
    hv1.wait_state("blue", "web", "to-db", "pending-peer");
    // Both hosts declare it, one of them later: that is no disagreement.
    hv1.declare("blue", &ask("requested = 2026-01-01T00:00:00Z\n"));
    hv2.declare("blue", &ask("requested = 2026-01-02T00:00:00Z\n"));
    for daemon in [&hv1, &hv2] {
        daemon.wait_until("both hosts declare it", |halves| {
            let hosts =
                halves.first().map_or(0, |half| half["hosts"].as_array().map_or(0, Vec::len));
            if hosts == 2 { Ok(()) } else { Err(format!("{halves:?}")) }
        });
        daemon.wait_state("blue", "web", "to-db", "pending-peer");
    }
    assert_same_view(&hv1, &hv2);
    hv1.declare("green", &half("to-web", "db", "blue/web"));
    wait_all_active(&hv1);
    wait_all_active(&hv2);
    a1.assert_reaches(&b1);
    // To be disabled on one host and not on the other is one: what stands goes on, and is marked.
    hv2.declare("blue", &ask("configured_status = \"disabled\"\n"));
    for daemon in [&hv1, &hv2] {
        daemon.wait_until("the disagreement is told", |halves| {
            let told = halves.iter().any(|half| half["degraded"].to_string().contains("hv"));
            if told { Ok(()) } else { Err(format!("{halves:?}")) }
        });
    }
    a1.assert_reaches(&b1);
    assert_same_view(&hv1, &hv2);
}

/// Green is for hv1 to declare: what hv2 registers for it, whose settings do not say so, is no
/// consent, and hv1 names hv2.
#[test]
fn a_host_that_may_not_declare_for_a_project_is_not_believed_and_is_named() {
    let lab = Lab::single_chassis();
    let (a, b) = (lab.add_network("a", &[BLUE]), lab.add_network("b", &[GREEN]));
    lab.add_network("c", &["10.3.0.0/24"]);
    let (a1, b1) = (lab.add_guest(&a, "a1", 0), lab.add_guest(&b, "b1", 1));
    lab.settle();
    let green = "[[project]]\nname = \"green\"\nowner = \"root\"\nhosts = [\"hv1\"]\n";
    let (hv1, hv2) = (start_with(&lab, "hv1", green), start(&lab, "hv2"));
    hv1.declare("blue", &half("to-db", "web", "green/db"));
    hv2.declare("green", &half("to-web", "db", "blue/web"));
    let shown = hv1.wait_state("green", "db", "to-web", "failed");
    assert_eq!((&shown["reason"], &shown["hosts"][0]), (&"untrusted-host".into(), &"hv2".into()));
    hv1.wait_state("blue", "web", "to-db", "pending-peer");
    let named = "host hv2 declares for project green and is not among its `hosts`";
    let status = hv1.ctl(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).replace(['\n', ' '], "");
    assert!(status.contains(&named.replace(' ', "")), "{status}");
    assert_eq!(hv1.log().matches(named).count(), 1, "{}", hv1.log());
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    hv1.declare("green", &half("to-web", "db", "blue/web"));
    wait_all_active(&hv1);
    a1.assert_reaches(&b1);
    // Whoever is gone and may not declare is forgotten like any other.
    hv2.kill9();
    assert!(hv1.ctl(&["host", "forget", "hv2"]).status.success());
    poll("nothing of it is left", LIMIT, || match hv1.log() {
        log if log.contains("host hv2 declares nothing for project green any more") => Ok(()),
        log => Err(log),
    });
    a1.assert_reaches(&b1);
}

/// By hv2's policy one half between two networks of a project is enough, by hv1's it is not: the
/// holder's counts, both name the other one, and nothing is written by turns.
#[test]
fn hosts_whose_policies_differ_are_named_and_do_not_write_by_turns() {
    let (lab, hv1) = peered_by_one();
    let hv2 = start_with(&lab, "hv2", "[policy]\nauto_accept = \"same-project\"\n");
    for daemon in [&hv1, &hv2] {
        daemon.unbind_network("red", "x");
        daemon.bind_network("blue", "y", "c");
    }
    hv2.declare("blue", &half("to-y", "web", "blue/y"));
    hv1.wait_state("blue", "web", "to-y", "pending-peer");
    for (daemon, other) in [(&hv1, "hv2"), (&hv2, "hv1")] {
        let named = format!("host {other} has another [policy]");
        poll("the other one is named", LIMIT, || {
            let status = daemon.ctl(&["status"]);
            let text = String::from_utf8_lossy(&status.stdout).replace(['\n', ' '], "");
            if text.contains(&named.replace(' ', "")) { Ok(()) } else { Err(text) }
        });
        assert_eq!(daemon.log().matches(&named).count(), 1, "{}", daemon.log());
    }
    let (programs, written) = (programmed(&lab), lab.northbound_transactions());
    // A standby loses patience after a second or two.
    std::thread::sleep(Duration::from_secs(8));
    assert!(is_active(&hv1) && !is_active(&hv2), "the lock stays where it is");
    assert_eq!(programmed(&lab), programs);
    assert_eq!(lab.northbound_transactions(), written, "nobody writes");
    // The lock moves with the holder's end, once: then the other policy counts, and it says so.
    hv1.kill9();
    hv2.wait_state("blue", "web", "to-y", "active");
    hv1.start_again();
    hv1.wait_state("blue", "web", "to-db", "active");
    hv2.wait_quiet();
    let (programs, written) = (programmed(&lab), lab.northbound_transactions());
    std::thread::sleep(Duration::from_secs(8));
    assert!(is_active(&hv2) && !is_active(&hv1));
    assert_eq!((programmed(&lab), lab.northbound_transactions()), (programs, written));
    assert_eq!(hv2.log().matches("host hv1 has another [policy]").count(), 2, "{}", hv2.log());
}

/// Two daemons of one host's name: the second one learns of the first, declares nothing and says so; it is there at once when
/// the first one ends. A holder of the name that is stopped and replaced yields when it wakes.
#[test]
fn of_two_daemons_with_one_host_name_one_speaks_for_the_host() {
    let (lab, first) = peered_by_one();
    let (rows, written) = (contents(&lab.dump()), lab.northbound_transactions());
    // By hand: it ends, and says why.
    let by_hand = Daemon::prepare(&lab, "hv1", "");
    by_hand.process().start_again();
    poll("the second one ends", LIMIT, || match by_hand.process().is_running() {
        false => Ok(()),
        true => Err(by_hand.log()),
    });
    assert!(by_hand.log().contains("host-name-in-use"), "{}", by_hand.log());
    // As a service: it stays, and shows it.
    let managed = Daemon::prepare_managed(&lab, "hv1");
    managed.bind_network("red", "x", "c");
    managed.declare("red", &half("to-web", "x", "blue/web"));
    managed.start_again();
    let in_use = |daemon: &Daemon| {
        try_status(daemon).is_some_and(|status| status["host_name_in_use"] == true)
    };
    poll("it is shown", LIMIT, || if in_use(&managed) { Ok(()) } else { Err(managed.log()) });
    managed.declare("red", &half("to-db", "x", "green/db"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lab.northbound_transactions(), written, "the second one writes nothing");
    assert_eq!(contents(&lab.dump()), rows);
    assert!(is_active(&first) && !in_use(&first));
    // A restart is not held up, and neither is whoever waits.
    first.kill9();
    first.start_again();
    poll("one of both speaks for the host", LIMIT, || match in_use(&first) || in_use(&managed) {
        true => Ok(()),
        false => Err(format!("{}\n{}", first.log(), managed.log())),
    });
}

/// A holder of the name that hangs is replaced after a challenge, and yields when it wakes.
#[test]
fn a_daemon_that_was_stopped_and_replaced_by_its_like_yields_when_it_wakes() {
    let (lab, first) = peered_by_one();
    let (rows, written) = (contents(&lab.dump()), lab.northbound_transactions());
    first.process().pause();
    let begin = Instant::now();
    // On the same files, as a service manager would start another one.
    let second = start_on_files_of(&lab, &first);
    poll("the second one speaks for the host", LIMIT, || {
        let speaks = second.log().contains("this instance declares as host");
        if speaks { Ok(()) } else { Err(second.log()) }
    });
    println!("a stopped daemon of the same name is replaced after {:?}", begin.elapsed());
    wait_all_active(&second);
    first.process().resume();
    poll("the first one yields", LIMIT, || match first.process().is_running() {
        false => Ok(()),
        true => Err(first.log()),
    });
    assert!(first.log().contains("host-name-in-use"), "{}", first.log());
    poll("the second one writes", LIMIT, || match is_active(&second) {
        true => Ok(()),
        false => Err(second.log()),
    });
    assert_eq!(contents(&lab.dump()), rows);
    assert_eq!(lab.northbound_transactions(), written, "they say the same: nothing is written");
}

/// Another daemon of the same host, which declares what `first` does.
fn start_on_files_of(lab: &Lab, first: &Daemon) -> Daemon {
    let second = Daemon::prepare(lab, "hv1", "");
    for directory in ["networks.d", "peerings.d"] {
        for file in std::fs::read_dir(first.dir().join(directory)).expect("a directory") {
            let file = file.expect("a file");
            let name = format!("{directory}/{}", file.file_name().to_string_lossy());
            second.write(&name, &std::fs::read_to_string(file.path()).expect("a text"));
        }
    }
    second.start_again();
    second
}
