//! What all terms have in common.

use ipnet::IpNet;
use serde_json::Value;
use toml::de::DeTable;

use crate::declare::toml_reader::TomlReader;

/// A term of a half. Its default changes nothing, and is neither recorded nor shown to people.
pub(super) trait Term: Default + PartialEq {
    /// The keys of `[[peering]]` that it reads.
    const KEYS: &'static [&'static str];
    /// The key under which it is shown.
    const KEY: &'static str;
    /// The heading for people.
    const TITLE: &'static str;

    /// Reads it from a `[[peering]]`.
    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self;

    /// It as users read it.
    fn shown(&self) -> Value;

    /// The keys of `[[peering]]` that say the same; none for the default.
    fn written(&self) -> Vec<(&'static str, toml::Value)>;

    /// How many bytes of the half's record it uses.
    fn weight(&self) -> usize {
        0
    }

    /// Which of its own network's prefixes the half announces; `None` for all of them.
    fn announced(&self, _own: &[IpNet]) -> Option<Vec<IpNet>> {
        None
    }

    /// Which of the other side's announced prefixes it accepts; `None` for all of them.
    fn accepted(&self, _offered: &[IpNet]) -> Option<Vec<IpNet>> {
        None
    }

    /// Whether it may drop some of the offered prefixes.
    fn narrows(&self) -> bool {
        false
    }

    /// Prefixes that it names outside of `owned`, the prefixes of the network.
    fn not_owned(&self, _owned: &[&[IpNet]]) -> Vec<IpNet> {
        Vec::new()
    }

    /// The most prefixes that it accepts.
    fn most(&self) -> Option<u32> {
        None
    }
}
