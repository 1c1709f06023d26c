//! The routes of a network to what lies behind its appliances, where its owner has none: OVN drops
//! what no route leads to before it looks at policies.

use crate::northbound::tables::{STATIC_ROUTE, static_route};

use super::super::row::{Parent, RouterRow};
use super::contributor::{Unit, Wants};

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Network(network) = unit else { return };
    let Some(ready) = network.linked else { return };
    let router = &ready.router;
    for (prefix, hop) in &network.behind {
        let on = RouterRow { uuid: router.uuid, name: router.name.clone() };
        let row = wants
            .row(STATIC_ROUTE, Some(Parent::Router(on)))
            .set(static_route::IP_PREFIX, prefix.to_string())
            .set(static_route::NEXTHOP, hop.to_string());
        wants.rows.push(row);
    }
}
