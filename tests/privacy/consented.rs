//! After consent each side sees the other's prefixes, and nothing else of it; of a third network nothing, even where that one
//! is in the way.

use serde_json::Value;

use crate::lab::topology::Network;
use crate::site::{BLUE, BROWN, GREEN, PATIENCE, Site, Tenant, half};

/// Everything that a tenant can be shown of its halves.
fn seen_by(site: &Site, tenant: Tenant) -> String {
    let mut text = String::new();
    let list = site.json(tenant.uid, &["list"]);
    for half in list.as_array().unwrap() {
        let name = |key: &str| half[key].as_str().unwrap();
        let arguments = ["show", name("project"), name("network"), name("name")];
        text += &site.json(tenant.uid, &arguments).to_string();
        text += &String::from_utf8(site.ctl(tenant.uid, &arguments).stdout).unwrap();
    }
    text += &list.to_string();
    text + &String::from_utf8(site.ctl(tenant.uid, &["list"]).stdout).unwrap()
}

fn show(site: &Site, tenant: Tenant, network: &str, name: &str) -> Value {
    site.json(tenant.uid, &["show", tenant.project, network, name])
}

#[track_caller]
fn assert_absent(text: &str, words: &[&str]) {
    for word in words {
        assert!(!text.contains(word), "{word} is in {text}");
    }
}

/// Blue's network web, to be peered with green's db and with brown's lab, whose spaces overlap one another.
struct Three {
    site: Site,
    lab_network: Network,
}

/// Blue's and green's halves stand; brown has declared.
fn three() -> Three {
    let site = Site::new();
    site.lab.add_network("lrblue", &["10.1.0.0/24 fd01::/64"]);
    site.lab.add_network("lrgreen", &["10.2.0.0/24 fd02::/64"]);
    let lab_network = site.lab.add_network("lrbrown", &["10.2.0.128/25 fd03::/64"]);
    site.lab.add_network("lrspare", &["10.4.0.0/24 fd04::/64"]);
    let bind = |project: &str, name: &str, router: &str| {
        format!("[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n")
    };
    let networks = bind("blue", "web", "lrblue")
        + &bind("green", "db", "lrgreen")
        + &bind("brown", "lab", "lrbrown")
        + &bind("brown", "spare", "lrspare");
    site.operator_writes("networks.d/all.toml", &networks);
    site.declare(GREEN, &half("to-web", "db", "blue/web"));
    site.declare(BLUE, &half("to-db", "web", "green/db"));
    site.wait_state("blue/web/to-db", "active");
    site.wait_state("green/db/to-web", "active");
    Three { site, lab_network }
}

#[test]
fn each_side_sees_the_others_prefixes_and_nothing_else_of_it() {
    let Three { site, .. } = three();
    let blue = show(&site, BLUE, "web", "to-db");
    let mut prefixes: Vec<_> =
        blue["remote_prefixes"].as_array().unwrap().iter().map(Value::to_string).collect();
    prefixes.sort();
    assert_eq!(prefixes, ["\"10.2.0.0/24\"", "\"fd02::/64\""]);
    assert_eq!(blue["rows"], Value::Array(Vec::new()), "rows are the operator's");
    assert!(
        !site.json(0, &["show", "blue", "web", "to-db"])["rows"].as_array().unwrap().is_empty()
    );
    // Not the router, its ports or its addresses, nor how the other side calls its half, nor its file.
    let text = seen_by(&site, BLUE).replace("10.2.0.0/24", "").replace("fd02::/64", "");
    assert_absent(&text, &["lrgreen", "10.2.", "fd02", "to-web", "green.toml", "ovn-peerd-"]);
    let text = seen_by(&site, GREEN).replace("10.1.0.0/24", "").replace("fd01::/64", "");
    assert_absent(&text, &["lrblue", "10.1.", "fd01", "to-db", "blue.toml", "ovn-peerd-"]);
    // Withdrawn: what was shown is shown no more.
    site.declare(GREEN, "");
    site.wait_state("blue/web/to-db", "disconnected");
    assert_absent(&seen_by(&site, BLUE), &["10.2.", "fd02"]);
}

#[test]
fn of_two_peers_that_clash_neither_learns_of_the_other() {
    let Three { site, mut lab_network } = three();
    let green_before = seen_by(&site, GREEN);
    // Asked, but not answered: blue learns nothing of brown's space, and brown nothing of blue's.
    site.declare(BROWN, &half("to-web", "lab", "blue/web"));
    site.wait_state("brown/lab/to-web", "pending-peer");
    assert_absent(&seen_by(&site, BROWN), &["10.1.", "fd01", "green", "10.2.0.0/24", "to-db"]);
    assert_absent(&seen_by(&site, BLUE), &["brown", "10.2.0.128", "fd03"]);
    // Both stand: blue is told of its two peers; brown, that a prefix of its own is in use there; green, nothing.
    site.declare(BLUE, &(half("to-db", "web", "green/db") + &half("to-lab", "web", "brown/lab")));
    site.wait_state("blue/web/to-lab", "failed");
    let blue = show(&site, BLUE, "web", "to-lab");
    assert_eq!(blue["reason"], "conflict-subnet", "{blue}");
    let told = blue["explanation"].as_str().unwrap();
    assert!(
        told.contains("10.2.0.128/25 of brown/lab")
            && told.contains("10.2.0.0/24 of its peer green/db"),
        "{told}"
    );
    let brown = show(&site, BROWN, "lab", "to-web");
    assert_eq!(brown["explanation"], "10.2.0.128/25 is already in use at blue/web", "{brown}");
    assert_absent(&seen_by(&site, BROWN), &["green", "10.2.0.0/24", "fd02", "lrblue", "to-db"]);
    assert_eq!(without_ages(&seen_by(&site, GREEN)), without_ages(&green_before));
    // Brown mends what it can; then it clashes with a standing peering in part, which is no more green's business.
    site.lab.nbctl(&["lrp-del", "lrbrown-r0"]);
    site.lab.add_subnet(&mut lab_network, "10.3.0.0/24");
    site.wait_state("brown/lab/to-web", "active");
    site.lab.add_subnet(&mut lab_network, "10.2.0.64/26");
    site.settle();
    crate::lab::command::poll("brown is told", PATIENCE, || {
        let degraded = show(&site, BROWN, "lab", "to-web")["degraded"].to_string();
        if degraded.contains("10.2.0.64/26 is already in use at blue/web") {
            Ok(())
        } else {
            Err(degraded)
        }
    });
    assert_absent(&seen_by(&site, BROWN), &["green", "10.2.0.0/24", "fd02", "lrblue", "to-db"]);
    assert_eq!(without_ages(&seen_by(&site, GREEN)), without_ages(&green_before));
}

#[test]
fn causes_of_a_failure_are_reported_to_operators_alone() {
    let Three { site, .. } = three();
    let path = site.lab.nb_remote();
    site.lab.databases().nb.kill9();
    crate::lab::command::poll("the northbound is away", PATIENCE, || {
        let northbound = site.json(0, &["status"])["northbound"].clone();
        if northbound["synced"] == false && northbound["error"].is_string() {
            Ok(())
        } else {
            Err(northbound.to_string())
        }
    });
    site.declare(GREEN, &(half("to-web", "db", "blue/web") + &half("new", "db", "brown/spare")));
    site.declare(BROWN, &half("new", "spare", "green/db"));
    site.wait_state("green/db/new", "provisioning");
    let words = ["nb.sock", "ovnnb", "refused", "No such file", path.trim_start_matches("unix:")];
    assert_absent(&seen_by(&site, GREEN), &words);
    let operator = site.json(0, &["show", "green", "db", "new"]);
    let told = operator["explanation"].as_str().unwrap();
    assert!(told.starts_with("the northbound is out of reach: "), "{told}");
    let green = show(&site, GREEN, "db", "new");
    assert_eq!(green["explanation"], "the northbound is out of reach");
    assert_eq!(green["next_step"], "wait; if it lasts, tell the operator");
}

/// Lists tell how long ago.
fn without_ages(text: &str) -> String {
    crate::targets::neutral(text, "no-such/no-such")
}
