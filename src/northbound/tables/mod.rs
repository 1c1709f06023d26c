//! OVN's northbound as we read it, as ovn-nb(5) names it: a declaration per table, which says all that there is to know of it.
//!
//! Positions of tables, which are those in `tables!`, and of columns, which are those in their declarations, are the
//! identities used everywhere. A table or column that a server's schema lacks reads as empty, so that no other place asks
//! which OVN version is there.

use std::ops::RangeInclusive;

use crate::ovsdb::{ColumnId, DatabaseSchema, TableId, Wanted};

use super::priority;

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

/// What there is time for at a start, once the rows of a table, or of one behind it, are there, too, while the server composes
/// the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Declarations go to the rules.
    Declare,
    /// These look at the networks: nearly all is there that a network's own state is read from.
    Survey,
    /// Peerings are decided, and what is there of theirs is compared. All is there that decisions are made from; unless
    /// somebody makes routes by hand, and for policies of others that come late, which add a word to what is said at the most.
    Decide,
}

/// When: each takes us about as long as the server needs for what comes next, for which the order of tables is made.
pub const STEPS: &[(TableId, Step)] =
    &[(LOGICAL_SWITCH, Step::Declare), (SWITCH_PORT, Step::Survey), (STATIC_ROUTE, Step::Decide)];

/// The priorities of policies that come last: those of ours, which are the most rows of all, and the longest.
pub const LATE_PRIORITIES: RangeInclusive<i64> = priority::OURS;

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

/// The columns of a schema, as `Table.column`, that this version does not know, in tables in which rows may be ours: what
/// somebody sets there on a row of ours is not repaired.
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
