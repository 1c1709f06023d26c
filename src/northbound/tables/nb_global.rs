//! `NB_Global`: one row, with the configuration sequence numbers.

use super::spec::TableSpec;
use crate::ovsdb::Wanted;

columns! {
    /// Clients increment it to learn when ovn-northd has acted on their changes.
    NB_CFG = "nb_cfg";
    /// The last `nb_cfg` that ovn-northd has acted on.
    SB_CFG = "sb_cfg";
    /// `ic-route-adv` among others.
    OPTIONS = "options";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "NB_Global", columns: COLUMNS, condition: None },
    parent: None,
    ours: None,
    summary: |_| String::new(),
};
