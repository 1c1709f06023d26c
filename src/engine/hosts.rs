//! The hosts that declare something, and forgetting one that is gone for good.

use crate::declare::{Declarations, Host, STORE};
use crate::northbound::{Northbound, declared};
use crate::ovsdb::Operation;
use crate::program;
use crate::view::HostView;

use super::recency::Recency;
use super::registrations::registered;

/// Why a host is not forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotForgotten {
    /// It is this host: what it declares are its files.
    Own,
    /// It is the store: what it contains is removed by command.
    Store,
    /// No registration names it.
    Unknown,
    /// The northbound has not been read.
    NotSynced,
    /// A newer version has written to the northbound: this one writes nothing.
    Newer,
}

/// All hosts that declare something, by name.
pub(super) fn views(declarations: &Declarations) -> Vec<HostView> {
    let view = |(host, (halves, networks)): (Host, (usize, usize))| HostView {
        own: host == *declarations.host(),
        name: host.to_string(),
        halves,
        networks,
    };
    declarations.hosts().into_iter().map(view).collect()
}

/// A host that is to be forgotten.
pub(super) fn found(
    host: &str,
    declarations: &Declarations,
    synced: bool,
) -> Result<HostView, NotForgotten> {
    if host == STORE {
        return Err(NotForgotten::Store);
    }
    if host == &**declarations.host() {
        return Err(NotForgotten::Own);
    }
    if !synced {
        return Err(NotForgotten::NotSynced);
    }
    let found = views(declarations).into_iter().find(|view| view.name == host);
    found.ok_or(NotForgotten::Unknown)
}

/// What takes all entries of some hosts out of all registrations. It raises their counters, so that
/// a backup does not bring the entries back.
pub(super) fn forget<'a>(
    hosts: impl Iterator<Item = &'a Host>,
    recency: &Recency,
    northbound: &Northbound,
) -> Vec<Operation> {
    let (mut operations, mut counters) = (Vec::new(), Vec::new());
    for host in hosts {
        let registrations =
            registered(northbound).filter_map(|id| Some((id, northbound.registration_row(id)?)));
        operations.extend(program::drop_entries(registrations.map(|(id, uuid)| {
            let tags = northbound.registration(id).into_iter();
            let keys = tags.flat_map(|tags| declared::keys_of(tags, host)).map(str::to_owned);
            (uuid, keys.collect())
        })));
        counters.push(recency.forgetting(host, northbound));
    }
    operations.extend(program::set_counters(northbound, &counters));
    operations.extend(program::drop_marks(northbound, counters.iter().map(|it| &*it.host)));
    operations
}
