//! `use_gateway`: what a network reaches by the gateway of the other side: everything that it does
//! not reach otherwise, or some prefixes.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::prefix_set::{PrefixSet, weight, written};
use super::term::Term;

const LISTED: PrefixSet = PrefixSet {
    key: UseGateway::KEY,
    expected: "true or an array of prefixes",
    example: "write use_gateway = true, or use_gateway = [\"10.99.0.0/16\"]",
    instead_of_none: "remove the key to reach nothing by the gateway",
    instead_of_all: "write use_gateway = true to reach everything by the gateway",
};

/// What a half reaches by the other side's gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseGateway {
    /// The destinations, if there are any.
    #[serde(default, rename = "use_gateway", skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Destinations>,
}

/// The destinations that a network reaches by the gateway of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub enum Destinations {
    /// All: by a default route.
    All,
    /// These, sorted.
    Listed(Vec<IpNet>),
}

/// The form in the half's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Record {
    All(bool),
    Listed(Vec<IpNet>),
}

impl TryFrom<Record> for Destinations {
    type Error = &'static str;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        match record {
            Record::All(true) => Ok(Self::All),
            Record::All(false) => Err("no record has `use_gateway` = false"),
            Record::Listed(prefixes) if prefixes.iter().any(|prefix| prefix.prefix_len() == 0) => {
                Err("no record lists the default route")
            }
            Record::Listed(prefixes) => Ok(Self::Listed(prefixes)),
        }
    }
}

impl From<Destinations> for Record {
    fn from(destinations: Destinations) -> Self {
        match destinations {
            Destinations::All => Self::All(true),
            Destinations::Listed(prefixes) => Self::Listed(prefixes),
        }
    }
}

impl Term for UseGateway {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "use_gateway";
    const TITLE: &'static str = "Use gateway";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        let Some(value) = table.get(Self::KEY) else { return Self::default() };
        let destinations = match value.get_ref().as_bool() {
            Some(all) => all.then_some(Destinations::All),
            None => LISTED.read(reader, value).map(Destinations::Listed),
        };
        Self { destinations }
    }

    fn shown(&self) -> Value {
        match &self.destinations {
            None => Value::Null,
            Some(Destinations::All) => "all".into(),
            Some(Destinations::Listed(prefixes)) => {
                prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().into()
            }
        }
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        let value = match &self.destinations {
            None => return Vec::new(),
            Some(Destinations::All) => true.into(),
            Some(Destinations::Listed(prefixes)) => written(prefixes),
        };
        vec![(Self::KEY, value)]
    }

    fn weight(&self) -> usize {
        match &self.destinations {
            None | Some(Destinations::All) => 0,
            Some(Destinations::Listed(prefixes)) => weight(prefixes),
        }
    }
}
