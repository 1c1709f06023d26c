//! `max_prefixes`: how many prefixes of the other side a half accepts at most.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::term::Term;

/// Most prefixes that a half accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPrefixes {
    /// The limit, if there is one.
    #[serde(default, rename = "max_prefixes", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Term for MaxPrefixes {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "max_prefixes";
    const TITLE: &'static str = "Max prefixes";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        Self { limit: reader.number(table, Self::KEY, u32::MAX) }
    }

    fn shown(&self) -> Value {
        self.limit.into()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        self.limit.map(|limit| (Self::KEY, i64::from(limit).into())).into_iter().collect()
    }

    fn most(&self) -> Option<u32> {
        self.limit
    }
}
