//! Ports that look inward and are not: down, of other zones, or an uplink by way of another switch; and what a router
//! that is down, conditional NAT and OVN-IC mean. Columns of newer OVN are in a schema that is converted to them.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::filters::wait_routed;
use crate::lab::Lab;
use crate::lab::command::run;
use crate::lab::daemon::Daemon;
use crate::owned::owned;
use crate::tenants::{BLUE, GREEN, Tenants, flaws};

/// Names a directory with a newer OVN in it (`tests/release/root` makes one).
const NEWER: &str = "NEWER_OVN_ROOT";

/// Waits until each side is active and is told of something by these words, and gives what it is told.
#[track_caller]
fn wait_told(tenants: &Tenants, blue: &[&str], green: &[&str]) -> [String; 2] {
    tenants.daemon.wait_until(&format!("{blue:?} and {green:?} are told"), |halves| {
        let of = |project: &str, words: &[&str]| {
            let half = halves.iter().find(|half| half["project"] == project).ok_or("no half")?;
            let told = flaws(half).join("; ");
            let all = half["state"] == "active" && words.iter().all(|word| told.contains(word));
            if all && (!words.is_empty() || told.is_empty()) {
                Ok(told)
            } else {
                Err(half.to_string())
            }
        };
        Ok([of("blue", blue)?, of("green", green)?])
    })
}

/// B3: a subnet whose port is down is not announced, but reserved; its owner is told.
#[test]
fn a_port_that_is_down_announces_nothing() {
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24"], &[GREEN]);
    tenants.peer();
    let all = ["10.1.0.0/24", "10.11.0.0/24", "fd01::/64"];
    wait_routed(&lab, "b", &all);
    lab.nbctl(&["set", "Logical_Router_Port", "a-r1", "enabled=false"]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    wait_told(&tenants, &["10.11.0.0/24", "port a-r1 of router a is disabled"], &[]);
    lab.nbctl(&["set", "Logical_Router_Port", "a-r1", "enabled=true"]);
    wait_routed(&lab, "b", &all);
    tenants.wait_active();
}

/// B3: a router that is down cuts no peering, and both sides are told why nothing passes.
#[test]
fn a_router_that_is_down_is_reported_to_both() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let rows = owned(&lab.dump()).len();
    lab.nbctl(&["set", "Logical_Router", "a", "enabled=false"]);
    let [_, green] =
        wait_told(&tenants, &["router a is disabled"], &["the router of blue/web passes nothing"]);
    assert!(!green.contains("router a"), "green learns the router's name: {green}");
    assert_eq!(owned(&lab.dump()).len(), rows);
    lab.nbctl(&["clear", "Logical_Router", "a", "enabled"]);
    tenants.wait_active();
}

/// B3: a port that a chassis of another zone binds (OVN 25.03) leads to that zone, not to guests.
#[test]
fn a_port_of_another_zone_is_not_inward() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.nbctl_batch(
        "lrp-add a a-far 0a:00:00:00:00:81 10.88.0.1/24\n\
         set Logical_Router_Port a-far options:requested-chassis=far\n\
         lrp-add a a-near 0a:00:00:00:00:82 10.89.0.1/24",
    );
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.89.0.0/24", "fd01::/64"]);
    lab.nbctl(&["remove", "Logical_Router_Port", "a-far", "options", "requested-chassis"]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.88.0.0/24", "10.89.0.0/24", "fd01::/64"]);
}

/// B3: OVN-IC tells other zones of what a router routes: both sides hear of it, unless it is denied.
#[test]
fn what_is_advertised_to_other_zones_is_reported() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.nbctl_batch(
        "ls-add ts\n\
         lrp-add a a-ts 0a:00:00:00:00:83 169.254.100.1/24\n\
         lsp-add ts ts-a\nlsp-set-type ts-a router\nlsp-set-options ts-a router-port=a-ts\n\
         lsp-add ts ts-far\nlsp-set-type ts-far remote",
    );
    tenants.wait_active();
    lab.nbctl(&["set", "NB_Global", ".", "options:ic-route-adv=true"]);
    let blue = ["OVN-IC advertises 10.2.0.0/24", "router a", "ic-route-deny-adv"];
    let [_, green] = wait_told(&tenants, &blue, &["blue/web has 10.2.0.0/24 advertised"]);
    assert!(!green.contains("router a"), "green learns the router's name: {green}");
    lab.nbctl(&[
        "set",
        "Logical_Router",
        "a",
        "options:ic-route-deny-adv=\"10.2.0.0/16,fd02::/64\"",
    ]);
    tenants.wait_active();
    lab.nbctl(&["remove", "Logical_Router", "a", "options", "ic-route-deny-adv"]);
    wait_told(&tenants, &blue, &["advertised"]);
    let list = |table: &str, row: &str, prefixes: &str| {
        lab.nbctl(&["set", table, row, &format!("options:ic-route-filter-adv=\"{prefixes}\"")]);
    };
    list("Logical_Router", "a", "10.1.0.0/16,fd01::/64");
    tenants.wait_active();
    // A port's list adds to that of its router.
    list("Logical_Router_Port", "a-ts", "10.2.0.0/16");
    wait_told(&tenants, &blue, &["advertised"]);
    lab.nbctl(&["remove", "Logical_Router", "a", "options", "ic-route-filter-adv"]);
    list("Logical_Router_Port", "a-ts", "10.1.0.0/16");
    tenants.wait_active();
    lab.nbctl(&["remove", "Logical_Router_Port", "a-ts", "options", "ic-route-filter-adv"]);
    wait_told(&tenants, &blue, &["advertised"]);
    lab.nbctl(&["set", "NB_Global", ".", "options:ic-route-denylist=\"10.2.0.0/24,fd02::/64\""]);
    tenants.wait_active();
}

/// Converts the northbound to a schema with columns of newer OVN: that of a newer release where there is one, else the
/// one that is here with these columns.
fn make_newer(lab: &Lab) {
    let newer = std::env::var_os(NEWER).map(PathBuf::from);
    let schema = newer.map(|root| root.join("usr/share/ovn/ovn-nb.ovsschema"));
    let schema = schema.unwrap_or_else(|| {
        let text = fs::read_to_string("/usr/share/ovn/ovn-nb.ovsschema").expect("OVN's schema");
        let mut schema: Value = serde_json::from_str(&text).expect("JSON");
        schema["version"] = json!("7.6.0");
        let optional = json!({"type": {"key": "string", "min": 0, "max": 1}});
        schema["tables"]["Logical_Switch_Port"]["columns"]["peer"] = optional;
        schema["tables"]["NAT"]["columns"]["match"] = json!({"type": "string"});
        let path = lab.dir().join("newer.ovsschema");
        fs::write(&path, schema.to_string()).expect("written");
        path
    });
    run("ovsdb-client", ["convert", &lab.nb_remote(), &schema.display().to_string()]);
}

/// Sets a column that the ovn-nbctl which is here does not know.
fn set(lab: &Lab, table: &str, by: (&str, &str), column: &str, value: &str) {
    let update = json!(["OVN_Northbound", {
        "op": "update", "table": table, "where": [[by.0, "==", by.1]], "row": {column: value},
    }]);
    let said = run("ovsdb-client", ["transact", &lab.nb_remote(), &update.to_string()]);
    assert!(said.contains("\"count\":1"), "{said}");
}

/// Two switches that ports of type `switch` join: `inner`, with the router's port, and `outer`.
const JOINED: &str = "ls-add inner\nls-add outer\n\
     lsp-add inner in-r\nlsp-set-type in-r router\nlsp-set-options in-r router-port=a-joined\n\
     lsp-add inner in-out\nlsp-add outer out-in";

/// B3: an uplink by way of another switch (OVN 25.03) is guarded, as long as the two switches are joined.
#[test]
fn an_uplink_behind_another_switch_gets_anti_spoof() {
    let lab = Lab::databases_only();
    make_newer(&lab);
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.nbctl_batch(&format!("lrp-add a a-joined 0a:00:00:00:00:84 172.31.0.1/24\n{JOINED}"));
    wait_routed(&lab, "b", &["10.1.0.0/24", "172.31.0.0/24", "fd01::/64"]);
    lab.nbctl_batch(
        "lsp-add outer ln\nlsp-set-type ln localnet\nlsp-set-options ln network_name=physnet1",
    );
    let guards = || {
        let rows = owned(&lab.dump()).into_iter();
        let of_uplink = |text: &str| text.contains("inport == \"a-joined\"");
        rows.filter(|row| !row.of_peering() && of_uplink(row.text("match"))).count()
    };
    let own = [("in-out", "out-in"), ("out-in", "in-out")];
    for (port, peer) in own {
        assert_eq!(guards(), 0, "a port alone joins nothing");
        set(&lab, "Logical_Switch_Port", ("name", port), "type", "switch");
        set(&lab, "Logical_Switch_Port", ("name", port), "peer", peer);
    }
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    tenants.wait_active();
    assert_eq!(guards(), 2);
    for undo in ["lsp-del out-in", "lsp-add outer out-in"] {
        lab.nbctl_batch(undo);
        wait_routed(&lab, "b", &["10.1.0.0/24", "172.31.0.0/24", "fd01::/64"]);
    }
    tenants.wait_active();
    assert_eq!(guards(), 0);
}

/// S1.10: so is a VM there seen.
#[test]
fn a_vm_behind_another_switch_is_seen() {
    let lab = Lab::databases_only();
    make_newer(&lab);
    let (a, b) = (lab.add_network("a", &[BLUE]), lab.add_network("b", &[GREEN]));
    lab.nbctl_batch(&format!("{JOINED}\nlsp-set-options in-r router-port=a-r0\nlsp-add b-s0 vm-b"));
    let daemon = Daemon::prepare(&lab, "hv1", "[policy]\nrequire_workload = true\n");
    daemon.start_again();
    daemon.bind_network("blue", "web", a.router());
    daemon.bind_network("green", "db", b.router());
    let tenants = Tenants { a, b, daemon };
    for (port, peer) in [("in-out", "out-in"), ("out-in", "in-out")] {
        set(&lab, "Logical_Switch_Port", ("name", port), "type", "switch");
        set(&lab, "Logical_Switch_Port", ("name", port), "peer", peer);
    }
    tenants.both_declare();
    let blue = tenants.wait_blue("failed");
    assert_eq!(blue["reason"], "no-workload");
    lab.nbctl(&["lsp-add", "outer", "vm-a"]);
    tenants.wait_active();
}

/// B11: a NAT row with a condition of its owner's (OVN 24.09) is left alone, and its owner is told.
#[test]
fn conditional_nat_is_left_alone_and_reported() {
    let lab = Lab::databases_only();
    make_newer(&lab);
    let tenants = Tenants::new(&lab);
    lab.nbctl_batch(
        "set Logical_Router a options:chassis=hv1\n\
         lr-nat-add a snat 172.31.0.1 10.1.0.0/24",
    );
    let exempted = || {
        let dump = lab.dump();
        let refers = |row: &&Value| !row[1].as_array().is_some_and(Vec::is_empty);
        dump.table("NAT")
            .values()
            .map(|row| row["exempted_ext_ips"].clone())
            .filter(|it| refers(&it))
            .count()
    };
    tenants.peer();
    assert_eq!(exempted(), 1);
    set(&lab, "NAT", ("logical_ip", "10.1.0.0/24"), "match", "ip4.dst == 192.0.2.0/24");
    wait_told(&tenants, &["snat of 10.1.0.0/24", "a match of its own"], &[]);
    tenants.daemon.wait_quiet();
    assert_eq!(exempted(), 0, "it is left alone");
    set(&lab, "NAT", ("logical_ip", "10.1.0.0/24"), "match", "");
    tenants.wait_active();
    tenants.daemon.wait_quiet();
    assert_eq!(exempted(), 1);
}
