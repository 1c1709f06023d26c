//! `Port_Group`: we read only our own, which bring the guard of a `stateful` half to the switches of
//! its network.

use super::super::owner;
use super::spec::{Named, Ours, TAGGED, TableSpec, joined};
use crate::ovsdb::{Condition, Wanted};

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// Unique in the northbound.
    NAME = "name";
    /// Weak references to `Logical_Switch_Port`: each brings the group's ACLs to its whole switch.
    PORTS = "ports";
    /// Strong references to `ACL`.
    ACLS = "acls";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Port_Group", columns: COLUMNS, condition: Some(Condition(&[TAGGED])) },
    parent: None,
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[NAME],
        distinction: None,
        named: Some(Named { column: NAME, ours: owner::peering_of_guard, taken: |_| None }),
        unread: &[],
    }),
    summary: |row| format!("{} of {}", row.get(NAME).string(), joined(row, PORTS)),
};
