//! The parts of a row that several indexes and facts read: its owner, its name, the port at its
//! other end.
//!
//! Each function reads one row. Code that needs several rows is an index or a fact.

use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::ovsdb::{ColumnId, Row, TableId, ValueRef};

use super::owner::{self, Id, UNIT_KEY, UnitId};
use super::tables::{Named, router_port, spec, switch_port};

/// The unit that a row belongs to; none if it is somebody else's. A port's name marks it as ours,
/// as its tag does.
pub(super) fn unit_of(table: TableId, row: &Row) -> Option<UnitId> {
    let ours = spec(table)?.ours.as_ref()?;
    let by_name = |named: &Named| (named.ours)(row.get(named.column).string());
    let by_tag = row.get(ours.tags).get(UNIT_KEY).and_then(UnitId::parse);
    by_tag.or_else(|| ours.named.as_ref().and_then(by_name).map(UnitId::Peering))
}

/// The peering that has a port of the same name in the other table, if this port is somebody
/// else's.
pub(super) fn collides_with(table: TableId, row: &Row) -> Option<Id> {
    let named = spec(table)?.ours.as_ref()?.named.as_ref()?;
    let peering = (named.taken)(row.get(named.column).string());
    peering.filter(|_| unit_of(table, row).is_none())
}

/// Whether `external_ids` have our tag, of any version.
pub(super) fn is_ours(external_ids: ValueRef<'_>) -> bool {
    external_ids.has_key(UNIT_KEY)
}

/// Whether a router port is ours, by its tag or by its name.
pub(super) fn is_our_port(row: &Row) -> bool {
    let named = || owner::peering_of_link_port(row.get(router_port::NAME).string()).is_some();
    is_ours(row.get(router_port::EXTERNAL_IDS)) || named()
}

/// Whether a router or a port is enabled; unset means enabled.
pub(super) fn is_enabled(row: &Row, column: ColumnId) -> bool {
    row.get(column).boolean() != Some(false)
}

/// The content of a column of names, if there is a row.
pub(super) fn name_of(row: Option<&Row>, column: ColumnId) -> Option<&str> {
    row.map(|row| row.get(column).string())
}

/// The name of the router port that a switch port leads to, if that port is somebody else's.
pub(super) fn leads_to(row: &Row) -> Option<&str> {
    let name = row.get(switch_port::OPTIONS).get("router-port")?;
    owner::peering_of_link_port(name).is_none().then_some(name)
}

/// A prefix as OVN parses it: a bare address is a host route, and host bits are ignored.
pub(super) fn parse_prefix(text: &str) -> Option<IpNet> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc());
    }
    text.parse::<IpAddr>().ok().map(IpNet::from)
}

/// The members that a set lost and gained.
pub(super) fn set_difference(
    old: Option<&Row>,
    new: Option<&Row>,
    column: ColumnId,
) -> (Vec<Uuid>, Vec<Uuid>) {
    let members = |row: Option<&Row>| -> Vec<Uuid> {
        row.map(|row| row.get(column).uuids().collect()).unwrap_or_default()
    };
    let same = match (old, new) {
        (Some(old), Some(new)) => old.get(column) == new.get(column),
        _ => false,
    };
    if same {
        return (Vec::new(), Vec::new());
    }
    // Both are sorted, like every set in the replica.
    let (old, new) = (members(old), members(new));
    let lost = old.iter().filter(|uuid| new.binary_search(uuid).is_err()).copied().collect();
    let gained = new.iter().filter(|uuid| old.binary_search(uuid).is_err()).copied().collect();
    (lost, gained)
}
