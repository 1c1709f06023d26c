//! `Logical_Router_Static_Route`: static routes.

use super::spec::{Ours, TableSpec};
use super::{LOGICAL_ROUTER, logical_router};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// The prefix that it matches.
    IP_PREFIX = "ip_prefix";
    /// An address, or `discard`.
    NEXTHOP = "nexthop";
    /// The router port by which it sends.
    OUTPUT_PORT = "output_port";
    /// `dst-ip`, the default, or `src-ip`.
    POLICY = "policy";
    /// The route table; empty for the main one.
    ROUTE_TABLE = "route_table";
    /// The BFD session that controls the route.
    BFD = "bfd";
    /// `ecmp_symmetric_reply` among others.
    OPTIONS = "options";
    /// The fields by which OVN balances packets over several routes of one prefix; OVN 24.09 and
    /// later.
    SELECTION_FIELDS = "selection_fields";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Logical_Router_Static_Route", columns: COLUMNS, condition: None },
    parent: Some((LOGICAL_ROUTER, logical_router::STATIC_ROUTES)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[ROUTE_TABLE, IP_PREFIX],
        distinction: None,
        named: None,
        unread: &[],
    }),
    summary: |row| {
        let text = |column| row.get(column).string();
        let table = text(ROUTE_TABLE);
        let table = if table.is_empty() { String::new() } else { format!(" in table {table}") };
        let port = text(OUTPUT_PORT);
        let port = if port.is_empty() { String::new() } else { format!(" out of {port}") };
        format!("{} via {}{port}{table}", text(IP_PREFIX), text(NEXTHOP))
    },
};
