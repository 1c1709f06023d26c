//! The addresses that a router gives to the packets which leave it.

use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::tables::{ADDRESS_SET, NAT, logical_router, nat};
use crate::ovsdb::Row;

use super::packet::{Packet, is_within};
use super::router::{Port, Router, nets};
use super::truth::Truth;

/// A translation of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The row.
    pub row: Uuid,
    /// `snat` or `dnat_and_snat`.
    pub kind: String,
    /// The sources that it is for.
    pub from: IpNet,
    /// The address that replaces them.
    pub to: IpAddr,
    /// Whether it certainly applies.
    pub applies: Truth,
}

/// The translations of which one applies to a packet that leaves by a port; `None` stands for none.
/// A gateway router translates on every port, others on their gateway ports.
pub(super) fn translations(
    router: &Router<'_>,
    out: &Port<'_>,
    packet: &Packet,
) -> Vec<Option<Translated>> {
    if !router.is_gateway() && !out.has_gateway() {
        return vec![None];
    }
    let replica = router.northbound.replica();
    let rows = router.refers_to(logical_router::NAT);
    let rows = rows.filter_map(|uuid| translated(router, (uuid, replica.row(NAT, uuid)?), packet));
    let mut found: Vec<Translated> = rows.collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.from.prefix_len()));
    let mut possible = Vec::new();
    for one in found {
        let certain = one.applies == Truth::Yes;
        possible.push(Some(one));
        if certain {
            return possible;
        }
    }
    possible.push(None);
    possible
}

fn translated(
    router: &Router<'_>,
    (uuid, row): (Uuid, &Row),
    packet: &Packet,
) -> Option<Translated> {
    let logical = row.get(nat::LOGICAL_IP).string();
    let from = match logical.parse::<IpNet>() {
        Ok(net) => net.trunc(),
        Err(_) => IpNet::from(logical.parse::<IpAddr>().ok()?),
    };
    let to: IpAddr = row.get(nat::EXTERNAL_IP).string().parse().ok()?;
    let mut applies = is_within(&packet.source, &from);
    if let Some(set) = row.get(nat::EXEMPTED_EXT_IPS).uuid() {
        // We read only our own sets.
        let exempted = router.northbound.replica().row(ADDRESS_SET, set).map(nets);
        let exempts = exempted.map_or(Truth::Maybe, |nets| {
            let all = nets.iter().map(|net| is_within(&packet.destination, net));
            all.fold(Truth::No, Truth::or)
        });
        applies = applies.and(!exempts);
    }
    let chosen = !row.get(nat::ALLOWED_EXT_IPS).is_empty()
        || !row.get(nat::MATCH).is_blank()
        || row.get(nat::GATEWAY_PORT).uuid().is_some();
    if chosen {
        applies = applies.and(Truth::Maybe);
    }
    let kind = row.get(nat::TYPE).string().to_owned();
    (applies != Truth::No).then_some(Translated { row: uuid, kind, from, to, applies })
}

/// Whether a router has an address for its translations: what goes there becomes something else.
pub(super) fn is_external(router: &Router<'_>, net: &IpNet) -> bool {
    let replica = router.northbound.replica();
    let rows = router.refers_to(logical_router::NAT);
    let mut rows = rows.filter_map(|uuid| replica.row(NAT, uuid));
    rows.any(|row| {
        let external = row.get(nat::EXTERNAL_IP).string().parse::<IpAddr>();
        external.is_ok_and(|external| net.contains(&external))
    })
}
