//! What several indexes and facts read of a row: whose it is, its name, where it leads.
//!
//! Owns no row, and knows of no other row: what takes more than one is an index or a fact.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::ovsdb::{ColumnId, Row, TableId, ValueRef};

use super::owner::{self, Id, UNIT_KEY, UnitId};
use super::tables::{Named, router_port, spec, switch_port};

/// The unit that a row serves; none if it is somebody else's. A port's name is ours as its tag is.
pub(super) fn unit_of(table: TableId, row: &Row) -> Option<UnitId> {
    let ours = spec(table)?.ours.as_ref()?;
    let by_name = |named: &Named| (named.ours)(&row.get(named.column).string());
    let by_tag = row.get(ours.tags).get(UNIT_KEY).and_then(|tag| UnitId::parse(&tag));
    by_tag.or_else(|| ours.named.as_ref().and_then(by_name).map(UnitId::Peering))
}

/// The peering of which somebody else's port has a name, though in the other table.
pub(super) fn collides_with(table: TableId, row: &Row) -> Option<Id> {
    let named = spec(table)?.ours.as_ref()?.named.as_ref()?;
    let peering = (named.taken)(&row.get(named.column).string());
    peering.filter(|_| unit_of(table, row).is_none())
}

/// Whether `external_ids` carry our tag, of whichever version.
pub(super) fn is_ours(external_ids: ValueRef<'_>) -> bool {
    external_ids.has_key(UNIT_KEY)
}

/// Whether a router port is ours, by its tag or by its name.
pub(super) fn is_our_port(row: &Row) -> bool {
    let named = || owner::peering_of_link_port(&row.get(router_port::NAME).string()).is_some();
    is_ours(row.get(router_port::EXTERNAL_IDS)) || named()
}

/// Whether a router or a port is up, as it is unless somebody says otherwise.
pub(super) fn is_enabled(row: &Row, column: ColumnId) -> bool {
    row.get(column).boolean() != Some(false)
}

/// What a column of names holds, if the row is there.
pub(super) fn name_of(row: Option<&Row>, column: ColumnId) -> Option<Cow<'_, str>> {
    row.map(|row| row.get(column).string())
}

/// The name of the router port of somebody else that a switch port leads to.
pub(super) fn leads_to(row: &Row) -> Option<Cow<'_, str>> {
    let name = row.get(switch_port::OPTIONS).get("router-port")?;
    owner::peering_of_link_port(&name).is_none().then_some(name)
}

/// A prefix as OVN reads it: a bare address is a host route, host bits are ignored.
pub(super) fn parse_prefix(text: &str) -> Option<IpNet> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc());
    }
    text.parse::<IpAddr>().ok().map(IpNet::from)
}

/// The members that a set lost and gained; costs one walk over both.
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
    // Both are sorted, as every set in the replica is.
    let (old, new) = (members(old), members(new));
    let lost = old.iter().filter(|uuid| new.binary_search(uuid).is_err()).copied().collect();
    let gained = new.iter().filter(|uuid| old.binary_search(uuid).is_err()).copied().collect();
    (lost, gained)
}
