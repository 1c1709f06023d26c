//! The reader of matches is right: what OVN would not understand is an error, and the rest means what it means there.

use crate::matches::{Match, Sets};
use crate::packets::{ICMP4, ICMP6, Packet, Part, SYN, TCP};

fn sets() -> Sets {
    let nets = ["10.1.0.0/24", "10.3.0.0/25"].map(|net| net.parse().unwrap());
    [("full".into(), nets.to_vec()), ("empty".into(), vec![])].into()
}

#[test]
fn what_ovn_would_not_understand_is_an_error() {
    for text in [
        "",
        "tcp &&",
        "tcp udp",
        "(tcp",
        "tcp)",
        "tcp && udp || icmp4",
        "tcp || udp && icmp4",
        "inport == \"p\" && tcp || udp",
        "!tcp",
        "!(tcp)",
        "!ip.is_frag == 1",
        "ip.is_frag == 1",
        "ip.proto != 6",
        "ip.proto < 6",
        "ip.proto >= 6",
        "icmp4.type >= 3",
        "tcp.dst != 22",
        "tcp.dst < 22",
        "tcp.dst > 22",
        "tcp.dst == {}",
        "tcp.dst == {22,}",
        "tcp.dst == 65536",
        "tcp.dst == 22-25",
        "tcp.dst == http",
        "icmp4.type == 256",
        "icmp.type == 8",
        "icmp6.src == 1",
        "tcp.flags == 2",
        "tcp.flags[9] == 1",
        "reg9[1] == 1",
        "reg8[0] == 1",
        "ip4.src == {}",
        "ip4.src == $empty",
        "ip4.src == $no_such_set",
        "ip4.src == fd01::/64",
        "ip6.src == $full",
        "ip4.src == 10.1.0.1/24",
        "ip4.src == \"10.1.0.1\"",
        "ip4.src != 10.1.0.1",
        "ip.src == 10.1.0.1",
        "inport == p",
        "inport == {}",
        "inport == \"p",
        "inport != \"p\"",
        "1 == 1",
        "tcp; udp",
    ] {
        let read = Match::parse(text, &sets());
        assert!(read.is_err(), "{text} is {read:?}");
    }
}

/// A packet of a protocol, of the family that has it.
fn packet(protocol: u8) -> Packet {
    let [from, to] =
        if protocol == ICMP6 { ["fd01::a", "fd02::b"] } else { ["10.1.0.10", "10.2.0.11"] };
    Packet {
        inport: "p".into(),
        outport: "a\"b".into(),
        ports: [40_000, 22],
        kind: 8,
        ..Packet::new(protocol, from.parse().unwrap(), to.parse().unwrap())
    }
}

#[track_caller]
fn assert_holds(text: &str, packet: &Packet, wanted: bool) {
    let read = Match::parse(text, &sets()).unwrap();
    assert_eq!(read.holds(packet), wanted, "{text} on {packet:?}");
}

#[test]
fn what_it_understands_means_what_it_means_in_ovn() {
    let tcp = Packet { flags: SYN, ..packet(TCP) };
    for (text, wanted) in [
        ("inport == \"p\"", true),
        ("inport == {\"o\", \"p\"}", true),
        ("outport == \"a\\\"b\"", true),
        ("outport == \"p\"", false),
        ("ip4.src == $full", true),
        ("ip4.dst == $full", false),
        ("ip4.src == {10.2.0.0/16, $full}", true),
        ("ip4.dst == 10.2.0.11", true),
        ("ip4.dst == 10.2.0.11/32", true),
        ("ip4.dst == 10.2.0.10", false),
        ("ip6.dst == ::/0", false),
        ("ip4 && tcp", true),
        ("ip6 || tcp", true),
        ("(udp || tcp) && (ip6 || ip4)", true),
        ("udp || (tcp && ip6)", false),
        ("tcp.dst == {21, 22}", true),
        ("tcp.src == {21, 22}", false),
        ("udp.dst == 22", false),
        ("(tcp.dst >= 22 && tcp.dst <= 22)", true),
        ("(tcp.dst >= 23 && tcp.dst <= 65535)", false),
        ("(tcp.dst >= 1 && tcp.dst <= 21)", false),
        ("tcp.flags[1] == 1 && tcp.flags[4] == 0", true),
        ("tcp.flags[1] == 0", false),
        ("ip.proto == 6", true),
        ("ip.proto == {7, 17}", false),
        ("ip.is_frag", false),
        ("!ip.is_frag", true),
        ("reg9[0] == 1", false),
        ("reg9[0] == 0", true),
        ("icmp4.type == 8", false),
    ] {
        assert_holds(text, &tcp, wanted);
    }
    for (text, protocol) in [("icmp4.type == {3, 8}", ICMP4), ("icmp6.type == 8", ICMP6)] {
        assert_holds(text, &packet(protocol), true);
        assert_holds(text, &packet(ICMP4 + ICMP6 - protocol), false);
        assert_holds(&text.replace("8", "9"), &packet(protocol), false);
    }
    // ICMP of the one family within the other is neither.
    let odd = Packet { protocol: ICMP6, ..packet(ICMP4) };
    for text in ["icmp4", "icmp6", "icmp4.type == 8", "icmp6.type == 8"] {
        assert_holds(text, &odd, false);
    }
    assert_holds("ip.proto == 58", &odd, true);
}

#[test]
fn a_fragment_has_zeros_for_all_that_is_behind_its_addresses() {
    let fragment = Packet { flags: SYN, ..packet(TCP) }.in_fragments();
    for (text, wanted) in [
        ("tcp", true),
        ("ip.is_frag", true),
        ("!ip.is_frag", false),
        ("tcp.dst == 22", false),
        ("tcp.dst == 0 && tcp.src == 0", true),
        ("tcp.dst >= 1", false),
        ("tcp.flags[1] == 1", false),
        ("tcp.flags[4] == 0", true),
        ("tcp && (tcp.dst == 22 || ip.is_frag)", true),
    ] {
        assert_holds(text, &fragment, wanted);
    }
    assert_holds("icmp4.type == 8", &packet(ICMP4).in_fragments(), false);
    assert_holds("icmp4.type == 0", &packet(ICMP4).in_fragments(), true);
    assert_holds("icmp6.type == 0 && !ip.is_frag", &packet(ICMP6).in_fragments(), false);
    let later = Packet { part: Part::Later, ..packet(ICMP6) };
    for (text, wanted) in [("icmp6", false), ("ip.proto == 44", true), ("ip.is_frag", true)] {
        assert_holds(text, &later, wanted);
        assert_holds(text, &packet(ICMP6).in_fragments(), !wanted || text == "ip.is_frag");
    }
    assert_holds("tcp", &Packet { part: Part::Later, ..packet(TCP) }, true);
}
