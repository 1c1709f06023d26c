//! Writes a peering's rows by hand, as the daemon will.
//!
//! The shapes are those of OVN's northbound (ovn-nb(5)): ports that name each other, each with one host address of its
//! router per family; routes out of them; and policies that believe a source address on one port only.

use ipnet::IpNet;

use crate::lab::Lab;
use crate::lab::topology::Network;

/// How a policy names the prefixes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `$P_a4`, an Address_Set.
    Sets,
    /// `{10.1.0.0/24, 10.3.0.0/24}`.
    Literals,
}

const FAMILIES: [(&str, bool); 2] = [("ip4", true), ("ip6", false)];

/// The Address_Sets of a network, one a family; an empty one for a family that it has not.
pub(crate) fn address_sets(lab: &Lab, network: &Network) {
    for (ip, v4) in FAMILIES {
        let prefixes = of_family(network, v4);
        let quoted: Vec<_> = prefixes.iter().map(|p| format!("\"{p}\"")).collect();
        let set = set_name(network, ip);
        lab.nbctl(&["create", "Address_Set", &format!("name={set}")]);
        if !quoted.is_empty() {
            lab.nbctl(&["set", "Address_Set", &set, &format!("addresses={}", quoted.join(","))]);
        }
    }
}

/// The name of a network's Address_Set; `ip` is `ip4` or `ip6`.
pub(crate) fn set_name(network: &Network, ip: &str) -> String {
    format!("P_{}{}", network.name, ip.trim_start_matches("ip"))
}

/// Both ports and all routes of a peering, without policies.
pub(crate) fn link(lab: &Lab, a: &Network, b: &Network) {
    lab.nbctl_batch(&(port_and_routes(lab, a, b) + &port_and_routes(lab, b, a)));
}

/// The policies of a peering on both sides.
pub(crate) fn guard(lab: &Lab, a: &Network, b: &Network, naming: Naming) {
    lab.nbctl_batch(&(policies(a, b, naming) + &policies(b, a, naming)));
}

/// The policies against packets from outside that claim to be the network's own.
pub(crate) fn guard_uplink(lab: &Lab, network: &Network) {
    let (router, up) = (network.router(), network.uplink_port());
    let own = sources(network, Naming::Literals);
    // From the uplink, too, but the network's own: what the router answers to the outside, which goes out again where
    // the question came in; and what OVN has turned around at the uplink for a floating IP, which it marks.
    let own_doing = format!("(outport == \"{up}\" || reg9[0] == 1)");
    lab.nbctl_batch(&format!(
        "lr-policy-add {router} 30095 'inport == \"{up}\" && {own_doing} && ({own})' allow\n\
         lr-policy-add {router} 30090 'inport == \"{up}\" && ({own})' drop"
    ));
}

/// The peering port on the local router.
pub(crate) fn port(local: &Network, remote: &Network) -> String {
    format!("{}-to-{}", local.name, remote.name)
}

fn port_and_routes(lab: &Lab, local: &Network, remote: &Network) -> String {
    let (port, peer) = (port(local, remote), port(remote, local));
    let first =
        |network: &Network, v4| network.router_addresses().into_iter().find(|a| a.is_ipv4() == v4);
    let hosts: Vec<_> = [(true, 32), (false, 128)]
        .into_iter()
        .filter_map(|(v4, len)| Some(format!("{}/{len}", first(local, v4)?)))
        .collect();
    let router = local.router();
    let mut lines =
        format!("lrp-add {router} {port} {} {} peer={peer}\n", lab.fresh_mac(), hosts.join(" "));
    for prefix in remote.prefixes() {
        let hop = first(remote, prefix.addr().is_ipv4()).expect("of a prefix' own family");
        lines += &format!("lr-route-add {router} {prefix} {hop} {port}\n");
    }
    lines
}

fn policies(local: &Network, remote: &Network, naming: Naming) -> String {
    let (router, port) = (local.router(), port(local, remote));
    let mut pairs = vec![];
    for (ip, v4) in FAMILIES {
        if let (Some(l), Some(r)) = (named(local, ip, v4, naming), named(remote, ip, v4, naming)) {
            pairs.push(format!("({ip}.src == {r} && {ip}.dst == {l})"));
            // The router's own echo replies still have the port that the request came in by as their inport.
            pairs.push(format!("({ip}.src == {l} && {ip}.dst == {r})"));
        }
    }
    format!(
        "lr-policy-add {router} 30200 'inport == \"{port}\" && ({})' allow\n\
         lr-policy-add {router} 30100 'inport == \"{port}\"' drop\n\
         lr-policy-add {router} 30090 '{}' drop\n",
        pairs.join(" || "),
        sources(remote, naming)
    )
}

fn sources(network: &Network, naming: Naming) -> String {
    let term = |(ip, v4)| named(network, ip, v4, naming).map(|p| format!("{ip}.src == {p}"));
    FAMILIES.into_iter().filter_map(term).collect::<Vec<_>>().join(" || ")
}

fn named(network: &Network, ip: &str, v4: bool, naming: Naming) -> Option<String> {
    if naming == Naming::Sets {
        return Some(format!("${}", set_name(network, ip)));
    }
    let all: Vec<_> = of_family(network, v4).iter().map(IpNet::to_string).collect();
    (!all.is_empty()).then(|| format!("{{{}}}", all.join(", ")))
}

fn of_family(network: &Network, v4: bool) -> Vec<IpNet> {
    network.prefixes().filter(|p| p.addr().is_ipv4() == v4).collect()
}
