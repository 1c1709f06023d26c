//! The rows of a peering carry what they must, and nothing that they must not.

use std::net::IpAddr;

use crate::lab::Lab;
use crate::lab::topology::Nat;
use crate::on_every_lab;
use crate::rows::{self, Naming};

/// Packets from or to the networks of these tests.
const INSIDE: &str = "net 10.0.0.0/8 or net fd00::/12";

on_every_lab!(
    peered_guests_reach_each_other_and_not_by_the_uplink,
    three_in_a_row_stay_apart_whatever_routes_there_are,
    uplinks_go_on_as_before,
);

fn peered_guests_reach_each_other_and_not_by_the_uplink(lab: &Lab) {
    let a = lab.add_network("a", &["10.1.0.0/24 fd01::/64", "10.11.0.0/24 fd11::/64"]);
    let b = lab.add_network("b", &["10.2.0.0/24 fd02::/64"]);
    let single = lab.add_network("s", &["10.5.0.0/24"]);
    lab.add_uplink(&a, Nat::Source);
    let a1 = lab.add_guest(&a, "a1", 0);
    let a2 = lab.add_guest_in(&a.subnets[1], "a2", 1);
    let b1 = lab.add_guest(&b, "b1", 1);
    let s1 = lab.add_guest(&single, "s1", 0);
    lab.settle();
    a1.assert_isolated_from(&b1);
    let uplink = lab.outside().capture(INSIDE);
    rows::link(lab, &a, &b);
    rows::guard(lab, &a, &b, Naming::Literals);
    // With empty sets for the family that one side lacks.
    for n in [&b, &single] {
        rows::address_sets(lab, n);
    }
    rows::link(lab, &b, &single);
    rows::guard(lab, &b, &single, Naming::Sets);
    lab.sync();
    for (from, to) in [(&a1, &b1), (&b1, &a1), (&a2, &b1), (&b1, &a2), (&b1, &s1), (&s1, &b1)] {
        from.assert_reaches(to);
    }
    a1.assert_tcp(&b1);
    b1.assert_tcp(&a2);
    b1.assert_tcp(&s1);
    a1.assert_reach_all(&b.router_addresses());
    b1.assert_reach_all(&a.router_addresses());
    let hops = [a.router_addresses()[0], b.router_addresses()[0], b1.v4()].map(Some);
    assert_eq!(a1.trace(b1.v4(), 5), hops, "both routers answer, one hop each");
    assert_eq!(uplink.stop(), Vec::<String>::new(), "peered traffic on the uplink");
    let uplink = lab.outside().capture(INSIDE);
    a1.assert_isolated_from(&s1);
    assert!(
        !uplink.stop().is_empty(),
        "what has no peering leaves by the uplink, and is seen there"
    );
}

fn three_in_a_row_stay_apart_whatever_routes_there_are(lab: &Lab) {
    let a = lab.add_network("a", &["10.1.0.0/24 fd01::/64"]);
    let b = lab.add_network("b", &["10.2.0.0/24 fd02::/64"]);
    let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    let a1 = lab.add_guest(&a, "a1", 0);
    let b1 = lab.add_guest(&b, "b1", 0);
    let c1 = lab.add_guest(&c, "c1", 1);
    rows::link(lab, &a, &b);
    rows::link(lab, &b, &c);
    lab.nbctl_batch(
        "lr-route-add a 10.3.0.0/24 10.2.0.1 a-to-b\nlr-route-add a fd03::/64 fd02::1 a-to-b\n\
         lr-route-add c 10.1.0.0/24 10.2.0.1 c-to-b\nlr-route-add c fd01::/64 fd02::1 c-to-b",
    );
    lab.settle();
    a1.assert_reaches(&c1);
    rows::guard(lab, &a, &b, Naming::Literals);
    rows::guard(lab, &b, &c, Naming::Literals);
    lab.sync();
    a1.assert_isolated_from(&c1);
    c1.assert_isolated_from(&a1);
    b1.assert_reaches(&a1);
    b1.assert_reaches(&c1);
}

fn uplinks_go_on_as_before(lab: &Lab) {
    let a = lab.add_network("a", &["10.1.0.0/24 fd01::/64"]);
    let b = lab.add_network("b", &["10.2.0.0/24 fd02::/64", "10.12.0.0/24 fd12::/64"]);
    lab.add_uplink(&a, Nat::Source);
    lab.add_uplink(&b, Nat::None);
    let a1 = lab.add_guest(&a, "a1", 0);
    let b1 = lab.add_guest(&b, "b1", 0);
    let b2 = lab.add_guest_in(&b.subnets[1], "b2", 1);
    let outside = lab.outside();
    lab.nbctl_batch(
        "lr-nat-add a dnat_and_snat 172.31.0.100 10.1.0.10\n\
         lr-nat-add b dnat_and_snat 172.31.0.101 10.2.0.10\n\
         lr-nat-add b dnat_and_snat fd31::101 fd02::a",
    );
    lab.settle();
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let floating_a = address("172.31.0.100");
    let floating_b = [address("172.31.0.101"), address("fd31::101")];
    let check = || {
        a1.assert_reaches(&outside);
        b1.assert_reaches(&outside);
        b2.assert_tcp(&outside);
        outside.assert_reaches(&b2);
        outside.assert_reach_all(&b.router_addresses());
        outside.assert_reach_all(&[floating_a, floating_b[0], floating_b[1]]);
        b2.assert_reach_all(&floating_b);
        b1.assert_reach_all(&[floating_a]);
    };
    check();
    rows::link(lab, &a, &b);
    rows::guard(lab, &a, &b, Naming::Literals);
    for n in [&a, &b] {
        rows::guard_uplink(lab, n);
    }
    lab.sync();
    check();
    a1.assert_reaches(&b2);
    lab.assert_all_matches_parse();
}

#[test]
fn without_the_swapped_terms_the_remote_router_is_silent() {
    let lab = Lab::single_chassis();
    let a = lab.add_network("a", &["10.1.0.0/24"]);
    let b = lab.add_network("b", &["10.2.0.0/24"]);
    let a1 = lab.add_guest(&a, "a1", 0);
    let b1 = lab.add_guest(&b, "b1", 0);
    rows::link(&lab, &a, &b);
    rows::guard(&lab, &a, &b, Naming::Literals);
    lab.settle();
    a1.assert_reach_all(&b.router_addresses());
    lab.nbctl(&["lr-policy-del", "b", "30200"]);
    lab.nbctl_batch(
        "lr-policy-add b 30200 'inport == \"b-to-a\" && ip4.src == 10.1.0.0/24 && ip4.dst == 10.2.0.0/24' allow",
    );
    lab.sync();
    a1.assert_reach_none(&b.router_addresses());
    a1.assert_reaches(&b1);
}
