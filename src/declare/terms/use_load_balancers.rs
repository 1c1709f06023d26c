//! `use_load_balancers`: whether guests of a half's network use what the other side exports.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::term::Term;

/// Whether the network's guests use load balancers of the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseLoadBalancers {
    /// Whether they do.
    #[serde(default, rename = "use_load_balancers", skip_serializing_if = "std::ops::Not::not")]
    pub wanted: bool,
}

impl Term for UseLoadBalancers {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "use_load_balancers";
    const TITLE: &'static str = "Use load balancers";

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
