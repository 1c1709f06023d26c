//! `[[appliance]]` of `peerings.d/*.toml`: appliances of the project's networks. Each becomes a term
//! of the halves that it is between.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use toml::de::DeTable;

use super::diagnostic::Position;
use super::model::{Half, HalfKey, NetworkKey};
use super::terms::{
    APPLIANCE_KEYS, Appliance, MAX_APPLIANCES, MAX_BYTES, another_appliance, read_appliance,
    refuse_more_appliances, refuse_overweight,
};
use super::toml_reader::{Found, TomlReader, nearest};

/// The keys of `[[appliance]]`.
pub(super) static KEYS: LazyLock<Vec<&str>> =
    LazyLock::new(|| ["network"].into_iter().chain(APPLIANCE_KEYS.iter().copied()).collect());

/// Reads `[[appliance]]` of a file, and adds each to its halves, which the same file must declare.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    network: impl Fn(&str) -> NetworkKey,
    halves: &mut [(Option<Position>, Half)],
) {
    const WHAT: &str = "[[appliance]]";
    let entries = reader.entries(table, "appliance");
    if entries.is_empty() {
        return;
    }
    let mut at: BTreeMap<HalfKey, usize> = BTreeMap::new();
    for (position, (_, half)) in halves.iter().enumerate() {
        at.entry(half.key.clone()).or_insert(position);
    }
    let mut weights: BTreeMap<usize, usize> = BTreeMap::new();
    for entry in entries {
        reader.refuse_unknown(entry.value, WHAT, &KEYS, &[]);
        let name = reader.name(&entry, WHAT, "network", "\"hub\"");
        let found = read_appliance(reader, &entry, WHAT);
        let (Some(name), Some(found)) = (name, found) else { continue };
        let network = network(name.value);
        for half in &found.between {
            let key = HalfKey::new(network.clone(), half.as_str());
            let index = at.get(&key).copied();
            let Some((index, (_, half))) = index.and_then(|at| Some((at, halves.get_mut(at)?)))
            else {
                refuse_unknown_half(reader, &entry, &key, &at);
                continue;
            };
            let weight = weights.entry(index).or_insert_with(|| half.terms().weight());
            add(reader, &entry, half, &found);
            *weight += found.weight();
            if *weight > MAX_BYTES {
                refuse_overweight(reader, &entry.span);
                return;
            }
        }
    }
}

/// Adds an appliance to a half.
fn add(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
    half: &mut Half,
    appliance: &Appliance,
) {
    let terms = Arc::make_mut(half.terms.get_or_insert_default());
    let list = &mut terms.appliances.list;
    if list.len() == MAX_APPLIANCES {
        refuse_more_appliances(reader, &entry.span, &format!("the half {}", half.key));
        return;
    }
    if let Some(why) = another_appliance(list, appliance, &half.key.name) {
        reader.duplicate(&entry.span, why, None);
    }
    list.push(appliance.clone());
}

fn refuse_unknown_half(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
    key: &HalfKey,
    at: &BTreeMap<HalfKey, usize>,
) {
    let place = entry.value.get("between").map_or_else(|| entry.span.clone(), toml::Spanned::span);
    let looks = !reader.is_full();
    let names = at.keys().filter(|other| looks && other.network == key.network);
    let hint = match nearest(&key.name, names.map(|other| &*other.name)) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => "write the appliance into the file that declares its halves".to_owned(),
    };
    reader.error(&place, format!("no half {key} is declared in this file"), Some(hint));
}
