//! A network's own guard: its prefixes are not believed when they come from outside.

use crate::northbound::owner::{Id, address_set_name};
use crate::northbound::tables::{ROUTER_POLICY, router_policy};
use crate::northbound::{Family, UnitId};
use crate::peering::Ready;

use super::link::SPOOF_PRIORITY;
use super::matches::{Addresses, any, inport, source};
use super::row::{DesiredRow, RouterRow};

/// The policy on the uplinks of a network that has a peering; none without an uplink.
#[must_use]
pub fn guard_rows(network: Id, ready: &Ready) -> Vec<DesiredRow> {
    let router = &ready.router;
    if router.uplinks.is_empty() {
        return Vec::new();
    }
    let has = |family: &Family| ready.prefixes.iter().any(|prefix| Family::of(prefix) == *family);
    let sources: Vec<String> = Family::BOTH
        .into_iter()
        .filter(has)
        .map(|family| source(family, &Addresses::Set(address_set_name(network, family))))
        .collect();
    let uplinks = inport(router.uplinks.iter().map(AsRef::as_ref));
    let on = RouterRow { uuid: router.uuid, name: router.name.clone() };
    let label = ready.network.key.to_string();
    vec![
        DesiredRow::new(ROUTER_POLICY, Some(on), UnitId::Network(network), &label)
            .set(router_policy::PRIORITY, SPOOF_PRIORITY)
            .set(router_policy::MATCH, format!("{uplinks} && ({})", any(&sources)))
            .set(router_policy::ACTION, "drop"),
    ]
}
