//! `export`: which prefixes of its network a half announces.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::cover::Cover;
use super::super::toml_reader::TomlReader;
use super::prefix_filter::PrefixFilter;
use super::prefix_reader;
use super::term::Term;

/// The prefixes of its network that a half announces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The filter.
    #[serde(default, rename = "export", skip_serializing_if = "PrefixFilter::is_all")]
    pub filter: PrefixFilter,
}

impl Term for Export {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "export";
    const TITLE: &'static str = "Export";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        Self { filter: prefix_reader::read(reader, table, Self::KEY) }
    }

    fn shown(&self) -> Value {
        self.filter.to_string().into()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        self.filter.written().map(|list| (Self::KEY, list)).into_iter().collect()
    }

    fn weight(&self) -> usize {
        self.filter.to_string().len()
    }

    fn announced(&self, own: &[IpNet]) -> Option<Vec<IpNet>> {
        self.filter.select(own)
    }

    fn narrows(&self) -> bool {
        !self.filter.is_all()
    }

    fn not_owned(&self, owned: &[&[IpNet]]) -> Vec<IpNet> {
        let PrefixFilter::List(list) = &self.filter else { return Vec::new() };
        let owned = Cover::of(&owned.concat());
        let named = list.named().filter(|prefix| !owned.contains(prefix));
        let mut not_owned: Vec<IpNet> = named.collect();
        not_owned.sort_unstable();
        not_owned.dedup();
        not_owned
    }
}
