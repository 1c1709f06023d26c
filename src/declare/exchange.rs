//! What a half lets cross its peering, and which routes it wants: terms beyond the default.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

use super::filter::Filter;

/// The terms of a half.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What of its network it announces.
    pub export: Filter,
    /// What of the other side it takes.
    pub import: Filter,
    /// Most prefixes that it takes.
    pub max_prefixes: Option<u32>,
    /// Who makes the routes.
    pub routes: Routes,
}

/// The terms of nearly every half.
pub(super) static DEFAULT_EXCHANGE: Exchange = Exchange {
    export: Filter::All,
    import: Filter::All,
    max_prefixes: None,
    routes: Routes::Automatic(Tables::All),
};

/// Who makes the routes over a peering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routes {
    /// One for each prefix that is taken, in these tables.
    Automatic(Tables),
    /// The owner, each by an entry of its own (S1.14).
    Manual(Vec<ManualRoute>),
}

impl Default for Routes {
    fn default() -> Self {
        Self::Automatic(Tables::All)
    }
}

/// Route tables of a router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// The main one, and all that its subnets look up.
    #[default]
    All,
    /// Those of them that are named; the main one's name is empty.
    Only(Vec<Arc<str>>),
}

/// A route that names a peering as its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualRoute {
    /// Where it leads: within what the other side announces.
    pub destination: IpNet,
    /// For whom.
    pub table: TableOf,
}

/// Which table a manual route stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableOf {
    /// The one of this name; the main one's is empty.
    Name(Arc<str>),
    /// The one that this subnet of the network looks up.
    Subnet(IpNet),
}

impl fmt::Display for ManualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destination.fmt(f)?;
        match &self.table {
            TableOf::Name(name) if name.is_empty() => Ok(()),
            TableOf::Name(name) => write!(f, " in table {name}"),
            TableOf::Subnet(subnet) => write!(f, " for subnet {subnet}"),
        }
    }
}
