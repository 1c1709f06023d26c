//! What the switches of a network have to drop that its router lets pass as replies.
//!
//! Only drops come out, never an allow: a switch's ACLs are its owner's, and an allow of ours above
//! them would open what they close. A switch that tracks connections applies a drop to openings
//! only, so the drops are all that the other side may not open, of the protocols whose replies are
//! known by their source port alone.

use ipnet::IpNet;

use super::entry::Action;
use super::nets::{common, without};
use super::policies::{Kind, Policy, TooComplex};
use super::product::Rule;
use super::protocol::{Ports, Protocol};

/// Most drops of a guard.
const MOST_DROPS: usize = 64;

/// Packets of one protocol and one family.
#[derive(Clone, Debug)]
struct Space {
    sources: Vec<IpNet>,
    destinations: Vec<IpNet>,
    /// Ports of the destination; `None` for all, also those of protocols without ports.
    ports: Option<Ports>,
}

/// The drops, if `replies` pass to what these rules let open.
pub(super) fn guard(
    replies: &[Policy],
    inward: &[Rule],
    (remote, local): (&[IpNet], &[IpNet]),
) -> Result<Box<[Policy]>, TooComplex> {
    let mut drops = Vec::new();
    for protocol in guarded(replies) {
        for ip6 in [false, true] {
            let of_family = |nets: &[IpNet]| -> Vec<IpNet> {
                nets.iter().filter(|net| matches!(net, IpNet::V6(_)) == ip6).copied().collect()
            };
            let (sources, destinations) = (of_family(remote), of_family(local));
            let all = Space { sources, destinations, ports: None };
            let closed = closed(all, &protocol, inward)?;
            drops.extend(closed.into_iter().map(|space| space.drop(&protocol)));
        }
        if drops.len() > MOST_DROPS {
            return Err(TooComplex::Guard(MOST_DROPS));
        }
    }
    Ok(drops.into())
}

/// The protocols of which replies pass by their source port, or without any.
fn guarded(replies: &[Policy]) -> Vec<Protocol> {
    let (udp, sctp) = (Protocol::Udp(Ports::default()), Protocol::Sctp(Ports::default()));
    let mut found: Vec<Protocol> = Vec::new();
    for policy in replies.iter().filter(|policy| policy.allows()) {
        let protocols = match &policy.protocol {
            Protocol::Any => vec![udp.clone(), sctp.clone()],
            Protocol::Udp(_) | Protocol::Sctp(_) | Protocol::Number(_) => {
                vec![policy.protocol.whole()]
            }
            Protocol::Tcp(_) | Protocol::Icmp(_) => Vec::new(),
        };
        for protocol in protocols {
            if !found.contains(&protocol) {
                found.push(protocol);
            }
        }
    }
    found
}

/// What the rules let nobody open. What they deny in so many words never comes so far: the router
/// drops it before replies pass.
fn closed(all: Space, protocol: &Protocol, rules: &[Rule]) -> Result<Vec<Space>, TooComplex> {
    let mut left: Vec<Space> = vec![all];
    left.retain(|space| !space.sources.is_empty() && !space.destinations.is_empty());
    for rule in rules {
        let Some(both) = rule.protocol.and(protocol) else { continue };
        left = left.into_iter().flat_map(|space| space.without(rule, &both)).collect();
        if left.len() > MOST_DROPS {
            return Err(TooComplex::Guard(MOST_DROPS));
        }
    }
    Ok(left)
}

impl Space {
    /// The parts that a rule does not match, of which none has a packet of another one.
    fn without(self, rule: &Rule, protocol: &Protocol) -> Vec<Self> {
        let sources = common(&self.sources, &rule.sources);
        let destinations = common(&self.destinations, &rule.destinations);
        let of_rule = match protocol {
            Protocol::Udp(ports) | Protocol::Sctp(ports) if !ports.ranges().is_empty() => {
                Some(ports)
            }
            Protocol::Any
            | Protocol::Tcp(_)
            | Protocol::Udp(_)
            | Protocol::Sctp(_)
            | Protocol::Icmp(_)
            | Protocol::Number(_) => None,
        };
        let rest = match (of_rule, &self.ports) {
            (None, _) => None,
            (Some(ports), all) => all.clone().unwrap_or_else(Ports::every).without(ports),
        };
        if sources.is_empty() || destinations.is_empty() || rest == self.ports && rest.is_some() {
            return vec![self];
        }
        let mut parts = Vec::new();
        let mut add = |sources: &[IpNet], destinations: &[IpNet], ports: Option<Ports>| {
            if !sources.is_empty() && !destinations.is_empty() {
                let (sources, destinations) = (sources.to_vec(), destinations.to_vec());
                parts.push(Self { sources, destinations, ports });
            }
        };
        let others = without(&self.sources, &sources);
        add(&others, &self.destinations, self.ports.clone());
        let others = without(&self.destinations, &destinations);
        add(&sources, &others, self.ports.clone());
        if let Some(rest) = rest {
            add(&sources, &destinations, Some(rest));
        }
        parts
    }

    fn drop(self, protocol: &Protocol) -> Policy {
        let protocol = match (protocol, self.ports) {
            (Protocol::Udp(_), Some(ports)) => Protocol::Udp(ports),
            (Protocol::Sctp(_), Some(ports)) => Protocol::Sctp(ports),
            (whole, _) => whole.clone(),
        };
        Policy {
            kind: Kind::Forward,
            rank: 0,
            action: Action::Deny,
            protocol,
            sources: self.sources.into(),
            destinations: self.destinations.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::super::arbitrary::entry;
    use super::super::entry::Entry;
    use super::super::product::product;
    use super::*;

    fn nets(prefixes: [&str; 2]) -> Vec<IpNet> {
        prefixes.map(|prefix| prefix.parse().expect("a prefix")).into()
    }

    fn contains(nets: &[IpNet], address: IpAddr) -> bool {
        nets.iter().any(|net| net.contains(&address))
    }

    /// Whether a datagram to a port is among a rule's packets.
    fn has(protocol: &Protocol, number: u8, port: u16) -> bool {
        let in_ports = |ports: &Ports| {
            let ranges = ports.ranges();
            ranges.is_empty() || ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))
        };
        match protocol {
            Protocol::Any => true,
            Protocol::Udp(ports) => number == 17 && in_ports(ports),
            Protocol::Sctp(ports) => number == 132 && in_ports(ports),
            Protocol::Number(of) => number == *of,
            Protocol::Tcp(_) | Protocol::Icmp(_) => false,
        }
    }

    fn reply(protocol: Protocol) -> Policy {
        let (sources, destinations) = (Box::default(), Box::default());
        let action = Action::Allow;
        Policy { kind: Kind::Reply, rank: 0, action, protocol, sources, destinations }
    }

    proptest! {
        /// Each opening of a guarded protocol is dropped unless the first rule that matches it allows
        /// it; what a rule denies may be left to the router.
        #[test]
        fn what_may_not_open_is_dropped_and_nothing_else(
            entries in prop::collection::vec(entry(), 0..6),
            packets in prop::collection::vec(
                (any::<bool>(), 0_u16..10, 0_u16..10, prop::sample::select(vec![17_u8, 132, 47]), any::<u16>()),
                50,
            ),
        ) {
            let (remote, local) =
                (nets(["10.1.0.0/24", "fd01::/64"]), nets(["10.1.0.0/28", "fd01::/120"]));
            let all = [Entry::default()];
            let opened = product((&all, &remote), (&entries, &local)).expect("few");
            let replies = [reply(Protocol::Any), reply(Protocol::Number(47))];
            let Ok(drops) = guard(&replies, &opened.rules, (&remote, &local)) else { return Ok(()) };
            for (ip6, from, to, number, port) in packets {
                let at = |host: u16| -> IpAddr {
                    let text = if ip6 { format!("fd01::{host:x}") } else { format!("10.1.0.{host}") };
                    text.parse().expect("an address")
                };
                // Ports at the edges of ranges, too.
                let port = (if port % 3 == 0 { port } else { port % 9 * 7000 + port % 5 }).max(1);
                let matches = |sources: &[IpNet], destinations: &[IpNet], protocol: &Protocol| {
                    contains(sources, at(from))
                        && contains(destinations, at(to))
                        && has(protocol, number, port)
                };
                let first = opened
                    .rules
                    .iter()
                    .find(|rule| matches(&rule.sources, &rule.destinations, &rule.protocol));
                let dropped =
                    drops.iter().filter(|it| matches(&it.sources, &it.destinations, &it.protocol));
                let dropped = dropped.count();
                let packet = format!("{number} {} -> {} port {port}", at(from), at(to));
                match first.map(Rule::allows) {
                    Some(true) => prop_assert_eq!(dropped, 0, "{}", packet),
                    None => prop_assert_eq!(dropped, 1, "{}", packet),
                    Some(false) => prop_assert!(dropped <= 1, "{}", packet),
                }
            }
        }
    }

    #[test]
    fn a_guard_has_a_limit() {
        let (remote, local) =
            (nets(["10.1.0.0/16", "fd01::/64"]), nets(["10.2.0.0/16", "fd02::/64"]));
        let only = |n: u32| format!("allow udp remote 10.1.{n}.0/24 local 10.2.{n}.0/24");
        let entries: Vec<Entry> = (0..70).map(|n| only(n).parse().expect("an entry")).collect();
        let all = [Entry::default()];
        let opened = product((&all, &remote), (&entries, &local)).expect("few");
        let replies = [reply(Protocol::Udp(Ports::default()))];
        let found = guard(&replies, &opened.rules, (&remote, &local));
        assert_eq!(found, Err(TooComplex::Guard(MOST_DROPS)));
        assert_eq!(guard(&[], &opened.rules, (&remote, &local)), Ok(Box::default()));
    }
}
