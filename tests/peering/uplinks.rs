//! A peered network goes on using its own uplink in every way it did before (S2.23), and its guard follows the uplink.

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::Forged;
use crate::lab::topology::{Nat, Network};
use crate::owned::{Owned, owned};
use crate::tenants::{BLUE, GREEN, Tenants};

/// Gives a guest's IPv4 address a floating one.
fn float(lab: &Lab, network: &Network, floating: &str, inner: std::net::IpAddr) {
    lab.nbctl(&["lr-nat-add", &network.name, "dnat_and_snat", floating, &inner.to_string()]);
}

/// The ways of an uplink that a guard against forged sources could take for forgeries: the router's own answers, and
/// a guest that reaches a floating address of its own network, which OVN turns around at the gateway.
#[test]
fn s2_23_the_guard_of_an_uplink_stops_nothing_true() {
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
    lab.settle();
    let outside = lab.outside();
    let floating = |text: &str| [text.parse().expect("an address")];
    let all_ways = || {
        outside.assert_reach_all(&tenants.a.router_addresses());
        outside.assert_reach_all(&floating(floating_a));
        outside.assert_reach_all(&floating(floating_b));
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

/// A drop that named an Address_Set would open when somebody deletes that, and stay open without the daemon.
#[test]
fn s1_16_without_daemon_and_address_sets_nothing_opens() {
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
    let arrived = crate::lab::host::Forgery::which_arrive(forgeries);
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

/// An uplink that comes, is renamed or goes after the peering is guarded, or not, by one transaction.
#[test]
fn b2_the_guard_follows_the_uplinks() {
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
