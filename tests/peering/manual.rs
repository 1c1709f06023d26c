//! Routes that their owners make: the peering is the target, and each side makes its own (S1.14, S1.28-S1.30).

use serde_json::Value;

use crate::filters::{show, wait_routed};
use crate::lab::Lab;
use crate::lab::host::Host;
use crate::owned::{contents, link_rows, linked_prefixes};
use crate::tenants::{BLUE, GREEN, Tenants, flaws, half};

const MANUAL: &str = "routes = \"manual\"\n";

/// A route to a prefix over a half of a network, with more keys.
fn route(network: &str, peering: &str, destination: &str, more: &str) -> String {
    format!(
        "[[route]]\nnetwork = \"{network}\"\npeering = \"{peering}\"\ndestination = \"{destination}\"\n{more}\n"
    )
}

fn blue(tenants: &Tenants, routes: &[(&str, &str)]) {
    let routes: String = routes.iter().map(|(to, more)| route("web", "to-db", to, more)).collect();
    tenants.daemon.declare("blue", &(half("to-db", "web", "green/db") + MANUAL + &routes));
}

fn green(tenants: &Tenants, routes: &[(&str, &str)]) {
    let routes: String = routes.iter().map(|(to, more)| route("db", "to-web", to, more)).collect();
    tenants.daemon.declare("green", &(half("to-web", "db", "blue/web") + MANUAL + &routes));
}

/// S1.14, S1.28: an active peering without routes carries nothing; each owner makes the way in its own direction.
#[test]
fn both_owners_make_routes_with_the_peering_as_target() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    blue(&tenants, &[]);
    green(&tenants, &[]);
    tenants.wait_active();
    lab.settle();
    assert_eq!(link_rows(&lab.dump()).len(), 8, "two ports and six policies, and no route");
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    blue(&tenants, &[("10.2.0.0/24", ""), ("fd02::/64", "")]);
    wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64"]);
    tenants.wait_active();
    lab.sync();
    // Packets arrive, and nothing comes back: the other owner has not made the route yet.
    let seen = b1.capture(&format!("icmp and src {}", a1.v4()));
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    assert!(!seen.stop().is_empty(), "the way there is made");
    green(&tenants, &[("10.1.0.0/24", "")]);
    wait_routed(&lab, "b", &["10.1.0.0/24"]);
    tenants.wait_active();
    lab.sync();
    a1.assert_reach_all(&[b1.v4()]);
    b1.assert_reach_all(&[a1.v4()]);
    a1.assert_reach_none(&[b1.v6()]);
    green(&tenants, &[("10.1.0.0/24", ""), ("fd01::/64", "")]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    lab.sync();
    a1.assert_reaches(&b1);
    b1.assert_tcp(&a1);
    // Of one side by hand, of the other by itself: the same rows as if both did it by themselves.
    let by_hand = contents(&lab.dump());
    tenants.peer();
    let without_records = |all: &std::collections::BTreeSet<String>| {
        all.iter().filter(|row| !row.starts_with("Address_Set")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(without_records(&contents(&lab.dump())), without_records(&by_hand));
    // A part of what is announced, and nothing else of it.
    blue(&tenants, &[("10.2.0.0/28", "")]);
    wait_routed(&lab, "a", &["10.2.0.0/28"]);
    tenants.wait_active();
    lab.sync();
    a1.assert_reach_all(&[b1.v4()]);
    a1.assert_reach_none(&[b1.v6(), tenants.b.router_addresses()[1]]);
    blue(&tenants, &[("10.2.0.128/25", "")]);
    wait_routed(&lab, "a", &["10.2.0.128/25"]);
    tenants.wait_active();
    lab.sync();
    a1.assert_reach_none(&[b1.v4()]);
    lab.assert_all_matches_parse();
}

/// S1.29: the route tables of subnets. Who looks up another table has no way.
#[test]
fn a_manual_route_is_for_a_table_or_for_a_subnet() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24 fd11::/64"], &[GREEN]);
    lab.nbctl(&["set", "Logical_Router_Port", "a-r1", "options:route_table=special"]);
    let main = lab.add_guest(&tenants.a, "a1", 0);
    let special = lab.add_guest_in(&tenants.a.subnets[1], "a2", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    tenants.green_declares();
    for (more, reaches, lost) in [
        ("route_table = \"special\"", &special, &main),
        ("route_table = \"<main>\"", &main, &special),
        ("subnet = \"10.11.0.0/24\"", &special, &main),
        ("subnet = \"fd01::/64\"", &main, &special),
    ] {
        blue(&tenants, &[("10.2.0.0/24", more), ("fd02::/64", more)]);
        wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64"]);
        tenants.wait_active();
        lab.settle();
        reaches.assert_reaches(&b1);
        b1.assert_tcp(reaches);
        lost.assert_isolated_from(&b1);
    }
    // A table that no subnet looks up: it waits, and comes when one does.
    blue(&tenants, &[("10.2.0.0/24", "route_table = \"later\"")]);
    wait_routed(&lab, "a", &[]);
    let shown = show(&tenants, "blue", "web", "to-db");
    let told = &shown["manual_routes"][0];
    assert_eq!(told["installed"], false, "{shown}");
    assert!(told["explanation"].to_string().contains("later"), "{shown}");
    lab.nbctl(&["set", "Logical_Router_Port", "a-r1", "options:route_table=later"]);
    wait_routed(&lab, "a", &["10.2.0.0/24"]);
    tenants.wait_active();
}

/// S1.30: Outscale recommends waiting until a peering is active before a route is made. Here the route waits by itself, and
/// says so: while nobody has answered, while the other side is down, and for what it does not announce.
#[test]
fn a_route_to_a_peering_that_is_not_active_waits_and_says_so() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let told = |wanted: &str| {
        let shown = show(&tenants, "blue", "web", "to-db");
        let route = &shown["manual_routes"][0];
        assert_eq!(route["installed"], false, "{shown}");
        assert!(route["explanation"].as_str().is_some_and(|it| it.contains(wanted)), "{shown}");
    };
    blue(&tenants, &[("10.2.0.0/24", "")]);
    tenants.wait_blue("pending-peer");
    told("pending-peer");
    assert_eq!(linked_prefixes(&lab.dump(), "a"), [""; 0]);
    tenants.green_declares();
    tenants.wait_active();
    wait_routed(&lab, "a", &["10.2.0.0/24"]);
    let shown = show(&tenants, "blue", "web", "to-db");
    assert_eq!(shown["manual_routes"][0]["installed"], true, "{shown}");
    assert_eq!(shown["routes"], "manual");
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    told("disconnected");
    wait_routed(&lab, "a", &[]);
    tenants.green_declares();
    tenants.wait_active();
    wait_routed(&lab, "a", &["10.2.0.0/24"]);
    // Active, but to nowhere that the other side announces.
    let waits = |wanted: &str| {
        tenants.daemon.wait_until(&format!("the route waits: {wanted}"), |halves| {
            let half: &Value =
                halves.iter().find(|half| half["project"] == "blue").ok_or("no half")?;
            let flaws = flaws(half).join("; ");
            if flaws.contains(wanted) { Ok(()) } else { Err(half.to_string()) }
        });
    };
    blue(&tenants, &[("10.3.0.0/24", "")]);
    waits("the route to 10.3.0.0/24 waits");
    wait_routed(&lab, "a", &[]);
    told("green/db");
    lab.nbctl(&["lrp-add", "b", "b-r7", "0a:00:00:00:00:77", "10.3.0.1/24"]);
    wait_routed(&lab, "a", &["10.3.0.0/24"]);
    tenants.wait_active();
    // Somebody's own route to the same is not joined.
    tenants.hear_of(|| lab.nbctl(&["lr-route-add", "a", "10.2.0.64/26", "10.1.0.99"]));
    blue(&tenants, &[("10.2.0.64/26", "")]);
    waits("10.2.0.64/26 via 10.1.0.99");
    wait_routed(&lab, "a", &[]);
    lab.nbctl(&["lr-route-del", "a", "10.2.0.64/26"]);
    wait_routed(&lab, "a", &["10.2.0.64/26"]);
    tenants.wait_active();
    // One that stands is kept when such a one appears, over a restart too.
    lab.nbctl(&["--ecmp", "lr-route-add", "a", "10.2.0.64/26", "10.1.0.99"]);
    waits("10.2.0.64/26 via 10.1.0.99");
    let rows = contents(&lab.dump());
    tenants.daemon.restart();
    waits("10.2.0.64/26 via 10.1.0.99");
    assert_eq!(contents(&lab.dump()), rows);
}
