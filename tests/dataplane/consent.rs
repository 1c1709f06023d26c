//! Consent: one half writes nothing that carries packets, two halves are a path, and whoever leaves
//! closes it (S0.1-S0.11, S0.18, S1.2, S1.4, S2.28-S2.31, S3.12).

use serde_json::Value;

use crate::ground::{Tenant, bind, halves, wait_active};
use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::on_every_lab;

on_every_lab!(
    s0_1_s0_3_s0_4_s0_9_s2_28_both_must_declare_and_either_may_leave,
    s0_8_s1_4_several_peers_of_one_network_in_one_project
);

/// How many rows of each kind on routers are ours.
fn rows(lab: &Lab) -> [usize; 3] {
    let dump = lab.dump();
    ["Logical_Router_Port", "Logical_Router_Static_Route", "Logical_Router_Policy"].map(|wanted| {
        dump.rows()
            .filter(|(table, _, row)| {
                let tags = row.get("external_ids").map(ToString::to_string).unwrap_or_default();
                *table == wanted && tags.contains("ovn-peerd")
            })
            .count()
    })
}

fn s0_1_s0_3_s0_4_s0_9_s2_28_both_must_declare_and_either_may_leave(lab: &Lab) {
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, at)| Tenant::new(lab, name, at));
    lab.settle();
    let daemon = Daemon::start(lab);
    bind(&daemon, &[&a, &b]);
    a.guest.assert_isolated_from(&b.guest);

    daemon.declare("a", &halves(&["b"]));
    let pending = daemon.wait_state("a", "net", "to-b", "pending-peer");
    for field in ["reason", "since", "next_step", "explanation"] {
        assert!(pending[field].is_string(), "{field} is missing: {pending}");
    }
    lab.sync();
    assert_eq!(rows(lab), [0, 0, 0], "S0.4: one side alone writes no port, route or policy");
    a.guest.assert_isolated_from(&b.guest);

    daemon.declare("b", &halves(&["a"]));
    wait_active(&daemon, "a", "b");
    assert_eq!(rows(lab), [2, 4, 6], "two ports, two routes and three policies a side");
    a.guest.assert_reaches(&b.guest);
    b.guest.assert_reaches(&a.guest);
    a.guest.assert_tcp(&b.guest);

    let disabled = halves(&["a"]) + "configured_status = \"disabled\"\n";
    daemon.declare("b", &disabled);
    daemon.wait_state("b", "net", "to-a", "disabled");
    daemon.wait_state("a", "net", "to-b", "peer-disabled");
    lab.sync();
    a.guest.assert_isolated_from(&b.guest);
    a.guest.assert_no_tcp(&b.guest);
    daemon.declare("b", &halves(&["a"]));
    wait_active(&daemon, "a", "b");
    a.guest.assert_reaches(&b.guest);

    daemon.withdraw("b");
    daemon.wait_state("a", "net", "to-b", "disconnected");
    lab.sync();
    assert_eq!(rows(lab), [0, 0, 0]);
    a.guest.assert_isolated_from(&b.guest);
    daemon.declare("b", &halves(&["a"]));
    wait_active(&daemon, "a", "b");
    a.guest.assert_reaches(&b.guest);
    a.guest.assert_tcp(&b.guest);
}

fn s0_8_s1_4_several_peers_of_one_network_in_one_project(lab: &Lab) {
    let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, at)| Tenant::new(lab, name, at));
    lab.settle();
    let daemon = Daemon::start(lab);
    for tenant in [&a, &b, &c] {
        daemon.bind_network("blue", tenant.name, tenant.network.router());
    }
    let half = |network: &str, name: &str, target: &str| {
        format!(
            "[[peering]]\nnetwork = \"{network}\"\nname = \"{name}\"\ntarget_project = \"blue\"\ntarget_network = \"{target}\"\n"
        )
    };
    // Names are each side's own, and need not agree (S0.5).
    let text = [
        half("a", "north", "b"),
        half("b", "the other one", "a"),
        half("a", "east", "c"),
        half("c", "a", "a"),
    ];
    daemon.declare("blue", &text.concat());
    for (network, name) in [("a", "north"), ("b", "the other one"), ("a", "east"), ("c", "a")] {
        daemon.wait_state("blue", network, name, "active");
    }
    a.guest.assert_reaches(&b.guest);
    a.guest.assert_reaches(&c.guest);
    b.guest.assert_isolated_from(&c.guest);
    let shown = daemon.ctl(&["show", "blue", "b", "the other one", "--format", "json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["remote_prefixes"], serde_json::json!(["10.1.0.0/24", "fd01::/64"]));
    assert!(shown["rows"].as_array().is_some_and(|rows| rows.len() == 6), "{shown}");
}

/// All that a half's owner can see of it, but for the names that the owner wrote.
fn seen(daemon: &Daemon, project: &str, target: &str) -> String {
    let name = format!("to-{target}");
    let half = daemon.wait_state(project, "net", &name, "pending-peer");
    let mut text = half.to_string();
    let since = half["since"].as_str().expect("since").to_owned();
    for own in [since.as_str(), &name, target] {
        text = text.replace(own, "*");
    }
    text
}

#[test]
fn s0_10_s0_11_an_unknown_target_looks_like_a_silent_one() {
    let lab = Lab::databases_only();
    for name in ["a", "silent"] {
        lab.nbctl(&[
            "lr-add",
            name,
            "--",
            "lrp-add",
            name,
            &format!("{name}-in"),
            &lab.fresh_mac(),
            "10.9.0.1/24",
        ]);
    }
    let daemon = Daemon::start(&lab);
    daemon.bind_network("a", "net", "a");
    daemon.bind_network("silent", "net", "silent");
    let mut seen_of = Vec::new();
    for target in ["silent", "unknown"] {
        let before = lab.northbound_transactions();
        daemon.declare("a", &halves(&[target]));
        // Even an overlap with the silent one is not told.
        seen_of.push((seen(&daemon, "a", target), lab.northbound_transactions() - before));
        daemon.withdraw("a");
        daemon.wait_until("nothing", |halves| {
            if halves.is_empty() { Ok(()) } else { Err("a half".to_owned()) }
        });
        let begin = std::time::Instant::now();
        while !lab.nbctl(&["--bare", "--columns=name", "list", "Address_Set"]).trim().is_empty() {
            assert!(begin.elapsed().as_secs() < 5, "the registration stays");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    assert_eq!(seen_of[0], seen_of[1]);
}
