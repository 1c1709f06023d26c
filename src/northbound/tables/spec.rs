//! The type of a table's declaration: the one place for everything about that table.

use crate::ovsdb::{Clause, ColumnId, Constant, Function, Row, TableId, Wanted};

use super::super::owner::{Id, OWNER_KEY, OWNER_VALUE};

/// A table of the northbound.
#[derive(Debug)]
pub struct TableSpec {
    /// The columns and rows that we ask the server for.
    pub wanted: Wanted,
    /// The table and the column with references to its rows; none for root tables.
    pub parent: Option<(TableId, ColumnId)>,
    /// How to recognise and identify rows of ours; none if all rows are somebody else's.
    pub ours: Option<Ours>,
    /// A row as one line, for people.
    pub summary: fn(&Row) -> String,
}

/// How to recognise and identify rows of ours in a table.
#[derive(Debug)]
pub struct Ours {
    /// The column of tags.
    pub tags: ColumnId,
    /// The columns, two at most, that distinguish a row from the others of its unit with the same
    /// parent; the column of tags stands for the tag of the end. `distinction` may be needed as well.
    pub identity: &'static [ColumnId],
    /// A column with long texts that distinguishes rows with equal `identity`. It is read only for
    /// these.
    pub distinction: Option<ColumnId>,
    /// Names that mark a row as ours, whatever its tags are.
    pub named: Option<Named>,
    /// Columns that we know and do not read. Any further column of a schema is
    /// [unknown](super::unknown_columns).
    pub unread: &'static [&'static str],
}

/// Names of rows that share one namespace with those of another table.
#[derive(Debug)]
pub struct Named {
    /// The column of names.
    pub column: ColumnId,
    /// The peering that has a row of this name in this table.
    pub ours: fn(&str) -> Option<Id>,
    /// The peering that has a row of this name in the other table.
    pub taken: fn(&str) -> Option<Id>,
}

/// Selects the rows with our tag.
pub(super) const TAGGED: Clause = Clause {
    column: "external_ids",
    function: Function::Includes,
    value: Constant::Map(&[(OWNER_KEY, OWNER_VALUE)]),
};

impl TableSpec {
    /// Whether we ask the server for rows of ours by a tag. In such a table each row of ours has
    /// one entry more.
    #[must_use]
    pub fn is_asked_for_by_tag(&self) -> bool {
        let clauses = self.wanted.condition.map(|it| it.0).unwrap_or_default();
        clauses.iter().any(|clause| clause.column == TAGGED.column)
    }
}

/// The members of a set of strings, separated by spaces.
pub(super) fn joined(row: &Row, column: ColumnId) -> String {
    row.get(column).strings().collect::<Vec<_>>().join(" ")
}
