//! OVN's northbound as we read it, as ovn-nb(5) names it: a declaration per table, which says all
//! that there is to know of it.
//!
//! Positions of tables, which are those in `tables!`, and of columns, which are those in their
//! declarations, are the identities used everywhere. A table or column that a server's schema lacks
//! reads as empty, so that no other place asks which OVN version is there.

use crate::ovsdb::{ColumnId, DatabaseSchema, TableId, Wanted};

/// Declares the columns of a table, in order: the position of each, and what is asked for.
macro_rules! columns {
    ($($(#[$meta:meta])* $column:ident = $name:literal;)*) => {
        #[expect(
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

pub mod address_set;
pub mod dhcp_options;
pub mod logical_router;
pub mod logical_switch;
pub mod nat;
pub mod nb_global;
pub mod router_policy;
pub mod router_port;
mod spec;
pub mod static_route;
pub mod switch_port;

pub use spec::{Named, Ours, TableSpec};

/// The database's name.
pub const DATABASE: &str = "OVN_Northbound";

/// The OVSDB lock that the one programming instance holds (RFC 7047 section 4.1.8); an `<id>`, so
/// without hyphens.
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
        /// What is asked of the server: nothing that no rule needs. Column selection is the
        /// largest lever on start-up time and memory.
        pub const WANTED: &[Wanted] = &[$($module::TABLE.wanted),*];
        /// The tables, by position.
        const TABLES: &[TableSpec] = &[$($module::TABLE),*];
    };
}

tables! {
    NB_GLOBAL = nb_global;
    ADDRESS_SET = address_set;
    ROUTER_POLICY = router_policy;
    ROUTER_PORT = router_port;
    LOGICAL_ROUTER = logical_router;
    NAT = nat;
    DHCP_OPTIONS = dhcp_options;
    LOGICAL_SWITCH = logical_switch;
    SWITCH_PORT = switch_port;
    STATIC_ROUTE = static_route;
}

/// What there is to know of a table; none if it is none of these.
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

/// The columns of a schema, as `Table.column`, that this version does not know, in tables in which
/// rows may be ours: what somebody sets there on a row of ours is not repaired.
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

/// The column of tags, in tables in which rows may be ours.
#[must_use]
pub fn tags_of(table: TableId) -> Option<ColumnId> {
    spec(table)?.ours.as_ref().map(|ours| ours.tags)
}

/// The columns of a table that refer to rows of others, each with the table of these.
pub fn children_of(parent: TableId) -> impl Iterator<Item = (ColumnId, TableId)> {
    (0..).map(TableId).zip(TABLES).filter_map(move |(child, spec)| {
        let (_, column) = spec.parent.filter(|(table, _)| *table == parent)?;
        Some((column, child))
    })
}
