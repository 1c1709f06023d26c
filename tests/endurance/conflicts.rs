//! What stands against a peering is found before writing, named, and forgotten once it is gone
//! (S1.5, S1.6, S1.7, S2.6, S3.5, S3.6, B3).

use crate::lab::Lab;
use crate::lab::daemon::Daemon;

fn half(name: &str, target: &str) -> String {
    format!(
        "[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_project = \"{target}\"\ntarget_network = \"n\"\n"
    )
}

fn router(lab: &Lab, name: &str, network: &str) {
    let port = format!("{name}-in");
    lab.nbctl(&["lr-add", name, "--", "lrp-add", name, &port, &lab.fresh_mac(), network]);
}

/// Networks of projects of the same names; `a` and `b` have declared each other.
fn declared(lab: &Lab, networks: &[(&str, &str)]) -> Daemon {
    let daemon = Daemon::start(lab);
    for (name, network) in networks {
        router(lab, name, network);
        daemon.bind_network(name, "n", name);
    }
    daemon.declare("a", &half("to-b", "b"));
    daemon.declare("b", &half("to-a", "a"));
    daemon
}

fn failed(daemon: &Daemon, project: &str, name: &str, reason: &str, words: &[&str]) {
    let what = format!("{project}/{name} failed for {reason}");
    daemon.wait_until(&what, |halves| {
        let half = halves
            .iter()
            .find(|half| half["project"] == project && half["name"] == name)
            .ok_or("no such half")?;
        let told = half["explanation"].as_str().unwrap_or_default();
        let right = half["state"] == "failed"
            && half["reason"] == reason
            && words.iter().all(|word| told.contains(word));
        if right { Ok(()) } else { Err(half.to_string()) }
    });
}

fn link_ports(lab: &Lab) -> usize {
    let ports = lab.nbctl(&["--bare", "--columns=name", "find", "Logical_Router_Port", "peer!=[]"]);
    ports.split_whitespace().count()
}

#[test]
fn s1_6_s1_7_s2_6_s3_5_overlapping_networks_are_refused_until_they_do_not_overlap() {
    let lab = Lab::databases_only();
    let daemon = declared(&lab, &[("a", "10.1.0.1/24"), ("b", "10.1.0.129/25")]);
    failed(&daemon, "a", "to-b", "conflict-subnet", &["10.1.0.128/25", "10.1.0.0/24", "a-in"]);
    failed(&daemon, "b", "to-a", "conflict-subnet", &["10.1.0.128/25", "10.1.0.0/24", "b-in"]);
    assert_eq!(link_ports(&lab), 0);
    lab.nbctl(&["set", "Logical_Router_Port", "b-in", "networks=10.2.0.1/24"]);
    daemon.wait_state("a", "n", "to-b", "active");
    daemon.wait_state("b", "n", "to-a", "active");
}

#[test]
fn b3_a_route_in_the_way_is_named_and_may_leave() {
    let lab = Lab::databases_only();
    router(&lab, "a", "10.1.0.1/24");
    lab.nbctl(&["lr-route-add", "a", "10.2.0.0/24", "10.1.0.9"]);
    router(&lab, "b", "10.2.0.1/24");
    let daemon = Daemon::start(&lab);
    for name in ["a", "b"] {
        daemon.bind_network(name, "n", name);
    }
    daemon.declare("a", &half("to-b", "b"));
    daemon.declare("b", &half("to-a", "a"));
    failed(&daemon, "a", "to-b", "conflict-subnet", &["10.2.0.0/24 via 10.1.0.9", "router a"]);
    // The other side learns which prefix of its own it is, and nothing of a's rows.
    failed(&daemon, "b", "to-a", "conflict-subnet", &["10.2.0.0/24", "in use"]);
    lab.nbctl(&["lr-route-del", "a", "10.2.0.0/24"]);
    daemon.wait_state("a", "n", "to-b", "active");
    // Later, the same route does not cut what stands: it is named.
    lab.nbctl(&["lr-route-add", "a", "10.2.0.0/25", "10.1.0.9"]);
    daemon.wait_until("degraded", |halves| {
        let half = halves.iter().find(|half| half["project"] == "a").ok_or("no half")?;
        let named = half["degraded"].to_string().contains("10.2.0.0/25");
        if half["state"] == "active" && named { Ok(()) } else { Err(half.to_string()) }
    });
    assert_eq!(link_ports(&lab), 2);
}

#[test]
fn s1_5_one_peering_between_the_same_two_and_no_two_peers_that_overlap() {
    let lab = Lab::databases_only();
    let networks = [("a", "10.1.0.1/24"), ("b", "10.2.0.1/24"), ("c", "10.2.0.129/25")];
    let daemon = declared(&lab, &networks);
    daemon.wait_state("a", "n", "to-b", "active");
    daemon.declare("a", &(half("to-b", "b") + &half("again", "b") + &half("to-c", "c")));
    daemon.declare("c", &half("to-a", "a"));
    failed(&daemon, "a", "again", "peering-conflict", &["to-b"]);
    failed(&daemon, "a", "to-c", "conflict-subnet", &["10.2.0.128/25", "10.2.0.0/24", "b/n"]);
    failed(&daemon, "c", "to-a", "conflict-subnet", &["10.2.0.128/25", "in use"]);
    let told = daemon.half("c", "n", "to-a").expect("a half").to_string();
    assert!(
        !told.contains("b/n") && !told.contains("10.2.0.0/24"),
        "a third network is named: {told}"
    );
    daemon.wait_state("a", "n", "to-b", "active");
    assert_eq!(link_ports(&lab), 2);
    // The one that stood leaves: the other takes its place by itself.
    daemon.withdraw("b");
    daemon.wait_state("c", "n", "to-a", "active");
}

#[test]
fn routers_that_cannot_be_linked_say_so_and_recover() {
    let lab = Lab::databases_only();
    let daemon = declared(&lab, &[("a", "10.1.0.1/24"), ("b", "10.2.0.1/24")]);
    daemon.wait_state("a", "n", "to-b", "active");
    lab.nbctl(&["set", "Logical_Router", "b", "options:chassis=gw"]);
    failed(&daemon, "b", "to-a", "unsupported-router", &["gateway router"]);
    failed(&daemon, "a", "to-b", "unsupported-router", &["b/n"]);
    lab.nbctl(&["remove", "Logical_Router", "b", "options", "chassis"]);
    daemon.wait_state("a", "n", "to-b", "active");
    lab.nbctl(&["lr-del", "b"]);
    failed(&daemon, "b", "to-a", "missing-local-router", &["b"]);
    failed(&daemon, "a", "to-b", "missing-peer-router", &["b/n"]);
    router(&lab, "b", "10.2.0.1/24");
    daemon.wait_state("a", "n", "to-b", "active");
    daemon.wait_state("b", "n", "to-a", "active");
    daemon.write(
        "networks.d/zones.toml",
        "[[network]]\nproject = \"a\"\nname = \"n\"\nrouter = \"a\"\nzone = \"az1\"\n",
    );
    daemon.unbind_network("a", "n");
    daemon.write(
        "networks.d/zones.toml",
        "[[network]]\nproject = \"a\"\nname = \"n\"\nrouter = \"a\"\ntype = \"public\"\n",
    );
    failed(&daemon, "a", "to-b", "type-not-private", &["public"]);
    failed(&daemon, "b", "to-a", "type-not-private", &["a/n"]);
}
