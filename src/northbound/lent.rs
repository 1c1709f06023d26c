//! What is recorded of cells that are lent to us: one column of somebody else's row, empty before,
//! or one key of a map there, that we set and shall put back as it was.
//!
//! The record stands in the registration of the network for whose sake the cell was set. A cell
//! holds our value as long as it is what the record says; anything else is its owner's again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ovsdb::{ColumnId, TableId, ValueRef};

use super::guest_routes::{CLASSLESS, MS_CLASSLESS, ROUTE_INFO};
use super::owner::Id;
use super::router;
use super::state::Northbound;
use super::tables::{WANTED, column_name, table_name};

/// Before a cell, the key of its record.
pub const LENT_PREFIX: &str = "ovn-peerd-lent:";

/// The keys that are ever lent.
const LENT_KEYS: [&str; 3] = [CLASSLESS, MS_CLASSLESS, ROUTE_INFO];

/// One column of a row, or one key of a map there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The table.
    pub table: TableId,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: ColumnId,
    /// The key, where the column is a map.
    pub key: Option<&'static str>,
}

/// What is recorded of a cell. A reference to an Address_Set of ours stands for it by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentRecord {
    /// What we have set.
    pub ours: String,
    /// What was there before, byte by byte; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Northbound {
    /// What is recorded of cells that are lent for a network's sake. A key or a record that cannot
    /// be read counts as none.
    #[must_use]
    pub fn lent_records(&self, network: Id) -> BTreeMap<Cell, LentRecord> {
        let entries = self.registration(network).into_iter().flat_map(ValueRef::entries);
        let lent = entries.filter(|(key, _)| key.starts_with(LENT_PREFIX));
        let read = |(key, text): (&str, Cow<str>)| {
            Some((Cell::of_record(key)?, LentRecord::parse(&text)?))
        };
        lent.filter_map(read).collect()
    }

    /// What a key of a map holds that is lent, or might be; none of a whole column.
    #[must_use]
    pub fn text_of(&self, cell: &Cell) -> Option<Cow<'_, str>> {
        let row = self.replica().row(cell.table, cell.row)?;
        router::cell(row, cell.column).get(cell.key?)
    }
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
        let mut parts = key.strip_prefix(LENT_PREFIX)?.splitn(4, ':');
        let (table, row, column) = (parts.next()?, parts.next()?, parts.next()?);
        let key = match parts.next() {
            Some(key) => Some(*LENT_KEYS.iter().find(|known| **known == key)?),
            None => None,
        };
        let position = WANTED.iter().position(|wanted| wanted.table == table)?;
        let columns = WANTED.get(position)?.columns;
        let column = columns.iter().position(|name| *name == column)?;
        Some(Self {
            table: TableId(u16::try_from(position).ok()?),
            row: row.parse().ok()?,
            column: ColumnId(u16::try_from(column).ok()?),
            key,
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, column) = (table_name(self.table), column_name(self.table, self.column));
        write!(f, "{table}:{}:{column}", self.row)?;
        self.key.map_or(Ok(()), |key| write!(f, ":{key}"))
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
    use crate::northbound::tables::{DHCP_OPTIONS, NAT, dhcp_options, nat};

    #[test]
    fn a_cell_is_read_back_from_its_key() {
        let row = Uuid::from_u128(7);
        let column = Cell { table: NAT, row, column: nat::EXEMPTED_EXT_IPS, key: None };
        let key = Some(CLASSLESS);
        let key = Cell { table: DHCP_OPTIONS, row, column: dhcp_options::OPTIONS, key };
        for cell in [column, key] {
            assert_eq!(Cell::of_record(&cell.record_key()), Some(cell));
        }
        let odd = format!("ovn-peerd-lent:DHCP_Options:{row}:options:router");
        for key in ["ovn-peerd-lent:NAT", "ovn-peerd-lent:NAT:x:type", "ovn-peerd-half:a", &odd] {
            assert_eq!(Cell::of_record(key), None, "{key}");
        }
    }
}
