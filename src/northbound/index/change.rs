//! The shape of an index: a change in, whom it concerns out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::ovsdb::{ColumnId, Replica, Row, TableId};

use super::super::owner::{Id, UnitId};
use super::super::rows::set_difference;
use super::super::tables::children_of;
use super::parents::Parents;
use super::served::Served;

/// What some changes touched.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Routers whose facts may differ, by row.
    pub routers: BTreeSet<Uuid>,
    /// Names that a router gained or lost: what a declaration binds may differ.
    pub router_names: BTreeSet<Box<str>>,
    /// Units of which a row appeared, changed or went.
    pub units: BTreeSet<UnitId>,
    /// Halves whose record changed, or what a host declares of them: the network's identity and the
    /// half's name.
    pub records: BTreeSet<(Id, Box<str>)>,
    /// Networks of which hosts declare something else than before.
    pub declared: BTreeMap<Id, Differing>,
    /// Whether the configuration sequence numbers moved.
    pub sequence: bool,
}

/// Which entries of hosts differ in a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differing {
    /// All of them: its row came or went.
    All,
    /// Those with these keys.
    Keys(BTreeSet<Box<str>>),
}

/// An index over the rows of some tables.
pub(in crate::northbound) trait Index {
    /// Applies a change that the replica has taken, and notes what it touches.
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>);
}

/// The rows, and which of them refer to which.
#[derive(Clone, Copy, Debug)]
pub(in crate::northbound) struct Rows<'a> {
    pub(in crate::northbound) replica: &'a Replica,
    pub(in crate::northbound) parents: &'a Parents,
}

/// A row that came, changed or went.
#[derive(Clone, Copy, Debug)]
pub(in crate::northbound) struct Change<'a> {
    pub(super) table: TableId,
    pub(super) uuid: Uuid,
    pub(super) old: Option<&'a Row>,
    pub(super) new: Option<&'a Row>,
    /// All rows, after all changes.
    pub(super) rows: Rows<'a>,
}

/// What changes touch.
#[derive(Debug, Default)]
pub(in crate::northbound) struct Effects<'a> {
    pub(super) touched: Touched,
    /// Routers that are found by other indexes, once these have taken the change, too.
    pub(super) concerned: Vec<Concerned<'a>>,
    /// Whether all rows are new: then nobody asks what they touch, and it need not be found out.
    pub(super) is_first: bool,
}

/// The routers that a change concerns, as the index knows them that has found it.
#[derive(Debug)]
pub(in crate::northbound) enum Concerned<'a> {
    /// Those with the port of this name.
    Port(Cow<'a, str>),
    /// Those on this switch, and on switches that are joined with it.
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

    /// Whether the row came or went.
    pub(super) fn is_whole(&self) -> bool {
        self.old.is_some() != self.new.is_some()
    }

    /// What a column of references lost and gained.
    pub(super) fn difference(&self, column: ColumnId) -> (Vec<Uuid>, Vec<Uuid>) {
        set_difference(self.old, self.new, column)
    }

    /// By columns, the rows that this one refers to no more, and those that it refers to now, each
    /// with their table.
    pub(super) fn children(&self) -> impl Iterator<Item = (TableId, Vec<Uuid>, Vec<Uuid>)> {
        children_of(self.table).map(|(column, table)| {
            let (lost, gained) = self.difference(column);
            (table, lost, gained)
        })
    }
}

impl Touched {
    /// Notes that a host's entry differs; no key stands for all of them.
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
    pub(super) fn touch_port(&mut self, name: Cow<'a, str>) {
        self.concerned.push(Concerned::Port(name));
    }

    pub(super) fn touch_switch(&mut self, switch: Uuid) {
        self.concerned.push(Concerned::Switch(switch));
    }
}
