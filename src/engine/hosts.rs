//! The hosts that declare something, and forgetting one that is gone for good.

use crate::declare::Host;
use crate::northbound::{Northbound, UnitId, declared};
use crate::ovsdb::Operation;
use crate::program;
use crate::view::HostView;

use super::Engine;

/// Why a host is not forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotForgotten {
    /// It is this host: what it declares are its files.
    Own,
    /// No registration names it.
    Unknown,
    /// The northbound has not been read.
    NotSynced,
    /// A newer version has written to the northbound: this one writes nothing.
    Newer,
}

impl Engine {
    /// All hosts that declare something, by name.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostView> {
        let declarations = &self.state.declarations;
        let view = |(host, (halves, networks)): (Host, (usize, usize))| HostView {
            own: host == *declarations.host(),
            name: host.to_string(),
            halves,
            networks,
        };
        declarations.hosts().into_iter().map(view).collect()
    }

    /// Drops what a host has declared, with the next transaction. One that lives declares it anew.
    ///
    /// # Errors
    /// If there is nothing that could be dropped; nothing is then.
    pub fn forget(&mut self, host: &str) -> Result<HostView, NotForgotten> {
        if host == &**self.state.declarations.host() {
            return Err(NotForgotten::Own);
        }
        if !self.connection.synced {
            return Err(NotForgotten::NotSynced);
        }
        let found = self.hosts().into_iter().find(|view| view.name == host);
        let found = found.ok_or(NotForgotten::Unknown)?;
        if self.newer.is_some() {
            return Err(NotForgotten::Newer);
        }
        self.writer.forgotten.insert(host.into());
        Ok(found)
    }
}

/// What takes all entries of some hosts out of all registrations.
pub(super) fn forget<'a>(
    hosts: impl Iterator<Item = &'a Host>,
    northbound: &Northbound,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    for host in hosts {
        let registrations = northbound.units().filter_map(|unit| match unit {
            UnitId::Network(id) => northbound.registration_row(id).map(|uuid| (id, uuid)),
            UnitId::Peering(_) => None,
        });
        operations.extend(program::drop_entries(registrations.map(|(id, uuid)| {
            let tags = northbound.registration(id).into_iter();
            let keys = tags.flat_map(|tags| declared::keys_of(tags, host)).map(str::to_owned);
            (uuid, keys.collect())
        })));
    }
    operations
}
