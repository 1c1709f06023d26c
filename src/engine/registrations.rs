//! Reads the registrations: once what they remember of this host's files, before these files count;
//! and always what other hosts declare.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::{Changed, Declarations, Giver, Host, Remembered};
use crate::northbound::declared::{Entry, declared_by, network_of};
use crate::northbound::{Differing, Id, Northbound, UnitId, others};

/// The hosts whose entries are believed.
#[derive(Debug)]
pub(super) enum Believed {
    /// All hosts.
    All,
    /// All but these.
    AllBut(BTreeSet<Host>),
    /// Only these.
    Only(BTreeSet<Host>),
}

impl Believed {
    fn believes(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(hosts) => !hosts.contains(host),
            Self::Only(hosts) => hosts.contains(host),
        }
    }
}

/// Notes what other hosts declare now of these networks, as far as they are believed. It reads only
/// the entries that differ. A registration that somebody deleted changes nothing: it is restored as
/// it was. Returns the declarations that changed, and how many entries it read.
pub(super) fn note_others(
    declarations: &mut Declarations,
    networks: &BTreeMap<Id, Differing>,
    northbound: &Northbound,
    believed: &Believed,
) -> (Changed, u64) {
    let (mut changed, mut entries_read) = (Changed::default(), 0);
    for (id, differing) in networks {
        let Some(tags) = northbound.registration(*id) else { continue };
        let Some(key) = network_of(tags).filter(|key| Id::of_network(key) == *id) else {
            continue;
        };
        match differing {
            Differing::All => {
                let (others, read) = others::declared_by_others(declarations.host(), &key, tags);
                changed.extend(match believed {
                    Believed::All => declarations.set_others(&key, others),
                    Believed::AllBut(_) | Believed::Only(_) => {
                        declarations.set_some(&key, others, |host| believed.believes(host))
                    }
                });
                entries_read += read;
            }
            Differing::Keys(entries) => {
                let is_believed = |entry: &str| {
                    Entry::parse(entry).is_some_and(|entry| believed.believes(entry.host()))
                };
                for entry in entries.iter().filter(|entry| is_believed(entry)) {
                    let read = others::note_entry(declarations, &key, entry, tags, &mut changed);
                    entries_read += u64::from(read);
                }
            }
        }
    }
    (changed, entries_read)
}

/// All networks of which a row is there.
pub(super) fn registered(northbound: &Northbound) -> impl Iterator<Item = Id> {
    northbound.units().filter_map(|unit| match unit {
        UnitId::Network(id) => Some(id),
        UnitId::Peering(_) => None,
    })
}

/// Reads from the registrations the last good declarations of each of this host's files.
pub(super) fn remembered(host: &str, northbound: &Northbound) -> Remembered {
    let mut files = Remembered::new();
    for id in registered(northbound) {
        let Some(tags) = northbound.registration(id) else { continue };
        let Some(network) = network_of(tags) else { continue };
        let own = declared_by(host, &network, tags);
        if let Some((file, binding)) = own.binding {
            files.entry(Giver { file, owner: None }).or_default().networks.push(binding);
        }
        for (giver, half) in own.halves {
            files.entry(giver).or_default().halves.push(half);
        }
        for (giver, rejection) in own.rejections {
            files.entry(giver).or_default().rejections.push(rejection);
        }
    }
    files
}
