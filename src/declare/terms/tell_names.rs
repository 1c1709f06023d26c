//! `tell_names`: which names of the other side's guests are told to the guests of a half's network.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::domains::{self, Domains};
use super::term::Term;

/// The names that a half asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellNames {
    /// Which of those that the other side offers, if any.
    #[serde(default, rename = "tell_names", skip_serializing_if = "Option::is_none")]
    pub names: Option<Domains>,
}

impl Term for TellNames {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "tell_names";
    const TITLE: &'static str = "Tells names";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        Self { names: domains::read(reader, table, Self::KEY) }
    }

    fn shown(&self) -> Value {
        domains::shown(self.names.as_ref())
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        domains::written(Self::KEY, self.names.as_ref())
    }

    fn weight(&self) -> usize {
        domains::weight(self.names.as_ref())
    }
}
