//! What stands against a peering is found, named, and gone by itself when its cause is gone.

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::owned::{foreign, link_rows};
use crate::tenants::{BLUE, GREEN, Tenants, assert_says, half, status};

/// Waits until both halves are `failed`, and gives blue's and green's.
#[track_caller]
fn both_failed(tenants: &Tenants) -> (Value, Value) {
    (tenants.wait_blue("failed"), tenants.wait_green("failed"))
}

/// Asserts that nothing has been written for a peering that cannot be.
#[track_caller]
fn assert_no_link(lab: &Lab) {
    assert_eq!(link_rows(&lab.dump()).len(), 0, "no port, route or policy");
}

#[test]
fn overlap_is_refused_with_both_prefixes_named() {
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.9.0.0/16"], &[GREEN, "10.9.7.0/24"]);
    tenants.both_declare();
    let (blue, green) = both_failed(&tenants);
    assert_says(&blue, "conflict-subnet", &["10.9.7.0/24", "10.9.0.0/16", "a-r1", "green/db"]);
    assert_says(&green, "conflict-subnet", &["10.9.7.0/24", "10.9.0.0/16", "b-r1", "blue/web"]);
    assert_no_link(&lab);
    lab.nbctl(&["lrp-del", "b-r1"]);
    tenants.wait_active();
}

#[test]
fn overlap_in_ip6_alone_is_refused() {
    let lab = Lab::databases_only();
    let tenants =
        Tenants::with_subnets(&lab, &["10.1.0.0/24 fd01::/48"], &["10.2.0.0/24 fd01:0:0:7::/64"]);
    tenants.both_declare();
    let (blue, _) = both_failed(&tenants);
    assert_says(&blue, "conflict-subnet", &["fd01:0:0:7::/64", "fd01::/48"]);
    assert_no_link(&lab);
    lab.nbctl(&["set", "Logical_Router_Port", "b-r0", "networks=\"10.2.0.1/24\""]);
    tenants.wait_active();
}

#[test]
fn a_static_route_to_the_same_prefix_is_refused_and_named() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.hear_of(|| lab.nbctl(&["lr-route-add", "a", "10.2.0.0/24", "10.1.0.99"]));
    tenants.both_declare();
    let (blue, green) = both_failed(&tenants);
    assert_says(&blue, "conflict-subnet", &["10.2.0.0/24 via 10.1.0.99", "router a"]);
    // The other side learns which prefix of its own is in the way, not by what.
    assert_says(&green, "conflict-subnet", &["10.2.0.0/24", "blue/web"]);
    assert!(!green.to_string().contains("10.1.0.99"), "{green}");
    assert_no_link(&lab);
    lab.nbctl(&["lr-route-del", "a", "10.2.0.0/24"]);
    tenants.wait_active();
}

/// OVN takes a route with host bits set for its network, after a recompute.
#[test]
fn a_static_route_with_host_bits_is_the_same_clash() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.hear_of(|| {
        lab.nbctl_batch(
            "--id=@r create Logical_Router_Static_Route ip_prefix=10.2.0.7/24 nexthop=discard\n\
         add Logical_Router a static_routes @r",
        )
    });
    tenants.both_declare();
    let (blue, _) = both_failed(&tenants);
    assert_says(&blue, "conflict-subnet", &["10.2.0.7/24", "router a"]);
    assert_no_link(&lab);
    lab.nbctl(&["clear", "Logical_Router", "a", "static_routes"]);
    tenants.wait_active();
}

#[test]
fn a_prefix_in_use_on_an_uplink_is_refused() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.hear_of(|| {
        lab.nbctl_batch(
            "lrp-add a a-up 0a:00:00:00:00:77 10.2.0.200/16\nlrp-set-gateway-chassis a-up hv1",
        )
    });
    tenants.both_declare();
    let (blue, _) = both_failed(&tenants);
    assert_says(&blue, "conflict-subnet", &["10.2.0.0/24", "10.2.0.0/16", "a-up"]);
    assert_no_link(&lab);
    lab.nbctl(&["lrp-del", "a-up"]);
    tenants.wait_active();
}

/// What others route beside a standing peering is told, and not touched.
#[test]
fn what_takes_traffic_away_degrades_and_is_named() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    for (add, remove, named) in [
        ("lr-route-add a 10.2.0.128/25 10.1.0.99", "lr-route-del a 10.2.0.128/25", "10.2.0.128/25"),
        ("lr-route-add a fd02::/65 fd01::99", "lr-route-del a fd02::/65", "fd02::/65"),
        (
            "--policy=src-ip lr-route-add a 10.1.0.0/25 10.1.0.99",
            "--policy=src-ip lr-route-del a 10.1.0.0/25",
            "10.1.0.0/25",
        ),
        (
            "lr-policy-add a 31000 'ip4.dst == 10.2.0.0/16' reroute 10.1.0.99",
            "lr-policy-del a 31000",
            "31000",
        ),
    ] {
        lab.nbctl_batch(add);
        let theirs = foreign(&lab);
        tenants.daemon.wait_until(&format!("{named} is told"), |halves| {
            let blue = halves.iter().find(|h| h["project"] == "blue").ok_or("no half")?;
            let told = blue["degraded"].to_string().contains(named);
            if told && blue["state"] == "active" { Ok(()) } else { Err(blue.to_string()) }
        });
        foreign(&lab).assert_same_as(&theirs);
        lab.nbctl_batch(remove);
        tenants.wait_active();
    }
}

/// B3: where a part of what a side announces leads elsewhere, both sides are told; the other one of what
/// was announced to it, and of nothing else.
#[test]
fn a_narrower_route_at_the_side_that_announces_degrades_both() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.nbctl_batch(
        "lrp-add a a-up 0a:00:00:00:00:71 172.31.0.1/24 fd31::1/64\n\
         lrp-set-gateway-chassis a-up hv1",
    );
    tenants.wait_active();
    let rows = link_rows(&lab.dump()).len();
    let narrower = [
        ("lr-route-add a 10.1.0.128/25 172.31.0.254", "10.1.0.128/25", "10.1.0.0/24"),
        ("lr-route-add a 10.1.0.64/26 discard", "10.1.0.64/26", "10.1.0.0/24"),
        ("lr-route-add a fd01::8000/113 fd31::fe a-up", "fd01::8000/113", "fd01::/64"),
    ];
    for (add, route, announced) in narrower {
        lab.nbctl_batch(add);
        let (blue, green) = tenants.daemon.wait_until(&format!("{route} is told"), |halves| {
            let of = |project: &str| {
                let half = halves.iter().find(|half| half["project"] == project);
                half.cloned().ok_or_else(|| format!("{halves:?}"))
            };
            let (blue, green) = (of("blue")?, of("green")?);
            let told = |half: &Value, words: &[&str]| {
                let text = half["degraded"].to_string();
                half["state"] == "active" && words.iter().all(|word| text.contains(word))
            };
            if told(&blue, &[route, announced]) && told(&green, &[announced, "blue/web"]) {
                Ok((blue, green))
            } else {
                Err(format!("{blue} {green}"))
            }
        });
        for secret in [route, "172.31", "fd31", "router a"] {
            assert!(!green.to_string().contains(secret), "green learns of {secret}: {green}");
        }
        assert!(blue.to_string().contains("router a"), "{blue}");
        assert_eq!(link_rows(&lab.dump()).len(), rows, "the peering stands as it was");
        lab.nbctl(&["lr-route-del", "a", route]);
        tenants.wait_active();
    }
    // To a guest, in a table of its own, or not narrower: that takes nothing away.
    tenants.hear_of(|| {
        lab.nbctl_batch(
            "lr-route-add a 10.1.0.0/25 10.1.0.10\n\
             --route-table=special lr-route-add a 10.1.0.128/25 172.31.0.254",
        );
    });
    tenants.daemon.wait_quiet();
    tenants.wait_active();
}

/// A standing peering keeps what it routes when a clash appears later: to cut what works is worse.
#[test]
fn a_clash_that_appears_later_degrades() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let rows = link_rows(&lab.dump()).len();
    lab.nbctl(&["--ecmp", "lr-route-add", "a", "10.2.0.0/24", "10.1.0.99"]);
    tenants.daemon.wait_until("the clash is told to both", |halves| {
        let told =
            |h: &Value| h["state"] == "active" && h["degraded"].to_string().contains("10.2.0.0/24");
        if halves.iter().all(told) { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    assert_eq!(link_rows(&lab.dump()).len(), rows, "the peering stands");
    lab.nbctl(&["lr-route-del", "a", "10.2.0.0/24", "10.1.0.99"]);
    tenants.wait_active();
    assert_eq!(link_rows(&lab.dump()).len(), rows);
}

#[test]
fn a_second_half_for_the_same_network_conflicts() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let rows = link_rows(&lab.dump()).len();
    let (first, second) = (half("to-db", "web", "green/db"), half("again", "web", "green/db"));
    tenants.daemon.declare("blue", &format!("{first}{second}"));
    let surplus = tenants.daemon.wait_state("blue", "web", "again", "failed");
    assert_says(&surplus, "peering-conflict", &["to-db", "green/db"]);
    assert_eq!(tenants.wait_blue("active")["reason"], Value::Null, "the first is not disturbed");
    assert_eq!(link_rows(&lab.dump()).len(), rows);
    tenants.daemon.declare("blue", &second);
    tenants.daemon.wait_state("blue", "web", "again", "active");
    assert_eq!(link_rows(&lab.dump()).len(), rows);
}

/// Nobody learns of a third network: green is blue's peer, and red only hears that a prefix of its own is in use.
#[test]
fn overlap_with_another_peer_is_refused_without_naming_it_to_strangers() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    lab.add_network("c", &["10.2.0.128/25 fd02::/64"]);
    tenants.daemon.bind_network("red", "copy", "c");
    tenants.peer();
    let both = half("to-db", "web", "green/db") + &half("to-copy", "web", "red/copy");
    tenants.daemon.declare("blue", &both);
    tenants.daemon.declare("red", &half("to-web", "copy", "blue/web"));
    let red = tenants.daemon.wait_state("red", "copy", "to-web", "failed");
    let blue = tenants.daemon.wait_state("blue", "web", "to-copy", "failed");
    assert_says(&blue, "conflict-subnet", &["10.2.0.128/25", "10.2.0.0/24", "green/db"]);
    assert_says(&red, "conflict-subnet", &["10.2.0.128/25", "blue/web"]);
    for secret in ["green", "10.2.0.0/24"] {
        assert!(!red.to_string().contains(secret), "red learns of {secret}: {red}");
    }
    tenants.wait_blue("active");
    tenants.daemon.withdraw("green");
    tenants.daemon.wait_state("red", "copy", "to-web", "active");
    tenants.daemon.wait_state("blue", "web", "to-copy", "active");
    tenants.wait_blue("disconnected");
    // Who comes back finds the prefix taken, and waits.
    tenants.green_declares();
    tenants.wait_green("failed");
    tenants.daemon.withdraw("red");
    tenants.wait_green("active");
}

#[test]
fn a_missing_router_is_reported_to_both_and_awaited() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.daemon.bind_network("green", "db", "later");
    tenants.both_declare();
    let (blue, green) = both_failed(&tenants);
    assert_says(&green, "missing-local-router", &["later", "green/db"]);
    assert_says(&blue, "missing-peer-router", &["green/db"]);
    assert!(!blue.to_string().contains("later"), "blue learns a name of green's router: {blue}");
    assert_no_link(&lab);
    lab.add_network("later", &["10.7.0.0/24"]);
    tenants.wait_active();
    // It goes, and with it the peering; it returns under another UUID.
    lab.nbctl(&["lr-del", "later"]);
    let (blue, _) = both_failed(&tenants);
    assert_says(&blue, "missing-peer-router", &[]);
    assert_no_link(&lab);
    lab.nbctl_batch("lr-add later\nlrp-add later later-r1 0a:00:00:00:00:78 10.8.0.1/24");
    tenants.wait_active();
    tenants.daemon.unbind_network("green", "db");
    let (_, green) = both_failed(&tenants);
    assert_says(&green, "missing-local-router", &["green/db"]);
    tenants.daemon.bind_network("green", "db", "b");
    tenants.wait_active();
}

/// Writes green's binding with one more key.
fn bind_green(daemon: &Daemon, more: &str) {
    let text = format!("[[network]]\nproject = \"green\"\nname = \"db\"\nrouter = \"b\"\n{more}\n");
    daemon.write("networks.d/green-db.toml", &text);
}

#[test]
fn zone_region_and_type_must_fit() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let blue = "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"a\"\nzone = \"az1\"\nregion = \"north\"\n";
    tenants.daemon.write("networks.d/blue-web.toml", blue);
    tenants.peer();
    for (more, reason) in [
        ("zone = \"az2\"", "zone-mismatch"),
        ("region = \"south\"", "region-mismatch"),
        ("type = \"public\"", "type-not-private"),
    ] {
        bind_green(&tenants.daemon, more);
        let (blue, green) = both_failed(&tenants);
        assert_says(&blue, reason, &[]);
        assert_says(&green, reason, &[]);
        assert_no_link(&lab);
        bind_green(&tenants.daemon, "zone = \"az1\"\nregion = \"north\"");
        tenants.wait_active();
    }
}

#[test]
fn no_subnet_and_no_common_family() {
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &["10.1.0.0/24"], &["fd02::/64"]);
    tenants.both_declare();
    let (blue, _) = both_failed(&tenants);
    assert_says(&blue, "no-subnet", &["green/db", "family"]);
    lab.nbctl(&["lrp-del", "b-r0"]);
    tenants.daemon.wait_until("green has no subnet", |halves| {
        let green = halves.iter().find(|h| h["project"] == "green").ok_or("no half")?;
        let told = green["explanation"].as_str().is_some_and(|e| e.contains("no inward port"));
        if told { Ok(()) } else { Err(green.to_string()) }
    });
    assert_no_link(&lab);
    lab.nbctl(&["lrp-add", "b", "b-r5", "0a:00:00:00:00:79", "10.5.0.1/24"]);
    tenants.wait_active();
}

#[test]
fn a_network_does_not_peer_with_itself() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let text = half("to-db", "web", "green/db") + &half("self", "web", "blue/web");
    tenants.daemon.declare("blue", &text);
    crate::lab::command::poll("it is refused", std::time::Duration::from_secs(10), || {
        let told = status(&tenants.daemon)["diagnostics"].to_string();
        if told.contains("itself") { Ok(()) } else { Err(told) }
    });
    tenants.wait_active();
}
