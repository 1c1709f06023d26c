//! The rows that each tool writes, and what is found by them.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::declare::{
    Directory, FileId, LocalDeclarations, Reading, RouterRef, Settings, SourceFile, Tool,
    ToolNetwork,
};

fn ids(pairs: &[(&str, &str)]) -> Ids {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn uuid(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(7, |sum: u128, byte| sum.rotate_left(5) ^ u128::from(byte)))
}

/// A router with its tags.
fn router(name: &str, tags: &[(&str, &str)]) -> Router {
    Router { uuid: uuid(name), name: name.to_owned(), ids: ids(tags), ..Router::default() }
}

impl Router {
    fn port(mut self, name: &str, networks: &[&str]) -> Self {
        let networks = networks.iter().map(|it| it.parse().unwrap()).collect();
        let (mac, name) = (format!("00:16:3e:00:00:{:02x}", name.len()), name.to_owned());
        let port = Port { uuid: uuid(&name), name, mac, networks, ..Port::default() };
        self.ports.push(port);
        self
    }

    /// Of the last port.
    fn peer(mut self, peer: &str) -> Self {
        self.ports.last_mut().unwrap().peer = Some(peer.to_owned());
        self
    }

    /// Of the last port.
    fn tags(mut self, tags: &[(&str, &str)]) -> Self {
        self.ports.last_mut().unwrap().ids = ids(tags);
        self
    }

    fn route(mut self, prefix: &str, next_hop: &str, port: Option<&str>) -> Self {
        let uuid = uuid(&format!("{}{prefix}{next_hop}", self.name));
        let (prefix, next_hop) = (prefix.to_owned(), next_hop.to_owned());
        self.routes.push(Route { uuid, prefix, next_hop, port: port.map(str::to_owned) });
        self
    }
}

/// A switch with ports to these ports of routers, and so many others.
fn switch(name: &str, router_ports: &[(&str, &[(&str, &str)])], others: usize) -> Switch {
    let port = |(port, tags): &(&str, &[(&str, &str)])| SwitchPort {
        name: format!("{name}-{port}"),
        ids: ids(tags),
        router_port: (*port).to_owned(),
    };
    let router_ports = router_ports.iter().map(port).collect();
    Switch { name: name.to_owned(), router_ports, others, ..Switch::default() }
}

fn uplink(mut switch: Switch) -> Switch {
    switch.is_uplink = true;
    switch
}

/// `PROJECT/NAME ROUTER WHAT-IT-IS-BOUND-BY` of each, with a `?` after what is guessed.
fn lines(found: &Found) -> Vec<String> {
    let line = |network: &FoundNetwork| {
        let mark = |key: &str| match network.guesses.iter().any(|guess| guess.key == key) {
            true => "?",
            false => "",
        };
        let bound = found.binding(network).map_or("-".to_owned(), |of| of.record());
        let (project, name) = (mark("project"), mark("name"));
        format!("{}{project}/{}{name} {} {bound}", network.project, network.name, network.router)
    };
    found.networks.iter().map(line).collect()
}

/// As LXD 5.0.2 and Incus 6.0.4 write them.
fn numbered_rows(word: &str) -> Rows {
    let one = router(&format!("{word}-net2-lr"), &[])
        .port(&format!("{word}-net2-lr-lrp-ext"), &["192.0.2.100/24"])
        .port(&format!("{word}-net2-lr-lrp-int"), &["10.1.0.1/24", "fd01::1/64"])
        .port(&format!("{word}-net2-lr-lrp-peer-net3"), &["10.1.0.1/24", "fd01::1/64"])
        .peer(&format!("{word}-net3-lr-lrp-peer-net2"))
        .route("0.0.0.0/0", "192.0.2.1", Some(&format!("{word}-net2-lr-lrp-ext")))
        .route("10.2.0.0/24", "10.2.0.1", Some(&format!("{word}-net2-lr-lrp-peer-net3")));
    let other = router(&format!("{word}-net3-lr"), &[])
        .port(&format!("{word}-net3-lr-lrp-ext"), &["192.0.2.101/24"])
        .port(&format!("{word}-net3-lr-lrp-int"), &["10.2.0.1/24"])
        .port(&format!("{word}-net3-lr-lrp-peer-net2"), &["10.2.0.1/24"])
        .peer(&format!("{word}-net2-lr-lrp-peer-net3"))
        .route("10.1.0.0/24", "10.1.0.1", Some(&format!("{word}-net3-lr-lrp-peer-net2")));
    let switches = ["net2", "net3"].into_iter().flat_map(|net| {
        let port = |end: &str| format!("{word}-{net}-lr-lrp-{end}");
        let inner = switch(&format!("{word}-{net}-ls-int"), &[(&port("int"), &[])], 1);
        let outer = switch(&format!("{word}-{net}-ls-ext"), &[(&port("ext"), &[])], 1);
        [inner, uplink(outer)]
    });
    let group = |id: &str| ids(&[(&format!("{word}_project_id"), id)]);
    let groups = BTreeMap::from([
        (format!("{word}_net2"), group("4")),
        (format!("{word}_net3"), group("5")),
    ]);
    Rows::new(vec![one, other], switches.collect(), groups)
}

fn known(project: &str, network: serde_json::Value, state: serde_json::Value) -> Instance {
    let mut instance = instance(project, &network).unwrap();
    instance.add_state(&state);
    instance
}

fn lxd_knows() -> Answer {
    let network = |name: &str, address: &str| {
        let config = json!({"volatile.network.ipv4.address": address, "user.tier": "gold"});
        json!({"name": name, "type": "ovn", "description": "for blue", "config": config})
    };
    let state = json!({"hwaddr": "00:16:3e:00:00:00"});
    let mut web = known("blue", network("web", "192.0.2.100"), state.clone());
    let mut db = known("green", network("db", "192.0.2.101"), state.clone());
    web.peers = peers(&json!([
        {"name": "to-db", "target_project": "green", "target_network": "db", "status": "CREATED"}
    ]));
    db.peers = peers(&json!([
        {"name": "to-web", "target_project": "blue", "target_network": "web", "status": "CREATED"}
    ]));
    Answer { tool: Tool::Lxd, networks: Ok(vec![web, db]) }
}

#[test]
fn lxd_names_are_joined_by_the_address_on_the_uplink() {
    let found = find(&numbered_rows("lxd"), &[lxd_knows()], None);
    assert_eq!(
        lines(&found),
        ["blue/web lxd-net2-lr lxd:blue/web", "green/db lxd-net3-lr lxd:green/db"]
    );
    let web = &found.networks[0];
    assert_eq!(web.prefixes, ["10.1.0.0/24".parse().unwrap(), "fd01::/64".parse().unwrap()]);
    assert_eq!((web.description.as_str(), web.config["user.tier"].as_str()), ("for blue", "gold"));
    let [link] = &found.links[..] else { panic!("{:?}", found.links) };
    assert_eq!((link.tool, &link.through), (Maker::Tool(Tool::Lxd), &None));
    let [near, far] = &link.ends;
    assert_eq!((near.network.as_str(), near.peer.as_deref()), ("web", Some("to-db")));
    assert_eq!((far.network.as_str(), far.peer.as_deref()), ("db", Some("to-web")));
    assert_eq!(near.ports[0].name, "lxd-net2-lr-lrp-peer-net3");
    let routes: Vec<&str> = near.routes.iter().map(|route| route.prefix.as_str()).collect();
    assert_eq!(routes, ["10.2.0.0/24"], "and not the default route");
}

#[test]
fn without_its_interface_lxd_has_numbers_that_are_marked() {
    let found = find(&numbered_rows("lxd"), &[], None);
    assert_eq!(
        lines(&found),
        ["lxd-project-4?/net2? lxd-net2-lr -", "lxd-project-5?/net3? lxd-net3-lr -"]
    );
    let silent = Answer { tool: Tool::Lxd, networks: Err("you may not".to_owned()) };
    let found = find(&numbered_rows("lxd"), &[silent], None);
    assert_eq!(lines(&found).len(), 2);
    let of = ToolNetwork { tool: Tool::Lxd, name: "blue/web".into() };
    assert_eq!(resolve(&of, &found), Err("LXD does not answer: you may not".to_owned()));
}

#[test]
fn incus_says_the_router_itself() {
    let network = json!({"name": "web", "type": "ovn", "config": {}});
    let state = json!({"hwaddr": "", "ovn": {"logical_router": "incus-net2-lr"}});
    let web = known("default", network, state);
    let answer = Answer { tool: Tool::Incus, networks: Ok(vec![web]) };
    let found = find(&numbered_rows("incus"), &[answer], None);
    assert_eq!(
        lines(&found),
        ["default/web incus-net2-lr incus:default/web", "incus-project-5?/net3? incus-net3-lr -"]
    );
}

#[test]
fn networks_without_uplink_are_joined_by_their_ethernet_address_and_never_by_half_of_it() {
    let network = |name: &str| json!({"name": name, "type": "ovn", "config": {}});
    let port = "lxd-net2-lr-lrp-int";
    let rows =
        || Rows::new(vec![router("lxd-net2-lr", &[]).port(port, &[])], vec![], BTreeMap::new());
    let mac = format!("00:16:3E:00:00:{:02x}", port.len());
    let one = known("a", network("one"), json!({"hwaddr": mac}));
    let answer = |all: Vec<Instance>| [Answer { tool: Tool::Lxd, networks: Ok(all) }];
    let found = find(&rows(), &answer(vec![one.clone()]), None);
    assert_eq!(lines(&found), ["a/one lxd-net2-lr lxd:a/one"]);
    let twin = Instance { name: "two".to_owned(), ..one.clone() };
    let found = find(&rows(), &answer(vec![one, twin]), None);
    assert_eq!(lines(&found), ["lxd?/net2? lxd-net2-lr -"], "of two that fit none is taken");
}

const PROJECT: &str = "6f0f1f2f3f4f4f5f8f6f7f8f9fafbfcf";

/// As Neutron writes them (29.0, `ovn_client.py`).
fn neutron_router(id: u128, name: &str) -> (Router, Switch) {
    let id = Uuid::from_u128(id);
    let (inner, outer) = (format!("lrp-in-{id}"), format!("lrp-out-{id}"));
    let router = router(&format!("neutron-{id}"), &[("neutron:router_name", name)])
        .port(&inner, &["10.1.0.1/24"])
        .tags(&[("neutron:is_ext_gw", "False"), ("neutron:network_name", "neutron-net")])
        .port(&outer, &["192.0.2.7/24"])
        .tags(&[("neutron:is_ext_gw", "True")]);
    let network = switch("neutron-net", &[(&inner, &[("neutron:project_id", PROJECT)])], 3);
    (router, network)
}

#[test]
fn neutron_has_projects_at_the_interfaces_of_routers() {
    let (one, network) = neutron_router(1, "router1");
    let name = one.name.clone();
    let found = find(&Rows::new(vec![one], vec![network], BTreeMap::new()), &[], None);
    assert_eq!(lines(&found), [format!("{PROJECT}/router1 {name} neutron:{PROJECT}/router1")]);
    let bare = Router { ports: vec![], ..neutron_router(2, "").0 };
    let found = find(&Rows::new(vec![bare.clone()], vec![], BTreeMap::new()), &[], None);
    let id = Uuid::from_u128(2);
    assert_eq!(lines(&found), [format!("neutron?/{id}? {} -", bare.name)]);
}

#[test]
fn a_name_that_fits_several_routers_is_an_error_and_never_one_of_them() {
    let (one, network) = neutron_router(1, "router1");
    let (other, another) = neutron_router(2, "router1");
    let rows = Rows::new(vec![one.clone(), other], vec![network, another], BTreeMap::new());
    let found = find(&rows, &[], None);
    assert!(found.networks.iter().all(|network| found.binding(network).is_none()));
    let names: Vec<&str> = found.networks.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["router1", "router1-2"], "each has names of its own");
    let of = |name: &str| ToolNetwork { tool: Tool::Neutron, name: name.into() };
    let why = resolve(&of(&format!("{PROJECT}/router1")), &found).unwrap_err();
    assert!(why.contains("2 routers") && why.contains(&one.name), "{why}");
    assert_eq!(resolve(&of(&Uuid::from_u128(1).to_string()), &found), Ok(one.name));
    assert!(resolve(&of(&Uuid::from_u128(3).to_string()), &found).is_err());
    // Of another project, by the same name.
    assert!(resolve(&of("0123/router1"), &found).is_err());
}

/// As Kube-OVN writes them (1.17, `ovn-nb-logical_router_port.go`).
fn vpcs() -> Rows {
    let vendor = [("vendor", "kube-ovn")];
    let one = router("vpc-1", &vendor)
        .port("vpc-1-net1", &["10.0.1.1/24"])
        .port("vpc-1-vpc-2", &["169.254.0.1/30"])
        .peer("vpc-2-vpc-1")
        .route("10.0.2.0/24", "169.254.0.2", None)
        .route("0.0.0.0/0", "10.0.1.254", None);
    let other = router("vpc-2", &vendor)
        .port("vpc-2-net2", &["10.0.2.1/24"])
        .port("vpc-2-vpc-1", &["169.254.0.2/30"])
        .peer("vpc-1-vpc-2")
        .route("10.0.1.0/24", "169.254.0.1", None);
    let switches =
        vec![switch("net1", &[("vpc-1-net1", &[])], 2), switch("net2", &[("vpc-2-net2", &[])], 2)];
    Rows::new(vec![one, other], switches, BTreeMap::new())
}

#[test]
fn kube_ovns_vpcs_and_their_peerings_are_found() {
    let found = find(&vpcs(), &[], None);
    assert_eq!(
        lines(&found),
        ["vpc-1?/vpc-1 vpc-1 kube-ovn:vpc-1", "vpc-2?/vpc-2 vpc-2 kube-ovn:vpc-2"]
    );
    let [link] = &found.links[..] else { panic!("{:?}", found.links) };
    assert_eq!(link.tool, Maker::Tool(Tool::KubeOvn));
    let routes: Vec<&str> =
        link.ends.iter().flat_map(|end| &end.routes).map(|route| route.prefix.as_str()).collect();
    assert_eq!(routes, ["10.0.2.0/24", "10.0.1.0/24"], "by their next hops");
}

/// As OVN-Kubernetes writes them (`multi_network.go`, `networkconnect/topology.go` of August 2026).
fn kubernetes() -> Rows {
    let of = |network: &str, topology: &str, name: &str| {
        router(name, &[("k8s.ovn.org/network", network), ("k8s.ovn.org/topology", topology)])
    };
    let connected = |router: Router, id: &str| {
        router
            .port(&format!("rtocr-{id}_cnc"), &["192.168.0.1/31"])
            .peer(&format!("crtor-cnc_{id}"))
    };
    let blue = "blue.ns_web_ovn_cluster_router";
    let routers = vec![
        router("ovn_cluster_router", &[("k8s-cluster-router", "yes")])
            .port("rtos-node1", &["10.244.0.1/24"]),
        router("GR_node1", &[]),
        connected(of("blue-ns_web", "layer3", blue), "blue-ns_web"),
        of("blue-ns_web", "layer3", "GR_blue.ns_web_node1"),
        connected(
            of("cluster_udn_shared", "layer2", "cluster_udn_shared_transit_router"),
            "shared",
        ),
        of("cluster_udn_shared", "layer2", "GR_cluster_udn_shared_node1"),
        of("nad/x", "layer2", "GR_nad.x_node1"),
        router("connect_router_cnc", &[])
            .port("crtor-cnc_blue-ns_web", &["192.168.0.0/31"])
            .peer("rtocr-blue-ns_web_cnc")
            .port("crtor-cnc_shared", &["192.168.0.2/31"])
            .peer("rtocr-shared_cnc"),
    ];
    Rows::new(routers, vec![], BTreeMap::new())
}

#[test]
fn networks_of_ovn_kubernetes_have_one_router_each() {
    let found = find(&kubernetes(), &[], None);
    assert_eq!(
        lines(&found),
        [
            "blue-ns/web blue.ns_web_ovn_cluster_router ovn-kubernetes:blue-ns_web",
            "cluster?/default ovn_cluster_router ovn-kubernetes:default",
            "cluster?/nad/x GR_nad.x_node1 ovn-kubernetes:nad/x",
            "cluster?/shared cluster_udn_shared_transit_router ovn-kubernetes:cluster_udn_shared",
        ]
    );
    let [link] = &found.links[..] else { panic!("{:?}", found.links) };
    assert_eq!(link.tool, Maker::Tool(Tool::OvnKubernetes));
    assert_eq!(link.through.as_deref(), Some("connect_router_cnc"));
    assert_eq!(link.ends.each_ref().map(|end| end.network.as_str()), ["web", "shared"]);
}

#[test]
fn plain_routers_are_found_with_the_switch_between_them() {
    let one = router("r1", &[]).port("r1-in", &["10.1.0.1/24"]).port("r1-t", &["169.254.0.1/30"]);
    let other = router("r2", &[]).port("r2-t", &["169.254.0.2/30"]);
    let one = one.route("10.2.0.0/24", "169.254.0.2", None);
    let transit = switch("transit", &[("r1-t", &[]), ("r2-t", &[])], 0);
    let rows = Rows::new(vec![one, other], vec![transit], BTreeMap::new());
    let found = find(&rows, &[], None);
    assert_eq!(lines(&found), ["ovn?/r1 r1 -", "ovn?/r2 r2 -"]);
    let [link] = &found.links[..] else { panic!("{:?}", found.links) };
    assert_eq!((link.tool, link.through.as_deref()), (Maker::Plain, Some("transit")));
    assert_eq!(link.ends[0].routes.len(), 1);
}

#[test]
fn a_name_of_several_routers_is_written_as_their_uuids() {
    let (one, mut other) = (router("same", &[]), router("same", &[]));
    other.uuid = Uuid::from_u128(9);
    let rows = Rows::new(vec![one, other], vec![], BTreeMap::new());
    let found = find(&rows, &[], None);
    let routers: Vec<&str> = found.networks.iter().map(|it| it.router.as_str()).collect();
    assert_eq!(routers, [Uuid::from_u128(9).to_string(), uuid("same").to_string()]);
}

/// The declarations of this text in networks.d.
fn declared(text: &str) -> LocalDeclarations {
    let id = FileId { directory: Directory::Networks, name: "a.toml".into() };
    let text = Ok(text.to_owned());
    let file = SourceFile { id, path: "networks.d/a.toml".into(), text, owner: None };
    let mut local = LocalDeclarations::new(&Settings::defaults(std::path::Path::new("")));
    local.apply(Reading { complete: true, files: vec![file], ..Reading::default() });
    local
}

#[test]
fn what_is_written_is_read_as_what_was_found() {
    let mut rows = numbered_rows("lxd");
    rows.routers.extend(kubernetes().routers);
    rows.routers.push(router("odd \"name\" \\ = # \u{1}", &[]));
    let rows = Rows::new(rows.routers, rows.switches, rows.port_groups);
    let mut lxd = lxd_knows();
    for instance in lxd.networks.iter_mut().flatten() {
        // What a tenant writes is a comment, whatever it is.
        instance.description = format!("[[network]]\nname = \"x\"\r\u{7f}{}", "long ".repeat(40));
    }
    let found = find(&rows, &[lxd], None);
    for follow in [false, true] {
        reads_back(&found, follow);
    }
}

fn reads_back(found: &Found, follow: bool) {
    let text = written(found, follow);
    let local = declared(&text);
    let faults: Vec<String> = local.diagnostics().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{faults:?}\n{text}");
    assert_eq!(local.networks().count(), found.networks.len(), "{text}");
    for network in &found.networks {
        let key = crate::declare::NetworkKey::new(&*network.project, &*network.name);
        let read = local.network(&key).unwrap();
        match found.binding(network).filter(|_| follow) {
            Some(of) => assert_eq!(read.of.as_deref(), Some(&of)),
            None => assert_eq!(read.router, RouterRef::named(&network.router)),
        }
    }
    let long = text.lines().filter(|line| line.starts_with('#') && line.chars().count() > 80);
    assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new(), "{text}");
}

#[test]
fn what_is_bound_otherwise_than_found_differs() {
    let found = find(&numbered_rows("lxd"), &[lxd_knows()], None);
    let differing = |text: &str| {
        let local = declared(text);
        let bound = local.networks().map(|network| Bound { network, file: "a.toml" });
        let bound: Vec<Bound<'_>> = bound.collect();
        let differences = check(&found, &bound, Some(Maker::Tool(Tool::Lxd)));
        let short = |it: Difference| format!("{:?} {}", it.kind, it.network);
        differences.into_iter().map(short).collect::<Vec<_>>()
    };
    let network = |names: &str, router: &str| {
        let (project, name) = names.split_once('/').unwrap();
        format!("[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = {router}\n")
    };
    let web = network("blue/web", "{ lxd = \"blue/web\" }");
    let db = network("green/db", "\"lxd-net3-lr\"");
    assert_eq!(differing(&format!("{web}{db}")), [""; 0]);
    assert_eq!(differing(&web), ["Unbound green/db"]);
    let gone = network("green/db", "\"lxd-net9-lr\"");
    assert_eq!(differing(&format!("{web}{gone}")), ["NoRouter green/db", "Unbound green/db"]);
    let unknown = network("green/db", "{ lxd = \"green/no\" }");
    assert_eq!(differing(&format!("{web}{unknown}")), ["NoRouter green/db", "Unbound green/db"]);
    let swapped = [network("blue/web", "\"lxd-net3-lr\""), network("green/db", "\"lxd-net2-lr\"")];
    assert_eq!(differing(&swapped.concat()), ["OtherRouter blue/web", "OtherRouter green/db"]);
    // Of others, that LXD has not made.
    let other = network("red/lab", "\"r1\"");
    assert_eq!(differing(&format!("{web}{db}{other}")), [""; 0]);
}

#[test]
fn one_maker_alone_is_found() {
    let mut rows = numbered_rows("lxd");
    rows.routers.extend(vpcs().routers);
    let rows = Rows::new(rows.routers, rows.switches, rows.port_groups);
    let found = find(&rows, &[], Some(Maker::Tool(Tool::KubeOvn)));
    assert_eq!((found.networks.len(), found.links.len()), (2, 1));
}
