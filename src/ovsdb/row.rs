//! Rows of the replica.
//!
//! Owns a whole row, in one allocation. May not touch JSON or the schema. Invariant: equal contents
//! are equal rows, which are compared as texts.

use std::cmp::Ordering;
use std::fmt;

use super::packed::{self, Reader};
use super::value::{Value, ValueRef};
use super::wanted::ColumnId;

/// A row of the replica: one cell per wanted column, in the order of the wanted list.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Row(Box<str>);

impl Row {
    /// A cell; a column beyond the row's width reads as empty.
    pub fn get(&self, column: ColumnId) -> ValueRef<'_> {
        let mut reader = Reader(&self.0);
        for _ in 0..column.0 {
            if reader.skip().is_none() {
                break;
            }
        }
        ValueRef::of_cell(reader.cell().unwrap_or(packed::NOTHING))
    }

    /// All cells, in order.
    pub fn cells(&self) -> impl Iterator<Item = ValueRef<'_>> {
        let mut reader = Reader(&self.0);
        std::iter::from_fn(move || reader.cell().map(ValueRef::of_cell))
    }

    /// The same row with another value in one column, if it is as wide.
    #[must_use]
    pub fn with(&self, column: ColumnId, value: ValueRef<'_>) -> Self {
        let mut text = String::with_capacity(self.0.len() + value.cell().len());
        for (position, cell) in self.cells().enumerate() {
            let is_it = position == usize::from(column.0);
            text.push_str(if is_it { value.cell() } else { cell.cell() });
        }
        Self(text.into())
    }

    /// The row of these cells, one after the other.
    pub(super) fn of_cells(text: &str) -> Self {
        Self(text.into())
    }
}

impl<'a> FromIterator<ValueRef<'a>> for Row {
    fn from_iter<I: IntoIterator<Item = ValueRef<'a>>>(values: I) -> Self {
        Self(values.into_iter().map(ValueRef::cell).collect())
    }
}

impl FromIterator<Value> for Row {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut text = String::new();
        values.into_iter().for_each(|value| text.push_str(value.view().cell()));
        Self(text.into())
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cells().cmp(other.cells())
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.cells()).finish()
    }
}
