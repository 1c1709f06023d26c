//! Routers, and the ports, routes and policies on them.
//!
//! Holds the names of routers and of their ports. A row of somebody else on a router is a fact
//! about that router, in whatever table it is.

use uuid::Uuid;

use super::super::rows::{is_enabled, name_of, unit_of};
use super::super::tables::{LOGICAL_ROUTER, ROUTER_PORT, logical_router, router_port, spec};
use super::super::zones;
use super::change::{Change, Effects, Index, Rows};
use super::text::ByText;
use crate::ovsdb::{Replica, Row};

/// Routers and their ports, by name.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct RouterIndex {
    routers: ByText,
    ports: ByText,
}

/// The facts in a router's own row.
#[derive(PartialEq, Eq)]
pub(in crate::northbound) struct OwnFacts<'a> {
    pub(in crate::northbound) gateway: bool,
    pub(in crate::northbound) enabled: bool,
    /// The prefixes that OVN-IC may advertise of it.
    zones: [Option<&'a str>; 2],
}

impl<'a> OwnFacts<'a> {
    pub(in crate::northbound) fn of(row: &'a Row) -> Self {
        Self {
            gateway: row.get(logical_router::OPTIONS).get("chassis").is_some(),
            enabled: is_enabled(row, logical_router::ENABLED),
            zones: zones::own_options(row, logical_router::OPTIONS),
        }
    }
}

impl Index for RouterIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        if change.table == LOGICAL_ROUTER {
            self.router(change, effects);
        }
        if change.table == ROUTER_PORT {
            let names = change.map(|row| row.get(router_port::NAME).string());
            self.ports.update(change.uuid, names);
        }
        if effects.is_first {
            return;
        }
        let parent = spec(change.table).and_then(|spec| spec.parent);
        let foreign = |row| unit_of(change.table, row).is_none();
        if parent.is_some_and(|(table, _)| table == LOGICAL_ROUTER)
            && change.map(foreign).contains(&Some(true))
        {
            effects.touched.routers.extend(change.rows.parents.all(change.uuid));
        }
    }
}

impl RouterIndex {
    fn router(&mut self, change: &Change<'_>, effects: &mut Effects<'_>) {
        let router = change.uuid;
        let names = [change.old, change.new].map(|row| name_of(row, logical_router::NAME));
        let renamed = self.routers.update(router, names);
        if effects.is_first {
            return;
        }
        if renamed {
            let touched = &mut effects.touched;
            touched.router_names.extend(names.into_iter().flatten().map(|name| (*name).into()));
        }
        let [before, after] = change.map(OwnFacts::of);
        // A foreign row that only left this router touches it here. A foreign row that changed
        // itself touches it by the change of that row.
        let concerned = |(table, lost, gained): (_, Vec<Uuid>, Vec<Uuid>)| {
            let row = |uuid| change.rows.replica.row(table, uuid);
            let ours = |uuid| row(uuid).and_then(|row| unit_of(table, row)).is_some();
            !lost.is_empty() || !gained.into_iter().all(ours)
        };
        if renamed || before != after || change.children().any(concerned) {
            effects.touched.routers.insert(router);
        }
    }

    /// The routers of this name. OVN does not keep names unique.
    pub(in crate::northbound) fn named(&self, replica: &Replica, name: &str) -> Vec<Uuid> {
        let routers = self.routers.candidates(name);
        let named = |router: &Uuid| {
            let row = replica.row(LOGICAL_ROUTER, *router);
            row.is_some_and(|row| row.get(logical_router::NAME).is_string(name))
        };
        routers.as_slice().iter().copied().filter(named).collect()
    }

    /// The router port of this name.
    pub(in crate::northbound) fn port(&self, replica: &Replica, name: &str) -> Option<Uuid> {
        let ports = self.ports.candidates(name);
        let named = |port: &Uuid| {
            let row = replica.row(ROUTER_PORT, *port);
            row.is_some_and(|row| row.get(router_port::NAME).is_string(name))
        };
        ports.as_slice().iter().copied().find(named)
    }

    /// The routers with the port of this name.
    pub(in crate::northbound) fn with_port<'a>(
        &self,
        rows: Rows<'a>,
        name: &str,
    ) -> impl Iterator<Item = Uuid> + use<'a> {
        let port = self.port(rows.replica, name);
        port.into_iter().flat_map(move |port| rows.parents.all(port))
    }
}
