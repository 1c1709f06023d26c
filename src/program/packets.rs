//! Protocols, ports and ICMP types in the match of a policy.
//!
//! To OVN, every fragment has ports and types of 0, the first one too. So an allow with ports never
//! matches a fragment, and a deny with ports must match every fragment of its protocol: each is
//! perhaps of a packet that is denied. In IPv6 only the first fragment shows its protocol. An allow
//! of a whole protocol therefore matches all later fragments there: without the first one, nobody
//! can put them together.

use std::fmt::Display;

use crate::northbound::Family;
use crate::traffic::{Action, IcmpType, Kind, Policy, Ports, Protocol};

use super::matches::braced;

/// Matches ICMP errors of a family: unreachable, time exceeded, a bad header, packet too big.
pub(super) fn errors(family: Family) -> &'static str {
    match family {
        Family::Ip4 => "icmp4.type == {3, 11, 12}",
        Family::Ip6 => "icmp6.type == {1, 2, 3, 4}",
    }
}

/// Matches what is shaped like an opening, and fragments that may be: a SYN without ACK, and
/// requests of ICMP.
pub(super) fn openings(family: Family) -> &'static str {
    match family {
        Family::Ip4 => {
            "ip4 && ((tcp && ((tcp.flags[1] == 1 && tcp.flags[4] == 0) || ip.is_frag)) || \
             (icmp4 && (icmp4.type == {8, 10, 13, 15, 17} || ip.is_frag)))"
        }
        Family::Ip6 => {
            "ip6 && ((tcp && ((tcp.flags[1] == 1 && tcp.flags[4] == 0) || ip.is_frag)) || \
             (icmp6 && (icmp6.type == {128, 139} || ip.is_frag)))"
        }
    }
}

/// The protocol of a policy's packets, with ports or types; `None` for all packets of the family.
pub(super) fn protocol(policy: &Policy, family: Family) -> Option<String> {
    let whole = |name: &str| match (family, policy.action) {
        (Family::Ip6, Action::Allow) => format!("({name} || ip.later_frag)"),
        (Family::Ip4, _) | (Family::Ip6, Action::Deny) => name.to_owned(),
    };
    let with_ports = |name: &str, ports: &Ports| {
        if ports.ranges().is_empty() {
            return whole(name);
        }
        let field = match policy.kind {
            Kind::Forward => format!("{name}.dst"),
            Kind::Reply | Kind::Echo => format!("{name}.src"),
        };
        let listed = in_ranges(&field, ports);
        match policy.action {
            Action::Allow => listed,
            Action::Deny => format!("{name} && ({listed} || ip.is_frag)"),
        }
    };
    match &policy.protocol {
        Protocol::Any => None,
        Protocol::Tcp(ports) => Some(with_ports("tcp", ports)),
        Protocol::Udp(ports) => Some(with_ports("udp", ports)),
        Protocol::Sctp(ports) => Some(with_ports("sctp", ports)),
        Protocol::Icmp(types) if types.is_empty() => Some(whole(icmp_name(family))),
        Protocol::Icmp(types) => Some(icmp(policy, types, family)),
        Protocol::Number(number) => Some(whole(&format!("ip.proto == {number}"))),
    }
}

fn icmp_name(family: Family) -> &'static str {
    match family {
        Family::Ip4 => "icmp4",
        Family::Ip6 => "icmp6",
    }
}

fn icmp(policy: &Policy, types: &[IcmpType], family: Family) -> String {
    let (name, ip6) = (icmp_name(family), family == Family::Ip6);
    let number = |message: &IcmpType| match policy.kind {
        Kind::Forward => message.request(ip6),
        Kind::Reply | Kind::Echo => message.reply(ip6),
    };
    let listed = format!("{name}.type == {}", set(types.iter().filter_map(number)));
    match policy.action {
        Action::Allow => format!("{listed} && !ip.is_frag"),
        Action::Deny => format!("{name} && ({listed} || ip.is_frag)"),
    }
}

/// `tcp.dst == {22, 80}`, or `(tcp.dst == 22 || (tcp.dst >= 8000 && tcp.dst <= 8100))`.
fn in_ranges(field: &str, ports: &Ports) -> String {
    let is_one = |range: &&(u16, u16)| range.0 == range.1;
    let singles = ports.ranges().iter().filter(is_one).map(|(port, _)| *port);
    let mut terms = Vec::new();
    if ports.ranges().iter().any(|range| is_one(&range)) {
        terms.push(format!("{field} == {}", set(singles)));
    }
    let several = ports.ranges().iter().filter(|range| !is_one(range));
    terms.extend(several.map(|(first, last)| format!("({field} >= {first} && {field} <= {last})")));
    match terms.as_mut_slice() {
        [only] => std::mem::take(only),
        several => format!("({})", several.join(" || ")),
    }
}

/// `22`, or `{22, 80}`.
fn set<T: Display>(numbers: impl Iterator<Item = T>) -> String {
    let numbers: Vec<T> = numbers.collect();
    match numbers.as_slice() {
        [one] => one.to_string(),
        several => braced(several),
    }
}
