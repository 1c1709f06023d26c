//! The rows for the use of one side's gateway by the other side: what may leave by its uplinks, and
//! with which addresses; the routes of the user, and what it takes from the outside.
//!
//! The outside is no third network: what has a source of either network, or of another peer of the
//! user, is not taken from there.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::northbound::owner::inside_set_name;
use crate::northbound::tables::{ADDRESS_SET, NAT, ROUTER_POLICY, address_set, nat};
use crate::northbound::{Family, Sources, priority};
use crate::ovsdb::Datum;
use crate::peering::{Gateway, TranslatedSource};

use super::super::matches::{Addresses, any, between, from, inport, outport, to};
use super::super::row::DesiredRow;
use super::contributor::{Unit, Wants};
use super::link_routes::route;
use super::link_side::LinkSide;

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    let Some(gateway) = link.gateway.as_deref() else { return };
    for side in LinkSide::both(link) {
        let mut rows = if side.end == gateway.user {
            at_user(&side, gateway, wants)
        } else {
            at_provider(&side, gateway, wants)
        };
        wants.rows.append(&mut rows);
    }
}

/// What the other side may send out of the uplinks.
fn at_provider(side: &LinkSide<'_>, gateway: &Gateway, wants: &Wants) -> Vec<DesiredRow> {
    let sources = |family| Addresses::from(side.remote, family);
    let allowed: Vec<String> = side
        .families()
        .filter_map(|family| match &gateway.listed {
            None => Some(from(family, &sources(family))),
            Some(listed) => {
                let listed = here(listed, family)?;
                Some(between(family, &sources(family), &listed))
            }
        })
        .collect();
    let (inward, outward) =
        (inport([side.port.as_str()]), outport(gateway.uplinks.iter().map(AsRef::as_ref)));
    let text = format!("{inward} && {outward} && ({})", any(&allowed));
    let mut rows =
        vec![side.row(ROUTER_POLICY, wants).policy(priority::GATEWAY_OUT, text, "allow")];
    for family in Family::BOTH {
        let of_family = |prefix: &&IpNet| Family::of(prefix) == family;
        if !gateway.nat.iter().any(|nat| of_family(&&nat.sources)) {
            continue;
        }
        let Some(exempted) = &gateway.exempted else { continue };
        // What is chained leaves by no uplink, and the other peer takes it from its true source alone.
        let inside: BTreeSet<IpNet> =
            exempted.iter().copied().chain(side.link.reached(gateway.user)).collect();
        let prefixes = inside.iter().filter(of_family).map(ToString::to_string);
        let set = wants
            .row(ADDRESS_SET, None)
            .set(address_set::NAME, inside_set_name(side.link.id, family))
            .set(address_set::ADDRESSES, Datum::strings(prefixes));
        rows.push(set);
    }
    rows.extend(gateway.nat.iter().map(|nat| translation(side, gateway, nat, wants)));
    rows
}

fn translation(
    side: &LinkSide<'_>,
    gateway: &Gateway,
    translated: &TranslatedSource,
    wants: &Wants,
) -> DesiredRow {
    let TranslatedSource { sources, external, gateway_port } = translated;
    let mut row = side
        .row(NAT, wants)
        .set(nat::TYPE, "snat")
        .set(nat::LOGICAL_IP, sources.to_string())
        .set(nat::EXTERNAL_IP, external.to_string());
    if let Some(port) = gateway_port {
        row = row.set(nat::GATEWAY_PORT, Datum::Uuid(*port));
    }
    if gateway.exempted.is_some() {
        // The name of a set of the same unit: the comparison finds its row.
        let set = inside_set_name(side.link.id, Family::of(sources));
        row = row.set(nat::EXEMPTED_EXT_IPS, Datum::NamedUuid(set));
    }
    row
}

/// The routes to the gateway, and what comes back from there.
fn at_user(side: &LinkSide<'_>, gateway: &Gateway, wants: &Wants) -> Vec<DesiredRow> {
    let default = |family| match family {
        Family::Ip4 => IpNet::V4(Ipv4Net::default()),
        Family::Ip6 => IpNet::V6(Ipv6Net::default()),
    };
    let destinations: Vec<IpNet> = match &gateway.listed {
        None => side.families().map(default).collect(),
        Some(listed) => listed.to_vec(),
    };
    let mut rows: Vec<DesiredRow> = Vec::new();
    for table in gateway.tables.iter() {
        rows.extend(destinations.iter().filter_map(|it| route(side, table, it, wants)));
    }
    let inward = inport([side.port.as_str()]);
    let mut policy = |priority, text: String, action| {
        rows.push(side.row(ROUTER_POLICY, wants).policy(priority, text, action));
    };
    let own = |family| Addresses::of(side.local, family);
    let router = |family| Addresses::from(side.local, family);
    if let Some(listed) = &gateway.listed {
        let terms = side.families().filter_map(|family| {
            let listed = here(listed, family)?;
            // The reverse is for the router's own replies, which have the inport of the request.
            let there = between(family, &router(family), &listed);
            Some([between(family, &listed, &own(family)), there])
        });
        let terms: Vec<String> = terms.flatten().collect();
        policy(priority::GATEWAY_LISTED, format!("{inward} && ({})", any(&terms)), "allow");
        return rows;
    }
    let replies: Vec<String> = side.families().map(|it| from(it, &router(it))).collect();
    let back = outport([side.port.as_str()]);
    policy(
        priority::GATEWAY_REPLIES,
        format!("{inward} && {back} && ({})", any(&replies)),
        "allow",
    );
    let sources = Sources::of(&gateway.never_outside);
    policy(priority::GATEWAY_OWN, format!("{inward} && ({sources})"), "drop");
    let taken: Vec<String> = side.families().map(|it| to(it, &own(it))).collect();
    policy(priority::GATEWAY_IN, format!("{inward} && ({})", any(&taken)), "allow");
    rows
}

/// The listed prefixes of a family, if there are any.
fn here(listed: &[IpNet], family: Family) -> Option<Addresses> {
    let any = listed.iter().any(|prefix| Family::of(prefix) == family);
    any.then(|| Addresses::listed(family, listed))
}
