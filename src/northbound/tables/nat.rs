//! `NAT`: the rows that translate sources. Ours are for networks that use the router as a gateway.

use super::spec::{Ours, TAGGED, TableSpec};
use super::{LOGICAL_ROUTER, logical_router};
use crate::ovsdb::{Clause, Condition, Constant, Function, Wanted};

columns! {
    /// `snat` or `dnat_and_snat`.
    TYPE = "type";
    /// The sources: an address or a prefix.
    LOGICAL_IP = "logical_ip";
    /// The address that replaces them.
    EXTERNAL_IP = "external_ip";
    /// If set, only packets to this Address_Set are translated; OVN 20.03 and later.
    ALLOWED_EXT_IPS = "allowed_ext_ips";
    /// If set, packets to this Address_Set are not translated; OVN 20.06 and later.
    EXEMPTED_EXT_IPS = "exempted_ext_ips";
    /// A match that selects the packets to translate; OVN 24.09 and later.
    MATCH = "match";
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// The gateway port that translates, if the router has several; OVN 22.06 and later.
    GATEWAY_PORT = "gateway_port";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted {
        table: "NAT",
        columns: COLUMNS,
        condition: Some(Condition(&[
            TAGGED,
            Clause {
                column: "type",
                function: Function::NotEqual,
                value: Constant::String("dnat"),
            },
        ])),
    },
    parent: Some((LOGICAL_ROUTER, logical_router::NAT)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[TYPE, LOGICAL_IP],
        distinction: None,
        named: None,
        // A cell each of every floating IP.
        unread: &["external_mac", "external_port_range", "logical_port", "options", "priority"],
    }),
    summary: |row| {
        let text = |column| row.get(column).string();
        format!("{} of {} to {}", text(TYPE), text(LOGICAL_IP), text(EXTERNAL_IP))
    },
};
