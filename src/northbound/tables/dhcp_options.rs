//! `DHCP_Options`: what guests of a subnet are told by DHCP. All of these rows are somebody else's.
//! Which of them a switch port refers to is not asked: that would be a cell of every VM's port.

use super::spec::TableSpec;
use crate::ovsdb::Wanted;

columns! {
    /// Whose row it is, as its owner tells.
    EXTERNAL_IDS = "external_ids";
    /// The subnet.
    CIDR = "cidr";
    /// Options by their names.
    OPTIONS = "options";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "DHCP_Options", columns: COLUMNS, condition: None },
    parent: None,
    ours: None,
    summary: |_| String::new(),
};
