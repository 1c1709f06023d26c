//! `[[route]]` of `peerings.d/*.toml`: routes that name a half as their target.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use ipnet::IpNet;
use toml::de::DeTable;

use super::diagnostic::Position;
use super::model::{Half, HalfKey, NetworkKey};
use super::terms::{MAX_BYTES, ManualRoute, Routes, TableOf, refuse_overweight, table_name};
use super::toml_reader::{Found, Refused, TomlReader, nearest};

pub(super) const KEYS: &[&str] = &["network", "peering", "destination", "route_table", "subnet"];

const REFUSED: &[Refused] = &[
    Refused {
        key: "nexthop",
        message: "a route's target is a peering, not an address",
        hint: "write peering = \"to-db\", the name of a half of this network",
    },
    Refused {
        key: "target",
        message: "a route names its target by `peering`",
        hint: "write peering = \"to-db\", the name of a half of this network",
    },
    Refused {
        key: "prefix",
        message: "a route leads to a `destination`",
        hint: "write destination = \"10.2.0.0/24\"",
    },
];

/// Most routes over one half: its record in the northbound contains them.
const MAX_ROUTES: usize = 256;

/// A manual route, and the position of its half's name.
pub(super) struct RouteEntry {
    half: HalfKey,
    place: Range<usize>,
    route: ManualRoute,
}

/// Reads `[[route]]` of a file; `network` makes the key of a network's name.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    network: impl Fn(&str) -> NetworkKey,
) -> Vec<RouteEntry> {
    let mut entries = Vec::new();
    for entry in reader.entries(table, "route") {
        const WHAT: &str = "[[route]]";
        reader.refuse_unknown(entry.value, WHAT, KEYS, REFUSED);
        let name = reader.name(&entry, WHAT, "network", "\"web\"");
        let half = reader.name(&entry, WHAT, "peering", "\"to-db\"");
        let destination = reader.name(&entry, WHAT, "destination", "\"10.2.0.0/24\"");
        let destination = destination.and_then(|text| destination_of(reader, &text));
        let table = table_of(reader, entry.value);
        let (Some(name), Some(half), Some(destination), Some(table)) =
            (name, half, destination, table)
        else {
            continue;
        };
        entries.push(RouteEntry {
            half: HalfKey::new(network(name.value), half.value),
            place: half.span,
            route: ManualRoute { destination, table },
        });
    }
    entries
}

fn destination_of(reader: &mut TomlReader<'_>, text: &Found<&str>) -> Option<IpNet> {
    let prefix = reader.prefix(text)?;
    if prefix.prefix_len() == 0 {
        reader.error(
            &text.span,
            format!("{prefix} is the default route, which no peering carries"),
            Some("name a prefix of the other network".to_owned()),
        );
        return None;
    }
    Some(prefix)
}

fn table_of(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Option<TableOf> {
    let name = reader.optional_name(table, "route_table");
    let subnet = reader.string(table, "subnet");
    match (name, subnet) {
        (Some(_), Some(subnet)) => {
            reader.error(
                &subnet.span,
                "[[route]] has both `route_table` and `subnet`",
                Some("keep one: a subnet means the table that it looks up".to_owned()),
            );
            None
        }
        (Some(name), None) => table_name(reader, "route_table", &name).map(TableOf::Name),
        (None, Some(subnet)) => reader.prefix(&subnet).map(TableOf::Subnet),
        (None, None) => Some(TableOf::Name("".into())),
    }
}

/// Adds each route to its half, which the same file must declare with manual routes.
pub(super) fn place(
    reader: &mut TomlReader<'_>,
    entries: Vec<RouteEntry>,
    halves: &mut [(Option<Position>, Half)],
) {
    let mut at: BTreeMap<HalfKey, usize> = BTreeMap::new();
    for (position, (_, half)) in halves.iter().enumerate() {
        at.entry(half.key.clone()).or_insert(position);
    }
    let mut weights: BTreeMap<usize, usize> = BTreeMap::new();
    let mut full = BTreeSet::new();
    for RouteEntry { half: key, place, route } in entries {
        let index = at.get(&key).copied();
        let Some((index, (_, half))) = index.and_then(|at| Some((at, halves.get_mut(at)?))) else {
            let looks = !reader.is_full();
            let names = at.keys().filter(|other| looks && other.network == key.network);
            let hint = match nearest(&key.name, names.map(|other| &*other.name)) {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None => "write the route into the file that declares the half".to_owned(),
            };
            reader.error(&place, format!("no half {key} is declared in this file"), Some(hint));
            continue;
        };
        let terms = Arc::make_mut(half.terms.get_or_insert_default());
        let weight = weights.entry(index).or_insert_with(|| terms.weight());
        let Routes::Manual(routes) = &mut terms.routes else {
            reader.error(
                &place,
                format!("the half {key} makes its routes itself"),
                Some("write routes = \"manual\" there, or remove this route".to_owned()),
            );
            continue;
        };
        if routes.len() == MAX_ROUTES {
            if full.insert(index) {
                reader.over_limit(
                    &place,
                    format!("the half {key} has more than {MAX_ROUTES} routes"),
                    Some("cover several by a shorter prefix".to_owned()),
                );
            }
            continue;
        }
        if routes.contains(&route) {
            reader.duplicate(&place, format!("the route to {route} is there already"), None);
        }
        *weight += route.to_string().len();
        routes.push(route);
        if *weight > MAX_BYTES {
            refuse_overweight(reader, &place);
            break;
        }
    }
}
