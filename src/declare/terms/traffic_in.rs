//! `in`: what the other side may open here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::term::Term;
use super::traffic_list::TrafficList;
use super::traffic_reader;

/// What the other side may open here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct In {
    /// The list.
    #[serde(default, rename = "in", skip_serializing_if = "TrafficList::is_absent")]
    pub list: TrafficList,
}

impl Term for In {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "in";
    const TITLE: &'static str = "In";

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
