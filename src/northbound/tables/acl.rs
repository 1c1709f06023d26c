//! `ACL`: we read only our own, in groups of ours. All of them drop, or match nothing, so none can
//! open what an ACL of the switch's owner closes.

use super::spec::{Ours, TAGGED, TableSpec};
use super::{PORT_GROUP, port_group};
use crate::ovsdb::{Condition, Wanted};

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// 0 to 32767; OVN applies the highest that matches.
    PRIORITY = "priority";
    /// `to-lport` or `from-lport`.
    DIRECTION = "direction";
    /// An OVN expression; OVN silently ignores one that does not parse.
    MATCH = "match";
    /// `allow-related`, `drop` and others.
    ACTION = "action";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "ACL", columns: COLUMNS, condition: Some(Condition(&[TAGGED])) },
    parent: Some((PORT_GROUP, port_group::ACLS)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[PRIORITY],
        distinction: Some(MATCH),
        named: None,
        // An owner who wants to see or to sort what we drop may set them.
        unread: &[
            "label",
            "log",
            "meter",
            "name",
            "network_function_group",
            "options",
            "sample_est",
            "sample_new",
            "severity",
            "tier",
        ],
    }),
    summary: |row| {
        let priority = row.get(PRIORITY).integer().unwrap_or_default();
        format!("{priority} {} {}", row.get(ACTION).string(), row.get(MATCH).string())
    },
};
