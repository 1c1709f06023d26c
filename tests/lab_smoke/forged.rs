//! A source address is believed on one port only. Every forgery is first seen to arrive without the policies.

use std::net::IpAddr;

use crate::lab::Lab;
use crate::lab::host::{Forged, Forgery, Host};
use crate::lab::topology::Nat;
use crate::on_every_lab;
use crate::rows::{self, Naming};

on_every_lab!(forged_sources_are_dropped);

/// (sender, whose address it claims, target)
type Claim<'a> = (&'a Host, &'a Host, &'a Host);

fn forged_sources_are_dropped(lab: &Lab) {
    let a = lab.add_network("a", &["10.1.0.0/24 fd01::/64", "10.11.0.0/24 fd11::/64"]);
    let b = lab.add_network("b", &["10.2.0.0/24 fd02::/64", "10.12.0.0/24 fd12::/64"]);
    let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    for n in [&a, &b] {
        lab.add_uplink(n, Nat::None);
    }
    let a1 = lab.add_guest(&a, "a1", 0);
    let a2 = lab.add_guest_in(&a.subnets[1], "a2", 1);
    let b1 = lab.add_guest(&b, "b1", 1);
    let b2 = lab.add_guest_in(&b.subnets[1], "b2", 0);
    let c1 = lab.add_guest(&c, "c1", 0);
    let outside = lab.outside();
    rows::link(lab, &a, &b);
    rows::link(lab, &b, &c);
    lab.settle();
    // What the outside sends to b2 tries to pass through A.
    let through = |like: IpAddr| a.uplink_address(like);
    outside.ip(&[
        format!("route replace 10.12.0.0/24 via {}", through(outside.v4())),
        format!("route replace fd12::/64 via {}", through(outside.v6())),
    ]);
    let forgeries: [Claim<'_>; 10] = [
        (&b1, &a1, &b2),
        (&b1, &a1, &a2),
        (&a1, &b1, &a2),
        (&a1, &b1, &b2),
        (&a1, &c1, &b1),
        (&c1, &a1, &b1),
        (&outside, &a1, &b1),
        (&outside, &b1, &a1),
        (&outside, &a2, &a1),
        (&outside, &a1, &b2),
    ];
    assert_eq!(lost(&forgeries), Vec::<String>::new(), "without policies every forgery arrives");
    rows::guard(lab, &a, &b, Naming::Literals);
    rows::guard(lab, &b, &c, Naming::Literals);
    for n in [&a, &b] {
        rows::guard_uplink(lab, n);
    }
    lab.sync();
    assert_eq!(arrived(&forgeries), Vec::<String>::new(), "with policies no forgery arrives");
    // What no forgery is still passes, also when it is made in the same way.
    assert_eq!(lost(&[(&a1, &a1, &b1), (&b2, &b2, &a1), (&c1, &c1, &b2)]), Vec::<String>::new());
    a1.assert_reaches(&b2);
}

#[test]
fn a_deleted_address_set_closes_the_peering() {
    let lab = Lab::single_chassis();
    let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)]
        .map(|(name, n)| lab.add_network(name, &[&format!("10.{n}.0.0/24 fd0{n}::/64")]));
    let a1 = lab.add_guest(&a, "a1", 0);
    let b1 = lab.add_guest(&b, "b1", 0);
    let c1 = lab.add_guest(&c, "c1", 0);
    for n in [&a, &b, &c] {
        rows::address_sets(&lab, n);
    }
    rows::link(&lab, &a, &b);
    rows::link(&lab, &b, &c);
    rows::guard(&lab, &a, &b, Naming::Sets);
    rows::guard(&lab, &b, &c, Naming::Sets);
    lab.settle();
    a1.assert_reaches(&b1);
    for ip in ["ip4", "ip6"] {
        let set = rows::set_name(&a, ip);
        lab.nbctl(&["destroy", "Address_Set", &set]);
        lab.sync();
        a1.assert_isolated_from(&b1);
        b1.assert_isolated_from(&a1);
        b1.assert_reaches(&c1);
        let prefix = if ip == "ip4" { "10.1.0.0/24" } else { "fd01::/64" };
        let (name, addresses) = (format!("name={set}"), format!("addresses=\"{prefix}\""));
        lab.nbctl(&["create", "Address_Set", &name, &addresses]);
        lab.sync();
        a1.assert_reaches(&b1);
    }
}

fn arrived(claims: &[Claim<'_>]) -> Vec<String> {
    outcomes(claims).into_iter().filter(|(_, arrived)| *arrived).map(|(what, _)| what).collect()
}

fn lost(claims: &[Claim<'_>]) -> Vec<String> {
    outcomes(claims).into_iter().filter(|(_, arrived)| !arrived).map(|(what, _)| what).collect()
}

/// Tries every claim at once, in both families, by UDP and by ICMP.
fn outcomes(claims: &[Claim<'_>]) -> Vec<(String, bool)> {
    let (mut names, mut forgeries) = (vec![], vec![]);
    for (from, claimed, to) in claims {
        for (source, target) in [(claimed.v4(), to.v4()), (claimed.v6(), to.v6())] {
            for what in [Forged::Udp, Forged::IcmpEcho] {
                names.push(format!("{} as {source} -> {target} {what:?}", from.name));
                forgeries.push(from.forge(what, source, target, to));
            }
        }
    }
    names.into_iter().zip(Forgery::which_arrive(forgeries)).collect()
}
