//! Reads a filter of prefixes: `"all"`, or an array of entries.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::page::Page;
use super::filter::{Action, PrefixFilter, PrefixList, Rule};

const RULE_KEYS: &[&str] = &["prefix", "ge", "le", "action"];

/// Most entries of one filter: a half's record in the northbound carries them.
const MAX_RULES: usize = 256;

/// The filter under this key; all where there is none.
pub(super) fn read(page: &mut Page<'_>, table: &DeTable<'_>, key: &str) -> PrefixFilter {
    let Some(value) = table.get(key) else { return PrefixFilter::All };
    if let Some(word) = value.get_ref().as_str() {
        if word != "all" {
            page.error(
                &value.span(),
                format!("`{key}` is \"{}\"", word.escape_debug()),
                Some(format!("write {key} = \"all\", or a list: {key} = [\"10.1.0.0/24\"]")),
            );
        }
        return PrefixFilter::All;
    }
    let Some(array) = value.get_ref().as_array() else {
        let hint = format!("write {key} = [\"10.1.0.0/24\"]");
        page.mistyped(key, "\"all\" or an array of entries", value, Some(hint));
        return PrefixFilter::All;
    };
    if array.len() > MAX_RULES {
        page.error(
            &value.span(),
            format!("`{key}` has {} entries; at most {MAX_RULES} are allowed", array.len()),
            Some("cover several by one with `le`: { prefix = \"10.0.0.0/8\", le = 24 }".to_owned()),
        );
        return PrefixFilter::All;
    }
    PrefixFilter::List(PrefixList::new(
        array.iter().filter_map(|entry| rule(page, key, entry)).collect(),
    ))
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
