//! Ranges of addresses that are valid only locally: none of them crosses a peering.
//!
//! A prefix that shares an address with one of these belongs to no network's address space, even if
//! somebody configures or routes it. So neither a default route (0.0.0.0/0, ::/0) nor half of one
//! does. Ranges for documentation (RFC 5737, RFC 3849), benchmarks (RFC 2544), carriers (RFC 6598)
//! and future use (240.0.0.0/4), and unique local addresses (RFC 4193), are unicast like any other,
//! and cross. Whether to use them is up to their owner.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The ranges of RFC 6890 and similar ones that a router must not forward, each with its name.
const RANGES: [(IpNet, &str); 9] = [
    (v4(0, 0, 8), "\"this network\" (RFC 791)"),
    (v4(127, 0, 8), "loopback"),
    (v4(169, 254, 16), LINK_LOCAL),
    (v4(224, 0, 4), "multicast"),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)), "broadcast"),
    // This includes the unspecified address and loopback.
    (v6(0, 0, 96), "IPv4-compatible (RFC 4291)"),
    (v6(0, 0xffff, 96), "IPv4-mapped (RFC 4291)"),
    (v6(0xfe80, 0, 10), LINK_LOCAL),
    (v6(0xff00, 0, 8), "multicast"),
];
const LINK_LOCAL: &str = "link-local";

const fn v4(first: u8, second: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(first, second, 0, 0), length))
}

/// Built from the first and the sixth group of the address.
const fn v6(first: u16, sixth: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, sixth, 0, 0), length))
}

/// The reason why a prefix does not cross a peering; none if it is unicast.
#[must_use]
pub fn special(prefix: &IpNet) -> Option<&'static str> {
    if prefix.prefix_len() == 0 {
        return Some("the default route");
    }
    let shares = |range: &IpNet| range.contains(prefix) || prefix.contains(range);
    RANGES.iter().find(|(range, _)| shares(range)).map(|(_, what)| *what)
}

/// Whether an address is link-local. Every router has such addresses, and they are nobody's address
/// space.
#[must_use]
pub fn is_link_local(address: IpAddr) -> bool {
    special(&address.into()) == Some(LINK_LOCAL)
}

/// Whether guests cannot use the only other address of a /31. If an address has no host bits, OVN
/// takes the other one for the subnet's broadcast address, although a /31 has none (RFC 3021).
#[must_use]
pub fn loses_its_neighbour(address: IpAddr, prefix: &IpNet) -> bool {
    matches!(prefix, IpNet::V4(net) if net.prefix_len() == 31 && address == net.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_prefix_crosses_or_does_not() {
        for (text, expected) in [
            ("10.0.0.0/8", None),
            ("100.64.0.0/10", None),
            ("192.0.2.0/24", None),
            ("198.18.0.0/15", None),
            ("203.0.113.0/24", None),
            ("240.0.0.0/24", None),
            ("10.1.0.2/31", None),
            ("10.1.0.2/32", None),
            ("32.0.0.0/3", None),
            ("2001:db8::/32", None),
            ("fd00::/8", None),
            ("fec0::/10", None),
            ("64:ff9b::/96", None),
            ("2002::/16", None),
            ("2000::/3", None),
            ("fd00::/127", None),
            ("fd00::1/128", None),
            ("0.0.0.0/0", Some("the default route")),
            ("::/0", Some("the default route")),
            ("0.0.0.0/1", Some("\"this network\" (RFC 791)")),
            ("0.0.0.0/32", Some("\"this network\" (RFC 791)")),
            ("128.0.0.0/1", Some("link-local")),
            ("127.0.0.1/32", Some("loopback")),
            ("64.0.0.0/2", Some("loopback")),
            ("169.254.7.0/24", Some("link-local")),
            ("169.0.0.0/8", Some("link-local")),
            ("224.0.0.5/32", Some("multicast")),
            ("224.0.0.0/3", Some("multicast")),
            ("255.255.255.255/32", Some("broadcast")),
            ("::/128", Some("IPv4-compatible (RFC 4291)")),
            ("::1/128", Some("IPv4-compatible (RFC 4291)")),
            ("::/1", Some("IPv4-compatible (RFC 4291)")),
            ("::ffff:10.0.0.0/104", Some("IPv4-mapped (RFC 4291)")),
            ("fe80::/64", Some("link-local")),
            ("8000::/1", Some("link-local")),
            ("ff02::1/128", Some("multicast")),
        ] {
            let prefix: IpNet = text.parse().expect("a prefix");
            assert_eq!(special(&prefix), expected, "{text}");
        }
    }

    #[test]
    fn of_a_slash_31_the_odd_address_is_the_router_s() {
        for (text, expected) in [
            ("10.9.0.0/31", true),
            ("10.9.0.1/31", false),
            ("10.9.0.0/30", false),
            ("10.9.0.0/32", false),
            ("fd09::/127", false),
        ] {
            let net: IpNet = text.parse().expect("a prefix");
            assert_eq!(loses_its_neighbour(net.addr(), &net), expected, "{text}");
        }
    }
}
