//! `offer_names`: which names of its network's guests a half tells to the other side.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::domains::{self, Domains};
use super::term::Term;

/// The names that a half offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferNames {
    /// Which of those that guests have in the northbound, if any.
    #[serde(default, rename = "offer_names", skip_serializing_if = "Option::is_none")]
    pub names: Option<Domains>,
}

impl Term for OfferNames {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "offer_names";
    const TITLE: &'static str = "Offers names";

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
