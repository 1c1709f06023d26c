//! Matches of router policies, built from typed parts only.
//!
//! OVN silently ignores a policy with a match that it cannot parse, so such a match fails open.
//! Therefore a match contains no text of a tenant, and port names are quoted. A match never uses
//! `!=`, which costs a flow per bit.

use std::fmt::{Display, Write as _};

use ipnet::IpNet;

use crate::northbound::Family;
use crate::northbound::owner::address_set_name;
use crate::peering::LinkEnd;

/// The prefixes to compare an address with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// All prefixes of a network: its registration's Address_Set, which follows them.
    Set(String),
    /// Some prefixes, written out.
    Prefixes(Vec<IpNet>),
}

impl Addresses {
    /// The prefixes of one end in one family.
    pub(super) fn of(end: &LinkEnd, family: Family) -> Self {
        if end.partial.contains(&family) {
            return Self::written_out(end, family);
        }
        Self::Set(address_set_name(end.network_id, family))
    }

    /// The same for the sources that the other end sees. It adds the link's own address, because
    /// messages of the router itself (such as "packet too big") come from that address, and it may
    /// be outside of the announced prefixes.
    pub(super) fn from(end: &LinkEnd, family: Family) -> Self {
        match (Self::of(end, family), end.address(family)) {
            (Self::Prefixes(mut prefixes), Some(address))
                if !prefixes.iter().any(|prefix| prefix.contains(&address)) =>
            {
                prefixes.push(address.into());
                Self::Prefixes(prefixes)
            }
            (addresses, _) => addresses,
        }
    }

    /// Some prefixes of one end, in one family; all of them are its Address_Set.
    pub(super) fn some_of(end: &LinkEnd, family: Family, prefixes: &[IpNet]) -> Self {
        let of_family = |prefix: &&IpNet| Family::of(prefix) == family;
        if prefixes.iter().filter(of_family).eq(end.prefixes.iter().filter(of_family)) {
            return Self::of(end, family);
        }
        Self::listed(family, prefixes)
    }

    /// These prefixes of a family, written out.
    pub(super) fn listed(family: Family, prefixes: &[IpNet]) -> Self {
        let of_family = |prefix: &&IpNet| Family::of(prefix) == family;
        Self::Prefixes(prefixes.iter().filter(of_family).copied().collect())
    }

    /// The same without an Address_Set.
    fn written_out(end: &LinkEnd, family: Family) -> Self {
        Self::listed(family, &end.prefixes)
    }

    /// Its form in a match.
    fn text(&self) -> String {
        match self {
            Self::Set(name) => ["$", name].concat(),
            Self::Prefixes(prefixes) => braced(prefixes),
        }
    }
}

/// `(ip4.src == X && ip4.dst == Y)`.
pub(super) fn between(family: Family, from: &Addresses, to: &Addresses) -> String {
    let family = family.as_str();
    ["(", family, ".src == ", &from.text(), " && ", family, ".dst == ", &to.text(), ")"].concat()
}

/// `ip4.src == X`.
pub(super) fn from(family: Family, sources: &Addresses) -> String {
    [family.as_str(), ".src == ", &sources.text()].concat()
}

/// `ip4.dst == X`.
pub(super) fn to(family: Family, destinations: &Addresses) -> String {
    [family.as_str(), ".dst == ", &destinations.text()].concat()
}

/// `inport == "name"`, or `inport == {"one", "other"}`.
pub(super) fn inport<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    port("inport", names)
}

/// `outport == "name"`, or `outport == {"one", "other"}`.
pub(super) fn outport<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    port("outport", names)
}

fn port<'a>(field: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(quote).collect();
    match quoted.as_slice() {
        [one] => format!("{field} == {one}"),
        several => format!("{field} == {}", braced(several)),
    }
}

/// `{one, other}`.
pub(super) fn braced<T: Display>(items: &[T]) -> String {
    let mut text = String::from("{");
    for (at, item) in items.iter().enumerate() {
        // Nothing fails that writes to a text.
        let _ = write!(text, "{}{item}", if at > 0 { ", " } else { "" });
    }
    text.push('}');
    text
}

/// Any of the terms.
pub(super) fn any(terms: &[String]) -> String {
    terms.join(" || ")
}

/// A string of OVN's expression language, which is as in JSON (ovn-sb(5), Logical_Flow).
fn quote(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ports_cannot_leave_their_quotes() {
        assert_eq!(inport(["a\" || 1 == 1 || \""]), r#"inport == "a\" || 1 == 1 || \"""#);
        assert_eq!(inport(["a", "b"]), r#"inport == {"a", "b"}"#);
    }
}
