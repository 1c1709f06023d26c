//! `routes` and `route_tables`: who makes the routes over a peering, and in which tables they are.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sorted_vec::SortedSet;
use toml::de::DeTable;

use super::super::toml_reader::{Found, TomlReader};
use super::term::Term;

/// Most tables that `route_tables` may list.
const MAX_TABLES: usize = 64;
/// The main route table, as `ovn-nbctl lr-route-list` prints it.
const MAIN_TABLE: &str = "<main>";

/// Who makes the routes over a peering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub enum Routes {
    /// The daemon: one for each accepted prefix, in these tables.
    Automatic(Tables),
    /// The owner: one for each `[[route]]`.
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
    /// The main table, and all tables that its subnets look up.
    #[default]
    All,
    /// Only the named ones of these; the main table's name is empty.
    Only(Vec<Arc<str>>),
}

/// A route that names a peering as its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualRoute {
    /// Its destination, within the prefixes that the other side announces.
    pub destination: IpNet,
    /// For whom.
    pub table: TableOf,
}

/// The table of a manual route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableOf {
    /// The table of this name; the main table's name is empty.
    Name(Arc<str>),
    /// The table that this subnet of the network looks up.
    Subnet(IpNet),
}

/// A route over a link: its table (an empty name for the main table), and its destination.
pub type PlacedRoute = (Arc<str>, IpNet);

/// The facts of a router that routes need.
pub trait RouteTables {
    /// The tables that its subnets look up, and the main table.
    fn all(&self) -> &Arc<SortedSet<Arc<str>>>;
    /// The table that a subnet looks up; `None` if there is no such subnet.
    fn of_subnet(&self, subnet: &IpNet) -> Option<Arc<str>>;
}

impl Routes {
    /// Whether the half's owner makes the routes.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.manual().is_some()
    }

    /// The owner's routes; none if they are automatic.
    #[must_use]
    pub fn manual(&self) -> Option<&[ManualRoute]> {
        match self {
            Self::Automatic(_) => None,
            Self::Manual(routes) => Some(routes),
        }
    }

    /// The tables of a router that may get routes.
    #[must_use]
    pub fn tables(&self, router: &impl RouteTables) -> Arc<SortedSet<Arc<str>>> {
        let all = router.all();
        let named = |names: &mut dyn Iterator<Item = Arc<str>>| {
            Arc::new(names.filter(|name| all.contains(name)).collect::<Vec<_>>().into())
        };
        match self {
            Self::Automatic(Tables::All) => Arc::clone(all),
            Self::Automatic(Tables::Only(names)) => named(&mut names.iter().cloned()),
            Self::Manual(routes) => {
                named(&mut routes.iter().filter_map(|route| route.table(router)))
            }
        }
    }

    /// The named tables that no subnet looks up, one sentence for each.
    pub fn absent_tables(&self, router: &impl RouteTables) -> impl Iterator<Item = String> {
        let names = match self {
            Self::Automatic(Tables::Only(names)) => names.as_slice(),
            Self::Automatic(Tables::All) | Self::Manual(_) => &[],
        };
        names.iter().filter(|name| !router.all().contains(name)).map(|name| no_such_table(name))
    }
}

impl ManualRoute {
    /// The table that it names; `None` if no subnet looks it up.
    fn table(&self, router: &impl RouteTables) -> Option<Arc<str>> {
        match &self.table {
            TableOf::Name(name) => router.all().contains(name).then(|| Arc::clone(name)),
            TableOf::Subnet(subnet) => router.of_subnet(subnet),
        }
    }

    /// Its route on a router.
    ///
    /// # Errors
    /// Why there can be none, in a sentence.
    pub fn place(&self, router: &impl RouteTables) -> Result<PlacedRoute, String> {
        let table = self.table(router).ok_or_else(|| match &self.table {
            TableOf::Name(name) => no_such_table(name),
            TableOf::Subnet(subnet) => format!("the network has no subnet {subnet}"),
        })?;
        Ok((table, self.destination))
    }
}

fn no_such_table(name: &str) -> String {
    format!("no subnet of the network looks up the route table \"{name}\"")
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

impl Term for Routes {
    const KEYS: &'static [&'static str] = &[Self::KEY, "route_tables"];
    const KEY: &'static str = "routes";
    const TITLE: &'static str = "Routes";

    fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Self {
        let tables = read_tables(reader, table);
        let Some(found) = reader.string(table, Self::KEY) else { return Self::Automatic(tables) };
        match found.value {
            "automatic" => Self::Automatic(tables),
            "manual" => {
                if let Some(value) = table.get("route_tables") {
                    reader.error(
                        &value.span(),
                        "`route_tables` is for automatic routes",
                        Some("write route_table = \"..\" in each [[route]]".to_owned()),
                    );
                }
                Self::Manual(Vec::new())
            }
            other => {
                reader.error(
                    &found.span,
                    format!("`routes` is \"{}\"", other.escape_debug()),
                    Some("write \"automatic\" or \"manual\"".to_owned()),
                );
                Self::Automatic(tables)
            }
        }
    }

    fn shown(&self) -> Value {
        if self.is_manual() { "manual" } else { "automatic" }.into()
    }

    fn written(&self) -> Vec<(&'static str, toml::Value)> {
        match self {
            Self::Automatic(Tables::All) => Vec::new(),
            Self::Automatic(Tables::Only(names)) => {
                let names = names.iter().map(|name| written_table(name).into()).collect();
                vec![("route_tables", toml::Value::Array(names))]
            }
            Self::Manual(_) => vec![(Self::KEY, "manual".into())],
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Automatic(Tables::All) => 0,
            Self::Automatic(Tables::Only(names)) => names.iter().map(|name| name.len()).sum(),
            Self::Manual(routes) => routes.iter().map(|route| route.to_string().len()).sum(),
        }
    }
}

fn read_tables(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Tables {
    let Some(value) = table.get("route_tables") else { return Tables::All };
    if value.get_ref().as_str() == Some("all") {
        return Tables::All;
    }
    let names = reader.strings(table, "route_tables").unwrap_or_default();
    if names.len() > MAX_TABLES {
        reader.over_limit(
            &value.span(),
            format!("`route_tables` has {} names; at most {MAX_TABLES} are allowed", names.len()),
            None,
        );
    }
    let mut named: Vec<Arc<str>> =
        names.iter().filter_map(|name| table_name(reader, "route_tables", name)).collect();
    named.sort();
    named.dedup();
    Tables::Only(named)
}

pub(in crate::declare) fn table_name(
    reader: &mut TomlReader<'_>,
    key: &str,
    found: &Found<&str>,
) -> Option<Arc<str>> {
    if found.value.is_empty() {
        reader.error(
            &found.span,
            format!("`{key}` has an empty name"),
            Some(format!("write \"{MAIN_TABLE}\" for the main route table")),
        );
        return None;
    }
    Some(if found.value == MAIN_TABLE { "" } else { found.value }.into())
}

/// A table's name as declarations have it.
pub(in crate::declare) fn written_table(name: &str) -> &str {
    if name.is_empty() { MAIN_TABLE } else { name }
}

/// As it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tables: Option<Vec<String>>,
    /// Present for manual routes, even if the list is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routes: Option<Vec<RouteRecord>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RouteRecord {
    to: IpNet,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<IpNet>,
}

impl From<Routes> for Record {
    fn from(routes: Routes) -> Self {
        let (tables, routes) = match routes {
            Routes::Automatic(Tables::All) => (None, None),
            Routes::Automatic(Tables::Only(names)) => {
                (Some(names.iter().map(ToString::to_string).collect()), None)
            }
            Routes::Manual(routes) => (None, Some(routes.into_iter().map(Into::into).collect())),
        };
        Self { tables, routes }
    }
}

impl From<Record> for Routes {
    fn from(record: Record) -> Self {
        match (record.routes, record.tables) {
            (Some(routes), _) => Self::Manual(routes.into_iter().map(Into::into).collect()),
            (None, Some(tables)) => {
                Self::Automatic(Tables::Only(tables.into_iter().map(Into::into).collect()))
            }
            (None, None) => Self::default(),
        }
    }
}

impl From<ManualRoute> for RouteRecord {
    fn from(route: ManualRoute) -> Self {
        let (table, subnet) = match route.table {
            TableOf::Name(name) => (name.to_string(), None),
            TableOf::Subnet(subnet) => (String::new(), Some(subnet)),
        };
        Self { to: route.destination, table, subnet }
    }
}

impl From<RouteRecord> for ManualRoute {
    fn from(record: RouteRecord) -> Self {
        let table = match record.subnet {
            Some(subnet) => TableOf::Subnet(subnet),
            None => TableOf::Name(record.table.into()),
        };
        Self { destination: record.to, table }
    }
}
