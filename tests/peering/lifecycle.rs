//! The lifecycle with the real daemon, by the real clock: rejection, expiry and renewal, history, a frozen address space,
//! one half for both, and a VM as a condition. The whole table of states and actions is in `tests/core`.

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::owned::link_rows;
use crate::tenants::{BLUE, GREEN, assert_says, flaws, half, wait_all_active};

const TO_DB: &str = "to-db";
const REJECTION: &str =
    "[[rejection]]\nnetwork = \"db\"\nfrom_project = \"blue\"\nfrom_network = \"web\"\n";

/// Blue's network web on router `a`, green's network db on router `b`, under a policy.
fn start(lab: &Lab, policy: &str) -> Daemon {
    let (a, b) = (lab.add_network("a", &[BLUE]), lab.add_network("b", &[GREEN]));
    let daemon = Daemon::prepare(lab, "hv1", &format!("[policy]\n{policy}\n"));
    daemon.start_again();
    daemon.bind_network("blue", "web", a.router());
    daemon.bind_network("green", "db", b.router());
    daemon
}

fn blue(daemon: &Daemon) {
    daemon.declare("blue", &half(TO_DB, "web", "green/db"));
}

fn green(daemon: &Daemon) {
    daemon.declare("green", &half("to-web", "db", "blue/web"));
}

/// Blue's half again, asked for now.
fn renew(daemon: &Daemon) {
    let now = jiff::Timestamp::now();
    let text = half(TO_DB, "web", "green/db");
    daemon.declare("blue", &format!("{text}requested = {now:.6}\n"));
}

#[track_caller]
fn gone(daemon: &Daemon) {
    daemon.wait_until("nothing is listed", |halves| {
        if halves.is_empty() { Ok(()) } else { Err(format!("{halves:?}")) }
    });
}

#[test]
fn a_network_needs_a_vm_before_it_peers() {
    let lab = Lab::databases_only();
    let daemon = start(&lab, "require_workload = true");
    blue(&daemon);
    green(&daemon);
    let told = daemon.wait_state("blue", "web", TO_DB, "failed");
    assert_says(&told, "no-workload", &["blue/web"]);
    lab.nbctl(&["lsp-add", "a-s0", "vm-a"]);
    daemon.wait_until("blue waits for green's VM", |halves| {
        let blue = halves.iter().find(|half| half["project"] == "blue");
        let told = blue.map(ToString::to_string).unwrap_or_default();
        if told.contains("green/db has no VM") { Ok(()) } else { Err(told) }
    });
    assert_eq!(link_rows(&lab.dump()).len(), 0, "no port, route or policy");
    // A port of another type is no VM's.
    lab.nbctl(&["lsp-add", "b-s0", "vm-b", "--", "lsp-set-type", "vm-b", "localport"]);
    lab.nbctl(&["lsp-add", "b-s0", "vm-c", "--", "lsp-set-type", "vm-c", "virtual"]);
    daemon.wait_state("green", "db", "to-web", "failed");
    lab.nbctl(&["lsp-set-type", "vm-b", ""]);
    wait_all_active(&daemon);
    // What stands stays when the last VM goes, over a restart too.
    lab.nbctl(&["lsp-del", "vm-a", "--", "lsp-set-type", "vm-b", "localport"]);
    daemon.restart();
    wait_all_active(&daemon);
    // To make it anew takes a VM again.
    daemon.withdraw("green");
    daemon.wait_state("blue", "web", TO_DB, "failed");
    green(&daemon);
    daemon.wait_state("green", "db", "to-web", "failed");
}

#[test]
fn a_request_expires_by_itself_and_is_renewed() {
    let lab = Lab::databases_only();
    let daemon = start(&lab, "request_expiry = \"1s\"");
    blue(&daemon);
    daemon.wait_state("blue", "web", TO_DB, "expired");
    green(&daemon);
    daemon.wait_state("green", "db", "to-web", "expired");
    daemon.kill9();
    daemon.start_again();
    let told = daemon.wait_state("blue", "web", TO_DB, "expired");
    assert_says(&told, "request-expired", &["green/db"]);
    renew(&daemon);
    // The other side's answer expired meanwhile, and has to be renewed in the same way.
    let text = half("to-web", "db", "blue/web");
    daemon.declare("green", &format!("{text}requested = {:.6}\n", jiff::Timestamp::now()));
    daemon.wait_until("both are active, or time ran out once more", |halves| {
        if halves.iter().all(|half| half["state"] == "active") {
            return Ok(());
        }
        if halves.iter().any(|half| half["state"] == "expired") {
            renew(&daemon);
            let now = jiff::Timestamp::now();
            daemon.declare("green", &format!("{text}requested = {now:.6}\n"));
        }
        Err(format!("{halves:?}"))
    });
}

#[test]
fn a_request_is_rejected_until_that_is_taken_back() {
    let lab = Lab::databases_only();
    let daemon = start(&lab, "");
    daemon.declare("green", REJECTION);
    blue(&daemon);
    let told = daemon.wait_state("blue", "web", TO_DB, "rejected");
    assert_says(&told, "peer-rejected", &["green/db"]);
    // It is shown once it is decided, and outlives the daemon once it is written.
    poll("the rejection is written", Duration::from_secs(5), || {
        let rows = lab.nbctl(&["--columns=external_ids", "list", "Address_Set"]);
        if rows.contains("ovn-peerd-rejects:") { Ok(()) } else { Err(rows) }
    });
    daemon.kill9();
    // A typo made meanwhile does not take the rejection back.
    daemon.declare("green", "[[rejection]\n");
    daemon.start_again();
    daemon.wait_state("blue", "web", TO_DB, "rejected");
    daemon.withdraw("green");
    daemon.wait_state("blue", "web", TO_DB, "pending-peer");
    green(&daemon);
    wait_all_active(&daemon);
}

#[test]
fn a_withdrawn_half_is_shown_for_a_while() {
    let lab = Lab::databases_only();
    let daemon = start(&lab, "history = \"2s\"");
    blue(&daemon);
    daemon.wait_state("blue", "web", TO_DB, "pending-peer");
    daemon.withdraw("blue");
    let told = daemon.wait_state("blue", "web", TO_DB, "deleted");
    assert_says(&told, "withdrawn", &[]);
    daemon.kill9();
    daemon.start_again();
    gone(&daemon);
    daemon.wait_until("nothing is left of it", |_| {
        // But how often the host has changed its declarations.
        let sets = lab.nbctl(&["--bare", "--columns=name", "list", "Address_Set"]);
        if sets.trim() == "ovn_peerd_hosts" { Ok(()) } else { Err(sets) }
    });
}

#[test]
fn a_frozen_address_space_is_renewed_on_purpose() {
    let lab = Lab::databases_only();
    let daemon = start(&lab, "address_space = \"freeze\"");
    blue(&daemon);
    green(&daemon);
    wait_all_active(&daemon);
    lab.nbctl(&["lrp-add", "a", "a-new", "02:00:00:00:77:01", "10.77.0.1/24"]);
    daemon.wait_until("both are told", |halves| {
        let told = |half: &serde_json::Value| flaws(half).join("").contains("+10.77.0.0/24");
        if halves.iter().all(told) { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    assert!(!lab.nbctl(&["lr-route-list", "b"]).contains("10.77.0.0/24"));
    renew(&daemon);
    wait_all_active(&daemon);
    assert!(lab.nbctl(&["lr-route-list", "b"]).contains("10.77.0.0/24"));
}

#[test]
fn one_half_is_enough_inside_a_project() {
    let lab = Lab::databases_only();
    let daemon = start(&lab, "auto_accept = \"same-project\"");
    daemon.bind_network("green", "app", "c");
    let c = lab.add_network("c", &["10.3.0.0/24"]);
    assert_eq!(c.router(), "c");
    daemon.declare("green", &half("to-app", "db", "green/app"));
    daemon.wait_state("green", "db", "to-app", "active");
    assert!(lab.nbctl(&["lr-route-list", "c"]).contains("10.2.0.0/24"));
    // Another project's network is asked as ever.
    daemon.declare("blue", &half("to-app", "web", "green/app"));
    daemon.wait_state("blue", "web", "to-app", "pending-peer");
    daemon.restart();
    daemon.wait_state("green", "db", "to-app", "active");
    daemon.withdraw("green");
    daemon.wait_until("nothing is routed", |_| {
        let routes = lab.nbctl(&["lr-route-list", "c"]);
        if routes.contains("10.2.0.0/24") { Err(routes) } else { Ok(()) }
    });
}
