//! The keys of `[[peering]]` in `peerings.d/*.toml` that say what crosses it.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::exchange::{Exchange, Routes, Tables};
use super::filter::{Action, Filter, PrefixList, Rule};
use super::page::{Found, Page};

/// The keys of `[[peering]]` that are read here.
pub(super) const KEYS: [&str; 5] = ["export", "import", "max_prefixes", "routes", "route_tables"];
const RULE_KEYS: &[&str] = &["prefix", "ge", "le", "action"];

/// Most entries of one filter: a half's record in the northbound carries them.
const MAX_RULES: usize = 256;
/// Most bytes of a half's filters, tables and routes together, as they are shown: for the same
/// reason.
pub(super) const MAX_BYTES: usize = 16 << 10;
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

pub(super) fn table_name(page: &mut Page<'_>, key: &str, found: &Found<&str>) -> Option<Arc<str>> {
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

/// How much of its record in the northbound a half's terms take, in bytes.
pub(super) fn weight(exchange: &Exchange) -> usize {
    let words = |filter: &Filter| filter.to_string().len();
    let routes = match &exchange.routes {
        Routes::Automatic(Tables::All) => 0,
        Routes::Automatic(Tables::Only(names)) => names.iter().map(|name| name.len()).sum(),
        Routes::Manual(routes) => routes.iter().map(|route| route.to_string().len()).sum(),
    };
    words(&exchange.export) + words(&exchange.import) + routes
}

pub(super) fn refuse_overweight(page: &mut Page<'_>, place: &std::ops::Range<usize>) {
    page.error(
        place,
        format!("the filters and routes of this half take more than {MAX_BYTES} bytes"),
        Some("cover several prefixes by one, with `le` or a shorter one".to_owned()),
    );
}
