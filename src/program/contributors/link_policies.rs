//! The router policies of a link: they make the peering non-transitive, and drop forged sources.

use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{Sources, priority};

use super::super::matches::{Addresses, any, between, inport};
use super::contributor::{Unit, Wants};
use super::link_side::LinkSide;

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    for side in LinkSide::both(link) {
        let policy = |priority, text: String, action| {
            side.row(ROUTER_POLICY, wants).policy(priority, text, action)
        };
        let port = [side.port.as_str()];
        let mut rows = Vec::new();
        // Traffic filters have policies of their own instead (`link_traffic`).
        if link.traffic.is_none() {
            rows.push(policy(priority::ALLOW, exchanged(&side, &port), "allow"));
            // Traffic between the two networks over links of other tools: if these links have
            // routes, too, OVN balances over both, so packets at their ports are not forged. Only
            // this traffic is allowed there.
            let beside: Vec<&str> = side.local.beside.iter().map(AsRef::as_ref).collect();
            if !beside.is_empty() {
                rows.push(policy(priority::PASS, exchanged(&side, &beside), "allow"));
            }
        }
        let last = if link.takes_all(side.end) { priority::GATEWAY_DROP } else { priority::DROP };
        rows.push(policy(last, inport(port), "drop"));
        let spoofed = Sources::of(&side.remote.prefixes);
        rows.push(policy(priority::SPOOF, spoofed.to_string(), "drop"));
        wants.rows.append(&mut rows);
    }
}

/// Traffic between the two networks, as it enters at ports of the router.
fn exchanged(side: &LinkSide<'_>, ports: &[&str]) -> String {
    let way = |family, from, to| {
        between(family, &Addresses::from(from, family), &Addresses::of(to, family))
    };
    // The reverse direction is for the router's own replies: in OVN they have the inport of the
    // request.
    let both_ways =
        |family| [way(family, side.remote, side.local), way(family, side.local, side.remote)];
    let allowed: Vec<String> = side.families().flat_map(both_ways).collect();
    [&inport(ports.iter().copied()), " && (", &any(&allowed), ")"].concat()
}
