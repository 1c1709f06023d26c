//! The declarations of other hosts: read from their entries in a registration, and restored for
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declare::{
    ByHost, Changed, Declarations, FileId, Giver, Half, HalfKey, Host, Network, NetworkKey, Others,
    RejectionKey, RulesDigest, STORE, Source,
};
use crate::ovsdb::ValueRef;

use super::declared::{
    Entry, HostRecord, entries, half, half_entry_of, host_entry, host_record, rejection,
    rejection_entry_of,
};

/// Notes another host's entry. An entry that is gone or does not parse declares nothing. This
/// host's own entries are skipped: its files count. Returns whether there was an entry to read.
pub fn note_entry(
    declarations: &mut Declarations,
    network: &NetworkKey,
    key: &str,
    external_ids: ValueRef<'_>,
    changed: &mut Changed,
) -> bool {
    let Some(entry) = Entry::parse(key).filter(|entry| *entry.host() != **declarations.host())
    else {
        return false;
    };
    let host: Host = Arc::from(entry.host());
    let text = external_ids.get(key);
    match entry {
        Entry::Host(_) => {
            let record = text.and_then(host_record);
            declarations.rules.note(&host, network, record.as_ref().map(HostRecord::rules));
            let by_host = record.and_then(|record| binding_by(&host, network, record));
            if declarations.set_network(network, &host, by_host) {
                changed.networks.insert(network.clone());
            }
        }
        Entry::Half(_, name) => {
            let by_host = text.and_then(|text| half_by(&host, network, name, text));
            let key = HalfKey::new(network.clone(), name);
            if declarations.set_half(&key, &host, by_host) {
                changed.halves.insert(key);
            }
        }
        Entry::Rejection(_, from) => {
            let key = RejectionKey { network: network.clone(), from: from.clone() };
            let by_host = text.and_then(|text| rejection_by(&host, network, from, text));
            if declarations.set_rejection(&key, &host, by_host) {
                changed.rejections.insert(key);
            }
        }
    }
    text.is_some()
}

/// The declarations of all hosts but one for a network, and the number of entries read.
#[must_use]
pub fn declared_by_others(
    host: &str,
    network: &NetworkKey,
    external_ids: ValueRef<'_>,
) -> (Others, u64) {
    let (mut others, mut read) = (Others::default(), 0);
    for (entry, text) in entries(external_ids).filter(|(entry, _)| entry.host() != host) {
        let from: Host = Arc::from(entry.host());
        read += 1;
        match entry {
            Entry::Host(_) => {
                let Some(record) = host_record(text) else { continue };
                others.rules.insert(Arc::clone(&from), record.rules());
                others.networks.extend(binding_by(&from, network, record));
            }
            Entry::Half(_, name) => {
                if let Some(by_host) = half_by(&from, network, name, text) {
                    others.halves.entry(by_host.value.key.clone()).or_default().push(by_host);
                }
            }
            Entry::Rejection(_, by) => {
                let key = RejectionKey { network: network.clone(), from: by.clone() };
                if let Some(by_host) = rejection_by(&from, network, by, text) {
                    others.rejections.entry(key).or_default().push(by_host);
                }
            }
        }
    }
    others.sort();
    (others, read)
}

fn binding_by(
    host: &Host,
    network: &NetworkKey,
    record: HostRecord,
) -> Option<ByHost<Arc<Network>>> {
    let (file, value) = record.bound(network)?;
    let source = Source::File(Giver { file, owner: None });
    Some(ByHost { host: Arc::clone(host), source, value: Arc::new(value) })
}

fn half_by(host: &Host, network: &NetworkKey, name: &str, text: &str) -> Option<ByHost<Half>> {
    let (source, value) = half(network, name, text)?;
    Some(ByHost { host: Arc::clone(host), source, value })
}

fn rejection_by(
    host: &Host,
    network: &NetworkKey,
    from: NetworkKey,
    text: &str,
) -> Option<ByHost<()>> {
    let (source, _) = rejection(network, from, text)?;
    Some(ByHost { host: Arc::clone(host), source, value: () })
}

/// The changes that restore the entries of other hosts as `others` has them, in a registration that
/// is older than that. An entry with the same meaning stays as it is: its host may have another
/// version, which writes more. So does an entry that does not parse, because it declares nothing.
#[must_use]
pub fn entries_to_restore(
    host: &str,
    network: &NetworkKey,
    external_ids: ValueRef<'_>,
    others: &Others,
    rules: &RulesDigest,
) -> Vec<(String, Option<String>)> {
    let (found, _) = declared_by_others(host, network, external_ids);
    let mut found: BTreeMap<_, _> = entries_of_others(network, &found, rules).into_iter().collect();
    let mut changes = Vec::new();
    for (key, text) in entries_of_others(network, others, rules) {
        let is_same = found.remove(&key).is_some_and(|found| found == text);
        if !is_same || !external_ids.has_key(&key) {
            changes.push((key, Some(text)));
        }
    }
    changes.extend(found.into_keys().map(|key| (key, None)));
    changes
}

/// The entries of other hosts, as they wrote them, to restore a registration that somebody deleted.
/// A host that is not in `others.rules` gets `rules`.
#[must_use]
pub fn entries_of_others(
    network: &NetworkKey,
    others: &Others,
    rules: &RulesDigest,
) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    let mut hosts: BTreeMap<&Host, Option<(&Network, &FileId)>> = BTreeMap::new();
    for ByHost { host, source, value } in others.halves.values().flatten() {
        hosts.entry(host).or_default();
        entries.push(half_entry_of(host, value, source));
    }
    for (key, rejecting) in &others.rejections {
        for ByHost { host, source, .. } in rejecting {
            hosts.entry(host).or_default();
            entries.push(rejection_entry_of(host, key, source));
        }
    }
    for by_host in &others.networks {
        if let Source::File(giver) = &by_host.source {
            hosts.insert(&by_host.host, Some((&*by_host.value, &giver.file)));
        }
    }
    // It binds nothing, and has no rules.
    hosts.retain(|host, _| ***host != *STORE);
    entries.extend(hosts.into_iter().map(|(host, binding)| {
        host_entry(host, network, binding, others.rules.get(host).unwrap_or(rules))
    }));
    entries
}
