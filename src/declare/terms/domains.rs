//! Names of guests that a key is about: all of them, or those in some domains.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::{Found, TomlReader};

/// Most domains of a list: a half's record in the northbound contains them.
const MAX_DOMAINS: usize = 64;
/// Longest name of DNS, in bytes, and longest part of one (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Names of guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub enum Domains {
    /// All of them.
    All,
    /// Those that are one of these domains or in one; in small letters, sorted.
    Listed(Vec<String>),
}

/// The form in the half's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Record {
    All(bool),
    Listed(Vec<String>),
}

impl TryFrom<Record> for Domains {
    type Error = &'static str;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        match record {
            Record::All(true) => Ok(Self::All),
            Record::All(false) => Err("no record has `false` for names"),
            Record::Listed(domains) if domains.iter().any(|it| !is_domain(it)) => {
                Err("a record lists what is no domain")
            }
            Record::Listed(domains) => Ok(Self::Listed(domains)),
        }
    }
}

impl From<Domains> for Record {
    fn from(domains: Domains) -> Self {
        match domains {
            Domains::All => Self::All(true),
            Domains::Listed(domains) => Self::Listed(domains),
        }
    }
}

impl Domains {
    /// Whether a name, in small letters, is among them.
    #[must_use]
    pub fn contain(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(domains) => domains.iter().any(|domain| {
                name.strip_suffix(&**domain)
                    .is_some_and(|host| host.is_empty() || host.ends_with('.'))
            }),
        }
    }
}

/// Whether a text is a name of DNS as OVN looks it up: in small letters, without a dot at its end.
#[must_use]
pub fn is_domain(text: &str) -> bool {
    let is_fine = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let is_label = |part: &str| (1..=MAX_LABEL).contains(&part.len()) && part.bytes().all(is_fine);
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}

/// Reads a key with `true`, or with a list of domains; `None` without the key, or with a fault.
pub(super) fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> Option<Domains> {
    let value = table.get(key)?;
    if let Some(all) = value.get_ref().as_bool() {
        return all.then_some(Domains::All);
    }
    if value.get_ref().as_array().is_none() {
        let hint = format!("write {key} = true, or {key} = [\"db.example\"]");
        reader.mistyped(key, "true or an array of domains", value, Some(hint));
        return None;
    }
    let found = reader.strings(table, key)?;
    if found.is_empty() {
        let hint = format!("remove the key for none, or write {key} = true for all");
        reader.error(&value.span(), format!("`{key}` is empty"), Some(hint));
        return None;
    }
    if found.len() > MAX_DOMAINS {
        let count = found.len();
        let text = format!("`{key}` has {count} domains; at most {MAX_DOMAINS} are allowed");
        reader.over_limit(&value.span(), text, None);
        return None;
    }
    let mut domains: Vec<String> =
        found.iter().filter_map(|domain| read_domain(reader, key, domain)).collect();
    if domains.len() < found.len() {
        return None;
    }
    domains.sort();
    domains.dedup();
    Some(Domains::Listed(domains))
}

fn read_domain(reader: &mut TomlReader<'_>, key: &str, found: &Found<&str>) -> Option<String> {
    let domain = found.value.to_ascii_lowercase();
    if is_domain(&domain) {
        return Some(domain);
    }
    let text = format!("`{key}` has \"{}\", which is no domain", found.value.escape_debug());
    let hint = "write it as db.example: letters, digits, hyphens, and dots between the parts";
    reader.error(&found.span, text, Some(hint.to_owned()));
    None
}

/// As users read them.
pub(super) fn shown(domains: Option<&Domains>) -> Value {
    match domains {
        None => "none".into(),
        Some(Domains::All) => "all".into(),
        Some(Domains::Listed(domains)) => domains.join(", ").into(),
    }
}

/// A key of `[[peering]]` with them; none without any.
pub(super) fn written(
    key: &'static str,
    domains: Option<&Domains>,
) -> Vec<(&'static str, toml::Value)> {
    let value = match domains {
        None => return Vec::new(),
        Some(Domains::All) => true.into(),
        Some(Domains::Listed(domains)) => domains.clone().into(),
    };
    vec![(key, value)]
}

/// How many bytes they use in a record.
pub(super) fn weight(domains: Option<&Domains>) -> usize {
    match domains {
        None | Some(Domains::All) => 0,
        Some(Domains::Listed(domains)) => domains.iter().map(String::len).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_itself_and_what_is_in_it() {
        let domains = Domains::Listed(vec!["db.example".into()]);
        assert!(domains.contain("db.example") && domains.contain("c1.db.example"));
        assert!(!domains.contain("xdb.example") && !domains.contain("example"));
        assert!(!domains.contain("db.example.com") && Domains::All.contain("c1"));
    }

    #[test]
    fn what_ovn_looks_up_is_a_domain() {
        for name in ["c1", "c1.lxd", "_ldap._tcp.x", "10.0.2.10.in-addr.arpa", &"a".repeat(63)] {
            assert!(is_domain(name), "{name}");
        }
        for name in ["", ".", "c1.", ".lxd", "C1", "a b", "a..b", "ä", "a/b", &"a".repeat(64)] {
            assert!(!is_domain(name), "{name}");
        }
        assert!(!is_domain(&["abc"; 64].join(".")));
    }
}
