//! `reach_through`: what a network reaches through the other side, beyond the other side's own
//! prefixes, and believes from there.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::prefix_set::{PrefixSet, weight, written};
use super::term::Term;

const LISTED: PrefixSet = PrefixSet {
    key: ReachThrough::KEY,
    expected: "an array of prefixes",
    example: "write reach_through = [\"10.3.0.0/24\"]",
    instead_of_none: "remove the key to reach nothing through the other side",
    instead_of_all: "name the prefixes that lie beyond the other side",
};

/// What a half reaches through the other side's appliances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachThrough {
    /// The prefixes, sorted.
    #[serde(default, rename = "reach_through", skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<IpNet>,
}

impl Term for ReachThrough {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "reach_through";
    const TITLE: &'static str = "Reach through";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        let value = table.get(Self::KEY);
        let prefixes = value.and_then(|value| LISTED.read(reader, value));
        Self { prefixes: prefixes.unwrap_or_default() }
    }

    fn shown(&self) -> Value {
        self.prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().into()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        let some = Some(&self.prefixes).filter(|prefixes| !prefixes.is_empty());
        some.map(|prefixes| (Self::KEY, written(prefixes))).into_iter().collect()
    }

    fn weight(&self) -> usize {
        weight(&self.prefixes)
    }
}
