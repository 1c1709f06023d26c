//! `out`: what this side may open there.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::term::Term;
use super::traffic_list::TrafficList;
use super::traffic_reader;

/// What this side may open there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Out {
    /// The list.
    #[serde(default, rename = "out", skip_serializing_if = "TrafficList::is_absent")]
    pub list: TrafficList,
}

impl Term for Out {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "out";
    const TITLE: &'static str = "Out";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        Self { list: traffic_reader::read(reader, table, Self::KEY) }
    }

    fn shown(&self) -> Value {
        self.list.shown()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        self.list.written().map(|list| (Self::KEY, list)).into_iter().collect()
    }

    fn weight(&self) -> usize {
        self.list.weight()
    }
}
