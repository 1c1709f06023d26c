//! The interface of an index: it applies a change, and reports the routers and units that the
//! change concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

use crate::ovsdb::{ColumnId, Replica, Row, TableId};

use super::super::owner::{Id, UnitId};
use super::super::rows::set_difference;
use super::super::tables::children_of;
use super::parents::Parents;
use super::served::Served;

/// What some changes concern.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Routers whose facts may differ, by row.
    pub routers: BTreeSet<Uuid>,
    /// Names that a router gained or lost. The bindings to these names may have another router now.
    pub router_names: BTreeSet<Box<str>>,
    /// Units with a row that was added, changed or removed.
    pub units: BTreeSet<UnitId>,
    /// Halves with another record, or with another declaration of some host: the network's identity
    /// and the half's name.
    pub records: BTreeSet<(Id, Box<str>)>,
    /// Networks with other declarations of hosts than before.
    pub declared: BTreeMap<Id, Differing>,
    /// Whether counters of hosts changed.
    pub counters: bool,
    /// Whether `nb_cfg` or `sb_cfg` changed.
    pub sequence: bool,
    /// Load balancers of others.
    pub balancers: TouchedBalancers,
    /// Switches on which other names are answered, by rows of others.
    pub named: BTreeSet<Uuid>,
}

/// What some changes of load balancers of others concern.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TouchedBalancers {
    /// Those that were added, changed or removed.
    pub rows: BTreeSet<Uuid>,
    /// Names that one of them gained or lost.
    pub names: BTreeSet<Box<str>>,
    /// Virtual addresses that one of them gained or lost.
    pub addresses: BTreeSet<IpAddr>,
}

/// The entries of hosts that differ in a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differing {
    /// All of them: the row was added or removed.
    All,
    /// Those with these keys.
    Keys(BTreeSet<Box<str>>),
}

/// An index of the rows of some tables.
pub(in crate::northbound) trait Index {
    /// Applies a change that the replica has applied, and notes what it concerns.
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>);
}

/// The rows, and the references between them.
#[derive(Clone, Copy, Debug)]
pub(in crate::northbound) struct Rows<'a> {
    pub(in crate::northbound) replica: &'a Replica,
    pub(in crate::northbound) parents: &'a Parents,
}

/// A row that was added, changed or removed.
#[derive(Clone, Copy, Debug)]
pub(in crate::northbound) struct Change<'a> {
    pub(super) table: TableId,
    pub(super) uuid: Uuid,
    pub(super) old: Option<&'a Row>,
    pub(super) new: Option<&'a Row>,
    /// All rows, after all changes.
    pub(super) rows: Rows<'a>,
}

/// The effects of changes.
#[derive(Debug, Default)]
pub(in crate::northbound) struct Effects<'a> {
    pub(super) touched: Touched,
    /// Routers that other indexes find when they have applied the change too.
    pub(super) concerned: Vec<Concerned<'a>>,
    /// Whether this is the first dump: then nobody needs to know what it concerns.
    pub(super) is_first: bool,
}

/// Routers that a change concerns, as the index that noticed it knows them.
#[derive(Debug)]
pub(in crate::northbound) enum Concerned<'a> {
    /// Those with the port of this name.
    Port(&'a str),
    /// Those on this switch, and on switches that are joined to it.
    Switch(Uuid),
    /// Those on switches between availability zones.
    Zones,
    /// Those with a port whose subnet a row of `DHCP_Options` serves.
    Dhcp(Served),
}

impl<'a> Change<'a> {
    /// A column of the row, before and after.
    pub(super) fn map<T>(&self, read: impl Fn(&'a Row) -> T) -> [Option<T>; 2] {
        [self.old.map(&read), self.new.map(&read)]
    }

    /// Whether the row was added or removed.
    pub(super) fn is_whole(&self) -> bool {
        self.old.is_some() != self.new.is_some()
    }

    /// What a column of references lost and gained.
    pub(super) fn difference(&self, column: ColumnId) -> (Vec<Uuid>, Vec<Uuid>) {
        set_difference(self.old, self.new, column)
    }

    /// By column, the rows that this one no longer refers to, and those that it refers to now, with
    /// their table.
    pub(super) fn children(&self) -> impl Iterator<Item = (TableId, Vec<Uuid>, Vec<Uuid>)> {
        children_of(self.table).map(|(column, table)| {
            let (lost, gained) = self.difference(column);
            (table, lost, gained)
        })
    }
}

impl Touched {
    /// Notes that a host's entry differs. Without a key, all entries do.
    pub(super) fn note_declared(&mut self, network: Id, key: Option<&str>) {
        let known = self.declared.entry(network);
        let differing = known.or_insert_with(|| Differing::Keys(BTreeSet::new()));
        match (key, &mut *differing) {
            (Some(key), Differing::Keys(keys)) => drop(keys.insert(key.into())),
            (Some(_), Differing::All) => {}
            (None, _) => *differing = Differing::All,
        }
    }
}

impl<'a> Effects<'a> {
    pub(super) fn touch_port(&mut self, name: &'a str) {
        self.concerned.push(Concerned::Port(name));
    }

    pub(super) fn touch_switch(&mut self, switch: Uuid) {
        self.concerned.push(Concerned::Switch(switch));
    }
}
