//! What a half shows of load balancers: the virtual addresses that guests of its network may use,
//! and which rows are copies for them.

use uuid::Uuid;

use crate::declare::HalfKey;
use crate::northbound::Northbound;
use crate::northbound::tables::{HEALTH_CHECK, LOAD_BALANCER, load_balancer};
use crate::ovsdb::TableId;
use crate::peering::{Balancing, Resolver, end_of};
use crate::view::VirtualAddressView;

/// The load balancers of a half's end.
fn balancing<'a>(resolver: &'a Resolver, half: &HalfKey) -> Option<&'a Balancing> {
    let pair = resolver.pair_of(half)?;
    resolver.link(pair)?.end(end_of(pair, &half.network)).balancing.as_deref()
}

/// The virtual addresses of the other side that guests of a half's network may use.
pub(super) fn virtual_addresses(resolver: &Resolver, half: &HalfKey) -> Vec<VirtualAddressView> {
    let copies = balancing(resolver, half).into_iter().flat_map(|it| &it.copies);
    let of_copies = copies.flat_map(|copy| {
        copy.content.vips.iter().map(|vip| VirtualAddressView {
            address: vip.at.to_string(),
            protocol: vip.at.port.map(|_| copy.content.protocol.unwrap_or("tcp").to_owned()),
            backends: vip.backends.iter().map(|backend| backend.at.to_string()).collect(),
        })
    });
    of_copies.collect()
}

/// Whether a row is a copy for guests of a half's network, or a health check of one.
pub(super) fn is_for(
    half: &HalfKey,
    (table, row): (TableId, Uuid),
    resolver: &Resolver,
    northbound: &Northbound,
) -> bool {
    let copies = || balancing(resolver, half).into_iter().flat_map(|it| &it.copies);
    let named = |row| {
        let row = northbound.replica().row(LOAD_BALANCER, row);
        row.is_some_and(|row| {
            copies().any(|copy| row.get(load_balancer::NAME).is_string(&copy.name))
        })
    };
    match table {
        LOAD_BALANCER => named(row),
        HEALTH_CHECK => northbound.parents_of(row).any(named),
        _ => false,
    }
}
