//! The shape of a contributor: it wants some rows, and fields of others to borrow, for a unit.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::northbound::{Id, UnitId};
use crate::ovsdb::TableId;
use crate::peering::{GuestRoutes, Link, Ready};

use super::super::borrowed::BorrowedField;
use super::super::row::{DesiredRow, Parent};

/// Adds what it wants for a unit, if that is one of those that it is for.
pub(super) type Contributor = fn(&Unit<'_>, &mut Wants);

/// Something that rows stand for, and all that they are made from.
pub enum Unit<'a> {
    /// A link.
    Link(&'a Link),
    /// A network.
    Network(Network<'a>),
}

/// A network, as far as rows are made from it.
pub struct Network<'a> {
    /// Its identity.
    pub id: Id,
    /// Its router and prefixes, if a link of it shall stand.
    pub linked: Option<&'a Ready>,
    /// The prefixes that its router reaches over links. A hub has many: asked only where needed.
    pub remote: &'a dyn Fn() -> BTreeSet<IpNet>,
    /// The routes that its guests shall get.
    pub guests: &'a GuestRoutes,
}

/// What is wanted for a unit.
#[derive(Debug)]
pub struct Wants {
    unit: Arc<str>,
    /// Rows of ours.
    pub rows: Vec<DesiredRow>,
    /// Fields of rows of others.
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
