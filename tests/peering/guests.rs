//! Prefixes behind guests, which somebody's static routes lead to them: what LXD calls NIC routes (B14).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::filters::{show, wait_routed};
use crate::lab::Lab;
use crate::lab::host::Host;
use crate::lab::topology::Network;
use crate::owned::foreign;
use crate::tenants::{Tenants, half};

const BEHIND: [&str; 2] = ["10.64.1.5", "fd64::5"];

fn bind(tenants: &Tenants, may_export: &str) {
    let text = format!(
        "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"a\"\nmay_export = {may_export}\n"
    );
    tenants.daemon.write("networks.d/blue-web.toml", &text);
}

/// B14: reached when the operator allows it and the filter does, while the route is there; and no longer.
#[test]
fn routes_to_guests_are_announced_when_owned_and_permitted() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let behind: Vec<IpAddr> = BEHIND.iter().map(|text| text.parse().expect("an address")).collect();
    a1.ip(&[
        format!("address add {}/32 dev lo", BEHIND[0]),
        format!("address add {}/128 dev lo nodad", BEHIND[1]),
        "link set lo up".to_owned(),
    ]);
    let routes =
        format!("lr-route-add a 10.64.1.0/24 {}\nlr-route-add a fd64::/48 {}", a1.v4(), a1.v6());
    lab.nbctl_batch(&routes);
    tenants.peer();
    lab.settle();
    // Not owned: neither announced nor reached, and its owner is told why.
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    b1.assert_reaches(&a1);
    b1.assert_reach_none(&behind);
    let shown = show(&tenants, "blue", "web", "to-db");
    let told = shown["filtered"].to_string();
    assert!(told.contains("10.64.1.0/24") && told.contains("may_export"), "{shown}");
    let other = show(&tenants, "green", "db", "to-web");
    assert!(!other.to_string().contains("10.64"), "the other side learns nothing of it: {other}");
    // Owned.
    bind(&tenants, "[\"10.64.0.0/12\", \"fd64::/16\"]");
    let all = ["10.1.0.0/24", "10.64.1.0/24", "fd01::/64", "fd64::/48"];
    wait_routed(&lab, "b", &all);
    tenants.wait_active();
    lab.sync();
    b1.assert_reach_all(&behind);
    b1.assert_reaches(&a1);
    // Owned, and held back by the filter; the other family is not.
    let only = "export = [\"10.1.0.0/24\", { prefix = \"::/0\", le = 64 }]\n";
    tenants.daemon.declare("blue", &(half("to-db", "web", "green/db") + only));
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64", "fd64::/48"]);
    tenants.wait_active();
    lab.sync();
    b1.assert_reach_none(&behind[..1]);
    b1.assert_reach_all(&behind[1..]);
    b1.assert_reaches(&a1);
    tenants.blue_declares();
    wait_routed(&lab, "b", &all);
    // It comes and goes with its route, each time in one transaction of ours.
    tenants.wait_active();
    let theirs = foreign(&lab);
    let written = lab.northbound_transactions();
    lab.nbctl(&["lr-route-del", "a", "10.64.1.0/24"]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64", "fd64::/48"]);
    tenants.wait_active();
    lab.sync();
    b1.assert_reach_none(&behind[..1]);
    b1.assert_reach_all(&behind[1..]);
    lab.nbctl(&["lr-route-add", "a", "10.64.1.0/24", &a1.v4().to_string()]);
    wait_routed(&lab, "b", &all);
    tenants.wait_active();
    lab.sync();
    b1.assert_reach_all(&behind);
    let syncs = 2;
    assert_eq!(lab.northbound_transactions(), written + 4 + syncs);
    assert_eq!(foreign(&lab).table("Logical_Router").len(), theirs.table("Logical_Router").len());
    lab.assert_all_matches_parse();
}

/// What only looks like a route to a guest is nobody's prefix; and what clashes with one is refused.
#[test]
fn what_leads_elsewhere_is_not_announced_and_what_clashes_is_named() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    bind(&tenants, "[\"0.0.0.0/0\", \"::/0\"]");
    lab.nbctl_batch(
        "lr-route-add a 0.0.0.0/0 10.1.0.10\n\
         lr-route-add a ::/0 fd01::10\n\
         lr-route-add a 10.65.0.0/16 discard\n\
         lr-route-add a 169.254.7.0/24 10.1.0.10\n\
         --route-table=special lr-route-add a 10.66.0.0/16 10.1.0.10\n\
         --policy=src-ip lr-route-add a 10.67.0.0/16 10.1.0.10",
    );
    tenants.peer();
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    lab.nbctl(&["lr-route-add", "a", "10.68.0.0/16", "10.1.0.10"]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.68.0.0/16", "fd01::/64"]);
    tenants.wait_active();
    // The other side gets a subnet inside of it: the way that worked is kept, and both are told.
    lab.nbctl(&["lrp-add", "b", "b-r7", "0a:00:00:00:00:77", "10.68.7.1/24"]);
    tenants.daemon.wait_until("the clash is told to both", |halves| {
        let told = |half: &serde_json::Value| {
            half["state"] == "active" && half["degraded"].to_string().contains("10.68.")
        };
        if halves.iter().all(told) { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.68.0.0/16", "fd01::/64"]);
    wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64"]);
    lab.nbctl(&["lr-route-del", "a", "10.68.0.0/16"]);
    wait_routed(&lab, "a", &["10.2.0.0/24", "10.68.7.0/24", "fd02::/64"]);
    tenants.wait_active();
}

/// Rows as LXD and Incus write them for a network with `ipv4.l3only` and `ipv6.l3only`: the router has
/// its addresses alone, the subnet is discarded, and each guest has a route out of the inward port.
fn make_l3only(lab: &Lab, network: &Network, guests: &[&Host]) {
    let (router, subnet) = (network.router(), &network.subnets[0]);
    let port = &subnet.router_port;
    let own = network.router_addresses().into_iter().map(|own| format!("\"{}\"", IpNet::from(own)));
    let own: Vec<String> = own.collect();
    let mut lines = format!("set Logical_Router_Port {port} 'networks={}'\n", own.join(","));
    for prefix in &subnet.prefixes {
        lines += &format!("lr-route-add {router} {prefix} discard\n");
    }
    for address in guests.iter().flat_map(|guest| &guest.addresses) {
        lines += &format!("lr-route-add {router} {} {address} {port}\n", IpNet::from(*address));
    }
    lab.nbctl_batch(&lines);
    for guest in guests {
        let mut lines = Vec::new();
        for (prefix, router) in subnet.prefixes.iter().zip(network.router_addresses()) {
            let has = |address: &&IpAddr| prefix.contains(*address);
            let own = guest.addresses.iter().find(has).expect("an address of each prefix");
            let all = if own.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            lines.push(format!("address del {own}/{} dev eth0", prefix.prefix_len()));
            let nodad = if own.is_ipv6() { " nodad" } else { "" };
            lines.push(format!("address add {} dev eth0{nodad}", IpNet::from(*own)));
            lines.push(format!("route replace {router} dev eth0"));
            lines.push(format!("route replace {all} via {router} dev eth0"));
        }
        guest.ip(&lines);
    }
}

/// B16: a network of which the router has an address alone is reached whole, in both families and both ways.
#[test]
fn a_network_that_is_routed_guest_by_guest_is_reached() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let [b1, b2] = ["b1", "b2"].map(|name| lab.add_guest(&tenants.b, name, 0));
    make_l3only(&lab, &tenants.b, &[&b1, &b2]);
    tenants.peer();
    lab.settle();
    b1.assert_reaches(&b2);
    a1.assert_reaches(&b1);
    b2.assert_reaches(&a1);
    a1.assert_tcp(&b2);
    b1.assert_tcp(&a1);
    a1.assert_reach_all(&tenants.b.router_addresses());
    wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64"]);
    // What is discarded stays so, and a guest that comes or goes changes nothing of ours.
    a1.assert_reach_none(&["10.2.0.99".parse().expect("an address")]);
    let written = lab.northbound_transactions();
    tenants.hear_of(|| lab.nbctl(&["lr-route-add", "b", "10.2.0.77/32", "10.2.0.77", "b-r0"]));
    tenants.hear_of(|| lab.nbctl(&["lr-route-del", "b", "10.2.0.77/32"]));
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions(), written + 2, "theirs alone");
    lab.assert_all_matches_parse();
}

/// Without a subnet that is discarded, what crosses is what the operator lets the network announce.
#[test]
fn routes_out_of_an_inward_port_lead_to_guests_whatever_their_next_hop() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    bind(&tenants, "[\"10.64.0.0/12\", \"fd64::/16\"]");
    lab.nbctl_batch(
        "lr-route-add a 10.64.1.7/32 10.64.1.7 a-r0\n\
         lr-route-add a fd64::7/128 fd64::7 a-r0\n\
         lr-route-add a 10.90.1.7/32 10.90.1.7 a-r0",
    );
    tenants.peer();
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.64.1.7/32", "fd01::/64", "fd64::7/128"]);
}
