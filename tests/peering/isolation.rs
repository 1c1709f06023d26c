//! A peering reaches the two networks and nobody else, whatever routes somebody makes and whatever sources somebody
//! claims (S1.16, S1.17, S2.10).
//!
//! Every negative is first seen to arrive: with the daemon frozen and its policies taken away by hand. Then the daemon
//! goes on, puts them back, and the same packets are gone.

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::{Forged, Forgery, Host};
use crate::lab::topology::{Nat, Network};
use crate::on_every_lab;
use crate::owned::{Owned, contents, link_rows, owned};
use crate::tenants::{BLUE, GREEN, Tenants, half};

on_every_lab!(
    a_peers_peer_is_not_reached_by_hand_made_routes,
    forged_sources_are_believed_on_no_port_but_their_own,
    what_other_tools_allow_opens_nothing,
);

/// A - B - C, with a guest each and two in A and B.
struct Chain {
    tenants: Tenants,
    c: Network,
    a1: Host,
    a2: Host,
    b1: Host,
    b2: Host,
    c1: Host,
}

impl Chain {
    fn new(lab: &Lab, uplinks: bool) -> Chain {
        let tenants = Tenants::with_subnets(
            lab,
            &[BLUE, "10.11.0.0/24 fd11::/64"],
            &[GREEN, "10.12.0.0/24 fd12::/64"],
        );
        let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
        if uplinks {
            lab.add_uplink(&tenants.a, Nat::None);
            lab.add_uplink(&tenants.b, Nat::None);
        }
        let a1 = lab.add_guest(&tenants.a, "a1", 0);
        let a2 = lab.add_guest_in(&tenants.a.subnets[1], "a2", 1);
        let b1 = lab.add_guest(&tenants.b, "b1", 1);
        let b2 = lab.add_guest_in(&tenants.b.subnets[1], "b2", 0);
        let c1 = lab.add_guest(&c, "c1", 0);
        let daemon = &tenants.daemon;
        daemon.bind_network("red", "copy", "c");
        tenants.blue_declares();
        let green = half("to-web", "db", "blue/web") + &half("to-copy", "db", "red/copy");
        daemon.declare("green", &green);
        daemon.declare("red", &half("to-db", "copy", "green/db"));
        daemon.wait_state("red", "copy", "to-db", "active");
        tenants.wait_active();
        lab.settle();
        Chain { tenants, c, a1, a2, b1, b2, c1 }
    }

    /// Takes the daemon's policies away while it is frozen, looks, and lets it go on until they are back.
    fn without_policies(&self, lab: &Lab, look: impl FnOnce()) {
        let wanted = contents(&lab.dump());
        self.tenants.daemon.process().pause();
        link_rows(&lab.dump())
            .iter()
            .filter(|row| row.table == "Logical_Router_Policy")
            .for_each(|row| row.delete(lab));
        lab.sync();
        look();
        self.tenants.daemon.process().resume();
        poll("the policies are back", std::time::Duration::from_secs(1), || {
            if contents(&lab.dump()) == wanted { Ok(()) } else { Err("not yet".to_owned()) }
        });
        lab.sync();
    }
}

/// The link port of ours on `router` through which `prefix` is routed, and the next hop.
fn way(lab: &Lab, router: &str, prefix: &str) -> (String, String) {
    let is_it = |row: &Owned| {
        row.table == "Logical_Router_Static_Route"
            && row.router == router
            && row.text("ip_prefix") == prefix
    };
    let row = link_rows(&lab.dump()).into_iter().find(is_it).expect("a route of ours");
    (row.text("nexthop").to_owned(), row.text("output_port").to_owned())
}

fn a_peers_peer_is_not_reached_by_hand_made_routes(lab: &Lab) {
    let chain = Chain::new(lab, false);
    let Chain { a1, a2, b1, b2, c1, .. } = &chain;
    let reached = || {
        a1.assert_reaches(b2);
        a2.assert_reaches(b1);
        b1.assert_reaches(c1);
        c1.assert_reaches(b2);
        b1.assert_tcp(c1);
    };
    let apart = || {
        Host::assert_all_isolated(&[(a1, c1), (c1, a1), (a2, c1), (c1, a2)]);
        a1.assert_reach_none(&chain.c.router_addresses());
    };
    reached();
    apart();
    lead_through_b(lab);
    lab.sync();
    apart();
    reached();
    chain.without_policies(lab, || {
        a1.assert_reaches(c1);
        a1.assert_tcp(c1);
        c1.assert_reaches(a2);
    });
    apart();
    reached();
    lab.assert_all_matches_parse();
}

/// A sends C's prefixes to B, and C sends A's: B has routes to both.
fn lead_through_b(lab: &Lab) {
    for (router, through, prefixes) in [
        ("a", ["10.2.0.0/24", "fd02::/64"], ["10.3.0.0/24", "fd03::/64"]),
        ("c", ["10.2.0.0/24", "fd02::/64"], ["10.1.0.0/24", "fd01::/64"]),
        ("c", ["10.2.0.0/24", "fd02::/64"], ["10.11.0.0/24", "fd11::/64"]),
    ] {
        for (through, prefix) in through.into_iter().zip(prefixes) {
            let (nexthop, port) = way(lab, router, through);
            lab.nbctl(&["lr-route-add", router, prefix, &nexthop, &port]);
        }
    }
}

/// Kube-OVN allows what goes to a subnet, at priority 31000, on each of its routers.
fn what_other_tools_allow_opens_nothing(lab: &Lab) {
    let chain = Chain::new(lab, false);
    let Chain { tenants, a1, a2, b1, b2, c1, .. } = &chain;
    let subnets = [
        ("a", ["10.1.0.0/24", "10.11.0.0/24"], ["fd01::/64", "fd11::/64"]),
        ("b", ["10.2.0.0/24", "10.12.0.0/24"], ["fd02::/64", "fd12::/64"]),
        ("c", ["10.3.0.0/24", "10.3.0.0/24"], ["fd03::/64", "fd03::/64"]),
    ];
    let policies = |router: &str, v4: &[&str], v6: &[&str], priority: u16| {
        let line = |family: &str, prefix: &&str| {
            format!(
                "--may-exist lr-policy-add {router} {priority} '{family}.dst == {prefix}' allow\n"
            )
        };
        let v4: String = v4.iter().map(|prefix| line("ip4", prefix)).collect();
        v4 + &v6.iter().map(|prefix| line("ip6", prefix)).collect::<String>()
    };
    lead_through_b(lab);
    for router in ["a", "b", "c"] {
        // Each allows what goes to any subnet: B what goes from A to C, too.
        for (_, v4, v6) in &subnets {
            lab.nbctl_batch(&policies(router, v4, v6, 31_000));
        }
    }
    lab.sync();
    let forgeries: [Claim<'_>; 6] =
        [(b1, a1, b2), (b1, a1, a2), (a1, b1, a2), (a1, b1, b2), (a1, c1, b1), (c1, a1, b1)];
    let apart = || {
        assert_eq!(outcomes(&forgeries, true), Vec::<String>::new(), "no forgery arrives");
        Host::assert_all_isolated(&[(a1, c1), (c1, a1), (a2, c1), (c1, a2)]);
    };
    apart();
    a1.assert_reaches(b2);
    c1.assert_reaches(b1);
    assert_eq!(shadowed(tenants), [""; 2], "what is below ours is no concern");
    // What stands above ours opens it, and both are told of it, each as far as it is theirs.
    for router in ["b", "c"] {
        lab.nbctl_batch(&policies(router, &["10.3.0.0/24"], &[], 32_700));
    }
    let rows = lab.nbctl(&[
        "--bare",
        "--columns=_uuid",
        "find",
        "Logical_Router_Policy",
        "priority=32700",
    ]);
    poll("it is reported", std::time::Duration::from_secs(5), || {
        let [blue, green] = shadowed(tenants);
        let named =
            rows.split_whitespace().any(|row| green.contains(row)) && green.contains("32700");
        let hidden = blue.contains("green/db") && !blue.contains("10.3.0.0");
        if named && hidden { Ok(()) } else { Err(format!("{blue}\n{green}")) }
    });
    lab.sync();
    let opened = outcomes(&[(a1, a1, c1)], true);
    assert!(opened.iter().any(|name| name.contains("10.3.0")), "so it is worth a word: {opened:?}");
    for router in ["b", "c"] {
        lab.nbctl(&["lr-policy-del", router, "32700", "ip4.dst == 10.3.0.0/24"]);
    }
    poll("it is over", std::time::Duration::from_secs(5), || {
        let shadowed = shadowed(tenants);
        if shadowed == [""; 2] { Ok(()) } else { Err(format!("{shadowed:?}")) }
    });
    lab.sync();
    apart();
    lab.assert_all_matches_parse();
}

/// What blue and green are told of policies above those of the peering between them.
fn shadowed(tenants: &Tenants) -> [String; 2] {
    [("blue", "web", "to-db"), ("green", "db", "to-web")].map(|(project, network, name)| {
        let half = tenants.daemon.wait_state(project, network, name, "active");
        let degraded = half["degraded"].as_array().cloned().unwrap_or_default();
        let texts = degraded.iter().filter_map(|text| text.as_str());
        let shadowed: Vec<_> = texts.filter(|text| text.starts_with("policy-shadowed: ")).collect();
        shadowed.join("\n")
    })
}

/// (sender, whose address it claims, target)
type Claim<'a> = (&'a Host, &'a Host, &'a Host);

fn forged_sources_are_believed_on_no_port_but_their_own(lab: &Lab) {
    let chain = Chain::new(lab, true);
    let Chain { tenants, a1, a2, b1, b2, c1, .. } = &chain;
    let outside = &lab.outside();
    // What the outside sends to b2 tries to pass through A.
    outside.ip(&[
        format!("route replace 10.12.0.0/24 via {}", tenants.a.uplink_address(outside.v4())),
        format!("route replace fd12::/64 via {}", tenants.a.uplink_address(outside.v6())),
    ]);
    let forgeries: [Claim<'_>; 11] = [
        (b1, a1, b2),
        (b1, a1, a2),
        (a1, b1, a2),
        (a1, b1, b2),
        (a1, c1, b1),
        (a1, outside, b1),
        (c1, a1, b1),
        (outside, a1, b1),
        (outside, b1, a1),
        (outside, a2, a1),
        (outside, a1, b2),
    ];
    let none = Vec::<String>::new();
    assert_eq!(outcomes(&forgeries, true), none, "no forgery arrives");
    chain.without_policies(lab, || {
        assert_eq!(outcomes(&forgeries, false), none, "without policies every forgery arrives");
    });
    assert_eq!(outcomes(&forgeries, true), none, "no forgery arrives, now that they are back");
    // What is no forgery passes, also when it is made in the same way.
    assert_eq!(outcomes(&[(a1, a1, b1), (b2, b2, a1), (c1, c1, b2)], false), none);
    a1.assert_reaches(outside);
    outside.assert_reaches(b1);
    outside.assert_reach_all(&tenants.a.router_addresses());
    lab.assert_all_matches_parse();
}

/// Tries every claim, in both families, by UDP and by ICMP; names those that arrived, or those that did not.
fn outcomes(claims: &[Claim<'_>], arrived: bool) -> Vec<String> {
    let (mut names, mut forgeries) = (vec![], vec![]);
    for (from, claimed, to) in claims {
        for (source, target) in [(claimed.v4(), to.v4()), (claimed.v6(), to.v6())] {
            for what in [Forged::Udp, Forged::IcmpEcho] {
                names.push(format!("{} as {source} -> {target} {what:?}", from.name));
                forgeries.push(from.forge(what, source, target, to));
            }
        }
    }
    let outcomes = names.into_iter().zip(Forgery::which_arrive(forgeries));
    outcomes.filter(|(_, did)| *did == arrived).map(|(name, _)| name).collect()
}

/// A drop that named an Address_Set would open when somebody deletes that, and stay open without the daemon.
#[test]
fn without_daemon_and_address_sets_nothing_opens() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(&lab, &[BLUE], &[GREEN, "10.12.0.0/24 fd12::/64"]);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let b2 = lab.add_guest_in(&tenants.b.subnets[1], "b2", 0);
    lab.add_uplink(&tenants.a, Nat::None);
    lab.add_uplink(&tenants.b, Nat::None);
    lab.settle();
    tenants.peer();
    lab.sync();
    a1.assert_reaches(&b1);
    tenants.daemon.kill9();
    owned(&lab.dump()).iter().filter(|r| r.table == "Address_Set").for_each(|r| r.delete(&lab));
    lab.sync();
    let outside = lab.outside();
    let mut forgeries = vec![];
    for (from, source, to) in [(&b1, &a1, &b2), (&outside, &a1, &b1), (&outside, &b1, &a1)] {
        for (source, target) in [(source.v4(), to.v4()), (source.v6(), to.v6())] {
            forgeries.push(from.forge(Forged::Udp, source, target, to));
        }
    }
    let arrived = Forgery::which_arrive(forgeries);
    assert_eq!(
        arrived, [false; 6],
        "v4 and v6: from the peer, from outside to B, from outside to A"
    );
    b1.assert_reaches(&b2);
    b1.assert_reaches(&outside);
    tenants.daemon.start_again();
    tenants.wait_active();
    lab.sync();
    a1.assert_reaches(&b1);
    a1.assert_tcp(&b1);
}
