//! Entries for the tests of several rooms.

use ipnet::IpNet;
use proptest::prelude::*;

use super::{Action, Entry, IcmpType, Nets, Ports, Protocol};

fn ports() -> impl Strategy<Value = Ports> {
    let range =
        (1_u16..=9, 0_u16..=3).prop_map(|(first, more)| (first * 7000, first * 7000 + more));
    prop::collection::vec(range, 0..3).prop_map(Ports::of)
}

fn protocol() -> impl Strategy<Value = Protocol> {
    let types = prop::collection::vec(prop::sample::select(IcmpType::ALL.to_vec()), 0..3);
    prop_oneof![
        Just(Protocol::Any),
        ports().prop_map(Protocol::Tcp),
        ports().prop_map(Protocol::Udp),
        ports().prop_map(Protocol::Sctp),
        types.prop_map(Protocol::icmp),
        any::<u8>().prop_filter_map("not ICMP", Protocol::of_number),
    ]
}

fn nets() -> impl Strategy<Value = Nets> {
    let v4 = (0_u32..8, 0_u8..=8).prop_map(|(host, more)| {
        IpNet::new(std::net::Ipv4Addr::from(0x0a01_0000 + host).into(), 24 + more)
    });
    let v6 = (0_u128..8, 0_u8..=64).prop_map(|(host, more)| {
        IpNet::new(std::net::Ipv6Addr::from((0xfd01 << 112) + host).into(), 64 + more)
    });
    let net = prop_oneof![v4, v6].prop_map(|net| net.expect("a length in range"));
    prop_oneof![Just(Nets::All), prop::collection::vec(net, 1..4).prop_map(Nets::of)]
}

/// Any entry that a file may have.
pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let entry = (any::<bool>(), protocol(), nets(), nets());
    let entry = entry.prop_map(|(deny, protocol, remote, local)| {
        let action = if deny { Action::Deny } else { Action::Allow };
        Entry { action, protocol, remote, local }
    });
    entry.prop_filter("a family in common", |entry| {
        let v6 = |net: &IpNet| matches!(net, IpNet::V6(_));
        match (entry.remote.some(), entry.local.some()) {
            (Some(remote), Some(local)) => {
                remote.iter().any(|one| local.iter().any(|other| v6(one) == v6(other)))
            }
            (Some(_) | None, Some(_) | None) => true,
        }
    })
}
