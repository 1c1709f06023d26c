//! Links of others whose place a link of ours takes.
//!
//! The only place that deletes rows of others: the two ports of such a link, the switch between them if
//! there is one, and the static routes over it. The same transaction inserts our link. It has a `wait`
//! for each of these rows, and for the routes of both routers, to be as they were read. So if somebody
//! changes them meanwhile, the server refuses all of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::northbound::tables::{
    LOGICAL_ROUTER, LOGICAL_SWITCH, ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT, column_name,
    logical_router, logical_switch, spec, table_name,
};
use crate::northbound::{End, ForeignLinkTo, Id, Northbound, RouterFacts};
use crate::ovsdb::{Atom, ColumnId, Columns, Datum, Operation, TableId, Until, ValueRef, Where};
use crate::view::RowView;

use super::summary::summarise;
use super::words::Served;

/// The rows of links of others that a peering replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The peering.
    pub peering: Id,
    /// The guards: these rows are as they were read.
    pub guards: Vec<Operation>,
    /// Rows to delete, each with the router that refers to it: ports, and routes over them.
    pub of_routers: Vec<(TableId, Uuid, Uuid)>,
    /// Switches to delete, with their ports.
    pub switches: BTreeSet<Uuid>,
}

/// What is to be deleted so that a peering takes the place of links with these ports; `None` without
/// any. `routers` has the facts of its routers; end A is first here and there.
#[must_use]
pub fn replaced(
    peering: Id,
    links: &[[Arc<str>; 2]],
    routers: [&RouterFacts; 2],
    northbound: &Northbound,
) -> Option<Replaced> {
    if links.is_empty() {
        return None;
    }
    let mut replaced =
        Replaced { peering, guards: Vec::new(), of_routers: Vec::new(), switches: BTreeSet::new() };
    for (end, router) in End::BOTH.into_iter().zip(routers) {
        let ports: BTreeSet<&str> =
            links.iter().map(|[a, b]| if end == End::A { &**a } else { &**b }).collect();
        replaced.add(router, &ports, northbound);
    }
    Some(replaced)
}

impl Replaced {
    /// The rows to delete, in words.
    #[must_use]
    pub fn rows(&self, northbound: &Northbound) -> Vec<RowView> {
        let of_routers = self.of_routers.iter().map(|(table, row, _)| (*table, *row));
        let switches = self.switches.iter().map(|row| (LOGICAL_SWITCH, *row));
        let view = |(table, uuid): (TableId, Uuid)| {
            let row = northbound.replica().row(table, uuid)?;
            Some(summarise(table, Some(uuid), row, &Served::default()))
        };
        of_routers.chain(switches).filter_map(view).collect()
    }

    fn add(&mut self, router: &RouterFacts, ports: &BTreeSet<&str>, northbound: &Northbound) {
        let is_over =
            |over: &Option<Arc<str>>| over.as_ref().is_some_and(|it| ports.contains(&**it));
        for link in router.foreign_links.iter().filter(|link| ports.contains(&*link.port)) {
            if let Some(port) = northbound.port_named(&link.port) {
                self.delete(ROUTER_PORT, port, router.uuid, northbound);
            }
            if let ForeignLinkTo::Switch(switch, _) = link.to
                && self.switches.insert(switch)
            {
                self.guard(LOGICAL_SWITCH, switch, northbound);
                let row = northbound.replica().row(LOGICAL_SWITCH, switch);
                let ports = row.into_iter().flat_map(|row| row.get(logical_switch::PORTS).uuids());
                for port in ports.collect::<Vec<_>>() {
                    self.guard(SWITCH_PORT, port, northbound);
                }
            }
        }
        for route in router.routes.iter().filter(|route| is_over(&route.over)) {
            self.delete(STATIC_ROUTE, route.row, router.uuid, northbound);
        }
        // Nobody has added a route over it.
        let columns = [logical_router::STATIC_ROUTES];
        self.wait(LOGICAL_ROUTER, router.uuid, columns.into_iter(), northbound);
    }

    fn delete(&mut self, table: TableId, row: Uuid, router: Uuid, northbound: &Northbound) {
        self.guard(table, row, northbound);
        self.of_routers.push((table, row, router));
    }

    /// A guard for all of a row that we read.
    fn guard(&mut self, table: TableId, row: Uuid, northbound: &Northbound) {
        let count = spec(table).map_or(0, |spec| spec.wanted.columns.len());
        self.wait(table, row, (0..).map(ColumnId).take(count), northbound);
    }

    fn wait(
        &mut self,
        table: TableId,
        uuid: Uuid,
        columns: impl Iterator<Item = ColumnId>,
        northbound: &Northbound,
    ) {
        let replica = northbound.replica();
        let Some(row) = replica.row(table, uuid) else { return };
        let layout = replica.layout();
        let known = columns.filter(|column| layout.has_column(table, *column));
        let cell = |column| {
            let kind = layout.column_type(table, column);
            let is_map = kind.is_some_and(|kind| kind.value.is_some());
            (column_name(table, column), read(row.get(column), is_map))
        };
        let cells: Columns = known.map(cell).collect();
        self.guards.push(Operation::Wait {
            table: table_name(table),
            selection: Where::Uuid(uuid),
            columns: cells.iter().map(|(column, _)| *column).collect(),
            until: Until::Equal,
            rows: vec![cells],
        });
    }
}

/// A cell as it was read.
fn read(value: ValueRef<'_>, is_map: bool) -> Datum {
    if is_map {
        return Datum::map(value.entries());
    }
    let datum = |atom: Atom<&str>| match atom {
        Atom::Integer(integer) => Some(Datum::Integer(integer)),
        Atom::Boolean(boolean) => Some(Datum::Boolean(boolean)),
        Atom::String(text) => Some(Datum::String(text.to_owned())),
        Atom::Uuid(uuid) => Some(Datum::Uuid(uuid)),
        // No column that we read has one.
        Atom::Real(_) => None,
    };
    let mut atoms: Vec<Datum> = value.atoms().filter_map(datum).collect();
    match (atoms.pop(), atoms.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            atoms.extend(last);
            Datum::Set(atoms)
        }
    }
}
