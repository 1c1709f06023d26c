//! Which entry of which list decides on what is opened.

use ipnet::IpNet;

use crate::reach::{ALL_PORTS, ICMP, ICMP6, Packet, SCTP, TCP, Truth, UDP, is_between, is_within};
use crate::traffic::{Action, Entry, Nets, Ports, Protocol, Rule};
use crate::view::{WhyFact, WhyStep};

use super::ground::{List, passes, step};

/// What a list says of a packet, and the number of the entry that decides, from 1.
pub(super) fn decided(
    entries: &[Entry],
    packet: &Packet,
    (local, remote): (&IpNet, &IpNet),
) -> (Truth, Option<usize>) {
    let mut possible: Vec<(Truth, usize)> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let matches = says(&entry.protocol, packet)
            .and(has(&entry.local, local))
            .and(has(&entry.remote, remote));
        let allows = Truth::from(entry.action == Action::Allow);
        match matches {
            Truth::No => {}
            Truth::Maybe => possible.push((allows, at + 1)),
            Truth::Yes => {
                possible.push((allows, at + 1));
                let agreed = Truth::agreed(possible.iter().map(|(allows, _)| *allows));
                return (agreed.unwrap_or(Truth::Maybe), Some(at + 1));
            }
        }
    }
    // What no entry matches is denied.
    let all = possible.iter().map(|(allows, _)| *allows).chain([Truth::No]);
    (Truth::agreed(all).unwrap_or(Truth::No), possible.first().map(|(_, at)| *at))
}

/// The step of a list.
pub(super) fn list_step(list: &List<'_>, packet: &Packet, is_opener: bool) -> Option<WhyStep> {
    let entries = list.entries?;
    let ends = if is_opener {
        (&packet.source, &packet.destination)
    } else {
        (&packet.destination, &packet.source)
    };
    let (allows, entry) = decided(entries, packet, ends);
    let rule = entry.and_then(|at| entries.get(at - 1)).map(Entry::to_string);
    Some(step(
        passes(allows),
        WhyFact::Filter {
            half: list.half.map(ToString::to_string),
            network: list.network.to_string(),
            list: list.name.to_owned(),
            entry,
            rule,
            of_reply: false,
            by_policy: list.by_policy,
        },
    ))
}

/// The first rule of both lists together that matches, and what they say.
pub(in crate::engine) fn first_rule<'a>(
    rules: &'a [Rule],
    packet: &Packet,
) -> (Truth, Option<&'a Rule>) {
    let within = |nets: &[IpNet], net: &IpNet| {
        nets.iter().map(|around| is_within(net, around)).fold(Truth::No, Truth::or)
    };
    let mut possible = Vec::new();
    let mut first = None;
    for rule in rules {
        let matches = says(&rule.protocol, packet)
            .and(within(&rule.sources, &packet.source))
            .and(within(&rule.destinations, &packet.destination));
        if matches == Truth::No {
            continue;
        }
        possible.push(Truth::from(rule.allows()));
        first = first.or(Some(rule));
        if matches == Truth::Yes {
            return (Truth::agreed(possible).unwrap_or(Truth::Maybe), first);
        }
    }
    (Truth::agreed(possible.into_iter().chain([Truth::No])).unwrap_or(Truth::No), first)
}

fn has(nets: &Nets, net: &IpNet) -> Truth {
    nets.some().map_or(Truth::Yes, |nets| {
        nets.iter().map(|around| is_within(net, around)).fold(Truth::No, Truth::or)
    })
}

fn says(protocol: &Protocol, packet: &Packet) -> Truth {
    let with_ports = |number: u8, ports: &Ports| {
        let in_ports = match ports.ranges() {
            [] => Truth::Yes,
            ranges => {
                let all = ranges.iter().map(|range| is_between(packet.to_ports, *range));
                all.fold(Truth::No, Truth::or)
            }
        };
        packet.has_protocol(number).and(in_ports)
    };
    match protocol {
        Protocol::Any => Truth::Yes,
        Protocol::Tcp(ports) => with_ports(TCP, ports),
        Protocol::Udp(ports) => with_ports(UDP, ports),
        Protocol::Sctp(ports) => with_ports(SCTP, ports),
        Protocol::Number(number) => packet.has_protocol(*number),
        Protocol::Icmp(types) => {
            let ip6 = !packet.is_v4();
            let of = packet.has_protocol(if ip6 { ICMP6 } else { ICMP });
            let numbers = || types.iter().filter_map(|message| message.request(ip6));
            let typed = match packet.kind {
                _ if types.is_empty() => Truth::Yes,
                Some(kind) => numbers().any(|number| number == kind).into(),
                None => Truth::Maybe,
            };
            of.and(typed)
        }
    }
}

/// Whether the packets of a question have any port.
pub(super) fn leaves_ports_open(packet: &Packet) -> bool {
    packet.protocol.is_none() || packet.to_ports == ALL_PORTS
}
