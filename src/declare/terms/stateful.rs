//! `stateful`: whether the switches of a half's network drop what passes as a reply and is none.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::term::Term;

/// Whether the network's switches keep state of what crosses the peering.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stateful {
    /// Whether they do.
    #[serde(default, rename = "stateful", skip_serializing_if = "std::ops::Not::not")]
    pub wanted: bool,
}

impl Term for Stateful {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "stateful";
    const TITLE: &'static str = "Stateful";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        Self { wanted: reader.boolean(table, Self::KEY).unwrap_or_default() }
    }

    fn shown(&self) -> Value {
        self.wanted.into()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        if self.wanted { vec![(Self::KEY, true.into())] } else { Vec::new() }
    }
}
