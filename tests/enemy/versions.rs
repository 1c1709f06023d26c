//! Daemons of different versions on one northbound. The newer one is played by hand: its registration as it would write
//! it, and a process that waits for the lock and does nothing with it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ground::{Ground, foreign, own, seed};
use crate::lab::command::{poll, require_root_and_tools};
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::lab::service::{Launch, Service};
use crate::server::{Server, nbctl};

/// Longer than a standby waits for a holder that does nothing.
const PATIENCE: Duration = Duration::from_secs(4);

/// The registration of a network that `ground` binds.
fn registration(remote: &str, network: &str) -> String {
    let label = format!("external_ids:ovn-peerd-label=\"{network}\"");
    let found = [
        "--bare",
        "--columns=_uuid",
        "find",
        "Address_Set",
        "external_ids:ovn-peerd-network!=\"\"",
        &label,
    ];
    nbctl(remote, &found).trim().to_owned()
}

/// Waits for the lock, and holds it from then on as long as it runs: an upgraded host.
fn newer_daemon(scope: &Scope, remote: &str) -> Service {
    let launch = Launch::new("ovsdb-client", scope.dir()).args(["lock", remote, "ovn_peerd"]);
    Service::start("newer", launch)
}

fn is_given_the_lock(newer: &Service) -> Result<(), String> {
    let log = newer.log();
    // The answer to the request says `"locked":false`; the notification is a line of its own.
    let given = log.contains("true") || log.lines().any(|line| line == "locked");
    if given { Ok(()) } else { Err(log) }
}

fn is_active(daemon: &Daemon) -> bool {
    let output = daemon.ctl(&["status", "--format", "json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("the daemon answers");
    status["northbound"]["active"] == true
}

fn reports_newer(daemon: &Daemon) -> Result<(), String> {
    let output = daemon.ctl(&["status"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let reported = text.lines().any(|line| {
        line.starts_with("Role") && line.contains("writes nothing") && line.contains("format 70")
    });
    if reported { Ok(()) } else { Err(text) }
}

#[test]
fn older_daemons_write_nothing_and_give_the_lock_to_a_newer_one_until_it_is_gone() {
    require_root_and_tools();
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    let remote = server.remote();
    seed(&remote);
    let settings = format!("remotes = [{remote:?}]\n");
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (1, 2), (3, 4)]);
    ground.converge(&remote, "the start");
    let other = Daemon::prepare_for(scope.dir(), &settings, "hv2", None);
    for index in 0..crate::ground::NETWORKS {
        other.bind_network(&format!("p{index}"), "n", &format!("r{index}"));
    }
    other.start_again();
    ground.converge(&remote, "a second host");
    let theirs = foreign(&Dump::read(&remote));

    // A host is upgraded. It waits for the lock behind both, and writes the registration of p0/n as it knows it.
    let newer = newer_daemon(&scope, &remote);
    poll("it waits", Duration::from_secs(10), || {
        let log = newer.log();
        if log.contains("false") { Ok(()) } else { Err(log) }
    });
    let row = registration(&remote, "p0/n");
    let mut words = vec!["--no-wait", "--", "set", "Address_Set", &row];
    let entries = [
        r#"external_ids:ovn-peerd-network="{\"version\":70,\"project\":\"p0\",\"name\":\"n\",\"router\":\"r0\",\"zones\":[]}""#,
        r#"external_ids:ovn-peerd-half\:to-1="{\"state\":\"drained\"}""#,
        r#"external_ids:ovn-peerd-quorum="3""#,
    ];
    words.extend(entries);
    nbctl(&remote, &words);
    poll("both give the lock away", PATIENCE, || is_given_the_lock(&newer));
    for daemon in [&ground.daemon, &other] {
        poll("both report it", PATIENCE, || reports_newer(daemon));
        assert!(!is_active(daemon));
    }
    for (project, half) in [("p0", "to-1"), ("p3", "to-4")] {
        let half = ground.daemon.wait_state(project, "n", half, "active");
        assert_eq!(half["reason"], "newer-version", "{half}");
        assert!(half["next_step"].as_str().is_some_and(|text| text.contains("upgrade")), "{half}");
    }
    // Whatever is declared, withdrawn or damaged, they write nothing, and never take the lock from the silent holder.
    let ports = nbctl(
        &remote,
        &["--bare", "--columns=_uuid", "find", "Logical_Router_Port", "mac!=\"\"", "peer!=[]"],
    );
    let port = ports.split_whitespace().next().expect("a link port").to_owned();
    nbctl(&remote, &["set", "Logical_Router_Port", &port, "networks=192.0.2.7/32"]);
    let before = own(&Dump::read(&remote));
    for pair in [(0, 1), (0, 3), (3, 4), (4, 5)] {
        ground.toggle(pair);
    }
    let silent = |what: &str| {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            assert!(!is_active(&ground.daemon) && !is_active(&other), "{what}: it took the lock");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(own(&Dump::read(&remote)), before, "{what}");
    };
    silent("while they run");
    // Nor does a process that has never seen it in another form, or after another session.
    ground.daemon.restart();
    other.restart();
    for daemon in [&ground.daemon, &other] {
        poll("both report it", PATIENCE, || reports_newer(daemon));
    }
    silent("after a restart");
    let reported = ground.daemon.log().matches("gives the lock away").count();
    assert_eq!(reported, 2, "once in each process:\n{}", ground.daemon.log());
    assert_eq!(foreign(&Dump::read(&remote)), theirs);
    // The upgrade is taken back: one of them takes the lock again, and all is as declared.
    drop(newer);
    nbctl(
        &remote,
        &[
            "set",
            "Address_Set",
            &row,
            r#"external_ids:ovn-peerd-network="{\"version\":1,\"project\":\"p0\",\"name\":\"n\"}""#,
        ],
    );
    poll("all is as declared", crate::ground::DEADLINE, || {
        let dump = Dump::read(&remote);
        ground.judge(&dump)
    });
    assert!(is_active(&ground.daemon) != is_active(&other), "one of them holds the lock again");
    let kept = nbctl(&remote, &["--bare", "--columns=external_ids", "list", "Address_Set", &row]);
    assert!(kept.contains("ovn-peerd-quorum=3"), "what nobody knows is kept: {kept}");
    assert_eq!(foreign(&Dump::read(&remote)), theirs);
}

/// The longest names, of characters of four bytes; the longest descriptions and notes; many halves in one network.
#[test]
fn a_registration_is_bounded_and_survives_the_longest_names() {
    const HALVES: usize = 40;
    require_root_and_tools();
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let daemon = Daemon::prepare_for(scope.dir(), &settings, "hv1", None);
    let long = |first: char, length: usize| format!("{first}{}", "\u{1F980}".repeat(length - 1));
    let (project, network) = (long('p', 255), long('n', 255));
    let text =
        format!("[[network]]\nproject = \"{project}\"\nname = \"{network}\"\nrouter = \"r0\"\n");
    daemon.write("networks.d/long.toml", &text);
    let note = "\u{1F980}".repeat(1000);
    let half = |index: usize| {
        let name = format!("{index:03}{}", "\u{1F980}".repeat(252));
        format!(
            "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"{project}\"\ntarget_network = \"{name}\"\n\
             description = \"{}\"\nconfig = {{ \"user.note\" = \"{note}\" }}\n",
            "\u{1F980}".repeat(1024)
        )
    };
    let halves: String = (0..HALVES).map(half).collect();
    daemon.write("peerings.d/long.toml", &format!("project = \"{project}\"\n{halves}"));
    daemon.start_again();
    let listed = daemon.wait_until("all are registered", |halves| {
        let pending = halves.iter().filter(|half| half["state"] == "pending-peer").count();
        if pending == HALVES {
            Ok(halves)
        } else {
            Err(format!("{pending} of {}: {}", halves.len(), daemon.log()))
        }
    });
    let size = || {
        let sets = nbctl(
            &server.remote(),
            &[
                "--format=json",
                "--columns=external_ids",
                "find",
                "Address_Set",
                "external_ids:ovn-peerd-network!=\"\"",
            ],
        );
        sets.len()
    };
    poll("each has its record", crate::ground::DEADLINE, || {
        let sets =
            nbctl(&server.remote(), &["--bare", "--columns=external_ids", "list", "Address_Set"]);
        let records = sets.matches("ovn-peerd-half:").count();
        if records == HALVES { Ok(()) } else { Err(records.to_string()) }
    });
    let each = size() / HALVES;
    println!("{each} bytes for a half of the longest kind");
    // Name twice, target's project and network twice, description, notes: in UTF-8, and little beside.
    assert!(each < 4 * (2 * 255 + 4 * 255 + 1024 + 1000) + 2048, "{each}");
    let before = Dump::read(&server.remote());
    daemon.restart();
    let again = daemon.wait_until("the same is told", |halves| {
        if halves == listed { Ok(halves) } else { Err(format!("{} halves", halves.len())) }
    });
    assert_eq!(again.len(), HALVES);
    Dump::read(&server.remote()).assert_same_as(&before);
}
