//! Peerings are not transitive (S1.16, S1.17, S2.10, S2.11), and sources are believed only where
//! they belong.

use crate::ground::{Tenant, bind, halves, wait_active};
use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::host::{Forged, Forgery};
use crate::lab::topology::Nat;
use crate::on_every_lab;

on_every_lab!(
    s1_16_s1_17_a_common_peer_is_no_way_through_even_with_routes_made_by_hand,
    forged_sources_arrive_nowhere
);

fn s1_16_s1_17_a_common_peer_is_no_way_through_even_with_routes_made_by_hand(lab: &Lab) {
    let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, at)| Tenant::new(lab, name, at));
    lab.settle();
    let daemon = Daemon::start(lab);
    bind(&daemon, &[&a, &b, &c]);
    a.guest.assert_isolated_from(&b.guest);
    daemon.declare("a", &halves(&["b"]));
    daemon.declare("b", &halves(&["a", "c"]));
    daemon.declare("c", &halves(&["b"]));
    wait_active(&daemon, "a", "b");
    wait_active(&daemon, "b", "c");
    a.guest.assert_reaches(&b.guest);
    b.guest.assert_reaches(&c.guest);
    a.guest.assert_isolated_from(&c.guest);

    // Somebody with access to the northbound sends a's traffic for c over b, and c's back.
    let link = |tenant: &Tenant, to: &Tenant| -> String {
        let routes = lab.nbctl(&["lr-route-list", tenant.network.router()]);
        let prefix = to.network.prefixes().next().expect("a prefix").to_string();
        let route = routes.lines().find(|line| line.contains(&prefix)).expect("our route");
        route.split_whitespace().last().expect("a port").to_owned()
    };
    let routes = [(&a, link(&a, &b), &c), (&c, link(&c, &b), &a)];
    for (from, port, to) in &routes {
        for (prefix, hop) in to.network.prefixes().zip(b.network.router_addresses()) {
            let (prefix, hop) = (prefix.to_string(), hop.to_string());
            lab.nbctl(&["lr-route-add", from.network.router(), &prefix, &hop, port]);
        }
    }
    lab.sync();
    a.guest.assert_isolated_from(&c.guest);
    a.guest.assert_no_tcp(&c.guest);
    a.guest.assert_reaches(&b.guest);
    // The routes do lead there: without our drop on the way they carry packets.
    daemon.kill9();
    for tenant in [&a, &b, &c] {
        lab.nbctl(&["lr-policy-del", tenant.network.router()]);
    }
    lab.sync();
    a.guest.assert_reaches(&c.guest);
    // And the daemon, once back, closes it again.
    daemon.start_again();
    lab.sync();
    wait_active(&daemon, "a", "b");
    lab.sync();
    a.guest.assert_isolated_from(&c.guest);
    a.guest.assert_reaches(&b.guest);
}

fn forged_sources_arrive_nowhere(lab: &Lab) {
    let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, at)| Tenant::new(lab, name, at));
    lab.add_uplink(&a.network, Nat::None);
    lab.add_uplink(&b.network, Nat::None);
    let outside = lab.outside();
    lab.settle();
    let daemon = Daemon::start(lab);
    bind(&daemon, &[&a, &b, &c]);
    let sources = || -> Vec<(&str, Forgery)> {
        let udp = Forged::Udp;
        vec![
            ("b as c to a", b.guest.forge(udp, c.guest.v4(), a.guest.v4(), &a.guest)),
            ("b as outside to a", b.guest.forge(udp, outside.v4(), a.guest.v4(), &a.guest)),
            ("outside as b to a", outside.forge(udp, b.guest.v4(), a.guest.v4(), &a.guest)),
            ("outside as a to a", outside.forge(udp, a.guest.v4(), a.guest.v4(), &a.guest)),
            ("outside as a to b", outside.forge(udp, a.guest.v4(), b.guest.v4(), &b.guest)),
            ("outside as b to a, IPv6", outside.forge(udp, b.guest.v6(), a.guest.v6(), &a.guest)),
        ]
    };
    // Neighbours are resolved by packets that can be answered; a forged one cannot.
    outside.assert_reaches(&a.guest);
    outside.assert_reaches(&b.guest);
    // Unpeered, what comes from outside does arrive: the forgeries are real.
    let (names, forgeries): (Vec<_>, Vec<_>) = sources().into_iter().unzip();
    let before = Forgery::which_arrive(forgeries);
    assert!(before.iter().skip(2).all(|arrives| *arrives), "{names:?} {before:?}");

    daemon.declare("a", &halves(&["b"]));
    daemon.declare("b", &halves(&["a", "c"]));
    daemon.declare("c", &halves(&["b"]));
    wait_active(&daemon, "a", "b");
    wait_active(&daemon, "b", "c");
    lab.sync();
    a.guest.assert_reaches(&b.guest);
    let (names, forgeries): (Vec<_>, Vec<_>) = sources().into_iter().unzip();
    let after = Forgery::which_arrive(forgeries);
    assert!(after.iter().all(|arrives| !arrives), "{names:?} {after:?}");
    lab.assert_all_matches_parse();
}
