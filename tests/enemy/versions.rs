//! Daemons of different versions on one northbound. The newer one is played by hand: the rows as it would write them, and
//! the lock in the hands of a process that does nothing with it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ground::{Ground, foreign, own, seed};
use crate::lab::command::{poll, require_root_and_tools};
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::lab::service::{Launch, Service};
use crate::server::{Server, nbctl};

/// Longer than a standby waits for a holder that does nothing about what it would have mended.
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

/// Our rows that belong to a network and its peerings, but for who declares what.
fn rows_of(remote: &str, network: &str) -> Vec<String> {
    let rows = own(&Dump::read(remote));
    let label = format!("{network}/n");
    let units: BTreeSet<&str> =
        rows.iter().filter(|row| row.contains(&label)).filter_map(|row| unit_of(row)).collect();
    let of_units = |row: &&String| unit_of(row).is_some_and(|unit| units.contains(unit));
    rows.iter().filter(of_units).cloned().collect()
}

/// The unit in a row's tag: the first word of its kind after the key.
fn unit_of(row: &str) -> Option<&str> {
    let (_, rest) = row.split_once("ovn-peerd-unit")?;
    let start = ["peering-", "network-"].into_iter().filter_map(|kind| rest.find(kind)).min()?;
    rest[start..].split(|end: char| !end.is_ascii_alphanumeric() && end != '-').next()
}

/// Takes the lock, and holds it as long as it runs.
fn holder(scope: &Scope, remote: &str) -> Service {
    let launch = Launch::new("ovsdb-client", scope.dir()).args(["steal", remote, "ovn_peerd"]);
    let holder = Service::start("holder", launch);
    poll("the lock is taken", Duration::from_secs(10), || {
        let log = holder.log();
        if log.contains("true") || log.contains("locked") { Ok(()) } else { Err(log) }
    });
    holder
}

fn is_active(daemon: &Daemon) -> bool {
    let output = daemon.ctl(&["status", "--format", "json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("the daemon answers");
    status["northbound"]["active"] == true
}

fn names_newer(daemon: &Daemon) -> Result<(), String> {
    let output = daemon.ctl(&["status"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text
        .lines()
        .any(|line| line.starts_with("Newer than this") && line.contains("p0/n: version 2"));
    if told { Ok(()) } else { Err(text) }
}

#[test]
fn an_older_daemon_leaves_a_newer_ones_networks_alone_and_looks_after_the_others() {
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
    let theirs = foreign(&Dump::read(&remote));

    // A host is upgraded: it takes the lock, and writes the registration of p0/n as it now is.
    let newer = holder(&scope, &remote);
    let row = registration(&remote, "p0/n");
    let mut words = vec!["--no-wait", "--", "set", "Address_Set", &row];
    let entries = [
        r#"external_ids:ovn-peerd-network="{\"version\":2,\"project\":\"p0\",\"name\":\"n\",\"router\":\"r0\",\"zones\":[]}""#,
        r#"external_ids:ovn-peerd-half\:to-1="{\"state\":\"drained\"}""#,
        r#"external_ids:ovn-peerd-quorum="3""#,
    ];
    words.extend(entries);
    nbctl(&remote, &words);
    for daemon in [&ground.daemon, &other] {
        poll("both tell of it", PATIENCE, || names_newer(daemon));
        let half = daemon.wait_state("p0", "n", "to-1", "active");
        assert_eq!(half["reason"], "newer-version", "{half}");
        assert!(half["next_step"].as_str().is_some_and(|text| text.contains("upgrade")), "{half}");
    }
    // What its file asks for now is not theirs to do, so nobody waits for the holder, or takes the lock from it.
    let before = rows_of(&remote, "p0");
    ground.daemon.declare("p0", "");
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        assert!(!is_active(&ground.daemon) && !is_active(&other), "the lock was stolen for it");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(rows_of(&remote, "p0"), before);
    // Of networks of their own version they go on: the holder is silent, so one takes the lock from it.
    for pair in [(0, 1), (0, 3), (3, 4), (4, 5)] {
        ground.toggle(pair);
    }
    poll("the others are looked after", crate::ground::DEADLINE, || {
        let ports =
            nbctl(&remote, &["--bare", "--columns=external_ids", "list", "Logical_Router_Port"]);
        let peered = |a: &str, b: &str| {
            ports.contains(&format!("{a}/n")) && ports.contains(&format!("{b}/n"))
        };
        if peered("p4", "p5") && !ports.contains("p3/n") { Ok(()) } else { Err(ports) }
    });
    assert!(is_active(&ground.daemon) || is_active(&other));
    assert_eq!(rows_of(&remote, "p0"), before);
    // A process that has never seen it in another form leaves it alone as well.
    ground.daemon.restart();
    other.restart();
    poll("both tell of it", PATIENCE, || {
        names_newer(&ground.daemon).and_then(|()| names_newer(&other))
    });
    assert_eq!(rows_of(&remote, "p0"), before);
    let told = ground.daemon.log().matches("left alone").count();
    assert_eq!(told, 2, "once in each process:\n{}", ground.daemon.log());
    // The upgrade is taken back: all is as declared.
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
    poll("what was withdrawn is gone", crate::ground::DEADLINE, || {
        let dump = Dump::read(&remote);
        ground.judge(&dump)
    });
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
