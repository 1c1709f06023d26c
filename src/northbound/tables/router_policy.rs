//! `Logical_Router_Policy`: router policies.

use super::spec::{Ours, TableSpec};
use super::{LOGICAL_ROUTER, logical_router};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// 0 to 32767; OVN applies the highest that matches.
    PRIORITY = "priority";
    /// An OVN expression; OVN silently ignores one that does not parse.
    MATCH = "match";
    /// `allow`, `drop` or `reroute` (newer: `jump`).
    ACTION = "action";
    /// Next hop of a reroute (deprecated by `nexthops`).
    NEXTHOP = "nexthop";
    /// Next hops of a reroute.
    NEXTHOPS = "nexthops";
    /// `pkt_mark` among others.
    OPTIONS = "options";
    /// The chain of the policy. It takes effect only after a `jump` to that chain; OVN 24.09 and
    /// later.
    CHAIN = "chain";
    /// The target of a `jump`; OVN 24.09 and later.
    JUMP_CHAIN = "jump_chain";
    /// The router port by which a reroute sends; OVN 26.03 and later.
    OUTPUT_PORT = "output_port";
    /// The BFD sessions that control the next hops; OVN 24.03 and later.
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
        let hops: String = row.get(NEXTHOPS).strings().map(|hop| format!(" to {hop}")).collect();
        format!("{priority} {}{hops} {}", row.get(ACTION).string(), row.get(MATCH).string())
    },
};
