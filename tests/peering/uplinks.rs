//! Uplinks: peered traffic keeps off them (S0.2, S2.14), a peered network goes on using its own in every way it did
//! before (S2.23), and the guard against forged sources follows them.

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::{Host, Ping};
use crate::lab::topology::{Nat, Network};
use crate::on_several_chassis;
use crate::owned::{Owned, owned};
use crate::tenants::{BLUE, GREEN, Tenants};

on_several_chassis!(peered_traffic_keeps_off_the_uplink);

/// Gives a guest's IPv4 address a floating one.
fn float(lab: &Lab, network: &Network, floating: &str, inner: std::net::IpAddr) {
    lab.nbctl(&["lr-nat-add", &network.name, "dnat_and_snat", floating, &inner.to_string()]);
}

/// The ways of an uplink that a guard against forged sources could take for forgeries: the router's own answers, and
/// a guest that reaches a floating address of its own network, which OVN turns around at the gateway.
#[test]
fn the_uplink_anti_spoof_drops_no_true_source() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24 fd11::/64"], &[GREEN]);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest_in(&tenants.a.subnets[1], "a2", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    lab.add_uplink(&tenants.a, Nat::None);
    lab.add_uplink(&tenants.b, Nat::Source);
    let (floating_a, floating_b) = ("172.31.0.101", "172.31.0.102");
    float(&lab, &tenants.a, floating_a, a1.v4());
    float(&lab, &tenants.b, floating_b, b1.v4());
    let floating_b6 = "fd31::102";
    float(&lab, &tenants.b, floating_b6, b1.v6());
    lab.settle();
    let outside = lab.outside();
    let floating = |text: &str| [text.parse().expect("an address")];
    let all_ways = || {
        outside.assert_reach_all(&tenants.a.router_addresses());
        outside.assert_reach_all(&floating(floating_a));
        outside.assert_reach_all(&floating(floating_b));
        outside.assert_reach_all(&floating(floating_b6));
        outside.assert_reaches(&a2);
        for guest in [&a1, &a2, &b1] {
            guest.assert_reaches(&outside);
            guest.assert_tcp(&outside);
        }
        // Of their own network, without and with source NAT; and of the other's, by way of the outside.
        a2.assert_reach_all(&floating(floating_a));
        a1.assert_reach_all(&floating(floating_b));
    };
    all_ways();
    tenants.peer();
    lab.sync();
    all_ways();
    a1.assert_reaches(&b1);
    a2.assert_tcp(&b1);
    lab.assert_all_matches_parse();
}

/// An uplink that comes, is renamed or goes after the peering is guarded, or not, by one transaction.
#[test]
fn the_uplink_anti_spoof_follows_the_uplinks() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let guards = || {
        let mut rows = owned(&lab.dump());
        rows.retain(|row| row.table == "Logical_Router_Policy" && !row.of_peering());
        rows
    };
    let guarded = |names: &[&str]| {
        let named =
            |row: &Owned| names.iter().all(|n| row.text("match").contains(&format!("\"{n}\"")));
        poll("the uplinks are guarded", Duration::from_secs(5), || {
            let rows = guards();
            let wanted = if names.is_empty() { 0 } else { 2 };
            if rows.len() == wanted && rows.iter().all(named) {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        });
        tenants.wait_active();
    };
    guarded(&[]);
    let mut written = lab.northbound_transactions();
    for (change, names) in [
        (
            "lrp-add a a-up 0a:00:00:00:00:71 172.31.0.1/24\nlrp-set-gateway-chassis a-up hv1",
            &["a-up"][..],
        ),
        (
            "lrp-add a a-two 0a:00:00:00:00:72 172.30.0.1/24\nls-add ext\nlsp-add ext ext-r\n\
             lsp-set-type ext-r router\nlsp-set-options ext-r router-port=a-two\nlsp-add ext ln\n\
             lsp-set-type ln localnet\nlsp-set-options ln network_name=physnet1",
            &["a-up", "a-two"],
        ),
        ("lsp-del ln\nlrp-del a-two", &["a-up"]),
        ("lrp-del a-up", &[]),
    ] {
        lab.nbctl_batch(change);
        guarded(names);
        written += 2;
        assert_eq!(
            lab.northbound_transactions(),
            written,
            "the change, and what follows: {names:?}"
        );
    }
}

/// S0.2, S2.4, S2.11, S2.14, S3.4: the negative is the way that the packets take when they are not peered.
fn peered_traffic_keeps_off_the_uplink(lab: &Lab) {
    let tenants = Tenants::new(lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    for network in [&tenants.a, &tenants.b] {
        lab.add_uplink(network, Nat::None);
    }
    lab.settle();
    let outside = lab.outside();
    a1.assert_reaches(&outside);
    let filter = |from: &Host, to: &Host| {
        let one = |s, d| format!("(src {s} and dst {d})");
        format!("{} or {}", one(from.v4(), to.v4()), one(from.v6(), to.v6()))
    };
    for (from, to) in [(&a1, &b1), (&b1, &a1)] {
        let unpeered = outside.capture(&filter(from, to));
        for address in [to.v4(), to.v6()] {
            from.ping(address, Ping::default());
        }
        let seen = unpeered.sees_something(Duration::from_secs(5));
        assert!(seen, "without a peering {}'s packets go to the uplink", from.name);
    }
    tenants.peer();
    lab.sync();
    let all = format!("({}) or ({})", filter(&a1, &b1), filter(&b1, &a1));
    let uplink = outside.capture(&all);
    a1.assert_reaches(&b1);
    b1.assert_reaches(&a1);
    a1.assert_tcp(&b1);
    // What follows on the same wire has been seen, so what came before would have been.
    let control = outside.capture("icmp or icmp6");
    a1.assert_reaches(&outside);
    assert!(control.sees_something(Duration::from_secs(5)), "the capture works");
    assert_eq!(uplink.stop(), Vec::<String>::new(), "nothing of the peering is on the uplink");
    let hops = [tenants.a.router_addresses()[0], tenants.b.router_addresses()[0], b1.v4()];
    assert_eq!(a1.trace(b1.v4(), 5), hops.map(Some), "both routers, one hop each, and no gateway");
    lab.assert_all_matches_parse();
}

/// S2.23: what the outside sees of a peered network is its own gateway, and not the other's.
#[test]
fn each_network_keeps_its_own_gateway() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    for network in [&tenants.a, &tenants.b] {
        lab.add_uplink(network, Nat::Source);
    }
    lab.settle();
    let outside = lab.outside();
    let own_gateway = || {
        for (guest, network, other) in
            [(&a1, &tenants.a, &tenants.b), (&b1, &tenants.b, &tenants.a)]
        {
            let own = network.uplink_address(outside.v4());
            let theirs = other.uplink_address(outside.v4());
            let seen = outside.capture(&format!("icmp and src {own} and dst {}", outside.v4()));
            let wrong = outside.capture(&format!("icmp and src {theirs} and dst {}", outside.v4()));
            guest.assert_reaches(&outside);
            guest.assert_tcp(&outside);
            assert!(seen.sees_something(Duration::from_secs(5)), "{} uses its gateway", guest.name);
            assert_eq!(wrong.stop(), Vec::<String>::new(), "{} uses the other's", guest.name);
        }
    };
    own_gateway();
    tenants.peer();
    lab.sync();
    own_gateway();
    // Not translated on the way, although both uplinks translate.
    let seen = b1.capture(&format!("icmp and src {}", a1.v4()));
    a1.assert_reaches(&b1);
    assert!(seen.sees_something(Duration::from_secs(5)), "b1 sees a1's own address");
    b1.assert_tcp(&a1);
    // Without a gateway of its own, a network does not get the other's.
    lab.nbctl(&["lrp-del", "b-up"]);
    lab.sync();
    a1.assert_reaches(&b1);
    a1.assert_reaches(&outside);
    b1.assert_isolated_from(&outside);
}
