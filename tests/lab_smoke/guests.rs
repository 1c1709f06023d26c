//! The lab gives what it promises: guests that reach what OVN lets them reach, and nothing else.

use crate::lab::Lab;
use crate::lab::topology::Nat;
use crate::on_every_lab;

on_every_lab!(guests_of_one_network_reach_each_other_and_the_outside);

fn guests_of_one_network_reach_each_other_and_the_outside(lab: &Lab) {
    let blue = lab.add_network("blue", &["10.1.0.0/24 fd01::/64", "10.11.0.0/24"]);
    let green = lab.add_network("green", &["10.2.0.0/24 fd02::/64"]);
    lab.add_uplink(&blue, Nat::Source);
    let first = lab.add_guest(&blue, "b1", 0);
    let second = lab.add_guest(&blue, "b2", 1);
    let third = lab.add_guest_in(&blue.subnets[1], "b3", 1);
    let other = lab.add_guest(&green, "g1", 0);
    lab.settle();
    first.assert_reaches(&second);
    first.assert_reaches(&third);
    first.assert_tcp(&second);
    first.assert_reaches(&lab.outside());
    first.assert_tcp(&lab.outside());
    first.assert_isolated_from(&other);
    first.assert_no_tcp(&other);
    assert_eq!(first.trace(third.v4(), 4), [Some(blue.router_addresses()[0]), Some(third.v4())]);
    let report = first.stream(second.v6(), 100).finish();
    assert_eq!(report.lost(), 0);
    assert!(first.tcp_throughput(&second, second.v4(), 20_000_000) > 1.0);
}

#[test]
#[should_panic(expected = "error parsing match")]
fn a_match_that_does_not_parse_is_noticed() {
    let lab = Lab::single_chassis();
    let blue = lab.add_network("blue", &["10.1.0.0/24"]);
    lab.add_guest(&blue, "b1", 0);
    lab.nbctl_batch("lr-policy-add blue 500 'outport != \"blue-r0\"' drop");
    lab.settle();
    lab.assert_all_matches_parse();
}
