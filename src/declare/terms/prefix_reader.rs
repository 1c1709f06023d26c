//! Reads a filter of prefixes: `"all"`, or an array of entries.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::toml_reader::TomlReader;
use super::prefix_filter::{Action, PrefixFilter, PrefixList, Rule};

pub(in crate::declare) const RULE_KEYS: &[&str] = &["prefix", "ge", "le", "action"];

/// Most entries of one filter: a half's record in the northbound contains them.
const MAX_RULES: usize = 256;

/// The filter under this key; all prefixes if there is none.
pub(super) fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> PrefixFilter {
    let Some(value) = table.get(key) else { return PrefixFilter::All };
    if let Some(word) = value.get_ref().as_str() {
        if word != "all" {
            reader.error(
                &value.span(),
                format!("`{key}` is \"{}\"", word.escape_debug()),
                Some(format!("write {key} = \"all\", or a list: {key} = [\"10.1.0.0/24\"]")),
            );
        }
        return PrefixFilter::All;
    }
    let Some(array) = value.get_ref().as_array() else {
        let hint = format!("write {key} = [\"10.1.0.0/24\"]");
        reader.mistyped(key, "\"all\" or an array of entries", value, Some(hint));
        return PrefixFilter::All;
    };
    if array.len() > MAX_RULES {
        reader.over_limit(
            &value.span(),
            format!("`{key}` has {} entries; at most {MAX_RULES} are allowed", array.len()),
            Some("cover several by one with `le`: { prefix = \"10.0.0.0/8\", le = 24 }".to_owned()),
        );
        return PrefixFilter::All;
    }
    PrefixFilter::List(PrefixList::new(
        array.iter().filter_map(|entry| rule(reader, key, entry)).collect(),
    ))
}

fn rule(reader: &mut TomlReader<'_>, key: &str, entry: &Spanned<DeValue<'_>>) -> Option<Rule> {
    let Some(table) = entry.get_ref().as_table() else {
        if entry.get_ref().as_str().is_none() {
            let hint = "write \"10.1.0.0/24\" or { prefix = \"10.0.0.0/8\", le = 24 }".to_owned();
            reader.mistyped(key, "made of prefixes and tables", entry, Some(hint));
            return None;
        }
        let prefix = reader.text(key, entry).and_then(|text| reader.prefix(&text))?;
        return specific(
            reader,
            entry,
            Rule { action: Action::Permit, prefix, ge: None, le: None },
        );
    };
    let what = format!("an entry of `{key}`");
    reader.refuse_unknown(table, &what, RULE_KEYS, &[]);
    let action = action(reader, table);
    let text = reader.string(table, "prefix");
    if table.get("prefix").is_none() {
        reader.missing(&entry.span(), &what, "prefix", "\"10.1.0.0/16\"");
    }
    let prefix = text.and_then(|text| reader.prefix(&text))?;
    let (own, most) = (prefix.prefix_len(), prefix.max_prefix_len());
    let ge = length(reader, table, "ge", own, most);
    let le = length(reader, table, "le", ge.unwrap_or(own), most);
    let (written, read) = (table.contains_key("ge"), ge.is_some());
    if written != read || table.contains_key("le") != le.is_some() {
        return None;
    }
    specific(reader, entry, Rule { action, prefix, ge, le })
}

/// Rejects a default route: a peering leads to two networks, not through them.
fn specific(reader: &mut TomlReader<'_>, entry: &Spanned<DeValue<'_>>, rule: Rule) -> Option<Rule> {
    if rule.names().is_some_and(|prefix| prefix.prefix_len() == 0) {
        reader.error(
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

fn action(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Action {
    match reader.string(table, "action") {
        None => Action::Permit,
        Some(found) if found.value == "permit" => Action::Permit,
        Some(found) if found.value == "deny" => Action::Deny,
        Some(found) => {
            reader.error(
                &found.span,
                format!("`action` is \"{}\"", found.value.escape_debug()),
                Some("write \"permit\" or \"deny\"".to_owned()),
            );
            Action::Permit
        }
    }
}

fn length(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
    least: u8,
    most: u8,
) -> Option<u8> {
    let found = reader.number(table, key, u32::from(most))?;
    let length = u8::try_from(found).ok().filter(|length| *length >= least);
    if let (None, Some(value)) = (length, table.get(key)) {
        reader.error(
            &value.span(),
            format!("`{key}` is {found}; {least} to {most} are possible here"),
            Some("lengths grow from the prefix's own over `ge` to `le`".to_owned()),
        );
    }
    length
}
