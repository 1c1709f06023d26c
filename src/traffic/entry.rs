//! An entry of a list, as declared.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};

use super::nets::Nets;
use super::protocol::Protocol;

/// The decision on a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It may open.
    #[default]
    Allow,
    /// It may not.
    Deny,
}

/// An entry. Of a key that the file does not have, everything matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Entry {
    /// Whether it allows or denies.
    pub action: Action,
    /// The protocol, with ports or types.
    pub protocol: Protocol,
    /// Addresses of the other side.
    pub remote: Nets,
    /// Addresses of the side that has the list.
    pub local: Nets,
}

/// A text that is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an entry of a traffic filter: write allow|deny PROTOCOL [PORTS|TYPES] [remote PREFIXES] [local PREFIXES]"
)]
pub struct UnreadableEntry;

/// Its form in the northbound, and for users: `deny tcp 22 remote 10.1.0.11/32`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Allow => "allow",
            Action::Deny => "deny",
        };
        write!(f, "{action} {}", self.protocol)?;
        for (word, nets) in [("remote", &self.remote), ("local", &self.local)] {
            for (at, net) in nets.some().into_iter().flatten().enumerate() {
                match at {
                    0 => write!(f, " {word} {net}")?,
                    _ => write!(f, ",{net}")?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Entry {
    type Err = UnreadableEntry;

    fn from_str(text: &str) -> Result<Self, UnreadableEntry> {
        let mut words = text.split(' ').peekable();
        let action = match words.next() {
            Some("allow") => Action::Allow,
            Some("deny") => Action::Deny,
            _ => return Err(UnreadableEntry),
        };
        let word = words.next().ok_or(UnreadableEntry)?;
        let list = words.next_if(|word| !matches!(*word, "remote" | "local"));
        let protocol = Protocol::parse(word, list).ok_or(UnreadableEntry)?;
        let mut nets = |key: &str| match words.next_if(|word| *word == key) {
            Some(_) => {
                let list = words.next().ok_or(UnreadableEntry)?.split(',');
                let nets = list.map(|text| text.parse::<IpNet>().map_err(|_| UnreadableEntry));
                nets.collect::<Result<Vec<_>, _>>().map(Nets::of)
            }
            None => Ok(Nets::All),
        };
        let (remote, local) = (nets("remote")?, nets("local")?);
        match words.next() {
            Some(_) => Err(UnreadableEntry),
            None => Ok(Self { action, protocol, remote, local }),
        }
    }
}

impl TryFrom<String> for Entry {
    type Error = UnreadableEntry;

    fn try_from(text: String) -> Result<Self, UnreadableEntry> {
        text.parse()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::entry;
    use super::*;

    proptest! {
        #[test]
        fn an_entry_survives_its_words(entry in entry()) {
            prop_assert_eq!(entry.to_string().parse(), Ok(entry));
        }
    }

    #[test]
    fn words_are_as_users_read_them() {
        for text in [
            "allow any",
            "deny any remote 10.1.0.11/32",
            "allow tcp 22,8000-8100 remote 10.1.0.0/25,fd01::/64 local 10.2.0.0/24",
            "allow icmp echo-request",
            "deny 47",
        ] {
            assert_eq!(text.parse::<Entry>().expect("an entry").to_string(), text);
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in [
            "",
            "allow",
            "any",
            "permit any",
            "allow tcp 0",
            "allow tcp 0-9",
            "allow tcp 9-8",
            "allow tcp +9",
            "allow tcp 65536",
            "allow any 22",
            "allow 47 22",
            "allow 6",
            "allow 1",
            "allow 256",
            "allow icmp echo-reply",
            "allow tcp remote",
            "allow tcp remote 10.1.0.0",
            "allow tcp local 10.1.0.0/24 remote 10.2.0.0/24",
            "allow tcp 22 remote 10.1.0.0/24 more",
        ] {
            assert_eq!(text.parse::<Entry>(), Err(UnreadableEntry), "{text}");
        }
    }
}
