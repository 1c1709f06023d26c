//! The shape of a contributor: for a unit, it gives desired rows, and fields in rows of others to
//! borrow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::northbound::{Id, UnitId};
use crate::ovsdb::TableId;
use crate::peering::{GuestRoutes, Link, Ready};

use super::super::borrowed::BorrowedField;
use super::super::row::{DesiredRow, Parent};

/// Adds the rows and fields for a unit, if the contributor is for this kind of unit.
pub(super) type Contributor = fn(&Unit<'_>, &mut Wants);

/// A unit, with all facts that its rows are made from.
pub enum Unit<'a> {
    /// A link.
    Link(&'a Link),
    /// A network.
    Network(Network<'a>),
}

/// The facts of a network that rows are made from.
pub struct Network<'a> {
    /// Its identity.
    pub id: Id,
    /// Its router and prefixes, if it has a desired link.
    pub linked: Option<&'a Ready>,
    /// The prefixes that its router reaches over links. A hub has many, so they are computed only
    /// on demand.
    pub remote: &'a dyn Fn() -> BTreeSet<IpNet>,
    /// The routes that it lacks to what lies behind its appliances.
    pub behind: BTreeMap<IpNet, IpAddr>,
    /// The routes for its guests.
    pub guests: &'a GuestRoutes,
}

/// The desired rows and fields of a unit.
#[derive(Debug)]
pub struct Wants {
    unit: Arc<str>,
    /// Rows of ours.
    pub rows: Vec<DesiredRow>,
    /// Fields in rows of others.
    pub borrowed: Vec<BorrowedField>,
}

impl Unit<'_> {
    fn id(&self) -> UnitId {
        match self {
            Self::Link(link) => UnitId::Peering(link.id),
            Self::Network(network) => UnitId::Network(network.id),
        }
    }
}

impl Wants {
    /// Nothing yet.
    pub(super) fn of(unit: &Unit<'_>) -> Self {
        Self { unit: unit.id().tag().into(), rows: Vec::new(), borrowed: Vec::new() }
    }

    /// A row of the unit.
    pub(super) fn row(&self, table: TableId, parent: Option<Parent>) -> DesiredRow {
        DesiredRow::new(table, parent, Arc::clone(&self.unit))
    }
}
