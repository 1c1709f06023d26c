//! `appliances`: through which appliances of its network a half's peer reaches other peers of the
//! network, and what lies behind these appliances.
//!
//! Each half that an appliance is between has the same entry, so that a chain stands only where the
//! halves of both its ends agree. People write `[[appliance]]` instead (`declare::appliances_file`).

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::{Found, TomlReader};
use super::prefix_set::{PrefixSet, weight, written};
use super::term::Term;

/// Most halves of one appliance: each two of them are a chain, with rows of its own.
const MAX_BETWEEN: usize = 32;
/// Most appliances of one half.
pub(in crate::declare) const MAX_APPLIANCES: usize = 16;

pub(in crate::declare) const APPLIANCE_KEYS: &[&str] = &["between", "address", "destinations"];

const ADDRESS: &str = "address";
const BETWEEN: &str = "between";
const DESTINATIONS: PrefixSet = PrefixSet {
    key: "destinations",
    expected: "an array of prefixes",
    example: "write destinations = [\"10.50.0.0/16\"]",
    instead_of_none: "remove the key if nothing lies behind the appliance",
    instead_of_all: "name the prefixes that lie behind the appliance",
};

/// The appliances that a half is at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliances {
    /// Each of them.
    #[serde(default, rename = "appliances", skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<Appliance>,
}

/// An appliance in a network: what its peers send to each other passes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliance {
    /// The names of the network's halves that it is between, sorted.
    pub between: Vec<String>,
    /// Its addresses, at most one of each family, sorted.
    pub address: Vec<IpAddr>,
    /// What lies behind it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<IpNet>,
}

impl Appliance {
    /// The other halves that it is between.
    pub fn others<'a>(&'a self, half: &'a str) -> impl Iterator<Item = &'a str> {
        self.between.iter().map(String::as_str).filter(move |name| *name != half)
    }

    pub(in crate::declare) fn weight(&self) -> usize {
        let names: usize = self.between.iter().map(|name| name.len() + 3).sum();
        let addresses: usize = self.address.iter().map(|it| it.to_string().len()).sum();
        names + addresses + weight(&self.destinations)
    }

    fn value(&self) -> toml::Value {
        let addresses: Vec<_> = self.address.iter().map(ToString::to_string).collect();
        let mut table = toml::Table::new();
        table.insert(BETWEEN.to_owned(), self.between.clone().into());
        table.insert(ADDRESS.to_owned(), addresses.into());
        if !self.destinations.is_empty() {
            table.insert(DESTINATIONS.key.to_owned(), written(&self.destinations));
        }
        table.into()
    }
}

impl fmt::Display for Appliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.address.iter().map(ToString::to_string).collect();
        write!(f, "{} between {}", addresses.join(" and "), self.between.join(", "))?;
        let behind: Vec<_> = self.destinations.iter().map(ToString::to_string).collect();
        if behind.is_empty() { Ok(()) } else { write!(f, ", before {}", behind.join(", ")) }
    }
}

impl Term for Appliances {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "appliances";
    const TITLE: &'static str = "Appliances";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        const WHAT: &str = "an entry of `appliances`";
        let mut list: Vec<Appliance> = Vec::new();
        let own = table.get("name").and_then(|name| name.get_ref().as_str());
        let entries = reader.entries(table, Self::KEY);
        if let Some(more) = entries.get(MAX_APPLIANCES) {
            refuse_more(reader, &more.span.clone(), "this half");
            return Self::default();
        }
        for entry in entries {
            reader.refuse_unknown(entry.value, WHAT, APPLIANCE_KEYS, &[]);
            let Some(found) = read(reader, &entry, WHAT) else { continue };
            if own.is_some_and(|own| !found.between.iter().any(|name| name == own)) {
                let hint =
                    "add the name of this half, or remove the appliance before you rename it";
                let shown = found.to_string();
                let text = format!("`between` does not name this half: {}", shown.escape_debug());
                reader.error(&entry.span, text, Some(hint.to_owned()));
            }
            if let Some(why) = own.and_then(|own| clash(&list, &found, own)) {
                reader.duplicate(&entry.span, why, None);
            }
            list.push(found);
        }
        Self { list }
    }

    fn shown(&self) -> Value {
        self.list.iter().map(ToString::to_string).collect::<Vec<_>>().into()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        let list: Vec<_> = self.list.iter().map(Appliance::value).collect();
        if list.is_empty() { Vec::new() } else { vec![(Self::KEY, list.into())] }
    }

    fn weight(&self) -> usize {
        self.list.iter().map(Appliance::weight).sum()
    }
}

/// Notes that a half has more appliances than it may have.
pub(in crate::declare) fn refuse_more(
    reader: &mut TomlReader<'_>,
    place: &std::ops::Range<usize>,
    half: &str,
) {
    reader.over_limit(
        place,
        format!("{half} has more than {MAX_APPLIANCES} appliances"),
        Some("name several halves in one `between`".to_owned()),
    );
}

/// Why a half cannot have a further appliance: of two between the same halves, or before the same
/// prefix, neither would count.
pub(in crate::declare) fn clash(list: &[Appliance], new: &Appliance, half: &str) -> Option<String> {
    list.iter().find_map(|old| {
        let again = new.others(half).find(|name| old.between.iter().any(|it| it == name));
        let overlaps = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
        let twice = new.destinations.iter();
        let mut twice = twice.filter(|it| old.destinations.iter().any(|old| overlaps(old, it)));
        again
            .map(|other| format!("there is an appliance between {half} and {other} already"))
            .or_else(|| {
                let prefix = twice.next()?;
                Some(format!("{prefix} lies behind another appliance of {half} already"))
            })
    })
}

/// Reads the keys of one appliance.
pub(in crate::declare) fn read(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
    what: &str,
) -> Option<Appliance> {
    let table = entry.value;
    let between = between(reader, entry, what);
    let address = addresses(reader, entry, what);
    let destinations = match table.get(DESTINATIONS.key) {
        None => Some(Vec::new()),
        Some(value) => DESTINATIONS.read(reader, value),
    };
    let found = Appliance { between: between?, address: address?, destinations: destinations? };
    if let ([one], true) = (&*found.between, found.destinations.is_empty()) {
        let hint = "name a second half in `between`, or add destinations = [\"10.50.0.0/16\"]";
        reader.error(
            &entry.span,
            format!("the appliance is at the half {} alone, and leads nowhere", one.escape_debug()),
            Some(hint.to_owned()),
        );
        return None;
    }
    Some(found)
}

/// The names of the halves, sorted.
fn between(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
    what: &str,
) -> Option<Vec<String>> {
    const EXAMPLE: &str = "[\"to-a\", \"to-c\"]";
    let Some(value) = entry.value.get(BETWEEN) else {
        reader.missing(&entry.span, what, BETWEEN, EXAMPLE);
        return None;
    };
    let found = reader.strings(entry.value, BETWEEN)?;
    if found.is_empty() {
        let hint = format!("write {BETWEEN} = {EXAMPLE}");
        reader.error(&value.span(), format!("`{BETWEEN}` is empty"), Some(hint));
        return None;
    }
    if found.len() > MAX_BETWEEN {
        reader.over_limit(
            &value.span(),
            format!("`{BETWEEN}` has {} halves; at most {MAX_BETWEEN} are allowed", found.len()),
            Some("each two of them are a chain: leave out those that need none".to_owned()),
        );
        return None;
    }
    let mut names: Vec<String> = found.iter().map(|name| name.value.to_owned()).collect();
    names.sort();
    names.dedup();
    Some(names)
}

/// The addresses, sorted, of one family each.
fn addresses(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
    what: &str,
) -> Option<Vec<IpAddr>> {
    const EXAMPLE: &str = "[\"10.2.0.11\"]";
    let Some(value) = entry.value.get(ADDRESS) else {
        reader.missing(&entry.span, what, ADDRESS, EXAMPLE);
        return None;
    };
    let found = reader.strings(entry.value, ADDRESS)?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in &found {
        let Ok(address) = text.value.parse::<IpAddr>() else {
            let shown = text.value.escape_debug();
            let hint = format!("write {ADDRESS} = {EXAMPLE}, without a length");
            reader.error(&text.span, format!("\"{shown}\" is not an address"), Some(hint));
            return None;
        };
        if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            let hint = "name one of each family: OVN would balance, each direction by itself";
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let text = format!("`{ADDRESS}` has several {family} addresses");
            reader.error(&value.span(), text, Some(hint.to_owned()));
            return None;
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        let hint = format!("write {ADDRESS} = {EXAMPLE}");
        reader.error(&value.span(), format!("`{ADDRESS}` is empty"), Some(hint));
        return None;
    }
    addresses.sort_unstable();
    Some(addresses)
}
