//! A role, with what has to be granted to it and no more: as docs/troubleshoot.md has it, by the client's certificate.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::ground::{DEADLINE, Ground, foreign, own, seed};
use crate::lab::command::{poll, require_root_and_tools, run};
use crate::lab::netns::Netns;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::refusals::{SB_SCHEMA, refused, with_roles};
use crate::server::{SCHEMA, Server};
use crate::tls::Pki;

/// What the table of docs/troubleshoot.md has: tables, whether rows come and go, columns.
fn grants() -> Vec<(String, bool, Vec<String>)> {
    let page = fs::read_to_string("docs/troubleshoot.md").expect("the page");
    let table = page.split("| `RBAC_Permission` of |").nth(1).expect("its table of grants");
    let rows = table.split("\n\n").next().unwrap_or_default().lines().skip(2);
    let words = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').skip(1).collect();
        (words(cells[0]).remove(0), cells[1].trim() == "true", words(cells[2]))
    })
    .collect()
}

fn transact(remote: &str, operations: &[Value]) {
    let mut words = vec![json!("OVN_Northbound")];
    words.extend(operations.iter().cloned());
    let said = run("ovsdb-client", ["transact", remote, &Value::Array(words).to_string()]);
    assert!(!said.contains("error"), "{said}");
}

#[test]
fn a_role_with_what_the_readme_grants_writes_it_all() {
    require_root_and_tools();
    let scope = Scope::new();
    let netns = Netns::new(&scope, "host");
    let pki = Pki(scope.dir().join("pki"));
    fs::create_dir(&pki.0).expect("a directory");
    pki.generation(0);
    let schema = with_roles(SCHEMA, scope.dir());
    let southbound = scope.dir().join("sb.db");
    run("ovsdb-tool", [Path::new("create"), &southbound, Path::new(SB_SCHEMA)]);
    let more = [
        "--remote=db:OVN_Southbound,SB_Global,connections".to_owned(),
        format!("--certificate={}", pki.path("0-server.crt")),
        format!("--private-key={}", pki.path("0-server.key")),
        format!("--ca-cert={}", pki.path("0-ca.crt")),
        southbound.display().to_string(),
    ];
    let server = Server::prepare(scope.dir(), "nb", Some(&netns), &more);
    run("ovsdb-tool", [Path::new("create"), &server.file(), &schema]);
    server.start();
    let remote = server.remote();
    seed(&remote);
    let database = format!("--db={remote}");
    let target = "target=\"pssl:6641:127.0.0.1\"";
    let words = [
        "--id=@c",
        "create",
        "Connection",
        target,
        "role=peering",
        "--",
        "set",
        "SB_Global",
        ".",
        "connections=@c",
    ];
    run("ovn-sbctl", [&*database, "init"]);
    run("ovn-sbctl", [&*database].into_iter().chain(words));
    transact(&remote, &[json!({"op": "insert", "table": "RBAC_Role", "row": {"name": "peering"}})]);
    let lease = ["create", "DHCP_Options", "cidr=10.1.0.0/24", "options:lease_time=\"60\""];
    let lease = crate::server::nbctl(&remote, &lease).trim().to_owned();
    let sends = ["set", "Logical_Router_Port", "r1-in", "ipv6_ra_configs:address_mode=slaac"];
    crate::server::nbctl(&remote, &sends);
    let more = "ls-add s1 -- lsp-add s1 s1-r -- lsp-set-type s1-r router -- lsp-set-options s1-r router-port=r1-in -- \
         lb-add web-lb 10.2.0.100:80 10.2.0.10:8080 tcp -- lr-lb-add r2 web-lb -- \
         ls-add s2 -- lsp-add s2 s2-r -- lsp-set-type s2-r router -- lsp-set-options s2-r router-port=r2-in -- \
         --id=@names create DNS records:g2.lxd=10.2.0.10 -- add Logical_Switch s2 dns_records @names -- \
         lrp-add r2 r2-up 0a:00:00:00:00:72 192.0.2.9/24 -- lrp-set-gateway-chassis r2-up gw1";
    crate::server::nbctl(&remote, &more.split_whitespace().collect::<Vec<_>>());
    let before = foreign(&Dump::read(&remote));
    let settings = format!(
        "remotes = [\"ssl:127.0.0.1:6641\"]\nca_cert = {:?}\ncertificate = {:?}\nprivate_key = {:?}\n",
        pki.path("0-ca.crt"),
        pki.path("0-client.crt"),
        pki.path("0-client.key")
    );
    let mut ground = Ground::start(scope.dir(), &settings, Some(netns.name()), &[(0, 1), (1, 2)]);
    let explanation = refused(&ground);
    for word in ["client0", "peering", "RBAC_Permission"] {
        assert!(explanation.contains(word), "{explanation}");
    }
    let tells = "[[network]]\nproject = \"p1\"\nname = \"n\"\nrouter = \"r1\"\ntell_guests = [\"dhcp\", \"ra\"]\n";
    ground.daemon.write("networks.d/p1-n.toml", tells);
    let told = ground
        .status_that("it is in the status", |status| !status["northbound"]["refusal"].is_null());
    assert!(told["northbound"]["refusal"]["since"].is_string(), "{told}");

    let grants = grants();
    assert_eq!(grants.len(), 16, "{grants:?}");
    let mut operations: Vec<Value> = Vec::new();
    let mut permissions: Vec<Value> = Vec::new();
    for (index, (table, insert_delete, columns)) in grants.iter().enumerate() {
        let name = format!("p{index}");
        let row = json!({
            "table": table, "insert_delete": insert_delete,
            "update": ["set", columns], "authorization": ["set", [""]],
        });
        operations.push(
            json!({"op": "insert", "table": "RBAC_Permission", "uuid-name": name, "row": row}),
        );
        permissions.push(json!([table, ["named-uuid", name]]));
    }
    let row = json!({"permissions": ["map", permissions]});
    operations.push(json!({"op": "update", "table": "RBAC_Role", "where": [["name", "==", "peering"]], "row": row}));
    transact(&remote, &operations);
    // What was refused is tried again with the next session, or after 30 s.
    server.appctl(&["ovsdb-server/reconnect"]);
    let took = ground.converge(&remote, "the grant");
    println!("{explanation}\nwritten {took:?} after the grant");
    let told = |table: &str, row: &str, column: &str| {
        crate::server::nbctl(&remote, &["get", table, row, column])
    };
    let told_by_dhcp = told("DHCP_Options", &lease, "options");
    assert!(told_by_dhcp.contains("10.2.0.0/24,10.1.0.1"), "{told_by_dhcp}");
    let told_by_ra = told("Logical_Router_Port", "r1-in", "ipv6_ra_configs");
    assert!(told_by_ra.contains("MEDIUM-fd02::/64"), "{told_by_ra}");
    // Whatever else it does is granted as well: more and fewer peerings, repairs, and the end of it all.
    ground.toggle((0, 1));
    ground.toggle((2, 3));
    ground.converge(&remote, "changes");
    crate::server::nbctl(&remote, &["lrp-set-enabled", &port(&remote), "disabled"]);
    ground.converge(&remote, "a repair");
    let pin = ["set", "Logical_Router", "r2", "options:chassis=gw1"];
    crate::server::nbctl(&remote, &pin);
    crate::server::nbctl(&remote, &["lr-nat-add", "r2", "snat", "192.0.2.9", "10.2.0.0/24"]);
    ground.converge(&remote, "a gateway router");
    assert_ne!(exempted(&remote), "[]", "the peers are exempted from its NAT");
    everything(&ground, &remote);
    for pair in [(1, 2), (2, 3)] {
        ground.toggle(pair);
    }
    ground.converge(&remote, "the end");
    // The counter of the host stays: see README, "What it writes to the northbound".
    let left = own(&Dump::read(&remote));
    assert!(
        matches!(&left[..], [row] if row.contains("ovn_peerd_hosts")),
        "nothing else of ours is left: {left:?}"
    );
    assert_eq!(exempted(&remote), "[]", "the NAT row is as it was");
    crate::server::nbctl(&remote, &["lr-nat-del", "r2"]);
    crate::server::nbctl(&remote, &["remove", "Logical_Router", "r2", "options", "chassis"]);
    let after = foreign(&Dump::read(&remote));
    let roles = |rows: &[String]| -> Vec<String> {
        rows.iter().filter(|row| !row.starts_with("RBAC_")).cloned().collect()
    };
    assert_eq!(roles(&after), roles(&before));
}

/// Rows of all further kinds: of load balancers, of names, of a gateway, and of switches that keep state.
fn everything(ground: &Ground, remote: &str) {
    let half = |other: usize, more: &str| {
        format!(
            "[[peering]]\nname = \"to-{other}\"\nnetwork = \"n\"\ntarget_project = \"p{other}\"\n\
             target_network = \"n\"\n{more}\n"
        )
    };
    let uses = "use_load_balancers = true\ntell_names = true\nuse_gateway = [\"10.99.0.0/16\"]\nstateful = true\nin = []\n\
        out = [{ protocol = \"udp\", ports = [53] }]";
    ground.daemon.declare("p1", &half(2, uses));
    let offers = "load_balancers = [\"web-lb\"]\noffer_names = true\ngateway = \"offer\"";
    ground.daemon.declare("p2", &(half(1, offers) + &half(3, "")));
    let wanted = ["Load_Balancer", "DNS", "NAT", "Port_Group", "ACL"];
    poll("rows of all kinds", DEADLINE, || {
        let own = own(&Dump::read(remote));
        let missing: Vec<_> =
            wanted.iter().filter(|it| !own.iter().any(|row| row.starts_with(**it))).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no rows of {missing:?}")) }
    });
}

/// One of our ports.
fn port(remote: &str) -> String {
    let found = [
        "--bare",
        "--columns=name",
        "find",
        "Logical_Router_Port",
        "external_ids:ovn-peerd-unit!=\"\"",
    ];
    let ports = crate::server::nbctl(remote, &found);
    ports.lines().find(|line| !line.is_empty()).expect("a port").to_owned()
}

/// What the one NAT row exempts.
fn exempted(remote: &str) -> String {
    let list = ["--bare", "--columns=_uuid", "list", "NAT"];
    let row = crate::server::nbctl(remote, &list);
    crate::server::nbctl(remote, &["get", "NAT", row.trim(), "exempted_ext_ips"]).trim().to_owned()
}
