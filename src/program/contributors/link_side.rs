//! A link, seen from one of its routers: what the contributors of links share.

use crate::northbound::owner::link_port_name;
use crate::northbound::{End, Family};
use crate::ovsdb::TableId;
use crate::peering::{Link, LinkEnd};

use super::super::row::{DesiredRow, Parent, RouterRow};
use super::contributor::Wants;

/// A link, seen from one of its routers.
pub(super) struct LinkSide<'a> {
    pub(super) link: &'a Link,
    pub(super) end: End,
    /// The name of its port there.
    pub(super) port: String,
    pub(super) local: &'a LinkEnd,
    pub(super) remote: &'a LinkEnd,
}

impl<'a> LinkSide<'a> {
    /// Both sides.
    pub(super) fn both(link: &'a Link) -> [Self; 2] {
        End::BOTH.map(|end| {
            let (local, remote) = (link.end(end), link.end(end.other()));
            Self { link, end, port: link_port_name(link.id, end), local, remote }
        })
    }

    /// A row on the router.
    pub(super) fn row(&self, table: TableId, wants: &Wants) -> DesiredRow {
        let router = RouterRow { uuid: self.local.router, name: self.local.router_name.clone() };
        wants.row(table, Some(Parent::Router(router)))
    }

    /// The families that are linked.
    pub(super) fn families(&self) -> impl Iterator<Item = Family> {
        Family::BOTH.into_iter().filter(|family| self.local.address(*family).is_some())
    }
}
