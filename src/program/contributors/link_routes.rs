//! The static routes over a link: one for each prefix of the other side, in each route table.

use ipnet::IpNet;

use crate::northbound::Family;
use crate::northbound::tables::{STATIC_ROUTE, static_route};

use super::super::row::DesiredRow;
use super::contributor::{Unit, Wants};
use super::link_side::LinkSide;

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    for side in LinkSide::both(link) {
        for (table, prefix) in side.local.routes_to(side.remote) {
            let row = route(&side, table, &prefix, wants);
            wants.rows.extend(row);
        }
    }
}

pub(super) fn route(
    side: &LinkSide<'_>,
    table: &str,
    prefix: &IpNet,
    wants: &Wants,
) -> Option<DesiredRow> {
    let nexthop = side.remote.address(Family::of(prefix))?;
    let row = side
        .row(STATIC_ROUTE, wants)
        .set(static_route::IP_PREFIX, prefix.to_string())
        .set(static_route::NEXTHOP, nexthop.to_string())
        // Without it OVN cannot resolve a next hop outside of connected networks.
        .set(static_route::OUTPUT_PORT, side.port.as_str());
    Some(if table.is_empty() { row } else { row.set(static_route::ROUTE_TABLE, table) })
}
