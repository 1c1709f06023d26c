//! The rows for chains through an appliance: what leads a peer's packets to it, and from it to the
//! other peer.
//!
//! On the router of the appliance a policy sends what a peer has for the other one to the appliance,
//! and another one lets it come back from there. Without the appliance nothing passes: no policy
//! allows the direct way. Everything is listed, and no Address_Set is used: what is chained follows
//! three declarations.

use crate::northbound::tables::{ROUTER_POLICY, router_policy};
use crate::northbound::{Family, priority};
use crate::ovsdb::Datum;
use crate::peering::Chain;

use super::super::matches::{Addresses, any, between, inport};
use super::super::row::DesiredRow;
use super::contributor::{Unit, Wants};
use super::link_routes::route;
use super::link_side::LinkSide;

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    if link.through.is_none() {
        return;
    }
    for side in LinkSide::both(link) {
        let mut rows = Vec::new();
        for chain in link.chains_from(side.end) {
            rows.push(at_peer(&side, chain, wants));
        }
        let routes = link.reached_by_table(side.end);
        rows.extend(routes.filter_map(|(table, to)| route(&side, table, &to, wants)));
        for chain in link.chains_from(side.end.other()) {
            rows.extend(to_appliance(&side, chain, wants));
            rows.extend(from_appliance(&side, chain, wants));
        }
        wants.rows.append(&mut rows);
    }
}

/// The families of a chain, with the addresses of both its sides.
fn families(chain: &Chain) -> impl Iterator<Item = (Family, Addresses, Addresses)> {
    Family::BOTH.into_iter().filter(|family| chain.hop(*family).is_some()).map(|family| {
        let [here, there] = [&chain.here, &chain.there].map(|it| Addresses::listed(family, it));
        (family, here, there)
    })
}

/// What the peer takes.
fn at_peer(side: &LinkSide<'_>, chain: &Chain, wants: &Wants) -> DesiredRow {
    let terms = families(chain).flat_map(|(family, here, there)| {
        // The reverse is for the router's own replies, which have the inport of the request.
        [between(family, &there, &here), between(family, &here, &there)]
    });
    let terms: Vec<String> = terms.collect();
    let text = format!("{} && ({})", inport([side.port.as_str()]), any(&terms));
    side.row(ROUTER_POLICY, wants).policy(priority::THROUGH, text, "allow")
}

/// What comes from the peer, to the appliance.
fn to_appliance(side: &LinkSide<'_>, chain: &Chain, wants: &Wants) -> Vec<DesiredRow> {
    let rows = families(chain).filter_map(|(family, here, there)| {
        let priority = match family {
            Family::Ip4 => priority::TO_APPLIANCE_IP4,
            Family::Ip6 => priority::TO_APPLIANCE_IP6,
        };
        let way = between(family, &here, &there);
        let text = format!("{} && {way}", inport([side.port.as_str()]));
        let hop = chain.hop(family)?.address.to_string();
        let row = side.row(ROUTER_POLICY, wants).policy(priority, text, "reroute");
        Some(of_chain(row.set(router_policy::NEXTHOPS, Datum::strings([hop])), chain))
    });
    rows.collect()
}

/// The same on its way from the appliance: sources of a peer are dropped at all other ports. What
/// lies behind the appliance is no peer's.
fn from_appliance(side: &LinkSide<'_>, chain: &Chain, wants: &Wants) -> Option<DesiredRow> {
    chain.other.as_ref()?;
    let terms = families(chain).filter_map(|(family, here, there)| {
        let port = inport([&*chain.hop(family)?.port]);
        Some(format!("({port} && {})", between(family, &here, &there)))
    });
    let text = any(&terms.collect::<Vec<_>>());
    let row = side.row(ROUTER_POLICY, wants).policy(priority::FROM_APPLIANCE, text, "allow");
    Some(of_chain(row, chain))
}

fn of_chain(mut row: DesiredRow, chain: &Chain) -> DesiredRow {
    row.partner = chain.other.as_ref().map(|(id, _)| id.to_string());
    row
}
