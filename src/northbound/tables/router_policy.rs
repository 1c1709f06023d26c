//! `Logical_Router_Policy`: router policies.

use super::spec::{Ours, TableSpec};
use super::{LOGICAL_ROUTER, logical_router};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// 0 to 32767; the highest that matches applies.
    PRIORITY = "priority";
    /// An OVN expression; one that does not parse is silently absent.
    MATCH = "match";
    /// `allow`, `drop` or `reroute` (newer: `jump`).
    ACTION = "action";
    /// Next hop of a reroute (deprecated by `nexthops`).
    NEXTHOP = "nexthop";
    /// Next hops of a reroute.
    NEXTHOPS = "nexthops";
    /// `pkt_mark` among others.
    OPTIONS = "options";
    /// The chain that it is in, which is looked at where a `jump` leads there; OVN 24.09 and later.
    CHAIN = "chain";
    /// The chain that a `jump` leads to; OVN 24.09 and later.
    JUMP_CHAIN = "jump_chain";
    /// The router port that a reroute sends through; OVN 26.03 and later.
    OUTPUT_PORT = "output_port";
    /// The BFD sessions that gate next hops; OVN 24.03 and later.
    BFD_SESSIONS = "bfd_sessions";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Logical_Router_Policy", columns: COLUMNS, condition: None },
    parent: Some((LOGICAL_ROUTER, logical_router::POLICIES)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[PRIORITY],
        distinction: Some(MATCH),
        named: None,
        unread: &[],
    }),
    summary: |row| {
        let priority = row.get(PRIORITY).integer().unwrap_or_default();
        format!("{priority} {} {}", row.get(ACTION).string(), row.get(MATCH).string())
    },
};
