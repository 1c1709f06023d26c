//! `import`: which prefixes of the other side a half accepts.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::de::DeTable;

use super::super::toml_reader::TomlReader;
use super::prefix_filter::PrefixFilter;
use super::prefix_reader;
use super::term::Term;

/// The prefixes of the other side that a half accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The filter.
    #[serde(default, rename = "import", skip_serializing_if = "PrefixFilter::is_all")]
    pub filter: PrefixFilter,
}

impl Term for Import {
    const KEYS: &'static [&'static str] = &[Self::KEY];
    const KEY: &'static str = "import";
    const TITLE: &'static str = "Import";

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

    fn accepted(&self, offered: &[IpNet]) -> Option<Vec<IpNet>> {
        self.filter.select(offered)
    }

    fn narrows(&self) -> bool {
        !self.filter.is_all()
    }
}
