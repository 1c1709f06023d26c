//! Reads the registrations: once what they remember of this host's files, before these files count;
//! and always what other hosts declare.

use std::collections::BTreeMap;

use crate::declare::{Changed, Giver, Remembered};
use crate::northbound::declared::{declared_by, network_of};
use crate::northbound::{Differing, Id, Northbound, UnitId, others};

use super::state::State;

impl State {
    /// Notes what the northbound remembers of this host's files, and what the other hosts declare.
    /// Then applies all of it to the rules. Before that the rules know no declarations, because
    /// there is no northbound to apply them to.
    pub(super) fn begin(&mut self, northbound: &Northbound) {
        self.declarations.local.remember(remembered(self.declarations.host(), northbound));
        self.register_all(northbound);
        self.declare_all(northbound);
        self.resolver.mark_all(northbound);
    }

    /// Notes what other hosts declare in all registrations. Returns the declarations that changed.
    pub(super) fn register_all(&mut self, northbound: &Northbound) -> Changed {
        let all = registered(northbound).map(|id| (id, Differing::All));
        self.register(&all.collect(), northbound)
    }

    /// Notes what other hosts declare now of these networks. It reads only the entries that differ.
    /// A registration that somebody deleted changes nothing: it is restored as it was.
    pub(super) fn register(
        &mut self,
        networks: &BTreeMap<Id, Differing>,
        northbound: &Northbound,
    ) -> Changed {
        let mut changed = Changed::default();
        for (id, differing) in networks {
            let Some(tags) = northbound.registration(*id) else { continue };
            let Some(key) = network_of(tags).filter(|key| Id::of_network(key) == *id) else {
                continue;
            };
            let declarations = &mut self.declarations;
            match differing {
                Differing::All => {
                    let (others, read) =
                        others::declared_by_others(declarations.host(), &key, tags);
                    changed.extend(declarations.set_others(&key, others));
                    self.entries_read += read;
                }
                Differing::Keys(entries) => {
                    for entry in entries {
                        let read =
                            others::note_entry(declarations, &key, entry, tags, &mut changed);
                        self.entries_read += u64::from(read);
                    }
                }
            }
        }
        self.declared(&changed, Some(northbound));
        changed
    }
}

fn registered(northbound: &Northbound) -> impl Iterator<Item = Id> {
    northbound.units().filter_map(|unit| match unit {
        UnitId::Network(id) => Some(id),
        UnitId::Peering(_) => None,
    })
}

/// Reads from the registrations the last good declarations of each of this host's files.
fn remembered(host: &str, northbound: &Northbound) -> Remembered {
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
