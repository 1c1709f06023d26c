//! The router policies of a link: they make the peering non-transitive, and its sources believable.

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
        let mut rows = vec![policy(priority::ALLOW, exchanged(&side, &port), "allow")];
        // What the two say to each other over links of other tools: where these have routes of
        // their own, OVN shares the traffic out, and what comes over their ports is no forgery. No
        // more than that is let pass.
        let beside: Vec<&str> = side.local.beside.iter().map(AsRef::as_ref).collect();
        if !beside.is_empty() {
            rows.push(policy(priority::PASS, exchanged(&side, &beside), "allow"));
        }
        rows.push(policy(priority::DROP, inport(port), "drop"));
        let spoofed = Sources::of(&side.remote.prefixes);
        rows.push(policy(priority::SPOOF, spoofed.to_string(), "drop"));
        wants.rows.append(&mut rows);
    }
}

/// What the two networks say to each other, as it comes in at ports of the router.
fn exchanged(side: &LinkSide<'_>, ports: &[&str]) -> String {
    let way = |family, from, to| {
        between(family, &Addresses::from(from, family), &Addresses::of(to, family))
    };
    // The way back is for the router's own replies: they leave as if they had come in where the
    // request did.
    let both_ways =
        |family| [way(family, side.remote, side.local), way(family, side.local, side.remote)];
    let allowed: Vec<String> = side.families().flat_map(both_ways).collect();
    [&inport(ports.iter().copied()), " && (", &any(&allowed), ")"].concat()
}
