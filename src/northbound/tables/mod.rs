//! OVN's northbound as we read it: one declaration per table has everything about that table. The
//! names are those of ovn-nb(5).
//!
//! The position of a table in `tables!` and of a column in its declaration identify them
//! everywhere. If a server's schema lacks a table or a column, it reads as empty. So no other code
//! asks for the version of OVN.

use crate::ovsdb::{ColumnId, DatabaseSchema, TableId, Wanted};

/// Declares the columns of a table, in order: their positions, and their names for the server.
macro_rules! columns {
    ($($(#[$meta:meta])* $column:ident = $name:literal;)*) => {
        #[allow(
            non_camel_case_types,
            clippy::upper_case_acronyms,
            reason = "named as the columns are; only their order counts"
        )]
        enum Position { $($column),* }
        $($(#[$meta])*
        pub const $column: crate::ovsdb::ColumnId = crate::ovsdb::ColumnId(Position::$column as u16);)*
        const COLUMNS: &[&str] = &[$($name),*];
    };
}

pub(crate) use columns;

pub mod acl;
pub mod address_set;
pub mod balancer_group;
pub mod dhcp_options;
pub mod dns;
pub mod health_check;
pub mod load_balancer;
pub mod logical_router;
pub mod logical_switch;
pub mod nat;
pub mod nb_global;
pub mod port_group;
pub mod router_policy;
pub mod router_port;
mod spec;
pub mod static_route;
pub mod switch_port;

pub use spec::{Named, Ours, TableSpec};

/// The database's name.
pub const DATABASE: &str = "OVN_Northbound";

/// The OVSDB lock of the one active instance (RFC 7047 section 4.1.8). It is an `<id>`, so it has
/// no hyphens.
pub const LOCK: &str = "ovn_peerd";

/// Lists the tables, each with the module that declares it, in the order of the first dump.
macro_rules! tables {
    ($($table:ident = $module:ident;)*) => {
        #[expect(
            non_camel_case_types,
            clippy::upper_case_acronyms,
            reason = "named as the tables are; only their order counts"
        )]
        enum Position { $($table),* }
        $(#[doc = concat!("See [`", stringify!($module), "`].")]
        pub const $table: TableId = TableId(Position::$table as u16);)*
        /// The columns that we ask the server for: only those that a rule needs. The choice of
        /// columns matters most for start-up time and memory.
        pub const WANTED: &[Wanted] = &[$($module::TABLE.wanted),*];
        /// The tables, by position.
        const TABLES: &[TableSpec] = &[$($module::TABLE),*];
    };
}

tables! {
    NB_GLOBAL = nb_global;
    ADDRESS_SET = address_set;
    LOAD_BALANCER = load_balancer;
    HEALTH_CHECK = health_check;
    BALANCER_GROUP = balancer_group;
    ROUTER_POLICY = router_policy;
    ROUTER_PORT = router_port;
    LOGICAL_ROUTER = logical_router;
    NAT = nat;
    DHCP_OPTIONS = dhcp_options;
    DNS = dns;
    LOGICAL_SWITCH = logical_switch;
    SWITCH_PORT = switch_port;
    STATIC_ROUTE = static_route;
    PORT_GROUP = port_group;
    ACL = acl;
}

/// The declaration of a table; none if it is not one of these.
#[must_use]
pub fn spec(table: TableId) -> Option<&'static TableSpec> {
    TABLES.get(usize::from(table.0))
}

/// A table's name in the northbound.
#[must_use]
pub fn table_name(table: TableId) -> &'static str {
    spec(table).map_or("", |spec| spec.wanted.table)
}

/// A column's name in the northbound.
#[must_use]
pub fn column_name(table: TableId, column: ColumnId) -> &'static str {
    let columns = spec(table).map(|spec| spec.wanted.columns);
    columns.and_then(|columns| columns.get(usize::from(column.0))).copied().unwrap_or("")
}

/// The columns of a schema, as `Table.column`, that this version does not know, in tables that may
/// have rows of ours. We do not repair what somebody sets there on a row of ours.
#[must_use]
pub fn unknown_columns(schema: &DatabaseSchema) -> Vec<String> {
    let unknown = TABLES.iter().filter_map(|spec| {
        let (ours, wanted) = (spec.ours.as_ref()?, spec.wanted);
        let columns = schema.tables.get(wanted.table)?.columns.keys();
        let is_known = |name: &str| wanted.columns.contains(&name) || ours.unread.contains(&name);
        let unknown = columns.filter(move |name| !is_known(name));
        Some(unknown.map(move |name| format!("{}.{name}", wanted.table)))
    });
    unknown.flatten().collect()
}

/// The column with the tags, in tables that may have rows of ours.
#[must_use]
pub fn tags_of(table: TableId) -> Option<ColumnId> {
    spec(table)?.ours.as_ref().map(|ours| ours.tags)
}

/// The tables that may have rows of ours.
pub fn tables_of_ours() -> impl Iterator<Item = TableId> {
    (0..).map(TableId).zip(TABLES).filter_map(|(table, spec)| spec.ours.is_some().then_some(table))
}

/// The columns of a table that refer to rows of other tables, each with that table.
pub fn children_of(parent: TableId) -> impl Iterator<Item = (ColumnId, TableId)> {
    (0..).map(TableId).zip(TABLES).filter_map(move |(child, spec)| {
        let (_, column) = spec.parent.filter(|(table, _)| *table == parent)?;
        Some((column, child))
    })
}
