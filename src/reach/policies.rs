//! The router policies that decide on a packet: those of the highest priority that match it.

use std::net::IpAddr;

use uuid::Uuid;

use crate::northbound::tables::{ROUTER_POLICY, logical_router, router_policy};
use crate::ovsdb::Row;

use super::matching::{Place, holds, is_readable};
use super::router::{Router, find_set};
use super::truth::Truth;

/// A router policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The row.
    pub row: Uuid,
    /// Its priority.
    pub priority: i64,
    /// What it does.
    pub action: Action,
    /// Its match, as written.
    pub text: String,
    /// Whether it certainly matches.
    pub matches: Truth,
    /// Whether its match can be read to its end: then it matches a part of the packets.
    pub is_read: bool,
}

/// What a policy does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The packet goes on.
    Allow,
    /// It ends here.
    Drop,
    /// It goes on to one of these next hops.
    Reroute(Vec<IpAddr>),
    /// It goes to a chain of other policies (OVN 25.03 and later), which are not followed.
    Jump,
}

/// The policies of which one decides on a packet: several if OVN may apply either, or if it is not
/// known which of them match. `None` stands for no policy: the packet goes on.
pub(super) fn decisions(router: &Router<'_>, place: &Place<'_>) -> Vec<Option<Policy>> {
    let replica = router.northbound.replica();
    let sets = |name: &str| find_set(router.northbound, name);
    let rows = router.refers_to(logical_router::POLICIES);
    // A hub has thousands, of which a packet meets a few: nothing else is read of the others.
    let mut met: Vec<(i64, Uuid, &Row, Truth)> = rows
        .filter_map(|uuid| {
            let row = replica.row(ROUTER_POLICY, uuid)?;
            let matches = holds(row.get(router_policy::MATCH).string(), place, &sets);
            // A policy of a chain takes effect only after a jump there.
            if matches == Truth::No || !row.get(router_policy::CHAIN).is_blank() {
                return None;
            }
            let priority = row.get(router_policy::PRIORITY).integer().unwrap_or(0);
            Some((priority, uuid, row, matches))
        })
        .collect();
    met.sort_unstable_by_key(|(priority, uuid, _, _)| (std::cmp::Reverse(*priority), *uuid));
    let mut possible = Vec::new();
    for alike in met.chunk_by(|one, other| one.0 == other.0) {
        let mut decided = false;
        for (priority, row, cells, matches) in alike {
            let Some(action) = action(router, cells) else { continue };
            let has_sessions = !cells.get(router_policy::BFD_SESSIONS).is_empty();
            let matches = if has_sessions { Truth::Maybe } else { *matches };
            decided |= matches == Truth::Yes;
            let text = cells.get(router_policy::MATCH).string();
            let is_read = matches == Truth::Yes || is_readable(text, place, &sets);
            possible.push(Some(Policy {
                row: *row,
                priority: *priority,
                action,
                text: text.to_owned(),
                matches,
                is_read,
            }));
        }
        if decided {
            return possible;
        }
    }
    possible.push(None);
    possible
}

/// What a policy does; `None` of one that ovn-northd leaves out.
fn action(router: &Router<'_>, row: &Row) -> Option<Action> {
    match row.get(router_policy::ACTION).string() {
        "allow" => Some(Action::Allow),
        "drop" => Some(Action::Drop),
        "reroute" => {
            let mut hops: Vec<IpAddr> = row
                .get(router_policy::NEXTHOPS)
                .strings()
                .filter_map(|it| it.parse().ok())
                .collect();
            if hops.is_empty() {
                hops.extend(row.get(router_policy::NEXTHOP).string().parse::<IpAddr>().ok());
            }
            hops.retain(|hop| router.port_towards(*hop).is_some());
            (!hops.is_empty()).then_some(Action::Reroute(hops))
        }
        _ => Some(Action::Jump),
    }
}
