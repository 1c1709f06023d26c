//! The tables and columns that discovery reads, by a list of its own: the daemon's own replica has neither
//! all of them nor the time.

#![expect(unreachable_pub, reason = "columns are defined as those of the daemon's own tables")]

use crate::northbound::tables::columns;
use crate::ovsdb::{Clause, Condition, Constant, Function, TableId, Wanted};

/// The tables and columns.
pub const WANTED: &[Wanted] = &[
    router::TABLE,
    port::TABLE,
    route::TABLE,
    switch::TABLE,
    switch_port::TABLE,
    port_group::TABLE,
];

pub(super) const ROUTERS: TableId = TableId(0);
pub(super) const PORTS: TableId = TableId(1);
pub(super) const ROUTES: TableId = TableId(2);
pub(super) const SWITCHES: TableId = TableId(3);
pub(super) const SWITCH_PORTS: TableId = TableId(4);
pub(super) const PORT_GROUPS: TableId = TableId(5);

pub(super) mod router {
    use super::{Wanted, columns};

    columns! {
        NAME = "name";
        EXTERNAL_IDS = "external_ids";
        PORTS = "ports";
        STATIC_ROUTES = "static_routes";
    }

    pub(super) const TABLE: Wanted =
        Wanted { table: "Logical_Router", columns: COLUMNS, condition: None };
}

pub(super) mod port {
    use super::{Wanted, columns};

    columns! {
        NAME = "name";
        EXTERNAL_IDS = "external_ids";
        MAC = "mac";
        NETWORKS = "networks";
        PEER = "peer";
    }

    pub(super) const TABLE: Wanted =
        Wanted { table: "Logical_Router_Port", columns: COLUMNS, condition: None };
}

pub(super) mod route {
    use super::{Wanted, columns};

    columns! {
        EXTERNAL_IDS = "external_ids";
        IP_PREFIX = "ip_prefix";
        NEXTHOP = "nexthop";
        OUTPUT_PORT = "output_port";
    }

    pub(super) const TABLE: Wanted =
        Wanted { table: "Logical_Router_Static_Route", columns: COLUMNS, condition: None };
}

pub(super) mod switch {
    use super::{Wanted, columns};

    columns! {
        NAME = "name";
        EXTERNAL_IDS = "external_ids";
        PORTS = "ports";
    }

    pub(super) const TABLE: Wanted =
        Wanted { table: "Logical_Switch", columns: COLUMNS, condition: None };
}

pub(super) mod switch_port {
    use super::{Clause, Condition, Constant, Function, Wanted, columns};

    columns! {
        NAME = "name";
        EXTERNAL_IDS = "external_ids";
        TYPE = "type";
        OPTIONS = "options";
    }

    const fn is(kind: &'static str) -> Clause {
        Clause { column: "type", function: Function::Equal, value: Constant::String(kind) }
    }

    const CONDITION: Condition = Condition(&[is("router"), is("localnet")]);

    pub(super) const TABLE: Wanted =
        Wanted { table: "Logical_Switch_Port", columns: COLUMNS, condition: Some(CONDITION) };
}

pub(super) mod port_group {
    use super::{Wanted, columns};

    columns! {
        NAME = "name";
        EXTERNAL_IDS = "external_ids";
    }

    pub(super) const TABLE: Wanted =
        Wanted { table: "Port_Group", columns: COLUMNS, condition: None };
}
