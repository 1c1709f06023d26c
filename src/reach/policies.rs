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
    let rows = router.refers_to(logical_router::POLICIES);
    let rows = rows.filter_map(|uuid| Some((uuid, replica.row(ROUTER_POLICY, uuid)?)));
    // A policy of a chain takes effect only after a jump there.
    let rows = rows.filter(|(_, row)| row.get(router_policy::CHAIN).is_blank());
    let mut ordered: Vec<(i64, Uuid, &Row)> = rows
        .map(|(uuid, row)| (row.get(router_policy::PRIORITY).integer().unwrap_or(0), uuid, row))
        .collect();
    ordered.sort_unstable_by_key(|(priority, uuid, _)| (std::cmp::Reverse(*priority), *uuid));
    let sets = |name: &str| find_set(router.northbound, name);
    let mut possible = Vec::new();
    for alike in ordered.chunk_by(|one, other| one.0 == other.0) {
        let mut decided = false;
        for (priority, row, cells) in alike {
            let text = cells.get(router_policy::MATCH).string();
            let mut matches = holds(text, place, &sets);
            if matches == Truth::No {
                continue;
            }
            let Some(action) = action(router, cells) else { continue };
            if !cells.get(router_policy::BFD_SESSIONS).is_empty() {
                matches = Truth::Maybe;
            }
            decided |= matches == Truth::Yes;
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
