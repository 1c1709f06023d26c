//! The terms of a half: which prefixes and packets cross its peering, and which routes it requests,
//! where they differ from the default.
//!
//! A term is one file here. It says which keys of `[[peering]]` it reads, how the northbound
//! records it (its `serde` form, inside the half's declaration), how it changes what crosses the
//! link, and how it is shown. A further term is a further file, and a line in the list below. Terms
//! compare and select; the rules in `peering` decide on the consequences.
//!
//! A recorded term that cannot be read makes the whole half unreadable: reading it as the default
//! would open the half.

mod appliances;
mod domains;
mod export;
mod import;
mod load_balancers;
mod max_prefixes;
mod offer_gateway;
mod offer_names;
mod prefix_filter;
mod prefix_reader;
mod prefix_set;
mod reach_through;
mod routes;
mod stateful;
mod tell_names;
mod term;
mod traffic_in;
mod traffic_list;
mod traffic_out;
mod traffic_reader;
mod use_gateway;
mod use_load_balancers;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::toml_reader::{Found, TomlReader};

pub(super) use appliances::{
    APPLIANCE_KEYS, MAX_APPLIANCES, clash as another_appliance, read as read_appliance,
    refuse_more as refuse_more_appliances,
};
pub use appliances::{Appliance, Appliances};
pub use domains::{Domains, is_domain};
pub use export::Export;
pub use import::Import;
pub use load_balancers::LoadBalancers;
pub use max_prefixes::MaxPrefixes;
pub use offer_gateway::{GatewayOffer, OfferGateway};
pub use offer_names::OfferNames;
pub use prefix_filter::{Action, PrefixFilter, PrefixList, Rule, UnreadableRule};
#[cfg(test)]
pub(super) use prefix_reader::RULE_KEYS;
pub use reach_through::ReachThrough;
pub use routes::{ManualRoute, PlacedRoute, RouteTables, Routes, TableOf, Tables};
pub(super) use routes::{table_name, written_table};
pub use stateful::Stateful;
pub use tell_names::TellNames;
use term::Term;
pub use traffic_in::In;
pub use traffic_list::TrafficList;
pub use traffic_out::Out;
#[cfg(test)]
pub(super) use traffic_reader::ENTRY_KEYS;
pub use use_gateway::{Destinations, UseGateway};
pub use use_load_balancers::UseLoadBalancers;

/// Most bytes of a half's terms together, as they are shown: its record in the northbound contains
/// them.
pub(super) const MAX_BYTES: usize = 16 << 10;

/// Lists the terms: each a field of [`Terms`].
macro_rules! terms {
    ($($(#[$doc:meta])* $field:ident: $term:ty,)+) => {
        /// The terms of a half, as declared. The `serde` form is that of its record.
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

            /// The terms among those that are not the default, each with its heading, in the order
            /// of the list.
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

            /// The keys of `[[peering]]` that say the same.
            pub(super) fn written(&self) -> Vec<(&'static str, toml::Value)> {
                [$(self.$field.written(),)+].concat()
            }

            pub(super) fn weight(&self) -> usize {
                [$(self.$field.weight(),)+].into_iter().sum()
            }

            /// Which of its own network's prefixes the half announces.
            #[must_use]
            pub fn announced(&self, own: Arc<[IpNet]>) -> Arc<[IpNet]> {
                let mut passed = own;
                $(if let Some(left) = self.$field.announced(&passed) { passed = left.into(); })+
                passed
            }

            /// Which of the other side's announced prefixes the half accepts.
            #[must_use]
            pub fn accepted(&self, offered: Arc<[IpNet]>) -> Arc<[IpNet]> {
                let mut passed = offered;
                $(if let Some(left) = self.$field.accepted(&passed) { passed = left.into(); })+
                passed
            }

            /// Whether any term may drop some of the offered prefixes.
            #[must_use]
            pub fn narrow(&self) -> bool {
                [$(self.$field.narrows(),)+].contains(&true)
            }

            /// Prefixes that terms name outside of `owned`, the prefixes of the network.
            #[must_use]
            pub fn not_owned(&self, owned: &[&[IpNet]]) -> Vec<IpNet> {
                [$(self.$field.not_owned(owned),)+].concat()
            }

            /// The most prefixes that the half accepts.
            #[must_use]
            pub fn most(&self) -> Option<usize> {
                let most = [$(self.$field.most(),)+].into_iter().flatten().min()?;
                Some(usize::try_from(most).unwrap_or(usize::MAX))
            }
        }
    };
}

terms! {
    /// The filter of announced prefixes.
    export: Export,
    /// The filter of accepted prefixes.
    import: Import,
    /// The most prefixes that it accepts.
    max_prefixes: MaxPrefixes,
    /// Who makes the routes, and in which tables.
    routes: Routes,
    /// What the other side may open here.
    inward: In,
    /// What this side may open there.
    outward: Out,
    /// Whether this side's switches drop what is no reply.
    stateful: Stateful,
    /// The load balancers that it exports.
    load_balancers: LoadBalancers,
    /// Whether it uses those of the other side.
    use_load_balancers: UseLoadBalancers,
    /// Which names of its guests it tells the other side.
    offer_names: OfferNames,
    /// Which names of the other side's guests its guests are told.
    tell_names: TellNames,
    /// Whether the other side may use this side's gateway.
    gateway: OfferGateway,
    /// What this side reaches by the other side's gateway.
    use_gateway: UseGateway,
    /// What this side reaches through the other side.
    reach_through: ReachThrough,
    /// The appliances that its peer passes on the way to others.
    appliances: Appliances,
}

/// The default, which nearly every half has.
pub(super) static DEFAULT: LazyLock<Terms> = LazyLock::new(Terms::default);

impl Terms {
    /// Reads the terms of one half; `None` for the default.
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

    /// A short digest that distinguishes these terms from others.
    #[must_use]
    pub fn mark(&self) -> u32 {
        let hash = Sha256::digest(serde_json::to_string(self).unwrap_or_default());
        hash.iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte))
    }
}

pub(super) fn refuse_overweight(reader: &mut TomlReader<'_>, place: &Range<usize>) {
    reader.over_limit(
        place,
        format!("the filters and routes of this half take more than {MAX_BYTES} bytes"),
        Some("cover several prefixes by one, with `le` or a shorter one".to_owned()),
    );
}
