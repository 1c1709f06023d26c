//! Lists of traffic filters in a small world of two networks, and packets aimed at their bounds.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use crate::packets::{ACK, ICMP4, ICMP6, Packet, Part, RST, SCTP, SYN, TCP, UDP};

/// What each network announces.
pub const ANNOUNCED: [&[&str]; 2] =
    [&["10.1.0.0/24", "10.11.0.0/24", "fd01::/64"], &["10.2.0.0/24", "fd02::/64"]];
/// The addresses of their routers.
pub const ROUTERS: [&[&str]; 2] = [&["10.1.0.1", "10.11.0.1", "fd01::1"], &["10.2.0.1", "fd02::1"]];
/// What entries name at the end of each network: more, the same, less, covered, nothing of it.
const NAMED: [&[&str]; 2] = [
    &[
        "10.1.0.0/24",
        "10.1.0.0/25",
        "10.1.0.128/25",
        "10.1.0.11/32",
        "10.1.0.1/32",
        "10.11.0.0/24",
        "10.0.0.0/12",
        "fd01::/64",
        "fd01::/65",
        "fd01::b/128",
        "::/0",
    ],
    &[
        "10.2.0.0/24",
        "10.2.0.0/25",
        "10.2.0.11/32",
        "10.2.0.1/32",
        "10.0.0.0/8",
        "10.99.0.0/24",
        "fd02::/64",
        "fd02::b/128",
        "fd02::1/128",
        "fd00::/8",
    ],
];
/// Nobody's addresses.
const STRANGERS: &[&str] = &["10.3.0.10", "192.0.2.1", "fd03::a"];
const RANGES: &[(u16, u16)] = &[
    (1, 1),
    (22, 22),
    (53, 53),
    (54, 60),
    (80, 443),
    (443, 500),
    (1, 1023),
    (1024, 65_535),
    (65_535, 65_535),
];
const KINDS: &[&str] = &["echo-request", "timestamp-request"];

/// An entry of a list. No addresses: all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub deny: bool,
    pub what: What,
    pub remote: Vec<IpNet>,
    pub local: Vec<IpNet>,
}

/// What an entry says of a packet beside its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Any,
    /// TCP, UDP or SCTP, to these ports; none: all.
    Ports(u8, Vec<(u16, u16)>),
    /// ICMP of these types; none: all.
    Icmp(Vec<&'static str>),
    Number(u8),
}

/// The lists of a half.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    pub inward: Option<Vec<Entry>>,
    pub out: Option<Vec<Entry>>,
}

impl Entry {
    /// One that allows everything.
    pub fn all() -> Self {
        Self { deny: false, what: What::Any, remote: vec![], local: vec![] }
    }

    fn text(&self) -> String {
        let mut keys = vec![];
        if self.deny {
            keys.push("action = \"deny\"".to_owned());
        }
        match &self.what {
            What::Any => {}
            What::Ports(protocol, ports) => {
                let name = match *protocol {
                    TCP => "tcp",
                    UDP => "udp",
                    _ => "sctp",
                };
                keys.push(format!("protocol = \"{name}\""));
                let port = |(from, to): &(u16, u16)| {
                    if from == to { from.to_string() } else { format!("\"{from}-{to}\"") }
                };
                keys.extend(list("ports", ports.iter().map(port)));
            }
            What::Icmp(types) => {
                keys.push("protocol = \"icmp\"".to_owned());
                keys.extend(list("types", types.iter().map(|it| format!("\"{it}\""))));
            }
            What::Number(number) => keys.push(format!("protocol = {number}")),
        }
        for (key, nets) in [("remote", &self.remote), ("local", &self.local)] {
            keys.extend(list(key, nets.iter().map(|net| format!("\"{net}\""))));
        }
        format!("{{ {} }}", keys.join(", "))
    }
}

fn list(key: &str, members: impl Iterator<Item = String>) -> Option<String> {
    let members: Vec<_> = members.collect();
    (!members.is_empty()).then(|| format!("{key} = [{}]", members.join(", ")))
}

impl Lists {
    /// As keys of `[[peering]]`.
    pub fn keys(&self) -> String {
        let lists = [("in", &self.inward), ("out", &self.out)];
        let lists = lists.into_iter().filter_map(|(key, list)| Some((key, list.as_ref()?)));
        let lines = lists.map(|(key, list)| {
            let entries: Vec<_> = list.iter().map(Entry::text).collect();
            format!("{key} = [{}]\n", entries.join(", "))
        });
        lines.collect()
    }
}

pub fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn what() -> impl Strategy<Value = What> {
    let ports = prop::collection::vec(prop::sample::select(RANGES), 0..3);
    let kinds = prop::sample::subsequence(KINDS, 0..=KINDS.len());
    prop_oneof![
        3 => Just(What::Any),
        6 => (prop::sample::select(vec![TCP, TCP, TCP, UDP, UDP, SCTP]), ports)
            .prop_map(|(protocol, ports)| What::Ports(protocol, ports)),
        3 => kinds.prop_map(What::Icmp),
        2 => prop::sample::select(vec![TCP, UDP, SCTP, 47]).prop_map(What::Number),
    ]
}

fn named(all: &'static [&'static str]) -> impl Strategy<Value = Vec<IpNet>> {
    let some = prop::collection::vec(prop::sample::select(all), 1..4);
    let some = some.prop_map(|texts| nets(&texts));
    prop_oneof![Just(vec![]), some]
}

/// Fewer than so many entries, which name these at the other end and at this one.
fn entries(
    remote: &'static [&'static str],
    local: &'static [&'static str],
    below: usize,
) -> impl Strategy<Value = Vec<Entry>> {
    let deny = prop::bool::weighted(0.4);
    let entry =
        (deny, what(), named(remote), named(local)).prop_map(|(deny, what, remote, mut local)| {
            // Two ends without a common family are an error in a file.
            let have = |nets: &[IpNet], is_v4| {
                nets.is_empty() || nets.iter().any(|net| net.addr().is_ipv4() == is_v4)
            };
            if ![true, false].into_iter().any(|it| have(&remote, it) && have(&local, it)) {
                local.clear();
            }
            Entry { deny, what, remote, local }
        });
    prop::collection::vec(entry, 0..below)
}

/// The lists of the half of one of the two networks.
pub fn lists(network: usize) -> impl Strategy<Value = Lists> {
    let open = || prop_oneof![Just(None), Just(Some(vec![Entry::all()]))];
    let entries = move || entries(NAMED[1 - network], NAMED[network], 5);
    let one = move || prop_oneof![4 => entries().prop_map(Some), 1 => open()];
    (one(), one()).prop_map(|(inward, out)| Lists { inward, out })
}

/// Short lists that name any of these at both ends; often none.
pub fn short_lists(all: &'static [&'static str]) -> impl Strategy<Value = Lists> {
    let one = move || prop::option::weighted(0.4, entries(all, all, 4));
    (one(), one()).prop_map(|(inward, out)| Lists { inward, out })
}

/// First and last addresses of what is announced and named, and those beside them.
fn ends(network: usize) -> Vec<IpAddr> {
    let texts = ANNOUNCED[network].iter().chain(NAMED[network]);
    let nets = texts.map(|text| text.parse::<IpNet>().unwrap());
    let beside = |address: IpAddr, by: i8| match address {
        IpAddr::V4(v4) => {
            IpAddr::from((u32::from(v4).wrapping_add_signed(by.into())).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            IpAddr::from((u128::from(v6).wrapping_add_signed(by.into())).to_be_bytes())
        }
    };
    let near = nets.flat_map(|net| {
        let (first, last) = (net.network(), net.broadcast());
        [first, last, beside(first, -1), beside(first, 1), beside(last, -1), beside(last, 1)]
    });
    let mut all: Vec<_> = near.collect();
    // Those inside are the ones on which lists decide.
    let announced = self::nets(ANNOUNCED[network]);
    let inside = all.clone().into_iter().filter(|it| announced.iter().any(|net| net.contains(it)));
    let inside: Vec<_> = inside.collect();
    (0..8).for_each(|_| all.extend(&inside));
    all
}

fn port() -> impl Strategy<Value = u16> {
    let near = |(from, to): &(u16, u16)| [*from, *to, from - 1, to.saturating_add(1)];
    let near: Vec<u16> = RANGES.iter().flat_map(near).collect();
    prop::sample::select(near)
}

fn protocol(is_v4: bool) -> impl Strategy<Value = u8> {
    let icmp = if is_v4 { ICMP4 } else { ICMP6 };
    // ICMP of the other family is an odd protocol like any other.
    let odd = ICMP4 + ICMP6 - icmp;
    prop::sample::select(vec![TCP, TCP, TCP, TCP, UDP, UDP, SCTP, icmp, icmp, icmp, icmp, 47, odd])
}

fn kind() -> impl Strategy<Value = u8> {
    let requests = [8, 10, 13, 15, 17, 128, 139];
    let others = [0, 14, 129, 3, 11, 12, 1, 2, 4, 5, 16, 18, 140];
    prop::sample::select([requests.as_slice(), others.as_slice()].concat())
}

/// Packets of one family, from an address near one network to one near the other.
fn between(from: usize, to: usize, is_v4: bool) -> impl Strategy<Value = Packet> {
    let pick = |network: usize| {
        let strangers = addresses(STRANGERS);
        let all = ends(network).into_iter().chain(strangers);
        prop::sample::select(all.filter(|it| it.is_ipv4() == is_v4).collect::<Vec<_>>())
    };
    let flags = prop::sample::select(vec![SYN, SYN, SYN | ACK, ACK, RST, RST | ACK, 0, SYN | RST]);
    (
        (pick(from), pick(to)),
        protocol(is_v4),
        (port(), port()),
        flags,
        kind(),
        prop::bool::weighted(0.25),
    )
        .prop_map(|((source, destination), protocol, ports, flags, kind, fragment)| {
            let packet = Packet::new(protocol, source, destination);
            let part = if fragment { Part::First } else { Part::Whole };
            Packet { ports: ports.into(), flags, kind, part, ..packet }
        })
}

/// Packets that enter from one network at the router of the other; few of them go the other way.
pub fn packet(from: usize) -> impl Strategy<Value = Packet> {
    let to = 1 - from;
    prop_oneof![
        6 => between(from, to, true),
        4 => between(from, to, false),
        1 => between(to, from, true),
        1 => between(to, from, false),
    ]
}
