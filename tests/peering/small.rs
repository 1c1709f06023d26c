//! Subnets of unusual size and kind: which of them cross a peering, by packets, and which do not.

use crate::lab::Lab;
use crate::lab::host::Host;
use crate::owned::linked_prefixes;
use crate::tenants::{Tenants, assert_says, flaws};

/// Several subnets on several ports, several networks on one port: each is reached from each.
#[test]
fn several_internal_subnets_and_networks_on_one_port_are_reached() {
    let lab = Lab::single_chassis();
    let blue = ["10.1.0.0/24 10.11.0.0/24 fd01::/64 fd11::/64", "10.21.0.0/28"];
    let green = ["10.2.0.0/24 fd02::/64", "10.12.0.0/24 10.22.0.0/16 fd12::/64"];
    let tenants = Tenants::with_subnets(&lab, &blue, &green);
    let a = [0, 1].map(|n| lab.add_guest_in(&tenants.a.subnets[n], &format!("a{n}"), 0));
    let b = [0, 1].map(|n| lab.add_guest_in(&tenants.b.subnets[n], &format!("b{n}"), 0));
    lab.settle();
    Host::assert_all_isolated(&[(&a[0], &b[1]), (&b[0], &a[0])]);
    tenants.peer();
    for one in &a {
        for other in &b {
            one.assert_reach_all(
                &other
                    .addresses
                    .iter()
                    .copied()
                    .filter(|it| one.addresses.iter().any(|own| own.is_ipv4() == it.is_ipv4()))
                    .collect::<Vec<_>>(),
            );
        }
    }
    b[1].assert_tcp(&a[0]);
}

/// The smallest subnets: a guest beside the router, or the router alone.
#[test]
fn the_smallest_subnets_are_reached() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(
        &lab,
        &["10.1.0.0/24 fd01::/64"],
        &["10.2.0.0/24 fd02::/64", "10.9.0.0/31 fd09::/127", "10.9.1.0/32 fd09:1::/128"],
    );
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let small = lab.add_guest_at(&tenants.b.subnets[1], "small", 0, 0);
    lab.settle();
    Host::assert_all_isolated(&[(&a1, &small)]);
    tenants.peer();
    let wanted =
        ["10.2.0.0/24", "10.9.0.0/31", "10.9.1.1/32", "fd02::/64", "fd09:1::1/128", "fd09::/127"];
    assert_eq!(linked_prefixes(&lab.dump(), "a"), wanted);
    a1.assert_reaches(&small);
    small.assert_tcp(&a1);
    a1.assert_reach_all(&["10.9.1.1", "fd09:1::1"].map(|text| text.parse().expect("an address")));
    // The other way round OVN takes the guest's address for the broadcast address: it has never been reached, and that is told.
    lab.nbctl(&[
        "set",
        "Logical_Router_Port",
        "b-r1",
        "networks=[\"10.9.0.0/31\",\"fd09::1/127\"]",
    ]);
    tenants.daemon.wait_until("the even address is told", |halves| {
        let green = halves.iter().find(|h| h["project"] == "green").ok_or("no half")?;
        let told = flaws(green).join("; ");
        let named = told.contains("10.9.0.0/31 on port b-r1") && told.contains("broadcast");
        if named && green["state"] == "active" { Ok(()) } else { Err(green.to_string()) }
    });
    small.ip(&[
        "address del 10.9.0.0/31 dev eth0".to_owned(),
        "address add 10.9.0.1/31 dev eth0".to_owned(),
        "route replace default via 10.9.0.0".to_owned(),
    ]);
    lab.sync();
    a1.assert_reach_all(&["fd09::".parse().expect("an address")]);
    a1.assert_reach_none(&["10.9.0.1".parse().expect("an address")]);
}

/// What is no network's address space is not announced, and told; the rest crosses.
#[test]
fn special_ranges_cross_no_peering() {
    let lab = Lab::databases_only();
    let tenants =
        Tenants::with_subnets(&lab, &["10.1.0.0/24 fd01::/64"], &["192.0.2.0/24 2001:db8::/64"]);
    tenants.peer();
    let documentation = ["192.0.2.0/24", "2001:db8::/64"];
    assert_eq!(linked_prefixes(&lab.dump(), "a"), documentation, "they are unicast like any other");
    for network in ["169.254.7.1/24", "fe80::1/64"] {
        lab.nbctl(&["lrp-add", "b", "b-odd", "0a:00:00:00:02:01", network]);
        lab.sync();
        tenants.wait_active();
        lab.nbctl(&["lrp-del", "b-odd"]);
    }
    for (network, what) in [
        ("224.1.2.3/24", "multicast"),
        ("127.0.0.1/8", "loopback"),
        ("ff05::1/64", "multicast"),
        ("::ffff:10.7.0.1/120", "IPv4-mapped"),
    ] {
        lab.nbctl(&[
            "set",
            "Logical_Router_Port",
            "b-r0",
            &format!("networks=[\"192.0.2.1/24\",\"2001:db8::1/64\",\"{network}\"]"),
        ]);
        tenants.daemon.wait_until(&format!("{network} is told"), |halves| {
            let green = halves.iter().find(|h| h["project"] == "green").ok_or("no half")?;
            let told = flaws(green).join("; ");
            let named = told.contains(what) && told.contains("on port b-r0");
            if named && green["state"] == "active" { Ok(()) } else { Err(green.to_string()) }
        });
        assert_eq!(linked_prefixes(&lab.dump(), "a"), documentation, "{network} is not announced");
    }
}

/// A port that takes the whole of a family for connected leaves no place for routes to peers.
#[test]
fn a_default_route_as_a_subnet_is_refused() {
    for (network, prefix) in [("10.7.0.1/0", "0.0.0.0/0"), ("fd07::1/0", "::/0")] {
        let lab = Lab::databases_only();
        let tenants = Tenants::new(&lab);
        tenants.hear_of(|| lab.nbctl(&["lrp-add", "b", "b-all", "0a:00:00:00:02:02", network]));
        tenants.both_declare();
        let (blue, green) = (tenants.wait_blue("failed"), tenants.wait_green("failed"));
        assert_says(&green, "conflict-subnet", &[prefix, "b-all", "blue/web"]);
        assert_says(&blue, "conflict-subnet", &["green/db"]);
        lab.nbctl(&["lrp-del", "b-all"]);
        tenants.wait_active();
    }
}
