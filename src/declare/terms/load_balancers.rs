//! `load_balancers`: which load balancers of its network a half exports to the other side.
//!
//! A name or a UUID of a row, as the owner wrote it. Whether there is such a balancer, and whether
//! it is the network's own, the rules see.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::{Found, TomlReader};
use super::term::Term;

/// Most balancers that one half may export: each has a copy in the northbound.
const MAX_NAMES: usize = 64;
/// Longest name, in characters: the half's record in the northbound contains it.
const MAX_CHARS: usize = 255;

/// The balancers that a half exports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancers {
    /// Their names or UUIDs, sorted, each once.
    #[serde(default, rename = "load_balancers", skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Term for LoadBalancers {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "load_balancers";
    const TITLE: &'static str = "Load balancers";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        let Some(value) = table.get(Self::KEY) else { return Self::default() };
        let found = reader.strings(table, Self::KEY).unwrap_or_default();
        if found.len() > MAX_NAMES {
            reader.over_limit(
                &value.span(),
                format!(
                    "`{}` has {} names; at most {MAX_NAMES} are allowed",
                    Self::KEY,
                    found.len()
                ),
                None,
            );
        }
        let mut names: Vec<String> =
            found.iter().filter_map(|name| read_name(reader, name)).collect();
        names.sort();
        names.dedup();
        Self { names }
    }

    fn shown(&self) -> Value {
        if self.names.is_empty() { "none".into() } else { self.names.join(", ").into() }
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let names = self.names.iter().map(|name| name.as_str().into()).collect();
        vec![(Self::KEY, toml::Value::Array(names))]
    }

    fn weight(&self) -> usize {
        self.names.iter().map(|name| name.len()).sum()
    }
}

fn read_name(reader: &mut TomlReader<'_>, found: &Found<&str>) -> Option<String> {
    let length = found.value.chars().count();
    if (1..=MAX_CHARS).contains(&length) {
        return Some(found.value.to_owned());
    }
    let key = LoadBalancers::KEY;
    let hint = "write the name of a Load_Balancer, or the UUID of its row".to_owned();
    if length == 0 {
        reader.error(&found.span, format!("`{key}` has an empty name"), Some(hint));
    } else {
        let text = format!("`{key}` has a name of {length} characters; at most {MAX_CHARS}");
        reader.over_limit(&found.span, text, Some(hint));
    }
    None
}
