//! Whatever tenants call things, and however the operator names a router, it is the same peering.

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::owned::{foreign, link_rows, owned};
use crate::tenants::Tenants;

/// Names that would break a match, a row name, a shell or a path, were they used in one.
const NAMES: [(&str, &str); 4] =
    [("a b", "x\\\" || 1 == 1"), ("ünïcode №", "$set"), ("slash/es", "../.."), ("a-b", "{inport}")];

#[test]
fn s0_12_no_name_of_a_tenant_reaches_a_match_or_a_row_name() {
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
fn s3_3_a_router_is_bound_by_its_uuid_too() {
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
