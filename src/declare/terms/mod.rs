//! The terms of a half: what crosses its peering, and which routes it wants, beyond the default.
//!
//! A term is one file here. It says which keys of `[[peering]]` it reads, how the northbound keeps
//! it (its `serde` form, inside the half's declaration), what it does to what crosses the link, and
//! how it is shown. A further term is a further file, and a line in the list below. Terms compare
//! and select; what follows from them is for the rules.
//!
//! What is kept that cannot be read makes the whole half unreadable: to take it for the default
//! would open the half.

mod export;
mod filter;
mod filter_reader;
mod import;
mod max_prefixes;
mod routes;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::toml_reader::{Found, TomlReader};

pub use export::Export;
pub use filter::{Action, PrefixFilter, PrefixList, Rule, UnreadableRule};
pub use import::Import;
pub use max_prefixes::MaxPrefixes;
pub(super) use routes::table_name;
pub use routes::{ManualRoute, PlacedRoute, RouteTables, Routes, TableOf, Tables};

/// Most bytes of a half's terms together, as they are shown: its record in the northbound carries
/// them.
pub(super) const MAX_BYTES: usize = 16 << 10;

/// A term of a half. Its default changes nothing, and is neither kept nor shown to people.
trait Term: Default + PartialEq {
    /// The keys of `[[peering]]` that it reads.
    const KEYS: &'static [&'static str];
    /// The key under which it is shown.
    const KEY: &'static str;
    /// The same as a heading, for people.
    const TITLE: &'static str;

    /// Reads it from a `[[peering]]`.
    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self;

    /// It as users read it.
    fn shown(&self) -> Value;

    /// How many bytes of the half's record it takes.
    fn weight(&self) -> usize {
        0
    }

    /// What of its own network's prefixes the half announces; none where that is all of them.
    fn announced(&self, _own: &[IpNet]) -> Option<Vec<IpNet>> {
        None
    }

    /// What of the prefixes that the other side announces it takes; none where that is all of them.
    fn taken(&self, _offered: &[IpNet]) -> Option<Vec<IpNet>> {
        None
    }

    /// Whether it may hold back a part of what is on offer.
    fn narrows(&self) -> bool {
        false
    }

    /// Prefixes that it names although they are in none of these: what the network owns.
    fn not_owned(&self, _owned: &[&[IpNet]]) -> Vec<IpNet> {
        Vec::new()
    }

    /// Most prefixes that it lets in.
    fn most(&self) -> Option<u32> {
        None
    }
}

/// Lists the terms: each a field of [`Terms`].
macro_rules! terms {
    ($($(#[$doc:meta])* $field:ident: $term:ty,)+) => {
        /// The terms of a half, as it is declared. The `serde` form is that of its record.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Terms {
            $($(#[$doc])* #[serde(flatten)] pub $field: $term,)+
        }

        impl Terms {
            /// The keys of `[[peering]]` that are read here.
            pub(super) fn keys() -> impl Iterator<Item = &'static str> {
                [$(<$term as Term>::KEYS,)+].into_iter().flatten().copied()
            }

            fn read_all(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
                Self { $($field: <$term>::read(reader, table),)+ }
            }

            /// All terms as users read them, by their keys.
            #[must_use]
            pub fn shown(&self) -> BTreeMap<String, Value> {
                [$((<$term as Term>::KEY.to_owned(), self.$field.shown()),)+].into()
            }

            /// Of those the ones that are not the default, each with its heading, in the order of
            /// the list.
            #[must_use]
            pub fn unusual(shown: &BTreeMap<String, Value>) -> Vec<(&'static str, &Value)> {
                let mut unusual = Vec::new();
                $(if let Some(value) = shown.get(<$term as Term>::KEY)
                    && *value != <$term>::default().shown()
                {
                    unusual.push((<$term as Term>::TITLE, value));
                })+
                unusual
            }

            pub(super) fn weight(&self) -> usize {
                [$(self.$field.weight(),)+].into_iter().sum()
            }

            /// What of its own network's prefixes the half announces.
            #[must_use]
            pub fn announced(&self, own: Arc<[IpNet]>) -> Arc<[IpNet]> {
                let mut passed = own;
                $(if let Some(left) = self.$field.announced(&passed) { passed = left.into(); })+
                passed
            }

            /// What of the prefixes that the other side announces it takes.
            #[must_use]
            pub fn taken(&self, offered: Arc<[IpNet]>) -> Arc<[IpNet]> {
                let mut passed = offered;
                $(if let Some(left) = self.$field.taken(&passed) { passed = left.into(); })+
                passed
            }

            /// Whether some term may hold back a part of what is on offer.
            #[must_use]
            pub fn narrow(&self) -> bool {
                [$(self.$field.narrows(),)+].contains(&true)
            }

            /// Prefixes that terms name although they are in none of these: what the network owns.
            #[must_use]
            pub fn not_owned(&self, owned: &[&[IpNet]]) -> Vec<IpNet> {
                [$(self.$field.not_owned(owned),)+].concat()
            }

            /// Most prefixes that the half takes.
            #[must_use]
            pub fn most(&self) -> Option<usize> {
                let most = [$(self.$field.most(),)+].into_iter().flatten().min()?;
                Some(usize::try_from(most).unwrap_or(usize::MAX))
            }
        }
    };
}

terms! {
    /// What of its network it announces.
    export: Export,
    /// What of the other side it takes.
    import: Import,
    /// Most prefixes that it takes.
    max_prefixes: MaxPrefixes,
    /// Who makes the routes, and in which tables.
    routes: Routes,
}

/// The terms of nearly every half.
pub(super) static DEFAULT: LazyLock<Terms> = LazyLock::new(Terms::default);

impl Terms {
    /// Reads those of one half; none where they are the default.
    pub(super) fn read(
        reader: &mut TomlReader<'_>,
        entry: &Found<&DeTable<'_>>,
    ) -> Option<Arc<Self>> {
        let terms = Self::read_all(reader, entry.value);
        if terms == *DEFAULT {
            return None;
        }
        if terms.weight() > MAX_BYTES {
            refuse_overweight(reader, &entry.span);
        }
        Some(Arc::new(terms))
    }

    /// A few bytes by which terms differ from others.
    #[must_use]
    pub fn mark(&self) -> u32 {
        let hash = Sha256::digest(serde_json::to_string(self).unwrap_or_default());
        hash.iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte))
    }
}

pub(super) fn refuse_overweight(reader: &mut TomlReader<'_>, place: &Range<usize>) {
    reader.error(
        place,
        format!("the filters and routes of this half take more than {MAX_BYTES} bytes"),
        Some("cover several prefixes by one, with `le` or a shorter one".to_owned()),
    );
}
