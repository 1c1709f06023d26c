//! Peered traffic stays inside OVN, and what a network had before it keeps.

use crate::ground::{Tenant, bind, halves, wait_active};
use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::topology::Nat;
use crate::on_every_lab;

on_every_lab!(s0_2_s2_14_s2_23_peered_traffic_stays_inside_and_the_own_gateway_is_kept);

fn s0_2_s2_14_s2_23_peered_traffic_stays_inside_and_the_own_gateway_is_kept(lab: &Lab) {
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, at)| Tenant::new(lab, name, at));
    lab.add_uplink(&a.network, Nat::Source);
    lab.add_uplink(&b.network, Nat::None);
    let outside = lab.outside();
    lab.settle();
    let outward = [outside.v4()];
    a.guest.assert_reach_all(&outward);
    b.guest.assert_reach_all(&outward);
    outside.assert_reach_all(&b.network.router_addresses());

    let daemon = Daemon::start(lab);
    bind(&daemon, &[&a, &b]);
    daemon.declare("a", &halves(&["b"]));
    daemon.declare("b", &halves(&["a"]));
    wait_active(&daemon, "a", "b");
    a.guest.assert_reaches(&b.guest);

    let (from, to) = (a.guest.v4(), b.guest.v4());
    let capture = outside.capture(&format!("host {from} or host {to}"));
    a.guest.assert_reaches(&b.guest);
    a.guest.assert_tcp(&b.guest);
    assert_eq!(capture.stop(), Vec::<String>::new(), "peered packets were seen outside");
    // Not translated on the way: b sees a's own address, although a's uplink has source NAT.
    let seen = b.guest.capture(&format!("icmp and src host {from}"));
    a.guest.assert_reaches(&b.guest);
    assert!(!seen.stop().is_empty(), "b did not see a's own address");

    a.guest.assert_reach_all(&outward);
    b.guest.assert_reach_all(&outward);
    outside.assert_reach_all(&b.network.router_addresses());
    outside.assert_reach_all(&[b.guest.v4()]);
    lab.assert_all_matches_parse();
}
