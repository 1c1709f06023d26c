//! The terms of a half, as its host's entry in the registration carries them.
//!
//! Entries of filters are kept in words (`deny 10.2.0.0/16 le 24`): 256 of them are 10 kB at most.
//! Words that cannot be read make the whole half unreadable: to take them for "all" would open it.

use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use sha2::{Digest, Sha256};

use crate::declare::{
    Exchange, Filter, Half, ManualRoute, PrefixList, Routes, Rule, TableOf, Tables, UnreadableRule,
};

use super::registration::to_text;

/// Tells terms from others in a few bytes; none for the default.
#[must_use]
pub fn terms_mark(half: &Half) -> Option<u32> {
    let record = TermsRecord::new(half.exchange.as_deref()?);
    let hash = Sha256::digest(to_text(&record));
    Some(hash.iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte)))
}

/// Terms that are not the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TermsRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    export: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_prefixes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tables: Option<Vec<String>>,
    /// There for manual routes, also if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routes: Option<Vec<RouteRecord>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RouteRecord {
    to: IpNet,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<IpNet>,
}

impl TermsRecord {
    pub(super) fn new(exchange: &Exchange) -> Self {
        let words =
            |filter: &Filter| Some(filter.rules()?.iter().map(Rule::to_string).collect::<Vec<_>>());
        let (tables, routes) = match &exchange.routes {
            Routes::Automatic(Tables::All) => (None, None),
            Routes::Automatic(Tables::Only(names)) => {
                (Some(names.iter().map(ToString::to_string).collect()), None)
            }
            Routes::Manual(routes) => (None, Some(routes.iter().map(RouteRecord::new).collect())),
        };
        Self {
            export: words(&exchange.export),
            import: words(&exchange.import),
            max_prefixes: exchange.max_prefixes,
            tables,
            routes,
        }
    }

    pub(super) fn exchange(self) -> Result<Arc<Exchange>, UnreadableRule> {
        let filter = |words: Option<Vec<String>>| -> Result<Filter, UnreadableRule> {
            let Some(words) = words else { return Ok(Filter::All) };
            let rules: Result<Vec<Rule>, _> = words.iter().map(|rule| rule.parse()).collect();
            Ok(Filter::List(PrefixList::new(rules?)))
        };
        let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        Ok(Arc::new(Exchange {
            export: filter(self.export)?,
            import: filter(self.import)?,
            max_prefixes: self.max_prefixes,
            routes: match (self.routes, self.tables) {
                (Some(routes), _) => {
                    Routes::Manual(routes.into_iter().map(RouteRecord::route).collect())
                }
                (None, Some(tables)) => Routes::Automatic(Tables::Only(names(tables))),
                (None, None) => Routes::Automatic(Tables::All),
            },
        }))
    }
}

impl RouteRecord {
    fn new(route: &ManualRoute) -> Self {
        let (table, subnet) = match &route.table {
            TableOf::Name(name) => (name.to_string(), None),
            TableOf::Subnet(subnet) => (String::new(), Some(*subnet)),
        };
        Self { to: route.destination, table, subnet }
    }

    fn route(self) -> ManualRoute {
        let table = match self.subnet {
            Some(subnet) => TableOf::Subnet(subnet),
            None => TableOf::Name(self.table.into()),
        };
        ManualRoute { destination: self.to, table }
    }
}
