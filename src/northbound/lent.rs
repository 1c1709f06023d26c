//! What is recorded of cells that are lent to us: one column of somebody else's row, empty before,
//! that we set and shall empty again.
//!
//! The record stands in the registration of the network for whose sake the cell was set. A cell
//! holds our value as long as it is what the record says; anything else is its owner's again.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ovsdb::{ColumnId, TableId};

use super::tables::WANTED;

/// Before a cell, the key of its record.
pub const LENT_PREFIX: &str = "ovn-peerd-lent:";

/// One column of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The table.
    pub table: TableId,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: ColumnId,
}

/// What is recorded of a cell. A reference to an Address_Set of ours stands for it by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentRecord {
    /// What we have set.
    pub ours: String,
}

impl Cell {
    /// The key of its record.
    #[must_use]
    pub fn record_key(&self) -> String {
        format!("{LENT_PREFIX}{self}")
    }

    /// The cell that a record is of; none if the key is no such record's.
    #[must_use]
    pub fn of_record(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(LENT_PREFIX)?.splitn(3, ':');
        let (table, row, column) = (parts.next()?, parts.next()?, parts.next()?);
        let position = WANTED.iter().position(|wanted| wanted.table == table)?;
        let columns = WANTED.get(position)?.columns;
        let column = columns.iter().position(|name| *name == column)?;
        Some(Self {
            table: TableId(u16::try_from(position).ok()?),
            row: row.parse().ok()?,
            column: ColumnId(u16::try_from(column).ok()?),
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = WANTED.get(usize::from(self.table.0));
        let table = wanted.map_or("", |wanted| wanted.table);
        let columns = wanted.map(|wanted| wanted.columns).unwrap_or_default();
        let column = columns.get(usize::from(self.column.0)).copied().unwrap_or_default();
        write!(f, "{table}:{}:{column}", self.row)
    }
}

impl LentRecord {
    /// As it stands in the registration.
    #[must_use]
    pub fn to_text(&self) -> String {
        super::registration::to_text(self)
    }

    /// Reads it; none if it is damaged.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northbound::tables::{NAT, nat};

    #[test]
    fn a_cell_is_read_back_from_its_key() {
        let cell = Cell { table: NAT, row: Uuid::from_u128(7), column: nat::EXEMPTED_EXT_IPS };
        assert_eq!(Cell::of_record(&cell.record_key()), Some(cell));
        for key in ["ovn-peerd-lent:NAT", "ovn-peerd-lent:NAT:x:type", "ovn-peerd-half:a"] {
            assert_eq!(Cell::of_record(key), None, "{key}");
        }
    }
}
