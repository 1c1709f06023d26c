//! The product's reader of OVN's matches agrees with the reference reader (`matches.rs`): of the policies that the engine
//! writes, and of matches that others might write. What it says for certain is so; of ours it is certain always.

use std::net::IpAddr;

use ipnet::IpNet;
use ovn_peerd::reach::{self, Place, Set, Truth};
use proptest::prelude::*;

use crate::lists::{lists, packet};
use crate::matches::{Match, Sets};
use crate::packets::{Packet, Part};
use crate::traffic::Ground;

/// A packet of the model, as the product has it. Only whole ones are asked about.
fn asked(packet: &Packet) -> reach::Packet {
    let net = |address: IpAddr| IpNet::from(address);
    let is_icmp = packet.is_icmp();
    reach::Packet {
        source: net(packet.source),
        destination: net(packet.destination),
        protocol: Some(packet.protocol),
        from_ports: (packet.ports[0], packet.ports[0]),
        to_ports: (packet.ports[1], packet.ports[1]),
        flags: Some(packet.flags),
        kind: is_icmp.then_some(packet.kind),
    }
}

fn read(text: &str, packet: &Packet, sets: &Sets) -> Truth {
    let of_product = asked(packet);
    let place = Place { packet: &of_product, inport: &packet.inport, outport: &packet.outport };
    let find =
        |name: &str| sets.get(name).map_or(Set::Missing, |nets| Set::Addresses(nets.clone()));
    reach::holds(text, &place, &find)
}

#[track_caller]
fn assert_agrees(text: &str, packet: &Packet, sets: &Sets) -> Result<Truth, TestCaseError> {
    let found = read(text, packet, sets);
    if let Ok(model) = Match::parse(text, sets) {
        let holds = Truth::from(model.holds(packet));
        prop_assert!(
            found == Truth::Maybe || found == holds,
            "{found:?} instead of {holds:?}: {text}\n{packet:?}"
        );
    }
    Ok(found)
}

fn whole(from: usize) -> impl Strategy<Value = Packet> {
    packet(from).prop_map(|packet| Packet { part: Part::Whole, ..packet })
}

/// Terms as people write them, read by both readers or by the product alone.
fn term() -> impl Strategy<Value = String> {
    let terms = [
        "ip4",
        "ip6",
        "tcp",
        "udp",
        "icmp4",
        "icmp6",
        "ip",
        "!ip.is_frag",
        "ip.is_frag",
        "sctp",
        "ip4.src == 10.1.0.0/24",
        "ip4.src == {10.1.0.0/25, 10.2.0.11}",
        "ip4.dst == 10.2.0.0/24",
        "ip6.src == fd01::/64",
        "ip6.dst == {fd02::/64, fd03::/64}",
        "ip4.dst == $full",
        "tcp.dst == 22",
        "tcp.dst == {22, 80, 443}",
        "(tcp.dst >= 80 && tcp.dst <= 443)",
        "udp.src == 53",
        "udp.dst == 53",
        "ip.proto == 47",
        "icmp4.type == {8, 13}",
        "icmp6.type == 128",
        "tcp.flags[1] == 1",
        "tcp.flags[4] == 0",
        "inport == \"p\"",
        "inport == {\"p\", \"q\"}",
        "outport == \"q\"",
        "reg9[0] == 1",
        "ip.ttl == 1",
        "ip4.src != 10.1.0.0/24",
        "tcp.dst != 22",
        "tcp.dst < 100",
        "ip4.dst == $others",
        "is_chassis_resident(\"cr-x\")",
        "!(tcp.dst == 22)",
        "eth.dst == 00:00:00:00:00:01",
        "tcp.dst == 0x16",
        "1",
        "ct.est",
        "!tcp",
        "22 == tcp.dst",
        "0 < tcp.dst < 100",
    ];
    prop::sample::select(terms.map(str::to_owned).to_vec())
}

fn text() -> impl Strategy<Value = String> {
    let level = prop::collection::vec(term(), 1..4);
    let level = (level, prop::bool::ANY)
        .prop_map(|(terms, all)| terms.join(if all { " && " } else { " || " }));
    prop::collection::vec(level, 1..4).prop_flat_map(|levels| {
        let bracketed: Vec<String> = levels.iter().map(|level| format!("({level})")).collect();
        prop::bool::ANY.prop_map(move |all| bracketed.join(if all { " && " } else { " || " }))
    })
}

fn sets() -> Sets {
    let nets = ["10.1.0.0/24", "10.2.0.0/25"].map(|net| net.parse().unwrap());
    [("full".into(), nets.to_vec())].into()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn of_our_own_policies_the_reader_is_certain_and_right(
        (ours, theirs) in (lists(0), lists(1)),
        packets in prop::collection::vec((0..2_usize).prop_flat_map(|from| (Just(from), whole(from))), 20),
    ) {
        let mut ground = Ground::new(false);
        ground.lists = [ours, theirs];
        ground.declare();
        for (from, packet) in packets {
            let sets = ground.world.sets();
            let inport = ground.world.link(1 - from, from).map(|(port, _)| port).unwrap_or_default();
            let packet = Packet { inport, outport: "r".into(), ..packet };
            for policy in ground.world.policies(1 - from) {
                let found = assert_agrees(&policy.text, &packet, &sets)?;
                prop_assert!(found != Truth::Maybe, "{}", policy.text);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn of_other_matches_it_says_nothing_wrong(
        text in text(),
        packet in whole(0),
        (inport, outport) in (prop::sample::select(vec!["p", "q", "r"]), prop::sample::select(vec!["p", "q"])),
    ) {
        let packet = Packet { inport: inport.into(), outport: outport.into(), ..packet };
        assert_agrees(&text, &packet, &sets())?;
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9.:/{}()\\[\\]&|=!<>,$@\" ]{0,60}", packet in whole(0)) {
        read(&text, &packet, &sets());
    }

    /// What is certain of a prefix is certain of each of its addresses, and what is certain of all ports is so of each.
    #[test]
    fn what_is_certain_of_many_packets_is_so_of_each(text in text(), packet in whole(0), length in 0_u8..=32) {
        let of_product = asked(&packet);
        let widen = |net: IpNet| {
            let length = length.min(net.max_prefix_len());
            IpNet::new(net.addr(), length).map_or(net, |net| net.trunc())
        };
        let many = reach::Packet {
            source: widen(of_product.source),
            from_ports: reach::ALL_PORTS,
            to_ports: (0, u16::MAX),
            flags: None,
            ..of_product.clone()
        };
        let sets = sets();
        let find = |name: &str| sets.get(name).map_or(Set::Missing, |nets| Set::Addresses(nets.clone()));
        let at = |packet| Place { packet, inport: "p", outport: "q" };
        let of_many = reach::holds(&text, &at(&many), &find);
        let of_one = reach::holds(&text, &at(&of_product), &find);
        prop_assert!(of_many == Truth::Maybe || of_one == of_many, "{of_many:?} {of_one:?} {text} {packet:?}");
    }
}

#[test]
fn the_usual_matches_of_others_are_read() {
    let tcp = Packet {
        ports: [40_000, 22],
        flags: 2,
        ..Packet::new(6, "10.1.0.10".parse().unwrap(), "10.2.0.10".parse().unwrap())
    };
    let tcp = Packet { inport: "p".into(), outport: "q".into(), ..tcp };
    for (text, expected) in [
        // Kube-OVN, OpenStack, LXD, ovn-kubernetes.
        ("ip4.dst == 10.2.0.0/24", Truth::Yes),
        ("ip4.src == 10.1.0.0/24 && ip4.dst != 10.0.0.0/8", Truth::No),
        ("inport == \"p\" && ip4.dst == 10.2.0.10 /* node */", Truth::Maybe),
        ("ip4.src == 10.3.0.0/16 && ip4.dst == $a123", Truth::No),
        ("ip4.src == $a123", Truth::No),
        ("tcp.dst != 80", Truth::Yes),
        ("tcp.dst > 1023", Truth::No),
        ("!(tcp.dst == 22)", Truth::No),
        ("!(udp.dst == 22)", Truth::No),
        ("ip4.src == 10.1.0.0/255.255.255.0", Truth::Yes),
        ("tcp && ip4.src == 10.1.0.1/24", Truth::Maybe),
        ("inport == @group", Truth::Maybe),
        ("tcp || udp && icmp", Truth::Maybe),
        ("", Truth::Maybe),
    ] {
        assert_eq!(read(text, &tcp, &sets()), expected, "{text}");
    }
}
