//! What there is to know of a table: the one place that says it.

use crate::ovsdb::{Clause, ColumnId, Constant, Function, Row, TableId, Wanted};

use super::super::owner::{Id, OWNER_KEY, OWNER_VALUE};

/// A table of the northbound.
#[derive(Debug)]
pub struct TableSpec {
    /// What is asked of the server.
    pub wanted: Wanted,
    /// The table and the column that refer to its rows; none for root tables.
    pub parent: Option<(TableId, ColumnId)>,
    /// How rows of ours are known; none if all of them are somebody else's.
    pub ours: Option<Ours>,
    /// A row in a line, for people.
    pub summary: fn(&Row) -> String,
}

/// How rows of ours are known in a table, and told apart.
#[derive(Debug)]
pub struct Ours {
    /// The column of tags.
    pub tags: ColumnId,
    /// The columns, two at most, by which a row is told from the others of its unit with the same
    /// parent, but for what `distinction` names.
    pub identity: &'static [ColumnId],
    /// A column with long texts by which rows are told apart that are alike in the others: so it is
    /// seldom read.
    pub distinction: Option<ColumnId>,
    /// Names that are ours whatever the tags say.
    pub named: Option<Named>,
    /// Columns that are known, and not read. What the schema has besides is
    /// [unknown](super::unknown_columns).
    pub unread: &'static [&'static str],
}

/// Names of rows, which share one namespace with those of another table.
#[derive(Debug)]
pub struct Named {
    /// The column of names.
    pub column: ColumnId,
    /// The peering whose row has this name in this table.
    pub ours: fn(&str) -> Option<Id>,
    /// The peering whose row has this name in the other table.
    pub taken: fn(&str) -> Option<Id>,
}

/// Rows that carry our tag.
pub(super) const TAGGED: Clause = Clause {
    column: "external_ids",
    function: Function::Includes,
    value: Constant::Map(&[(OWNER_KEY, OWNER_VALUE)]),
};

impl TableSpec {
    /// Whether the server is asked for rows of ours by a tag: each row of such a table costs it,
    /// and whoever reads them, one entry more.
    #[must_use]
    pub fn is_asked_for_by_tag(&self) -> bool {
        let clauses = self.wanted.condition.map(|it| it.0).unwrap_or_default();
        clauses.iter().any(|clause| clause.column == TAGGED.column)
    }
}

/// The members of a set of texts.
pub(super) fn joined(row: &Row, column: ColumnId) -> String {
    row.get(column).strings().collect::<Vec<_>>().join(" ")
}
