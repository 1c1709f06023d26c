//! Networks that are named by their UUIDs.

use serde_json::Value;

use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::store::{LIMIT, raise};
use crate::tenants::wait_all_active;

fn done(daemon: &Daemon, args: &[&str]) -> Value {
    let output = daemon.ctl(&[args, &["--format", "json"]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// S3.3, S3.10: both sides name the other one by the UUID that its owner reads; every host shows the same ones.
#[test]
fn two_networks_peer_by_uuids_alone() {
    let (lab, [a1, b1], [hv1, hv2]) = raise();
    let uuids = |daemon: &Daemon| -> Vec<String> {
        let networks = done(daemon, &["networks"]);
        let networks = networks.as_array().unwrap().iter();
        networks.map(|network| network["uuid"].as_str().unwrap().to_owned()).collect()
    };
    poll("both hosts know both networks", LIMIT, || {
        let (one, other) = (uuids(&hv1), uuids(&hv2));
        if one.len() == 2 && one == other { Ok(()) } else { Err(format!("{one:?} {other:?}")) }
    });
    let [web, db] = &uuids(&hv1)[..] else { panic!("two networks") };
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    done(&hv1, &["create", "blue/web/to-db", db]);
    let asked = hv2.wait_state("blue", "web", "to-db", "pending-peer");
    assert_eq!(
        (&asked["target_uuid"], &asked["target_network"]),
        (&Value::from(&**db), &"".into())
    );
    let requests = done(&hv2, &["requests"]);
    assert_eq!(requests[0]["from_network"], "web", "{requests}");
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    done(&hv2, &["create", "green/db/to-web", web]);
    [&hv1, &hv2].into_iter().for_each(wait_all_active);
    lab.sync();
    a1.assert_reaches(&b1);
    let shown = done(&hv1, &["show", "green/db/to-web"]);
    assert_eq!(shown["network_uuid"], **db, "its owner reads what the other side may name");
    // A new name keeps the UUID, and the peering.
    done(&hv1, &["rename", "green/db/to-web", "web"]);
    let renamed = done(&hv2, &["show", "green/db/web"]);
    assert_eq!((&renamed["uuid"], &renamed["since"]), (&shown["uuid"], &shown["since"]));
    a1.assert_reaches(&b1);
    done(&hv1, &["delete", "green/db/web"]);
    hv2.wait_state("blue", "web", "to-db", "disconnected");
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
}
