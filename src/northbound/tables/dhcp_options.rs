//! `DHCP_Options`: the options that guests of a subnet get by DHCP. All rows are somebody else's.
//! We do not read which switch ports refer to them: that would be a cell of every VM's port.

use super::spec::TableSpec;
use crate::ovsdb::Wanted;

columns! {
    /// Identifies the owner's object that the row belongs to.
    EXTERNAL_IDS = "external_ids";
    /// The subnet.
    CIDR = "cidr";
    /// Options by name.
    OPTIONS = "options";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "DHCP_Options", columns: COLUMNS, condition: None },
    parent: None,
    ours: None,
    summary: |_| String::new(),
};
