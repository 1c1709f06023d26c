//! `Logical_Router`: all routers are somebody else's.

use super::spec::TableSpec;
use crate::ovsdb::Wanted;

columns! {
    /// Not unique in OVN.
    NAME = "name";
    /// Strong references to `Logical_Router_Port`.
    PORTS = "ports";
    /// Strong references to `Logical_Router_Static_Route`.
    STATIC_ROUTES = "static_routes";
    /// Strong references to `Logical_Router_Policy`.
    POLICIES = "policies";
    /// `chassis` makes it a gateway router.
    OPTIONS = "options";
    /// Strong references to `NAT`.
    NAT = "nat";
    /// Administratively enabled; unset means enabled.
    ENABLED = "enabled";
    /// Weak references to `Load_Balancer`.
    LOAD_BALANCER = "load_balancer";
    /// References to `Load_Balancer_Group`; OVN 21.12 and later.
    LOAD_BALANCER_GROUP = "load_balancer_group";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Logical_Router", columns: COLUMNS, condition: None },
    parent: None,
    ours: None,
    summary: |_| String::new(),
};
