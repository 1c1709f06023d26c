//! Whatever tenants call things, and however the operator names a router, it is the same peering.

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::owned::{foreign, link_rows, owned};
use crate::tenants::{Tenants, half};

/// Names that would break a match, a row name, a shell or a path, were they used in one.
const NAMES: [(&str, &str); 4] =
    [("a b", "x\\\" || 1 == 1"), ("ünïcode №", "$set"), ("slash/es", "../.."), ("a-b", "{inport}")];

#[test]
fn no_name_of_a_tenant_reaches_a_match_or_a_row_name() {
    let lab = Lab::databases_only();
    let daemon = Daemon::start(&lab);
    for (n, (project, network)) in NAMES.iter().enumerate() {
        lab.add_network(&format!("r{n}"), &[&format!("10.{n}.0.0/24 fd0{n}::/64")]);
        let bound = format!(
            "[[network]]\nproject = \"{project}\"\nname = \"{network}\"\nrouter = \"r{n}\"\n"
        );
        daemon.write(&format!("networks.d/{n}.toml"), &bound);
    }
    let theirs = foreign(&lab);
    // Each with the next one.
    for (n, (project, network)) in NAMES.iter().enumerate() {
        let halves: String = [(n + 1) % NAMES.len(), (n + NAMES.len() - 1) % NAMES.len()]
            .iter()
            .map(|to| {
                let (target, net) = NAMES[*to];
                format!(
                    "[[peering]]\nname = \"{network} {to}\"\nnetwork = \"{network}\"\n\
                     target_project = \"{target}\"\ntarget_network = \"{net}\"\n"
                )
            })
            .collect();
        daemon
            .write(&format!("peerings.d/{n}.toml"), &format!("project = \"{project}\"\n{halves}"));
    }
    daemon.wait_until("all eight halves are active", |halves| {
        let active = halves.iter().filter(|h| h["state"] == "active").count();
        if active == 2 * NAMES.len() { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    for row in owned(&lab.dump()) {
        for column in ["name", "match", "peer", "output_port"] {
            let text = row.text(column).replace("\"ovn-peerd-", "").replace("ovn-peerd-", "");
            for (project, network) in NAMES {
                let told = [project, network].into_iter().find(|name| text.contains(*name));
                assert_eq!(told, None, "a name is in {column}: {text}");
            }
        }
    }
    assert_eq!(daemon.ctl(&["plan"]).status.code(), Some(0));
    let name = format!("{} 1", NAMES[0].1.replace('\\', ""));
    let shown = daemon.ctl(&["show", NAMES[0].0, &NAMES[0].1.replace('\\', ""), &name]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    foreign(&lab).assert_same_as(&theirs);
}

/// By name, and by UUID, which outlives a rename.
#[test]
fn a_router_is_bound_by_its_uuid_too() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let rows = link_rows(&lab.dump()).len();
    let uuid = lab.nbctl(&["get", "Logical_Router", "b", "_uuid"]).trim().to_owned();
    tenants.daemon.bind_network("green", "db", &uuid);
    lab.nbctl(&["set", "Logical_Router", "b", "name=renamed"]);
    tenants.wait_active();
    lab.nbctl(&["set", "Logical_Router", "a", "name=renamed-too"]);
    let half = tenants.wait_blue("failed");
    assert_eq!(half["reason"], "missing-local-router");
    assert_eq!(tenants.wait_green("failed")["reason"], "missing-peer-router");
    lab.nbctl(&["set", "Logical_Router", "renamed-too", "name=a"]);
    tenants.wait_active();
    assert_eq!(link_rows(&lab.dump()).len(), rows);
}

/// S0.5-S0.9, S0.12, S0.13, S0.18, S0.19, S1.1, S1.2, S1.4, S3.12: names of one's own, many peerings for a network.
#[test]
fn names_of_ones_own_within_and_across_projects() {
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
    Host::assert_all_isolated(&[(&guests[1], &guests[2]), (&guests[2], &guests[1])]);
    let shown = daemon.ctl(&["show", "blue", "web", "to-db", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["description"], "web \"tier\" to database");
    assert_eq!(shown["config"]["user.ticket"], "NET-42");
    assert_eq!(shown["local_prefixes"], serde_json::json!(["10.1.0.0/24", "fd01::/64"]));
    assert_eq!(shown["remote_prefixes"], serde_json::json!(["10.3.0.0/24", "fd03::/64"]));
    // On its own router: a port, a route for each family, and three policies.
    assert_eq!(shown["rows"].as_array().map(Vec::len), Some(6), "{shown}");
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
