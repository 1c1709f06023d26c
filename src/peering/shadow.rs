//! Policies of others that take effect before a link's own.
//!
//! The rules do not evaluate matches of others. A match is harmless only if it is a conjunction
//! with a term that excludes the link's packets: a family, a port, or literal addresses. Any other
//! match may concern the link.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::northbound::{End, Family, ForeignPolicy, RouterFacts, priority};

use super::outcome::Link;
use super::pair::key_of_end;
use super::prefix::overlap;

/// The word that programs can search for.
const WORD: &str = "policy-shadowed";

/// Policies before those of a link on one end's router: one sentence each for that end's owner.
pub(super) fn shadows<'a>(
    link: &'a Link,
    end: End,
    router: &'a RouterFacts,
    port: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let (own, remote) = (&link.end(end).prefixes, &link.end(end.other()).prefixes);
    let ports = Ports { link: port, uplinks: &router.uplinks };
    let last = if link.takes_all(end) { priority::GATEWAY_DROP } else { priority::SPOOF };
    let shadowing = router
        .policies
        .iter()
        .filter(move |policy| policy.is_from(last) && may_shadow(policy, &ports, own, remote));
    let router = &link.end(end).router_name;
    shadowing.map(move |policy| {
        let ForeignPolicy { priority, action, text, row, .. } = policy;
        format!(
            "{WORD}: the {action} policy of priority {priority} ({text}) of router {router}, row {row}, comes before \
             those of the peering and may match what crosses it"
        )
    })
}

/// The same for the other end's owner, without names of rows.
pub(super) fn shadowed_at(link: &Link, end: End) -> String {
    let network = key_of_end(&link.key, end);
    format!(
        "{WORD}: a policy on the router of {network} comes before those of the peering and may match what crosses it"
    )
}

/// The ports of a router that our policies name.
#[derive(Debug)]
struct Ports<'a> {
    link: &'a str,
    uplinks: &'a [Arc<str>],
}

/// Whether a policy before ours may change the treatment of a packet that ours match: a packet that
/// enters by the link, one with a source of the other side, one with an own source at an uplink, or
/// one to the other side.
fn may_shadow(policy: &ForeignPolicy, ports: &Ports<'_>, own: &[IpNet], remote: &[IpNet]) -> bool {
    let families = [Family::Ip4, Family::Ip6].into_iter();
    let mut families = families.filter(|family| remote.iter().any(|it| Family::of(it) == *family));
    families.any(|family| {
        let of = |nets: &[IpNet]| -> Vec<IpNet> {
            nets.iter().filter(|net| Family::of(net) == family).copied().collect()
        };
        let (own, remote) = (of(own), of(remote));
        let Some(terms) = Terms::read(&policy.text, family) else { return true };
        if terms.other_family {
            return false;
        }
        let by = |port: &str| terms.ports.as_ref().is_none_or(|named| named.contains(&port));
        let by_link = by(ports.link);
        let from = |nets: &[IpNet]| touches(terms.sources.as_deref(), nets);
        let to = |nets: &[IpNet]| touches(terms.destinations.as_deref(), nets);
        if *policy.action == *"drop" {
            // A packet to the other side enters by a port of guests: an own source at an uplink is
            // forged anyway.
            let outside =
                |port: &str| port == ports.link || ports.uplinks.iter().any(|up| **up == *port);
            let by_guests =
                terms.ports.as_ref().is_none_or(|named| !named.iter().all(|it| outside(it)));
            return by_link && from(&remote) && to(&own) || by_guests && from(&own) && to(&remote);
        }
        // An allow, a reroute or a jump passes packets that ours would drop: other packets from the
        // link, and forged sources.
        by_link || from(&remote) || ports.uplinks.iter().any(|port| by(port)) && from(&own)
    })
}

fn touches(named: Option<&[IpNet]>, nets: &[IpNet]) -> bool {
    named.is_none_or(|named| named.iter().any(|it| nets.iter().any(|net| overlap(it, net))))
}

/// The terms of a conjunction for a packet of one family; a missing term matches anything.
#[derive(Debug, Default, PartialEq, Eq)]
struct Terms<'a> {
    other_family: bool,
    ports: Option<Vec<&'a str>>,
    sources: Option<Vec<IpNet>>,
    destinations: Option<Vec<IpNet>>,
}

impl<'a> Terms<'a> {
    /// Parses a match; `None` if it has an unknown part.
    fn read(text: &'a str, family: Family) -> Option<Self> {
        if text.contains(['|', '!', '$', '@', '(', '<', '>']) {
            return None;
        }
        let other = if family == Family::Ip4 { Family::Ip6 } else { Family::Ip4 };
        let mut terms = Self::default();
        for term in text.split("&&") {
            let (field, values) = match term.split_once("==") {
                Some((field, values)) => (field.trim(), values.trim()),
                None => (term.trim(), ""),
            };
            let of = |family: Family, part: &str| {
                field.strip_prefix(family.as_str()).is_some_and(|rest| rest == part)
            };
            if field == other.as_str() || of(other, ".src") || of(other, ".dst") {
                terms.other_family = true;
            } else if field == "inport" {
                let ports = members(values).map(|port| port.trim_matches('"')).collect();
                narrow(&mut terms.ports, ports);
            } else if of(family, ".src") {
                narrow(&mut terms.sources, nets(values)?);
            } else if of(family, ".dst") {
                narrow(&mut terms.destinations, nets(values)?);
            }
        }
        Some(terms)
    }
}

/// If a field comes twice, only the first one counts: so it excludes less.
fn narrow<T>(known: &mut Option<Vec<T>>, named: Vec<T>) {
    known.get_or_insert(named);
}

fn members(values: &str) -> impl Iterator<Item = &str> {
    let inner = values.trim_start_matches('{').trim_end_matches('}');
    inner.split(',').map(str::trim)
}

fn nets(values: &str) -> Option<Vec<IpNet>> {
    let net = |text: &str| {
        let net = text.parse::<IpNet>().map(|net| net.trunc());
        net.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
    };
    members(values).map(net).collect()
}

/// Whether somebody's match may concern traffic to `prefix`: it cannot only if it names
/// destinations and none of them overlaps.
pub(super) fn may_go_to(text: &str, prefix: &IpNet) -> bool {
    let Some(terms) = Terms::read(text, Family::of(prefix)) else { return true };
    !terms.other_family && touches(terms.destinations.as_deref(), &[*prefix])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    #[test]
    fn a_match_on_other_destinations_is_known_to_be_harmless() {
        let prefix = net("10.2.0.0/24");
        for (text, expected) in [
            ("ip4.dst == 10.3.0.0/16", false),
            ("ip4.dst == {10.3.0.0/16, 10.2.0.7}", true),
            ("ip4.dst == 10.2.0.0/16 && tcp", true),
            ("ip4.src == 10.1.0.0/24", true),
            ("ip6.dst == fd00::/8", false),
            ("inport == \"x\"", true),
            ("ip4.dst != 10.3.0.0/16", true),
            ("ip4.dst == $somebody", true),
        ] {
            assert_eq!(may_go_to(text, &prefix), expected, "{text}");
        }
    }

    #[test]
    fn only_what_cannot_match_the_links_packets_is_known_to_be_harmless() {
        let ports = Ports { link: "ours", uplinks: &["up".into()] };
        let (own, remote) = ([net("10.1.0.0/24")], [net("10.2.0.0/24"), net("fd02::/64")]);
        for (text, drop, allow) in [
            ("ip4.dst == 10.1.0.0/24", true, true),
            // It passes a packet to a third network.
            ("ip4.dst == 10.3.0.0/24", false, true),
            ("ip4.dst == 10.2.0.0/24", true, true),
            ("ip4.src == 10.2.0.0/16", true, true),
            // A source of the other side comes by the link.
            ("ip4.src == 10.9.0.0/16", false, true),
            ("inport == \"ours\"", true, true),
            ("inport == {\"x\", \"ours\"} && ip4", true, true),
            ("inport == \"x\" && ip4.src == 10.9.0.0/16", false, false),
            ("inport == \"x\" && ip4.src == 10.2.0.9 && ip6.src == fd09::/64", false, false),
            ("inport == \"x\" && ip4.src == 10.2.0.9", false, true),
            ("inport == \"x\" && ip4.dst == 10.2.0.9", true, true),
            // An own source is accepted at a port where it cannot come from.
            ("inport == \"up\" && ip4.src == 10.1.0.9", false, true),
            ("inport == \"x\" && ip4.src == 10.1.0.9", true, false),
            ("inport == \"up\" && ip4.src == 10.9.0.0/16", false, false),
            ("inport == \"x\" || ip4.src == 10.9.0.0/16", true, true),
            ("inport == \"x\" && ip4.src == $somebody", true, true),
            ("ip4.src == 10.9.0.0/16 && inport != \"ours\"", true, true),
            ("1", true, true),
        ] {
            for (action, expected) in
                [("drop", drop), ("allow", allow), ("jump", allow), ("reroute", allow)]
            {
                let (action, text) = (action.into(), text.into());
                let (priority, row) = (32_500, uuid::Uuid::nil());
                let policy = ForeignPolicy { priority, action, text, over: None, row };
                assert_eq!(may_shadow(&policy, &ports, &own, &remote), expected, "{policy:?}");
            }
        }
    }
}
