//! The keys of `[[peering]]` that say what crosses it, and `[[route]]` of `peerings.d/*.toml`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::exchange::{Exchange, ManualRoute, Routes, TableOf, Tables};
use super::filter::{Action, Filter, PrefixList, Rule};
use super::model::HalfKey;
use super::page::{Found, Page, Refused, nearest};

/// The keys of `[[peering]]` that are read here.
pub(super) const KEYS: [&str; 5] = ["export", "import", "max_prefixes", "routes", "route_tables"];
const RULE_KEYS: &[&str] = &["prefix", "ge", "le", "action"];
const ROUTE_KEYS: &[&str] = &["network", "peering", "destination", "route_table", "subnet"];

const ROUTE_REFUSED: &[Refused] = &[
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

/// Most entries of one filter, most routes over one half: a half's record in the northbound
/// carries them.
const MAX_RULES: usize = 256;
const MAX_ROUTES: usize = 256;
/// Most bytes of all these together, as they are shown, for the same reason.
const MAX_BYTES: usize = 16 << 10;
/// Most tables that `route_tables` may list.
const MAX_TABLES: usize = 64;
/// The main route table, as `ovn-nbctl lr-route-list` prints it.
const MAIN_TABLE: &str = "<main>";

/// The terms of one half; none where they are the default.
pub(super) fn read(page: &mut Page<'_>, entry: &Found<&DeTable<'_>>) -> Option<Arc<Exchange>> {
    let table = entry.value;
    let exchange = Exchange {
        export: filter(page, table, "export"),
        import: filter(page, table, "import"),
        max_prefixes: page.number(table, "max_prefixes", u32::MAX),
        routes: routes(page, table),
    };
    if exchange == Exchange::default() {
        return None;
    }
    if weight(&exchange) > MAX_BYTES {
        refuse_overweight(page, &entry.span);
    }
    Some(Arc::new(exchange))
}

fn filter(page: &mut Page<'_>, table: &DeTable<'_>, key: &str) -> Filter {
    let Some(value) = table.get(key) else { return Filter::All };
    if let Some(word) = value.get_ref().as_str() {
        if word != "all" {
            page.error(
                &value.span(),
                format!("`{key}` is \"{}\"", word.escape_debug()),
                Some(format!("write {key} = \"all\", or a list: {key} = [\"10.1.0.0/24\"]")),
            );
        }
        return Filter::All;
    }
    let Some(array) = value.get_ref().as_array() else {
        let hint = format!("write {key} = [\"10.1.0.0/24\"]");
        page.mistyped(key, "\"all\" or an array of entries", value, Some(hint));
        return Filter::All;
    };
    if array.len() > MAX_RULES {
        page.error(
            &value.span(),
            format!("`{key}` has {} entries; at most {MAX_RULES} are allowed", array.len()),
            Some("cover several by one with `le`: { prefix = \"10.0.0.0/8\", le = 24 }".to_owned()),
        );
        return Filter::All;
    }
    Filter::List(PrefixList::new(array.iter().filter_map(|entry| rule(page, key, entry)).collect()))
}

fn rule(page: &mut Page<'_>, key: &str, entry: &Spanned<DeValue<'_>>) -> Option<Rule> {
    let Some(table) = entry.get_ref().as_table() else {
        if entry.get_ref().as_str().is_none() {
            let hint = "write \"10.1.0.0/24\" or { prefix = \"10.0.0.0/8\", le = 24 }".to_owned();
            page.mistyped(key, "made of prefixes and tables", entry, Some(hint));
            return None;
        }
        let prefix = page.text(key, entry).and_then(|text| page.prefix(&text))?;
        return specific(page, entry, Rule { action: Action::Permit, prefix, ge: None, le: None });
    };
    let what = format!("an entry of `{key}`");
    page.refuse_unknown(table, &what, RULE_KEYS, &[]);
    let action = action(page, table);
    let text = page.string(table, "prefix");
    if table.get("prefix").is_none() {
        page.missing(&entry.span(), &what, "prefix", "\"10.1.0.0/16\"");
    }
    let prefix = text.and_then(|text| page.prefix(&text))?;
    let (own, most) = (prefix.prefix_len(), prefix.max_prefix_len());
    let ge = length(page, table, "ge", own, most);
    let le = length(page, table, "le", ge.unwrap_or(own), most);
    let (written, read) = (table.contains_key("ge"), ge.is_some());
    if written != read || table.contains_key("le") != le.is_some() {
        return None;
    }
    specific(page, entry, Rule { action, prefix, ge, le })
}

/// Refuses to name a default route: a peering leads to two networks, not through them.
fn specific(page: &mut Page<'_>, entry: &Spanned<DeValue<'_>>, rule: Rule) -> Option<Rule> {
    if rule.names().is_some_and(|prefix| prefix.prefix_len() == 0) {
        page.error(
            &entry.span(),
            format!("{} is the default route, which no peering carries", rule.prefix),
            Some(format!(
                "to match every prefix of the family write {{ prefix = \"{}\", le = {} }}",
                rule.prefix,
                rule.prefix.max_prefix_len()
            )),
        );
        return None;
    }
    Some(rule)
}

fn action(page: &mut Page<'_>, table: &DeTable<'_>) -> Action {
    match page.string(table, "action") {
        None => Action::Permit,
        Some(found) if found.value == "permit" => Action::Permit,
        Some(found) if found.value == "deny" => Action::Deny,
        Some(found) => {
            page.error(
                &found.span,
                format!("`action` is \"{}\"", found.value.escape_debug()),
                Some("write \"permit\" or \"deny\"".to_owned()),
            );
            Action::Permit
        }
    }
}

fn length(page: &mut Page<'_>, table: &DeTable<'_>, key: &str, least: u8, most: u8) -> Option<u8> {
    let found = page.number(table, key, u32::from(most))?;
    let length = u8::try_from(found).ok().filter(|length| *length >= least);
    if let (None, Some(value)) = (length, table.get(key)) {
        page.error(
            &value.span(),
            format!("`{key}` is {found}; {least} to {most} are possible here"),
            Some("lengths grow from the prefix's own over `ge` to `le`".to_owned()),
        );
    }
    length
}

fn routes(page: &mut Page<'_>, table: &DeTable<'_>) -> Routes {
    let tables = tables(page, table);
    let Some(found) = page.string(table, "routes") else { return Routes::Automatic(tables) };
    match found.value {
        "automatic" => Routes::Automatic(tables),
        "manual" => {
            if let Some(value) = table.get("route_tables") {
                page.error(
                    &value.span(),
                    "`route_tables` is for automatic routes",
                    Some("write route_table = \"..\" in each [[route]]".to_owned()),
                );
            }
            Routes::Manual(Vec::new())
        }
        other => {
            page.error(
                &found.span,
                format!("`routes` is \"{}\"", other.escape_debug()),
                Some("write \"automatic\" or \"manual\"".to_owned()),
            );
            Routes::Automatic(tables)
        }
    }
}

fn tables(page: &mut Page<'_>, table: &DeTable<'_>) -> Tables {
    let Some(value) = table.get("route_tables") else { return Tables::All };
    if value.get_ref().as_str() == Some("all") {
        return Tables::All;
    }
    let names = page.strings(table, "route_tables").unwrap_or_default();
    if names.len() > MAX_TABLES {
        page.error(
            &value.span(),
            format!("`route_tables` has {} names; at most {MAX_TABLES} are allowed", names.len()),
            None,
        );
    }
    let mut named: Vec<Arc<str>> =
        names.iter().filter_map(|name| table_name(page, "route_tables", name)).collect();
    named.sort();
    named.dedup();
    Tables::Only(named)
}

fn table_name(page: &mut Page<'_>, key: &str, found: &Found<&str>) -> Option<Arc<str>> {
    if found.value.is_empty() {
        page.error(
            &found.span,
            format!("`{key}` has an empty name"),
            Some(format!("write \"{MAIN_TABLE}\" for the main route table")),
        );
        return None;
    }
    Some(if found.value == MAIN_TABLE { "" } else { found.value }.into())
}

/// A manual route, and where it names its half.
pub(super) struct RouteEntry {
    pub(super) half: HalfKey,
    pub(super) place: std::ops::Range<usize>,
    pub(super) route: ManualRoute,
}

/// Reads `[[route]]` of a file; `network` makes a key of a name.
pub(super) fn read_routes(
    page: &mut Page<'_>,
    table: &DeTable<'_>,
    network: impl Fn(&str) -> super::model::NetworkKey,
) -> Vec<RouteEntry> {
    let mut entries = Vec::new();
    for entry in page.entries(table, "route") {
        const WHAT: &str = "[[route]]";
        page.refuse_unknown(entry.value, WHAT, ROUTE_KEYS, ROUTE_REFUSED);
        let name = page.name(&entry, WHAT, "network", "\"web\"");
        let half = page.name(&entry, WHAT, "peering", "\"to-db\"");
        let destination = page.name(&entry, WHAT, "destination", "\"10.2.0.0/24\"");
        let destination = destination.and_then(|text| destination_of(page, &text));
        let table = table_of(page, entry.value);
        let (Some(name), Some(half), Some(destination), Some(table)) =
            (name, half, destination, table)
        else {
            continue;
        };
        entries.push(RouteEntry {
            half: HalfKey { network: network(name.value), name: half.value.into() },
            place: half.span,
            route: ManualRoute { destination, table },
        });
    }
    entries
}

fn destination_of(page: &mut Page<'_>, text: &Found<&str>) -> Option<IpNet> {
    let prefix = page.prefix(text)?;
    if prefix.prefix_len() == 0 {
        page.error(
            &text.span,
            format!("{prefix} is the default route, which no peering carries"),
            Some("name a prefix of the other network".to_owned()),
        );
        return None;
    }
    Some(prefix)
}

fn table_of(page: &mut Page<'_>, table: &DeTable<'_>) -> Option<TableOf> {
    let name = page.optional_name(table, "route_table");
    let subnet = page.string(table, "subnet");
    match (name, subnet) {
        (Some(_), Some(subnet)) => {
            page.error(
                &subnet.span,
                "[[route]] has both `route_table` and `subnet`",
                Some("keep one: a subnet means the table that it looks up".to_owned()),
            );
            None
        }
        (Some(name), None) => table_name(page, "route_table", &name).map(TableOf::Name),
        (None, Some(subnet)) => page.prefix(&subnet).map(TableOf::Subnet),
        (None, None) => Some(TableOf::Name("".into())),
    }
}

/// Hands each route to its half, which must be declared in the same file with manual routes.
pub(super) fn place(
    page: &mut Page<'_>,
    entries: Vec<RouteEntry>,
    halves: &mut [(Option<super::diagnostic::Position>, super::model::Half)],
) {
    let mut at: BTreeMap<HalfKey, usize> = BTreeMap::new();
    for (position, (_, half)) in halves.iter().enumerate() {
        at.entry(half.key.clone()).or_insert(position);
    }
    for RouteEntry { half: key, place, route } in entries {
        let Some((_, half)) = at.get(&key).and_then(|at| halves.get_mut(*at)) else {
            let names = at.keys().filter(|other| other.network == key.network);
            let hint = match nearest(&key.name, names.map(|other| &*other.name)) {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None => "write the route into the file that declares the half".to_owned(),
            };
            page.error(&place, format!("no half {key} is declared in this file"), Some(hint));
            continue;
        };
        let exchange = Arc::make_mut(half.exchange.get_or_insert_default());
        let Routes::Manual(routes) = &mut exchange.routes else {
            page.error(
                &place,
                format!("the half {key} makes its routes itself"),
                Some("write routes = \"manual\" there, or remove this route".to_owned()),
            );
            continue;
        };
        if routes.contains(&route) {
            page.error(&place, format!("the route to {route} is there already"), None);
        }
        routes.push(route);
        let count = routes.len();
        if weight(exchange) > MAX_BYTES {
            refuse_overweight(page, &place);
            break;
        }
        if count == MAX_ROUTES + 1 {
            page.error(
                &place,
                format!("the half {key} has more than {MAX_ROUTES} routes"),
                Some("cover several by a shorter prefix".to_owned()),
            );
        }
    }
}

/// How much of its record in the northbound a half's terms take, in bytes.
fn weight(exchange: &Exchange) -> usize {
    let words = |filter: &Filter| filter.to_string().len();
    let routes = match &exchange.routes {
        Routes::Automatic(Tables::All) => 0,
        Routes::Automatic(Tables::Only(names)) => names.iter().map(|name| name.len()).sum(),
        Routes::Manual(routes) => routes.iter().map(|route| route.to_string().len()).sum(),
    };
    words(&exchange.export) + words(&exchange.import) + routes
}

fn refuse_overweight(page: &mut Page<'_>, place: &std::ops::Range<usize>) {
    page.error(
        place,
        format!("the filters and routes of this half take more than {MAX_BYTES} bytes"),
        Some("cover several prefixes by one, with `le` or a shorter one".to_owned()),
    );
}
