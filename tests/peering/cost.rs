//! What a peering costs ovn-northd and the chassis: logical flows, counted.

use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::{poll, run};
use crate::lab::daemon::Daemon;
use crate::tenants::half;

/// Flows of one dual-stack peering: its ports and routes 48, its policies 6. By OVN 23.03; see [`MORE`].
const FLOWS: usize = 54;
/// The first peering of a database also brings the flows for addresses to be resolved.
const FIRST: usize = 2;
/// A further subnet on both sides costs its routes, not a port's addresses.
const FLOWS_WITH_TWO_SUBNETS: usize = 60;

/// What ovn-northd of this release makes of one peering more than that of 23.03 does.
const MORE: &[(&str, usize)] = &[("ovn-northd 26.03", 10)];

/// The same of the release that runs here.
fn more() -> usize {
    let version = run("ovn-northd", ["--version"]);
    MORE.iter().find(|(release, _)| version.starts_with(release)).map_or(0, |(_, flows)| *flows)
}

/// A network with this many dual-stack subnets, bound as `red/<name>`.
fn network(lab: &Lab, daemon: &Daemon, name: &str, first: usize, count: usize) {
    let subnet = |n| format!("10.{n}.0.0/24 fd0{n}::/64");
    let subnets: Vec<_> = (first..first + count).map(subnet).collect();
    lab.add_network(name, &subnets.iter().map(String::as_str).collect::<Vec<_>>());
    daemon.bind_network("red", name, name);
}

#[test]
fn a_dual_stack_peering_costs_54_logical_flows() {
    let lab = Lab::databases_only();
    let daemon = Daemon::start(&lab);
    for n in 1..5 {
        network(&lab, &daemon, &format!("n{n}"), n, 1);
    }
    network(&lab, &daemon, "x", 5, 2);
    network(&lab, &daemon, "y", 7, 2);
    let mut declared = String::new();
    let (mut before, more) = (flows(&lab), more());
    for (one, other, limit) in [
        ("n1", "n2", FLOWS + FIRST),
        ("n1", "n3", FLOWS),
        ("n1", "n4", FLOWS),
        ("x", "y", FLOWS_WITH_TWO_SUBNETS),
    ] {
        declared += &half(&format!("to-{other}"), one, &format!("red/{other}"));
        declared += &half(&format!("to-{one}"), other, &format!("red/{one}"));
        daemon.declare("red", &declared);
        daemon.wait_state("red", other, &format!("to-{one}"), "active");
        let after = flows(&lab);
        println!("{one} and {other}: {} logical flows", after - before);
        assert!(after - before <= limit + more, "{one} and {other}: {}", after - before);
        before = after;
    }
}

/// What is filtered is not paid for: of two subnets on both sides, one crosses.
#[test]
fn a_filtered_peering_costs_what_crosses_it() {
    let lab = Lab::databases_only();
    let daemon = Daemon::start(&lab);
    network(&lab, &daemon, "x", 1, 2);
    network(&lab, &daemon, "y", 3, 2);
    let before = flows(&lab);
    let only = |n| format!("export = [\"10.{n}.0.0/24\", \"fd0{n}::/64\"]\n");
    let halves =
        [half("to-y", "x", "red/y"), only(1), half("to-x", "y", "red/x"), only(3)].concat();
    daemon.declare("red", &halves);
    daemon.wait_state("red", "y", "to-x", "active");
    let cost = flows(&lab) - before;
    println!("filtered: {cost} logical flows");
    assert!(cost <= FLOWS + FIRST + more(), "{cost}");
}

/// In a mesh a peering costs what it costs elsewhere, whatever else stands on its routers.
#[test]
fn a_mesh_costs_no_more_than_its_peerings() {
    const MEMBERS: usize = 49;
    /// For one transaction of 14,000 rows, and what northd makes of it.
    const MESH_LIMIT: Duration = Duration::from_secs(120);
    let lab = Lab::databases_only();
    // All of them are one project's.
    let many = "[policy]\nmax_halves_per_project = 10000\n";
    let daemon = Daemon::prepare(&lab, "hv1", many);
    daemon.start_again();
    let (mut rows, mut bound) = (String::new(), String::new());
    for n in 0..MEMBERS {
        rows += &format!(
            "lr-add m{n}\nlrp-add m{n} m{n}-r 0a:00:00:00:01:{n:02x} 10.{n}.0.1/24 fd{n:02x}::1/64\n"
        );
        bound += &format!("[[network]]\nproject = \"red\"\nname = \"m{n}\"\nrouter = \"m{n}\"\n");
    }
    lab.nbctl_batch(&rows);
    daemon.write("networks.d/red.toml", &bound);
    let before = flows(&lab);
    for one in 0..MEMBERS {
        let mut declared = "project = \"red\"\n".to_owned();
        for other in (0..MEMBERS).filter(|other| *other != one) {
            declared += &half(&format!("to-{other}"), &format!("m{one}"), &format!("red/m{other}"));
        }
        daemon.write(&format!("peerings.d/m{one}.toml"), &declared);
    }
    let halves = MEMBERS * (MEMBERS - 1);
    let all_are_active = || {
        poll("all are active", MESH_LIMIT, || {
            let status = daemon.ctl(&["status", "--format", "json"]);
            let status: Value =
                serde_json::from_slice(&status.stdout).map_err(|e| e.to_string())?;
            let active = &status["halves"]["active"];
            if *active == halves { Ok(()) } else { Err(format!("{active} of {halves}")) }
        });
    };
    all_are_active();
    let each = (flows(&lab) - before) * 2 / halves;
    println!("a mesh of {MEMBERS}: {each} logical flows for each of {} peerings", halves / 2);
    assert!(each <= FLOWS + more(), "{each}");
    // A start that finds all of them reports them in one line, however long it takes to decide.
    let lines = |text: &str| daemon.log().matches(text).count();
    let reported = lines("the peering is active");
    daemon.restart();
    all_are_active();
    let found = format!("halves are active as they were before count=\"{halves}\"");
    assert_eq!(lines(&found), 1, "{}", daemon.log());
    assert_eq!(lines("the peering is active"), reported, "{}", daemon.log());
}

fn flows(lab: &Lab) -> usize {
    lab.sync();
    lab.logical_flows().rows
}
