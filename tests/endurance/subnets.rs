//! Subnets that come and go while peered (`policy.address_space = "follow"`).

use crate::lab::Lab;
use crate::lab::daemon::Daemon;

const HALF: &str = "[[peering]]\nnetwork = \"n\"\ntarget_network = \"n\"\n";

fn half(target: &str) -> String {
    format!("{HALF}name = \"to-{target}\"\ntarget_project = \"{target}\"\n")
}

fn router(lab: &Lab, name: &str, port: &str, network: &str) {
    let mac = lab.fresh_mac();
    lab.nbctl(&["--may-exist", "lr-add", name, "--", "lrp-add", name, port, &mac, network]);
}

fn peered() -> (Lab, Daemon) {
    let lab = Lab::databases_only();
    router(&lab, "a", "a-in", "10.1.0.1/24");
    router(&lab, "b", "b-in", "10.2.0.1/24");
    let daemon = Daemon::start(&lab);
    for name in ["a", "b"] {
        daemon.bind_network(name, "n", name);
    }
    daemon.declare("a", &half("b"));
    daemon.declare("b", &half("a"));
    daemon.wait_state("a", "n", "to-b", "active");
    daemon.wait_state("b", "n", "to-a", "active");
    (lab, daemon)
}

fn routes(lab: &Lab, router: &str) -> String {
    lab.nbctl(&["lr-route-list", router])
}

/// Waits until a half says that it is degraded by this.
fn wait_degraded(daemon: &Daemon, project: &str, word: &str) {
    daemon.wait_until(&format!("{project} degraded by {word}"), |halves| {
        let half = halves.iter().find(|half| half["project"] == project).ok_or("no half")?;
        let degraded = half["degraded"].to_string();
        if half["state"] == "active" && degraded.contains(word) {
            Ok(())
        } else {
            Err(half.to_string())
        }
    });
}

#[test]
fn a_subnet_is_carried_to_the_other_side_in_one_transaction() {
    let (lab, daemon) = peered();
    let before = lab.northbound_transactions();
    router(&lab, "a", "a-in2", "10.11.0.1/24");
    daemon.wait_until("the route", |_| {
        let found = routes(&lab, "b");
        if found.contains("10.11.0.0/24") { Ok(()) } else { Err(found) }
    });
    daemon.wait_state("b", "n", "to-a", "active");
    assert_eq!(lab.northbound_transactions() - before, 2, "the subnet's own, and one of ours");
    lab.nbctl(&["lrp-del", "a-in2"]);
    daemon.wait_until("no route", |_| {
        let found = routes(&lab, "b");
        if found.contains("10.11.0.0/24") { Err(found) } else { Ok(()) }
    });
    assert_eq!(lab.northbound_transactions() - before, 4, "the same on the way back");
}

#[test]
fn a_new_overlap_keeps_the_old_routes_and_says_so() {
    let (lab, daemon) = peered();
    let before = routes(&lab, "b");
    router(&lab, "a", "a-in2", "10.2.0.129/25");
    wait_degraded(&daemon, "b", "10.2.0.128/25");
    assert_eq!(routes(&lab, "b"), before);
    // The other way round too: what is routed stays when the router's own subnet comes to clash.
    lab.nbctl(&["lrp-del", "a-in2"]);
    router(&lab, "b", "b-in2", "10.1.0.129/25");
    wait_degraded(&daemon, "b", "10.1.0.0/24");
    assert!(routes(&lab, "b").contains("10.1.0.0/24"));
    lab.nbctl(&["lrp-del", "b-in2"]);
    daemon.wait_until("no complaint", |halves| {
        let fine = halves.iter().all(|half| half["degraded"].as_array().is_some_and(Vec::is_empty));
        if fine { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    assert_eq!(routes(&lab, "b"), before);
}
