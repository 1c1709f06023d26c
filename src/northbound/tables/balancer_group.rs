//! `Load_Balancer_Group`: balancers that routers and switches refer to together. All groups are
//! somebody else's.

use super::spec::TableSpec;
use crate::ovsdb::Wanted;

columns! {
    /// Weak references to `Load_Balancer`.
    LOAD_BALANCER = "load_balancer";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Load_Balancer_Group", columns: COLUMNS, condition: None },
    parent: None,
    ours: None,
    summary: |_| String::new(),
};
