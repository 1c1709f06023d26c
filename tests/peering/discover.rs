//! Networks of other tools in one northbound: they are found and bound, and a binding by a tool's own name follows
//! the network. The rows are those that the tools' sources write; LXD and Incus themselves run in `readme/containers.rs`.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::tenants::half;

const PROJECT: &str = "6f0f1f2f3f4f4f5f8f6f7f8f9fafbfcf";
const PATIENCE: Duration = Duration::from_secs(20);

/// A router of Neutron's with an interface.
fn neutron_router(lab: &Lab, id: u8, name: &str, prefix: &str) -> String {
    let router = format!("neutron-00000000-0000-4000-8000-0000000000{id:02}");
    lab.add_network(&router, &[prefix]);
    tag(lab, "Logical_Router", &router, "neutron:router_name", name);
    tag(lab, "Logical_Switch_Port", &format!("{router}-s0-r"), "neutron:project_id", PROJECT);
    router
}

fn tag(lab: &Lab, table: &str, row: &str, key: &str, value: &str) {
    lab.nbctl(&["set", table, row, &format!("external_ids:\"{key}\"=\"{value}\"")]);
}

/// A Vpc of Kube-OVN's.
fn vpc(lab: &Lab, name: &str, prefix: &str) {
    lab.add_network(name, &[prefix]);
    tag(lab, "Logical_Router", name, "vendor", "kube-ovn");
}

fn discover(daemon: &Daemon, arguments: &[&str]) -> Output {
    let config = daemon.dir().join("ovn-peerd.toml");
    let config = config.to_str().unwrap();
    daemon.ctl(&[&["discover", "--config", config], arguments].concat())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn bound(daemon: &Daemon, key: &str, router: &str) {
    let (project, name) = key.split_once('/').unwrap();
    let text =
        format!("[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = {router}\n");
    daemon.write(&format!("networks.d/{project}-{name}.toml"), &text);
}

/// Blue's web and green's db declare each other.
fn declared(daemon: &Daemon) {
    daemon.declare("blue", &half("to-db", "web", "green/db"));
    daemon.declare("green", &half("to-web", "db", "blue/web"));
}

fn active(daemon: &Daemon) {
    daemon.wait_state("blue", "web", "to-db", "active");
    daemon.wait_state("green", "db", "to-web", "active");
}

#[test]
fn the_networks_of_all_tools_beside_each_other_are_found_and_bound() {
    let lab = Lab::databases_only();
    for (number, prefix) in [(2, "10.2.0.0/24"), (3, "10.3.0.0/24")] {
        lab.add_network(&format!("lxd-net{number}-lr"), &[prefix]);
        lab.nbctl(&["pg-add", &format!("lxd_net{number}")]);
        tag(&lab, "Port_Group", &format!("lxd_net{number}"), "lxd_project_id", "7");
    }
    lab.add_network("incus-net2-lr", &["10.4.0.0/24"]);
    let neutron = neutron_router(&lab, 1, "router1", "10.5.0.0/24 fd05::/64");
    vpc(&lab, "vpc-1", "10.6.0.0/24");
    vpc(&lab, "vpc-2", "10.7.0.0/24");
    lab.add_network("blue.ns_web_ovn_cluster_router", &["10.8.0.0/24"]);
    lab.nbctl(&["lr-add", "GR_blue.ns_web_node1"]);
    for router in ["blue.ns_web_ovn_cluster_router", "GR_blue.ns_web_node1"] {
        tag(&lab, "Logical_Router", router, "k8s.ovn.org/network", "blue-ns_web");
    }
    lab.add_network("by-hand", &["10.9.0.0/24"]);
    // A peering of Kube-OVN's own.
    lab.nbctl(&["lrp-add", "vpc-1", "vpc-1-vpc-2", "0a:00:00:00:00:01", "169.254.0.1/30"]);
    lab.nbctl(&["lrp-add", "vpc-2", "vpc-2-vpc-1", "0a:00:00:00:00:02", "169.254.0.2/30"]);
    lab.nbctl(&["set", "Logical_Router_Port", "vpc-1-vpc-2", "peer=vpc-2-vpc-1"]);
    lab.nbctl(&["set", "Logical_Router_Port", "vpc-2-vpc-1", "peer=vpc-1-vpc-2"]);
    lab.nbctl(&["lr-route-add", "vpc-1", "10.7.0.0/24", "169.254.0.2"]);
    let before = lab.dump();

    let daemon = Daemon::prepare(&lab, "hv1", "");
    let found = discover(&daemon, &["--format", "json"]);
    assert!(found.status.success(), "{found:?}");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let line = |network: &Value| {
        let text = |key: &str| network[key].as_str().unwrap_or("-").to_owned();
        let guesses = network["guesses"].as_array().unwrap();
        let guesses: Vec<&str> = guesses.iter().map(|it| it["key"].as_str().unwrap()).collect();
        let names = format!("{} {}/{}", text("tool"), text("project"), text("name"));
        format!("{names} {} {}", text("router"), guesses.join(","))
    };
    let lines: Vec<String> = found["networks"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "lxd lxd-project-7/net2 lxd-net2-lr project,name".to_owned(),
            "lxd lxd-project-7/net3 lxd-net3-lr project,name".to_owned(),
            "incus incus/net2 incus-net2-lr project,name".to_owned(),
            format!("neutron {PROJECT}/router1 {neutron} "),
            "kube-ovn vpc-1/vpc-1 vpc-1 project".to_owned(),
            "kube-ovn vpc-2/vpc-2 vpc-2 project".to_owned(),
            "ovn-kubernetes blue-ns/web blue.ns_web_ovn_cluster_router ".to_owned(),
            "ovn ovn/by-hand by-hand project".to_owned(),
        ]
    );
    let prefixes = &found["networks"][3]["prefixes"];
    assert_eq!(prefixes, &serde_json::json!(["10.5.0.0/24", "fd05::/64"]));
    let link = &found["links"][0];
    assert_eq!((&link["tool"], &link["ends"][0]["peer"]), (&"kube-ovn".into(), &Value::Null));
    assert_eq!(link["ends"][0]["ports"][0]["name"], "vpc-1-vpc-2");
    assert_eq!(link["ends"][0]["routes"][0]["prefix"], "10.7.0.0/24");
    let one = discover(&daemon, &["--from", "kube-ovn"]);
    assert_eq!(text(&one).matches("[[network]]").count(), 2, "{}", text(&one));

    // Nothing is bound yet, then all by what was printed.
    let unbound = discover(&daemon, &["--check"]);
    assert_eq!(unbound.status.code(), Some(2), "{unbound:?}");
    assert!(text(&unbound).contains("8 differences"), "{}", text(&unbound));
    lab.dump().without_counters().assert_same_as(&before.without_counters());
    daemon.write("networks.d/found.toml", &text(&discover(&daemon, &["--follow"])));
    let same = discover(&daemon, &["--check"]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
    daemon.declare(PROJECT, &half("to-web", "router1", "blue-ns/web"));
    daemon.declare("blue-ns", &half("to-router1", "web", &format!("{PROJECT}/router1")));
    daemon.start_again();
    daemon.wait_state(PROJECT, "router1", "to-web", "active");
    daemon.wait_state("blue-ns", "web", "to-router1", "active");
    // Its own rows are no link of another tool.
    let found = discover(&daemon, &["--format", "json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["links"].as_array().unwrap().len(), 1, "{found}");
}

#[test]
fn a_binding_by_a_tools_name_follows_a_network_that_is_made_again() {
    let lab = Lab::databases_only();
    let first = neutron_router(&lab, 1, "router1", "10.1.0.0/24");
    vpc(&lab, "vpc-1", "10.2.0.0/24");
    let daemon = Daemon::start(&lab);
    bound(&daemon, "blue/web", &format!("{{ neutron = \"{PROJECT}/router1\" }}"));
    bound(&daemon, "green/db", "{ kube-ovn = \"vpc-1\" }");
    declared(&daemon);
    active(&daemon);
    let ports = |router: &str| lab.nbctl(&["lrp-list", router]);
    assert!(ports(&first).contains("ovn-peerd-"), "{}", ports(&first));

    // While the daemon runs.
    lab.nbctl(&["lr-del", &first]);
    let half = daemon.wait_state("blue", "web", "to-db", "failed");
    assert_eq!(half["reason"], "missing-local-router");
    let second = neutron_router(&lab, 2, "router1", "10.1.0.0/24");
    active(&daemon);
    assert!(ports(&second).contains("ovn-peerd-"), "{}", ports(&second));

    // While it does not.
    daemon.terminate();
    lab.nbctl(&["lr-del", &second]);
    let third = neutron_router(&lab, 3, "router1", "10.1.0.0/24");
    daemon.start_again();
    poll("it is bound to the third", PATIENCE, || match ports(&third).contains("ovn-peerd-") {
        true => Ok(()),
        false => Err(daemon.log()),
    });
    active(&daemon);
}

#[test]
fn a_name_that_fits_several_routers_or_none_changes_no_binding() {
    let lab = Lab::databases_only();
    let first = neutron_router(&lab, 1, "router1", "10.1.0.0/24");
    vpc(&lab, "vpc-1", "10.2.0.0/24");
    let daemon = Daemon::start(&lab);
    bound(&daemon, "blue/web", &format!("{{ neutron = \"{PROJECT}/router1\" }}"));
    bound(&daemon, "green/db", "\"vpc-1\"");
    declared(&daemon);
    active(&daemon);
    neutron_router(&lab, 2, "router1", "10.3.0.0/24");
    assert!(daemon.ctl(&["reload"]).status.success());
    poll("it says so", PATIENCE, || match daemon.log().contains("2 routers") {
        true => Ok(()),
        false => Err(daemon.log()),
    });
    active(&daemon);
    let differs = discover(&daemon, &["--check", "--from", "neutron"]);
    assert_eq!(differs.status.code(), Some(2));
    assert!(text(&differs).contains(&first), "{}", text(&differs));

    // From a router's name to a name of a tool that does not run here: it stays, also over a restart.
    bound(&daemon, "green/db", "{ lxd = \"green/db\" }");
    poll("it says so", PATIENCE, || match daemon.log().contains("has no socket on this host") {
        true => Ok(()),
        false => Err(daemon.log()),
    });
    active(&daemon);
    daemon.wait_quiet();
    daemon.restart();
    active(&daemon);
    daemon.wait_quiet();
    assert!(lab.nbctl(&["lrp-list", "vpc-1"]).contains("ovn-peerd-"));
    // What is bound to another network of a tool is not bound to the former one.
    bound(&daemon, "green/db", "{ lxd = \"green/other\" }");
    let half = daemon.wait_state("green", "db", "to-web", "failed");
    assert_eq!(half["reason"], "missing-local-router");
    bound(&daemon, "green/db", "{ kube-ovn = \"vpc-1\" }");
    active(&daemon);
}

#[test]
fn hosts_that_bind_one_router_in_different_ways_agree_and_one_that_cannot_tell_says_nothing() {
    let lab = Lab::databases_only();
    neutron_router(&lab, 1, "router1", "10.1.0.0/24");
    vpc(&lab, "vpc-1", "10.2.0.0/24");
    let hosts = ["hv1", "hv2"].map(|host| Daemon::prepare(&lab, host, ""));
    let [one, other] = &hosts;
    bound(one, "blue/web", &format!("{{ neutron = \"{PROJECT}/router1\" }}"));
    bound(other, "blue/web", "\"neutron-00000000-0000-4000-8000-000000000001\"");
    bound(one, "green/db", "\"vpc-1\"");
    bound(other, "green/db", "{ lxd = \"green/db\" }");
    declared(other);
    other.start_again();
    let half = other.wait_state("green", "db", "to-web", "failed");
    assert_eq!(half["reason"], "missing-local-router", "it alone knows no router: {half}");
    one.start_again();
    hosts.iter().for_each(active);
    // What the other one could not tell it knows from the first, also when it begins anew without that.
    one.terminate();
    other.restart();
    active(other);
    other.wait_quiet();
}
