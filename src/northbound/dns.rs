//! The facts about names that the rules need: what OVN answers on a network's switches by rows of
//! others.
//!
//! A record is read into typed values. What another network's guests are told is made of these
//! alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use uuid::Uuid;

use crate::declare::is_domain;
use crate::ovsdb::Row;

use super::rows::unit_of;
use super::state::Northbound;
use super::tables::{DNS, LOGICAL_SWITCH, dns, logical_switch};

/// The ends of the names of addresses.
const OF_IP4: &str = ".in-addr.arpa";
const OF_IP6: &str = ".ip6.arpa";

/// What OVN answers to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a guest's name: its addresses.
    Addresses(BTreeSet<IpAddr>),
    /// To the name of an address: a guest's name.
    Name(IpAddr, Arc<str>),
}

/// The names of a northbound.
#[derive(Clone, Copy, Debug)]
pub struct NameFacts<'a> {
    northbound: &'a Northbound,
}

impl<'a> NameFacts<'a> {
    /// Those of this one.
    #[must_use]
    pub fn of(northbound: &'a Northbound) -> Self {
        Self { northbound }
    }

    /// The switches that refer to a row of `DNS`.
    pub fn holders(self, row: Uuid) -> impl Iterator<Item = Uuid> + use<'a> {
        self.northbound.dns_index().holders(row)
    }

    /// The names that are answered on these switches by rows of others, and the answers. What cannot
    /// be read is left out.
    #[must_use]
    pub fn answers(self, switches: &BTreeSet<Uuid>) -> BTreeMap<Arc<str>, Answer> {
        let mut found: BTreeMap<Arc<str>, Answer> = BTreeMap::new();
        let rows = self.rows(switches);
        for (name, text) in rows.iter().flat_map(|row| row.get(dns::RECORDS).entries()) {
            let name = name.to_ascii_lowercase();
            let Some(answer) = read(&name, text) else { continue };
            match (found.get_mut(&*name), answer) {
                (Some(Answer::Addresses(known)), Answer::Addresses(more)) => known.extend(more),
                // OVN takes any of them.
                (Some(Answer::Name(_, known)), Answer::Name(_, other)) if other < *known => {
                    *known = other;
                }
                (Some(_), _) => {}
                (None, answer) => drop(found.insert(name.into(), answer)),
            }
        }
        found
    }

    /// The names that are answered on these switches by rows of others, in small letters.
    #[must_use]
    pub fn names(self, switches: &BTreeSet<Uuid>) -> BTreeSet<String> {
        let rows = self.rows(switches);
        let names = rows.iter().flat_map(|row| row.get(dns::RECORDS).entries());
        names.map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    fn rows(self, switches: &BTreeSet<Uuid>) -> Vec<&'a Row> {
        let replica = self.northbound.replica();
        let switches = switches.iter().filter_map(|switch| replica.row(LOGICAL_SWITCH, *switch));
        let rows = switches.flat_map(|switch| switch.get(logical_switch::DNS_RECORDS).uuids());
        let rows: BTreeSet<Uuid> = rows.collect();
        let rows = rows.into_iter().filter_map(|row| replica.row(DNS, row));
        rows.filter(|row| unit_of(DNS, row).is_none()).collect()
    }
}

/// A record; none if it cannot be read.
fn read(name: &str, text: &str) -> Option<Answer> {
    if !is_domain(name) {
        return None;
    }
    if name.ends_with(OF_IP4) || name.ends_with(OF_IP6) {
        let guest = text.trim().to_ascii_lowercase();
        let guest = is_domain(&guest).then_some(guest)?;
        return Some(Answer::Name(address_of(name)?, guest.into()));
    }
    let texts = text.split([' ', '\t', ',']).filter(|text| !text.is_empty());
    let addresses: BTreeSet<IpAddr> = texts.filter_map(|text| text.parse().ok()).collect();
    (!addresses.is_empty()).then_some(Answer::Addresses(addresses))
}

/// The address that a name is of: `10.0.2.10.in-addr.arpa` is of 10.2.0.10.
fn address_of(name: &str) -> Option<IpAddr> {
    if let Some(bytes) = name.strip_suffix(OF_IP4) {
        let bytes = bytes.rsplit('.').collect::<Vec<_>>().join(".");
        return bytes.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let mut bits = 0_u128;
    let mut count = 0;
    for digit in name.strip_suffix(OF_IP6)?.rsplit('.') {
        let value = u128::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1)?;
        bits = bits << 4 | value;
        count += 1;
    }
    (count == 32).then(|| IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Answer {
        Answer::Addresses(texts.iter().map(|text| text.parse().expect("an address")).collect())
    }

    #[test]
    fn records_are_read_as_their_tools_write_them() {
        // LXD, Neutron, and by hand.
        for text in ["10.2.0.10 fd02::10", "fd02::10,10.2.0.10", " 10.2.0.10\tfd02::10 x"] {
            assert_eq!(read("c1.lxd", text), Some(addresses(&["10.2.0.10", "fd02::10"])));
        }
        assert_eq!(read("c1.lxd", ""), None);
        assert_eq!(read("c1 lxd", "10.2.0.10"), None);
        let name = |at: &str, to: &str| Some(Answer::Name(at.parse().expect("one"), to.into()));
        assert_eq!(read("10.0.2.10.in-addr.arpa", "VM1.example"), name("10.2.0.10", "vm1.example"));
        let of_ip6 = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.d.f.ip6.arpa";
        assert_eq!(read(of_ip6, "vm1"), name("fd02::10", "vm1"));
        for (at, to) in [
            ("10.0.2.10.in-addr.arpa", "vm 1"),
            ("0.2.10.in-addr.arpa", "vm1"),
            ("10.0.2.010.in-addr.arpa", "vm1"),
            ("d.f.ip6.arpa", "vm1"),
            (&*of_ip6.replacen("0.1", "00.1", 1), "vm1"),
            ("x.in-addr.arpa", "10.2.0.10"),
        ] {
            assert_eq!(read(at, to), None, "{at} {to}");
        }
    }
}
