//! `Logical_Switch`: for the ports, the balancers and the names of each switch, and for our own switches.

use super::spec::{Ours, TableSpec};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// Strong references to `Logical_Switch_Port`.
    PORTS = "ports";
    /// Not unique in OVN.
    NAME = "name";
    /// Weak references to `Load_Balancer`.
    LOAD_BALANCER = "load_balancer";
    /// References to `Load_Balancer_Group`; OVN 21.12 and later.
    LOAD_BALANCER_GROUP = "load_balancer_group";
    /// Weak references to `DNS`.
    DNS_RECORDS = "dns_records";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Logical_Switch", columns: COLUMNS, condition: None },
    parent: None,
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[],
        distinction: None,
        named: None, // A cell each of every switch of others.
        unread: &["acls", "copp", "forwarding_groups", "other_config", "qos_rules"],
    }),
    summary: |row| row.get(NAME).string().to_owned(),
};
