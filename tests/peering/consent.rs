//! Consent, with packets: asked for, agreed to, withdrawn, renewed, disabled from either side and up again.

use crate::lab::Lab;
use crate::lab::host::Host;
use crate::owned::{foreign, is_ours, link_rows, owned};
use crate::tenants::{Tenants, disabled};

/// S0.1, S0.3, S0.4, S0.9, S0.18, S1.2, S1.3, S1.11, S1.13, S2.28-S2.31, S3.1, S3.2, S3.9.
#[test]
fn both_halves_make_a_path_and_one_alone_does_not() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    let before = lab.dump().without_counters();
    let apart = || {
        lab.sync();
        a1.assert_reach_all(&tenants.a.router_addresses());
        b1.assert_reach_all(&tenants.b.router_addresses());
        Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
        assert_eq!(link_rows(&lab.dump()).len(), 0, "no port, route or policy");
    };
    let together = || {
        a1.assert_reaches(&b1);
        b1.assert_reaches(&a1);
        a1.assert_tcp(&b1);
        b1.assert_tcp(&a1);
        a1.assert_reach_all(&tenants.b.router_addresses());
        lab.assert_all_matches_parse();
    };
    apart();
    tenants.blue_declares();
    let asked = tenants.wait_blue("pending-peer");
    assert_eq!(asked["reason"], "awaiting-peer");
    assert!(asked["next_step"].as_str().is_some_and(|s| s.contains("green/db")), "{asked}");
    apart();
    foreign(&lab).assert_same_as(&before);
    tenants.green_declares();
    tenants.wait_active();
    together();
    tenants.daemon.withdraw("green");
    assert_eq!(tenants.wait_blue("disconnected")["reason"], "peer-withdrew");
    apart();
    tenants.green_declares();
    tenants.wait_active();
    together();
    tenants.daemon.withdraw("blue");
    tenants.wait_green("disconnected");
    apart();
    tenants.daemon.withdraw("green");
    tenants.daemon.wait_until("no half is left", |halves| {
        if halves.is_empty() { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    apart();
    let after = lab.dump();
    let left = owned(&after);
    assert!(left.is_empty(), "nothing of ours is left: {left:?}");
    // The counter of the host stays: see docs/northbound.md.
    after.foreign(is_ours).assert_same_as(&before);
}

/// S3.12: administratively down, from either side, and up again.
#[test]
fn disabled_here_is_peer_disabled_there() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    let daemon = &tenants.daemon;
    tenants.peer();
    a1.assert_reaches(&b1);
    let down = || {
        lab.sync();
        a1.assert_reach_all(&tenants.a.router_addresses());
        Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
        assert_eq!(link_rows(&lab.dump()).len(), 0);
    };
    daemon.declare("blue", &disabled("to-db", "web", "green/db"));
    tenants.wait_blue("disabled");
    tenants.wait_green("peer-disabled");
    down();
    daemon.declare("green", &disabled("to-web", "db", "blue/web"));
    tenants.wait_green("disabled");
    tenants.blue_declares();
    tenants.wait_blue("peer-disabled");
    down();
    tenants.green_declares();
    tenants.wait_active();
    a1.assert_reaches(&b1);
    a1.assert_tcp(&b1);
}
