//! Whom one cannot see one learns nothing about (S0.10, S0.11, S3.23).

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::owned::link_rows;
use crate::tenants::{half, status};

/// Targets of the same length: a silent network, one with a half for somebody else, one that overlaps the asker, one
/// whose router is missing, one whose router could not be linked, an unknown network of a known project, an unknown
/// project.
const TARGETS: [&str; 7] = [
    "green/silent",
    "green/others",
    "green/overlp",
    "green/norout",
    "green/gatewy",
    "green/unknwn",
    "nobod/unknwn",
];

#[test]
fn s0_10_s0_11_unknown_and_silent_are_told_apart_by_nothing() {
    let lab = Lab::databases_only();
    lab.add_network("a", &["10.1.0.0/24 fd01::/64"]);
    for (router, prefixes) in [
        ("silent", "10.2.0.0/24 fd02::/64"),
        ("others", "10.3.0.0/24 fd03::/64"),
        ("overlp", "10.1.0.0/25 fd01::/64"),
        ("gatewy", "10.4.0.0/24 fd04::/64"),
    ] {
        lab.add_network(router, &[prefixes]);
    }
    lab.nbctl(&["set", "Logical_Router", "gatewy", "options:chassis=hv1"]);
    let daemon = Daemon::start(&lab);
    daemon.bind_network("blue", "web", "a");
    for network in ["silent", "others", "overlp", "norout", "gatewy"] {
        daemon.bind_network("green", network, network);
    }
    daemon.declare("green", &half("elsewhere", "others", "red/x"));
    daemon.wait_state("green", "others", "elsewhere", "pending-peer");
    let answers: Vec<_> = TARGETS.iter().map(|target| ask(&lab, &daemon, target)).collect();
    for (target, answer) in TARGETS.iter().zip(&answers) {
        assert_eq!(*answer, answers[0], "{target} differs from {}", TARGETS[0]);
    }
    assert!(answers[0].list.contains("pending-peer"), "{:?}", answers[0]);
}

/// Everything that an owner is told of a half, and what was done for it.
#[derive(Debug, PartialEq)]
struct Answer {
    list: String,
    list_table: String,
    show: String,
    show_table: String,
    plan: Option<i32>,
    work: [i64; 4],
}

/// Declares a half for this target alone, and gathers what is told of it; then withdraws it.
fn ask(lab: &Lab, daemon: &Daemon, target: &str) -> Answer {
    settled(lab, daemon);
    let before = work(daemon);
    daemon.declare("blue", &half("asked", "web", target));
    daemon.wait_state("blue", "web", "asked", "pending-peer");
    settled(lab, daemon);
    let after = work(daemon);
    assert_eq!(link_rows(&lab.dump()).len(), 0, "{target}: no port, route or policy");
    let said = |args: &[&str]| {
        let output = daemon.ctl(args);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {text}");
        neutral(&text, target)
    };
    let answer = Answer {
        list: said(&["list", "--project", "blue", "--format", "json"]),
        list_table: said(&["list", "--project", "blue"]),
        show: said(&["show", "blue", "web", "asked", "--format", "json"]),
        show_table: said(&["show", "blue", "web", "asked"]),
        plan: daemon.ctl(&["plan"]).status.code(),
        work: std::array::from_fn(|n| after[n] - before[n]),
    };
    daemon.withdraw("blue");
    daemon.wait_until("the half is gone", |halves| {
        if halves.len() == 1 { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    answer
}

/// The text without the names that the owner wrote, and without times.
fn neutral(text: &str, target: &str) -> String {
    let (project, network) = target.split_once('/').expect("project/network");
    let text = text.replace(network, "NETWORK").replace(project, "PROJECT");
    let without_times = text.lines().filter(|line| !line.to_lowercase().contains("since"));
    // A list tells how long ago: 0 s or 1 s.
    let is_age = |w: &&str| w.ends_with('s') && w.starts_with(|c: char| c.is_ascii_digit());
    let lines =
        without_times.map(|l| l.split(' ').filter(|w| !is_age(w)).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Transactions, peerings decided, peerings compared, drift.
fn work(daemon: &Daemon) -> [i64; 4] {
    let counters = status(daemon)["counters"].clone();
    ["transactions", "peerings_resolved", "peerings_compared", "drift_repaired"]
        .map(|name| counters[name].as_i64().expect("a counter"))
}

/// Waits until the daemon has read a change that was made just now, and so all before it.
fn settled(lab: &Lab, daemon: &Daemon) {
    lab.sync();
    let read = |status: &Value| status["northbound"]["nb_cfg"].as_i64();
    let wanted = lab.nbctl(&["get", "NB_Global", ".", "nb_cfg"]).trim().parse().ok();
    poll("the daemon has read all", std::time::Duration::from_secs(10), || {
        let now = status(daemon);
        let caught_up =
            read(&now) == wanted && now["northbound"]["sb_cfg"] == now["northbound"]["nb_cfg"];
        if caught_up { Ok(()) } else { Err(now.to_string()) }
    });
}
