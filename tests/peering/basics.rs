//! The life of a peering, with packets: asked for, agreed to, disabled, withdrawn, renewed.

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::topology::Nat;
use crate::owned::{foreign, link_rows, owned};
use crate::tenants::{Tenants, disabled, half, wait_all_active};

/// S0.3, S0.9, S0.18, S1.2, S1.3, S1.11, S1.13, S2.28-S2.31, S3.1, S3.2, S3.9.
#[test]
fn s0_3_s0_4_s2_28_both_halves_make_a_path_and_one_alone_does_not() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    let before = lab.dump().without_counters();
    let apart = || {
        lab.sync();
        a1.assert_reach_all(&tenants.a.router_addresses());
        b1.assert_reach_all(&tenants.b.router_addresses());
        a1.assert_isolated_from(&b1);
        b1.assert_isolated_from(&a1);
        a1.assert_no_tcp(&b1);
        b1.assert_no_tcp(&a1);
        assert_eq!(link_rows(&lab.dump()).len(), 0, "no port, route or policy");
    };
    let together = || {
        a1.assert_reaches(&b1);
        b1.assert_reaches(&a1);
        a1.assert_tcp(&b1);
        b1.assert_tcp(&a1);
        a1.assert_reach_all(&tenants.b.router_addresses());
        lab.assert_all_matches_parse();
    };
    apart();
    tenants.blue_declares();
    let asked = tenants.wait_blue("pending-peer");
    assert_eq!(asked["reason"], "awaiting-peer");
    assert!(asked["next_step"].as_str().is_some_and(|s| s.contains("green/db")), "{asked}");
    apart();
    foreign(&lab).assert_same_as(&before);
    tenants.green_declares();
    tenants.wait_active();
    together();
    tenants.daemon.withdraw("green");
    assert_eq!(tenants.wait_blue("disconnected")["reason"], "peer-withdrew");
    apart();
    tenants.green_declares();
    tenants.wait_active();
    together();
    tenants.daemon.withdraw("blue");
    tenants.wait_green("disconnected");
    apart();
    tenants.daemon.withdraw("green");
    tenants.daemon.wait_until("no half is left", |halves| {
        if halves.is_empty() { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    apart();
    let after = lab.dump();
    let left = owned(&after);
    assert!(left.is_empty(), "nothing of ours is left: {left:?}");
    after.without_counters().assert_same_as(&before);
}

/// S0.2, S2.4, S2.11, S2.14, S3.4: the negative is the way that the packets take when they are not peered.
#[test]
fn s0_2_s2_14_peered_traffic_keeps_off_the_uplink() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    for network in [&tenants.a, &tenants.b] {
        lab.add_uplink(network, Nat::None);
    }
    lab.settle();
    let outside = lab.outside();
    a1.assert_reaches(&outside);
    let filter = |from: &Host, to: &Host| {
        let one = |s, d| format!("(src {s} and dst {d})");
        format!("{} or {}", one(from.v4(), to.v4()), one(from.v6(), to.v6()))
    };
    for (from, to) in [(&a1, &b1), (&b1, &a1)] {
        let unpeered = outside.capture(&filter(from, to));
        for address in [to.v4(), to.v6()] {
            from.ping(address, Default::default());
        }
        let seen = unpeered.sees_something(std::time::Duration::from_secs(5));
        assert!(seen, "without a peering {}'s packets go to the uplink", from.name);
    }
    tenants.peer();
    lab.sync();
    let all = format!("({}) or ({})", filter(&a1, &b1), filter(&b1, &a1));
    let uplink = outside.capture(&all);
    a1.assert_reaches(&b1);
    b1.assert_reaches(&a1);
    a1.assert_tcp(&b1);
    // What follows on the same wire has been seen, so what came before would have been.
    let control = outside.capture("icmp or icmp6");
    a1.assert_reaches(&outside);
    assert!(control.sees_something(std::time::Duration::from_secs(5)), "the capture works");
    assert_eq!(uplink.stop(), Vec::<String>::new(), "nothing of the peering is on the uplink");
    lab.assert_all_matches_parse();
}

/// S0.5-S0.9, S0.12, S0.13, S0.18, S0.19, S1.1, S1.2, S1.4, S3.12: names of one's own, many peerings for a network.
#[test]
fn s0_5_s0_8_s0_9_s1_4_names_of_ones_own_within_and_across_projects() {
    let lab = Lab::single_chassis();
    let networks: Vec<_> = [("a", 1), ("b", 2), ("c", 3)]
        .map(|(name, n)| lab.add_network(name, &[&format!("10.{n}.0.0/24 fd0{n}::/64")]))
        .into();
    let guests: Vec<_> =
        networks.iter().map(|n| lab.add_guest(n, &format!("{}1", n.name), 0)).collect();
    lab.settle();
    let daemon = Daemon::start(&lab);
    daemon.bind_network("blue", "web", "a");
    daemon.bind_network("blue", "app", "b");
    daemon.bind_network("green", "db", "c");
    let described = "description = \"web \\\"tier\\\" to database\"\nconfig = { \"user.ticket\" = \"NET-42\" }\n";
    // The same name in two networks, another name than the other side's, and one that is a sentence.
    let blue = half("same name", "web", "blue/app")
        + &half("same name", "app", "blue/web")
        + &half("to-db", "web", "green/db")
        + described;
    daemon.declare("blue", &blue);
    daemon.declare("green", &half("our web; tier: №1", "db", "blue/web"));
    for (project, network, name) in [
        ("blue", "web", "same name"),
        ("blue", "app", "same name"),
        ("blue", "web", "to-db"),
        ("green", "db", "our web; tier: №1"),
    ] {
        daemon.wait_state(project, network, name, "active");
    }
    guests[0].assert_reaches(&guests[1]);
    guests[0].assert_reaches(&guests[2]);
    guests[1].assert_isolated_from(&guests[2]);
    guests[2].assert_isolated_from(&guests[1]);
    let shown = daemon.ctl(&["show", "blue", "web", "to-db", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["description"], "web \"tier\" to database");
    assert_eq!(shown["config"]["user.ticket"], "NET-42");
    assert_eq!(shown["local_prefixes"], serde_json::json!(["10.1.0.0/24", "fd01::/64"]));
    assert_eq!(shown["remote_prefixes"], serde_json::json!(["10.3.0.0/24", "fd03::/64"]));
    // A name and a description are the tenant's business: neither a port nor a route hears of them.
    let before: Vec<_> = link_rows(&lab.dump()).into_iter().map(|row| row.uuid).collect();
    let renamed = half("same name", "web", "blue/app")
        + &half("same name", "app", "blue/web")
        + &half("database", "web", "green/db")
        + "description = \"another\"\n";
    daemon.declare("blue", &renamed);
    let half = daemon.wait_state("blue", "web", "database", "active");
    assert_eq!(half["description"], "another");
    assert!(daemon.half("blue", "web", "to-db").is_none(), "the old name is gone");
    let after: Vec<_> = link_rows(&lab.dump()).into_iter().map(|row| row.uuid).collect();
    assert_eq!(after, before, "the link's rows are the same");
    guests[0].assert_reaches(&guests[2]);
}

/// S3.12: administratively down, from either side, and up again.
#[test]
fn s3_12_disabled_here_is_peer_disabled_there() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    let daemon = &tenants.daemon;
    tenants.peer();
    a1.assert_reaches(&b1);
    let down = || {
        lab.sync();
        a1.assert_reach_all(&tenants.a.router_addresses());
        a1.assert_isolated_from(&b1);
        b1.assert_isolated_from(&a1);
        assert_eq!(link_rows(&lab.dump()).len(), 0);
    };
    daemon.declare("blue", &disabled("to-db", "web", "green/db"));
    tenants.wait_blue("disabled");
    tenants.wait_green("peer-disabled");
    down();
    daemon.declare("green", &disabled("to-web", "db", "blue/web"));
    tenants.wait_green("disabled");
    tenants.blue_declares();
    tenants.wait_blue("peer-disabled");
    down();
    tenants.green_declares();
    wait_all_active(daemon);
    a1.assert_reaches(&b1);
    a1.assert_tcp(&b1);
}
