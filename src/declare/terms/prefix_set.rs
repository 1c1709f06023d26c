//! Reads a list of prefixes without an order: a key that names what lies somewhere.

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::super::toml_reader::TomlReader;

/// Most prefixes of a list: a half's record in the northbound contains them.
const MAX_PREFIXES: usize = 256;

/// A key with a list of prefixes, and what its diagnostics advise.
pub(in crate::declare) struct PrefixSet {
    pub(in crate::declare) key: &'static str,
    /// What its value must be.
    pub(in crate::declare) expected: &'static str,
    /// How to write one.
    pub(in crate::declare) example: &'static str,
    /// What to do instead of an empty list.
    pub(in crate::declare) instead_of_none: &'static str,
    /// What to do instead of the default route.
    pub(in crate::declare) instead_of_all: &'static str,
}

impl PrefixSet {
    /// The prefixes, sorted; `None` if there is a fault in the list.
    pub(in crate::declare) fn read(
        &self,
        reader: &mut TomlReader<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Vec<IpNet>> {
        let key = self.key;
        let Some(array) = value.get_ref().as_array() else {
            reader.mistyped(key, self.expected, value, Some(self.example.to_owned()));
            return None;
        };
        if array.is_empty() {
            let hint = self.instead_of_none.to_owned();
            reader.error(&value.span(), format!("`{key}` is empty"), Some(hint));
            return None;
        }
        if array.len() > MAX_PREFIXES {
            reader.over_limit(
                &value.span(),
                format!("`{key}` has {} prefixes; at most {MAX_PREFIXES} are allowed", array.len()),
                Some("cover several prefixes by a shorter one".to_owned()),
            );
            return None;
        }
        let mut prefixes = Vec::with_capacity(array.len());
        for entry in array.iter() {
            if entry.get_ref().as_str().is_none() {
                reader.mistyped(key, "made of prefixes", entry, Some(self.example.to_owned()));
                continue;
            }
            let prefix = reader.text(key, entry).and_then(|text| reader.prefix(&text));
            if prefix.is_some_and(|prefix| prefix.prefix_len() == 0) {
                let hint = self.instead_of_all.to_owned();
                reader.error(&entry.span(), format!("`{key}` lists the default route"), Some(hint));
            }
            prefixes.extend(prefix.filter(|prefix| prefix.prefix_len() != 0));
        }
        if prefixes.len() < array.len() {
            return None;
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        Some(prefixes)
    }
}

/// Prefixes in the texts of a file.
pub(super) fn written(prefixes: &[IpNet]) -> toml::Value {
    prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().into()
}

/// How many bytes these use in a record.
pub(super) fn weight(prefixes: &[IpNet]) -> usize {
    prefixes.iter().map(|prefix| prefix.to_string().len()).sum()
}
