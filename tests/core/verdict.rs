//! What is to become of a packet under two halves' lists: written from what the lists mean, without a product of them,
//! and without a policy.
//!
//! The first entry that matches decides, and what none matches is denied. What one side opens passes if its own `out` and
//! the other's `in` allow it. Replies are known by their shape: what is not shaped like an opening passes also if it
//! answers something that might have been opened, which is what a host would have sent to get this packet for an answer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::lists::{Entry, Lists, What};
use crate::packets::{ACK, ICMP4, ICMP6, Packet, SCTP, SYN, TCP, UDP};

/// One end of a peering.
#[derive(Clone, Debug)]
pub struct Side {
    inward: Vec<Entry>,
    out: Vec<Entry>,
    /// Neither list is there, and the operator lets such halves be open.
    is_unfiltered: bool,
    /// What crosses of its prefixes.
    prefixes: Vec<IpNet>,
    /// Its router's addresses.
    router: Vec<IpAddr>,
    /// Those that the router's port of the link has.
    link: Vec<IpAddr>,
}

/// What is to become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Drop,
    /// The definition leaves it open.
    Either,
}

impl From<bool> for Verdict {
    fn from(passes: bool) -> Self {
        if passes { Self::Pass } else { Self::Drop }
    }
}

/// Two ends, and whether anything may be opened by either; `None` where no packet that may was found, but some two
/// entries that allow have packets in common.
#[derive(Clone, Debug)]
pub struct Reference {
    sides: [Side; 2],
    opens: Option<bool>,
}

impl Side {
    /// With these lists; what is missing lets everything through, or nothing if the operator has closed the halves.
    pub fn new(lists: &Lists, closed: bool) -> Self {
        let list = |list: &Option<Vec<Entry>>| {
            let missing = || if closed { vec![] } else { vec![Entry::all()] };
            let mut list = list.clone().unwrap_or_else(missing);
            // What none matches is denied: a deny at the end changes nothing, and stops no reply.
            while list.pop_if(|entry| entry.deny).is_some() {}
            list
        };
        let (inward, out) = (list(&lists.inward), list(&lists.out));
        let is_unfiltered = !closed && *lists == Lists::default();
        let (prefixes, router, link) = (vec![], vec![], vec![]);
        Self { inward, out, is_unfiltered, prefixes, router, link }
    }

    /// With these prefixes that cross, and these addresses of its router and of that one's port of the link.
    pub fn with(self, prefixes: &[IpNet], router: &[IpAddr], link: &[IpAddr]) -> Self {
        let (prefixes, router, link) = (prefixes.to_vec(), router.to_vec(), link.to_vec());
        Self { prefixes, router, link, ..self }
    }

    fn has(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|net| net.contains(&address))
    }

    fn is_router(&self, address: IpAddr) -> bool {
        self.router.contains(&address) && self.has(address)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.inward.iter().chain(&self.out)
    }
}

/// What the first entry that matches says; none if there is none. `local` and `remote` are addresses of the packet.
fn first(list: &[Entry], packet: &Packet, local: IpAddr, remote: IpAddr) -> Option<bool> {
    let has =
        |nets: &[IpNet], address| nets.is_empty() || nets.iter().any(|net| net.contains(&address));
    let matches = |entry: &&Entry| {
        says(&entry.what, packet) && has(&entry.local, local) && has(&entry.remote, remote)
    };
    list.iter().find(matches).map(|entry| !entry.deny)
}

fn says(what: &What, packet: &Packet) -> bool {
    match what {
        What::Any => true,
        What::Number(number) => packet.protocol == *number,
        What::Ports(protocol, ranges) => {
            let port = packet.ports[1];
            let within = |(from, to): &(u16, u16)| *from <= port && port <= *to;
            packet.protocol == *protocol && (ranges.is_empty() || ranges.iter().any(within))
        }
        What::Icmp(types) => {
            let is_it = |name: &&str| match (*name, packet.is_v4()) {
                ("echo-request", true) => packet.kind == 8,
                ("echo-request", false) => packet.kind == 128,
                ("timestamp-request", true) => packet.kind == 13,
                _ => false,
            };
            packet.is_icmp() && (types.is_empty() || types.iter().any(is_it))
        }
    }
}

/// Whether a whole packet may be opened from one side to the other; `None` where no entry speaks of it.
fn opened(from: &Side, to: &Side, packet: &Packet) -> Option<bool> {
    let (source, destination) = (packet.source, packet.destination);
    match first(&from.out, packet, source, destination) {
        Some(true) => first(&to.inward, packet, destination, source),
        other => other,
    }
}

/// Whether a deny of the side that opens matches, which is not the first of its entries that do. Where the first one
/// allows and no entry of the other side matches, no policy stands for the first one: so this deny may stop replies.
fn is_denied_further_down(from: &Side, packet: &Packet) -> bool {
    from.out.iter().filter(|entry| entry.deny).any(|entry| {
        let entry = std::slice::from_ref(entry);
        first(entry, packet, packet.source, packet.destination).is_some()
    })
}

/// What a packet that is a reply would answer.
fn answered(reply: &Packet) -> Packet {
    let [source, destination] = reply.ports;
    let kind = match (reply.is_icmp4(), reply.is_icmp6(), reply.kind) {
        (true, _, 0) => 8,
        (true, _, 8) => 0,
        (true, _, 13) => 14,
        (true, _, 14) => 13,
        (_, true, 128) => 129,
        (_, true, 129) => 128,
        (_, _, kind) => kind,
    };
    let (from, to) = (reply.destination, reply.source);
    Packet { source: from, destination: to, ports: [destination, source], kind, ..reply.clone() }
}

fn is_shaped_like_an_opening(packet: &Packet) -> bool {
    let tcp = packet.protocol == TCP && packet.flags & SYN != 0 && packet.flags & ACK == 0;
    let icmp4 = packet.is_icmp4() && [8, 10, 13, 15, 17].contains(&packet.kind);
    tcp || icmp4 || (packet.is_icmp6() && [128, 139].contains(&packet.kind))
}

fn is_error(packet: &Packet) -> bool {
    let icmp4 = packet.is_icmp4() && [3, 11, 12].contains(&packet.kind);
    icmp4 || (packet.is_icmp6() && [1, 2, 3, 4].contains(&packet.kind))
}

impl Reference {
    pub fn new(sides: [Side; 2]) -> Self {
        let both = [[0, 1], [1, 0]].map(|[from, to]| may_open(&sides[from], &sides[to]));
        let opens = match both {
            [Some(true), _] | [_, Some(true)] => Some(true),
            [Some(false), Some(false)] => Some(false),
            _ => None,
        };
        Self { sides, opens }
    }

    /// Of a packet that enters at the router of the other side of `from`; of one in fragments, whether it gets through as
    /// a whole.
    pub fn verdict(&self, from: usize, packet: &Packet) -> Verdict {
        let (from, to) = (&self.sides[from], &self.sides[1 - from]);
        let whole = self.of_whole(from, to, packet);
        if !packet.is_fragment() || whole == Verdict::Drop {
            return whole;
        }
        let any = |what: fn(&What) -> bool| {
            from.entries().chain(to.entries()).any(|entry| what(&entry.what))
        };
        let sees_more = any(|what| match what {
            What::Ports(_, ranges) => !ranges.is_empty(),
            What::Icmp(types) => !types.is_empty(),
            What::Any | What::Number(_) => false,
        });
        let crosses = from.has(packet.source) && to.has(packet.destination);
        if !crosses || sees_more {
            return Verdict::Either;
        }
        // A fragment shows neither flags nor types, so it is no reply.
        let opens = opened(from, to, packet) == Some(true);
        if (packet.protocol == TCP || packet.is_icmp()) && !opens {
            return Verdict::Drop;
        }
        whole
    }

    fn of_errors(&self) -> Verdict {
        self.opens.map_or(Verdict::Either, Verdict::from)
    }

    fn of_whole(&self, from: &Side, to: &Side, packet: &Packet) -> Verdict {
        let crosses = from.has(packet.source) && to.has(packet.destination);
        let is_back = to.has(packet.source) && from.has(packet.destination);
        if !crosses && !is_back {
            return Verdict::Drop;
        }
        if from.is_unfiltered && to.is_unfiltered {
            return Verdict::Pass;
        }
        // The router's own messages have the port by which their cause came.
        if is_back {
            let is_echo = (packet.is_icmp4() && packet.kind == 0)
                || (packet.is_icmp6() && packet.kind == 129);
            if is_echo && to.is_router(packet.source) {
                return (opened(from, to, &answered(packet)) == Some(true)).into();
            }
            let is_own_error = is_error(packet) && to.link.contains(&packet.source);
            return if is_own_error { self.of_errors() } else { Verdict::Drop };
        }
        let opens = opened(from, to, packet);
        if is_error(packet) && opens != Some(true) && self.opens != Some(false) {
            return self.of_errors();
        }
        match opens {
            Some(opens) => opens.into(),
            None if is_shaped_like_an_opening(packet) => Verdict::Drop,
            None if opened(to, from, &answered(packet)) != Some(true) => Verdict::Drop,
            None if is_denied_further_down(from, packet) => Verdict::Either,
            None => Verdict::Pass,
        }
    }
}

/// Whether there is a packet that may be opened; `None` if none of those that were tried may, but both sides allow
/// something.
fn may_open(from: &Side, to: &Side) -> Option<bool> {
    let (sources, destinations) = (ends(from, to), ends(to, from));
    let shapes = shapes(from.entries().chain(to.entries()));
    let opens = |source: &IpAddr, destination: &IpAddr| {
        let tried = Packet::new(0, *source, *destination);
        let mut all = shapes.iter().map(|(protocol, port, kind)| Packet {
            protocol: *protocol,
            ports: [0, *port],
            kind: *kind,
            ..tried.clone()
        });
        source.is_ipv4() == destination.is_ipv4()
            && all.any(|packet| opened(from, to, &packet) == Some(true))
    };
    if sources.iter().any(|source| destinations.iter().any(|it| opens(source, it))) {
        return Some(true);
    }
    let allows = |list: &[Entry]| list.iter().any(|entry| !entry.deny);
    if allows(&from.out) && allows(&to.inward) { None } else { Some(false) }
}

/// Addresses of one side on which the entries of both can differ.
fn ends(side: &Side, other: &Side) -> BTreeSet<IpAddr> {
    let local = side.entries().flat_map(|entry| &entry.local);
    let remote = other.entries().flat_map(|entry| &entry.remote);
    let all = side.prefixes.iter().chain(local).chain(remote);
    let ends = all.flat_map(|net| [Some(net.network()), net.hosts().nth(9), Some(net.broadcast())]);
    ends.flatten().filter(|address| side.has(*address)).collect()
}

/// Protocols, destination ports and types on which entries can differ.
fn shapes<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<(u8, u16, u8)> {
    let ranges = entries.flat_map(|entry| match &entry.what {
        What::Ports(_, ranges) => ranges.as_slice(),
        What::Any | What::Icmp(_) | What::Number(_) => &[],
    });
    let ports = ranges.flat_map(|(from, to)| [*from, *to, from - 1, to.saturating_add(1)]);
    let ports: BTreeSet<u16> = ports.chain([1]).collect();
    let with_ports = [TCP, UDP, SCTP].into_iter();
    let with_ports = with_ports.flat_map(|it| ports.iter().map(move |port| (it, *port, 0)));
    let icmp = [(ICMP4, [8, 13, 5]), (ICMP6, [128, 137, 5])].into_iter();
    let icmp = icmp.flat_map(|(it, kinds)| kinds.map(|kind| (it, 0, kind)));
    with_ports.chain(icmp).chain([(47, 0, 0), (253, 0, 0)]).collect()
}
