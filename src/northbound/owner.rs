//! The owner tag, and the names of our rows.
//!
//! Names are derived from identities by SHA-256. So a tenant cannot make one that equals another's, and no
//! text of a tenant is ever part of a row's name or of a match. We recognise a router port of ours
//! by its name as well as by its tag: names of router ports are unique in the northbound.

use std::fmt;

use crate::declare::{NetworkKey, PeeringKey, digest};

/// The key in `external_ids` that marks a row as ours. Its value is the identity of the peering or
/// network that the row belongs to.
pub const UNIT_KEY: &str = "ovn-peerd-unit";
/// The key by which we ask the server for rows of ours, in tables that we do not read whole.
pub const OWNER_KEY: &str = "ovn-peerd";
/// Its value, in every version.
pub const OWNER_VALUE: &str = "1";
/// The key whose value names a unit for people: on its link ports, and on its IPv4 Address_Set.
pub const LABEL_KEY: &str = "ovn-peerd-label";

/// The key whose value is the other peering of a chain through an appliance: on the policies of the
/// appliance's router.
pub const PARTNER_KEY: &str = "ovn-peerd-chain";
/// The key whose value is the end of a peering that a row is for: on rows that have no name.
pub const END_KEY: &str = "ovn-peerd-end";

/// The prefix of our names in the namespace that router and switch ports share.
const PORT_PREFIX: &str = "ovn-peerd-";
/// The prefix of our address sets' names. It has no hyphen, because a match could not name such a
/// set.
pub const SET_PREFIX: &str = "ovn_peerd_";
/// 96 bits. To match somebody else's identity takes about 2^96 attempts. Any two that collide take
/// about 2^48, and concern only who made both.
const ID_BYTES: usize = 12;

/// A peering or a network; each row of ours belongs to exactly one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitId {
    /// A peering: its link ports, routes and policies.
    Peering(Id),
    /// A network: its registration, and its uplink anti-spoof.
    Network(Id),
}

impl UnitId {
    /// The first unit in order.
    pub const FIRST: Self = Self::Peering(Id([0; ID_BYTES]));

    /// The tag's value.
    #[must_use]
    pub fn tag(&self) -> String {
        match self {
            Self::Peering(id) => ["peering-", id.digits().as_str()].concat(),
            Self::Network(id) => ["network-", id.digits().as_str()].concat(),
        }
    }

    /// Parses a tag's value; none if this version writes no such tag.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let (kind, id) = tag.split_once('-')?;
        match kind {
            "peering" => Id::parse(id).map(Self::Peering),
            "network" => Id::parse(id).map(Self::Network),
            _ => None,
        }
    }
}

/// The lock whose holder speaks for a host.
#[must_use]
pub fn host_lock(host: &str) -> String {
    ["ovn_peerd_host_", Id::of_host(host).digits().as_str()].concat()
}

/// A digest that represents an identity in names and tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; ID_BYTES]);

impl Id {
    /// The identity of a peering.
    #[must_use]
    pub fn of_peering(key: &PeeringKey) -> Self {
        let (a, b) = (key.a(), key.b());
        Self(digest(&["peering", &a.project, &a.name, &b.project, &b.name]))
    }

    /// The identity of a network.
    #[must_use]
    pub fn of_network(key: &NetworkKey) -> Self {
        Self(digest(&["network", &key.project, &key.name]))
    }

    /// The position among identities at which a host starts; each host has another one.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        Self(digest(&["host", host]))
    }

    /// Parses its digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * ID_BYTES {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        };
        let mut id = [0; ID_BYTES];
        for (byte, [high, low]) in id.iter_mut().zip(digits.as_chunks().0) {
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits().as_str())
    }
}

/// An identity in hexadecimal digits. A start writes some hundred thousand of these, so neither
/// they nor the names with them use a formatter.
struct Digits([u8; 2 * ID_BYTES]);

impl Id {
    fn digits(&self) -> Digits {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        let mut text = [0; 2 * ID_BYTES];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Digits(text)
    }
}

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which end of a peering: `A` is the one whose network sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The network that sorts first.
    A,
    /// The other one.
    B,
}

impl End {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The name of a peering's router port on the router of one end.
#[must_use]
pub fn link_port_name(peering: Id, end: End) -> String {
    let end = match end {
        End::A => "a",
        End::B => "b",
    };
    [PORT_PREFIX, peering.digits().as_str(), "-", end].concat()
}

/// The peering of the link port with this name; none if the name is not ours.
#[must_use]
pub fn peering_of_link_port(name: &str) -> Option<Id> {
    let (id, end) = name.strip_prefix(PORT_PREFIX)?.split_once('-')?;
    if matches!(end, "a" | "b") { Id::parse(id) } else { None }
}

/// The name of the switch between the routers of a peering that cannot be linked directly.
#[must_use]
pub fn link_switch_name(peering: Id) -> String {
    format!("{PORT_PREFIX}{peering}")
}

/// The name of that switch's port that leads to the router of one end.
#[must_use]
pub fn link_switch_port_name(peering: Id, end: End) -> String {
    let end = match end {
        End::A => "ta",
        End::B => "tb",
    };
    format!("{PORT_PREFIX}{peering}-{end}")
}

/// The peering of the link switch's port with this name; none if the name is not ours.
#[must_use]
pub fn peering_of_link_switch_port(name: &str) -> Option<Id> {
    let (id, end) = name.strip_prefix(PORT_PREFIX)?.split_once('-')?;
    if matches!(end, "ta" | "tb") { Id::parse(id) } else { None }
}

/// The name of a peering's copy of a load balancer of one end's network. `balancer` says which one:
/// its texts end in the digest.
#[must_use]
pub fn balancer_name(peering: Id, provider: End, balancer: &[&str]) -> String {
    let end = match provider {
        End::A => "a",
        End::B => "b",
    };
    let copy = Id(digest(&[&["balancer", end], balancer].concat()));
    [PORT_PREFIX, peering.digits().as_str(), "-", copy.digits().as_str()].concat()
}

/// The peering of the copy of a load balancer with this name; none if the name is not ours.
#[must_use]
pub fn peering_of_balancer(name: &str) -> Option<Id> {
    let (id, copy) = name.strip_prefix(PORT_PREFIX)?.split_once('-')?;
    Id::parse(copy).and_then(|_| Id::parse(id))
}

/// The value of [`END_KEY`].
#[must_use]
pub fn end_tag(end: End) -> &'static str {
    match end {
        End::A => "a",
        End::B => "b",
    }
}

/// The part that only names of [`guard_name`] have.
const GUARD: &str = "_guard_";

/// The name of the Port_Group that brings the guard of one end of a peering to its switches.
#[must_use]
pub fn guard_name(peering: Id, end: End) -> String {
    let end = match end {
        End::A => "a",
        End::B => "b",
    };
    format!("{SET_PREFIX}{peering}{GUARD}{end}")
}

/// The peering of the guard with this name; none if the name is not ours.
#[must_use]
pub fn peering_of_guard(name: &str) -> Option<Id> {
    let (id, end) = name.strip_prefix(SET_PREFIX)?.split_once(GUARD)?;
    if matches!(end, "a" | "b") { Id::parse(id) } else { None }
}

/// The Ethernet address of the link port with this name: locally administered, unicast.
#[must_use]
pub fn link_port_mac(name: &str) -> String {
    let [first, second, third, fourth, fifth]: [u8; 5] = digest(&["mac", name]);
    format!("0a:{first:02x}:{second:02x}:{third:02x}:{fourth:02x}:{fifth:02x}")
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
}

impl Family {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Ip4, Self::Ip6];

    /// The family of a prefix.
    #[must_use]
    pub fn of(prefix: &ipnet::IpNet) -> Self {
        match prefix {
            ipnet::IpNet::V4(_) => Self::Ip4,
            ipnet::IpNet::V6(_) => Self::Ip6,
        }
    }

    /// The protocol in OVN's match language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip4 => "ip4",
            Self::Ip6 => "ip6",
        }
    }
}

/// The name of the Address_Set that holds a network's prefixes of one family.
#[must_use]
pub fn address_set_name(network: Id, family: Family) -> String {
    [SET_PREFIX, network.digits().as_str(), "_", family.as_str()].concat()
}

/// The part that only names of [`remotes_set_name`] have.
const REMOTES: &str = "_remotes_";
/// The part that only names of [`inside_set_name`] have.
const INSIDE: &str = "_inside_";

/// The name of the Address_Set that holds all prefixes of one family that a network's router
/// reaches over links of ours.
#[must_use]
pub fn remotes_set_name(network: Id, family: Family) -> String {
    format!("{SET_PREFIX}{network}{REMOTES}{}", family.as_str())
}

/// The name of the Address_Set with the prefixes of one family of a network whose gateway router
/// translates for the other side of this peering.
#[must_use]
pub fn inside_set_name(peering: Id, family: Family) -> String {
    format!("{SET_PREFIX}{peering}{INSIDE}{}", family.as_str())
}

/// Whether the name is one of [`inside_set_name`].
#[must_use]
pub fn is_inside_set(name: &str) -> bool {
    name.contains(INSIDE)
}

/// Whether the name is one of [`remotes_set_name`].
#[must_use]
pub fn is_remotes_set(name: &str) -> bool {
    name.contains(REMOTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_because_rows_outlive_the_daemon() {
        let key = PeeringKey::new(NetworkKey::new("blue", "web"), NetworkKey::new("green", "db"));
        let id = Id::of_peering(&key.expect("two networks"));
        assert_eq!(link_port_name(id, End::A), format!("ovn-peerd-{id}-a"));
        assert_eq!(peering_of_link_port(&link_port_name(id, End::B)), Some(id));
        assert_eq!(UnitId::parse(&UnitId::Peering(id).tag()), Some(UnitId::Peering(id)));
        assert_eq!(link_switch_name(id), format!("ovn-peerd-{id}"));
        assert_eq!(link_switch_port_name(id, End::A), format!("ovn-peerd-{id}-ta"));
        assert_eq!(peering_of_link_switch_port(&link_switch_port_name(id, End::B)), Some(id));
        assert_eq!(peering_of_link_switch_port(&link_port_name(id, End::B)), None);
        assert_eq!(peering_of_link_port(&link_switch_port_name(id, End::B)), None);
        let copy = balancer_name(id, End::A, &["web-lb", "tcp"]);
        assert_eq!(peering_of_balancer(&copy), Some(id));
        assert_eq!(peering_of_balancer(&link_port_name(id, End::A)), None);
        assert_ne!(copy, balancer_name(id, End::B, &["web-lb", "tcp"]));
        assert_ne!(copy, balancer_name(id, End::A, &["web-lbtcp"]));
        assert_eq!(peering_of_guard(&guard_name(id, End::B)), Some(id));
        assert_eq!(peering_of_guard("ovn_peerd_zz_guard_a"), None);
        assert_eq!(peering_of_link_port("ovn-peerd-zz-a"), None);
        assert_eq!(peering_of_link_port("lrp0"), None);
        let mac = |end| link_port_mac(&link_port_name(id, end));
        assert!(mac(End::A).starts_with("0a:"));
        assert_ne!(mac(End::A), mac(End::B));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let left = Id::of_network(&NetworkKey::new("ab", "c"));
        let right = Id::of_network(&NetworkKey::new("a", "bc"));
        assert_ne!(left, right);
    }
}
