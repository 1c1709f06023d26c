//! The first time: what the northbound remembers comes before what the files say.

use crate::declare::{Changed, Giver, Remembered};
use crate::northbound::declared::{declared_by, network_of};
use crate::northbound::{Id, Northbound, UnitId};

use super::state::State;

impl State {
    /// Takes over what the northbound remembers of this host's files and what the other hosts declare; then all of it goes to
    /// the rules. Until then these know of nothing, as there is nothing that they could be applied to; what comes
    /// afterwards is told as it comes.
    pub(super) fn begin(&mut self, northbound: &Northbound) {
        self.declarations.local.remember(remembered(self.declarations.host(), northbound));
        self.register_all(northbound);
        self.declare_all(northbound);
        self.resolver.mark_all(northbound);
    }

    /// Takes over what other hosts declare in all registrations. What differs by that is returned.
    pub(super) fn register_all(&mut self, northbound: &Northbound) -> Changed {
        self.register(&registered(northbound).collect(), northbound)
    }
}

fn registered(northbound: &Northbound) -> impl Iterator<Item = Id> {
    northbound.units().filter_map(|unit| match unit {
        UnitId::Network(id) => Some(id),
        UnitId::Peering(_) => None,
    })
}

/// Reads the registrations: the last good declarations of each of this host's files.
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
