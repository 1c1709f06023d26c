//! Borrowed fields: the parts of other owners' rows that we set and later restore, and their
//! records.
//!
//! The record is in the registration of the network that needs the field. A field is ours as long
//! as it holds the recorded value. With any other value it is its owner's again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ovsdb::{ColumnId, TableId, ValueRef};

use super::guest_routes::{self, Past};
use super::owner::Id;
use super::state::Northbound;
use super::tables::{NAT, WANTED, column_name, nat, table_name};

/// The key of a field's record is this and the field.
pub const BORROWED_PREFIX: &str = "ovn-peerd-lent:";

/// The part of somebody else's row that we may set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The table.
    pub table: TableId,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: ColumnId,
    /// The part of the cell.
    pub kind: Kind,
}

/// The part of a cell that a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The whole cell: a reference, which is empty or ours.
    Reference,
    /// One key of a map. Its text may also hold its owner's part.
    Key(&'static str),
}

/// The record of a field. The value of a reference to an Address_Set of ours is the name of that
/// set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BorrowedRecord {
    /// The value that we set.
    pub ours: String,
    /// The value before, byte by byte; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The records of the fields that are borrowed for a network. A key or record that does not parse
/// counts as missing.
#[must_use]
pub fn borrowed_records(network: Id, northbound: &Northbound) -> BTreeMap<Field, BorrowedRecord> {
    let entries = northbound.registration(network).into_iter().flat_map(ValueRef::entries);
    let borrowed = entries.filter(|(key, _)| key.starts_with(BORROWED_PREFIX));
    let read =
        |(key, text): (&str, &str)| Some((Field::of_record(key)?, BorrowedRecord::parse(text)?));
    borrowed.filter_map(read).collect()
}

/// The fields that refer to an Address_Set of ours, recorded or not.
pub fn references_to(set: Uuid, northbound: &Northbound) -> impl Iterator<Item = Field> {
    let column = nat::EXEMPTED_EXT_IPS;
    let field = move |row| Field { table: NAT, row, column, kind: Kind::Reference };
    northbound.exempting(set).map(field)
}

impl Field {
    /// The key of its record.
    #[must_use]
    pub fn record_key(&self) -> String {
        format!("{BORROWED_PREFIX}{self}")
    }

    /// The text under a key of a map; none for a reference.
    #[must_use]
    pub fn text<'a>(&self, northbound: &'a Northbound) -> Option<&'a str> {
        let row = northbound.replica().row(self.table, self.row)?;
        row.get(self.column).get(self.key()?)
    }

    /// The key, if the field is one of a map.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Reference => None,
            Kind::Key(key) => Some(key),
        }
    }

    /// The field of a record; none if the key is not one of such a record.
    #[must_use]
    pub fn of_record(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(BORROWED_PREFIX)?.splitn(4, ':');
        let (table, row, column) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = match parts.next() {
            Some(key) => Kind::Key(guest_routes::KEYS.iter().find(|known| **known == key)?),
            None => Kind::Reference,
        };
        let position = WANTED.iter().position(|wanted| wanted.table == table)?;
        let columns = WANTED.get(position)?.columns;
        let column = columns.iter().position(|name| *name == column)?;
        Some(Self {
            table: TableId(u16::try_from(position).ok()?),
            row: row.parse().ok()?,
            column: ColumnId(u16::try_from(column).ok()?),
            kind,
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, column) = (table_name(self.table), column_name(self.table, self.column));
        write!(f, "{table}:{}:{column}", self.row)?;
        self.key().map_or(Ok(()), |key| write!(f, ":{key}"))
    }
}

impl BorrowedRecord {
    /// As written in the registration.
    #[must_use]
    pub fn to_text(&self) -> String {
        super::registration::to_text(self)
    }

    /// The record in the form that [`Syntax::owners`](super::guest_routes::Syntax::owners) needs.
    #[must_use]
    pub fn past(&self) -> Past<'_> {
        Past { ours: &self.ours, before: self.before.as_deref() }
    }

    /// Parses a record; none if it is damaged.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northbound::guest_routes::CLASSLESS;
    use crate::northbound::tables::{DHCP_OPTIONS, dhcp_options};

    #[test]
    fn a_field_is_read_back_from_its_key() {
        let row = Uuid::from_u128(7);
        let column =
            Field { table: NAT, row, column: nat::EXEMPTED_EXT_IPS, kind: Kind::Reference };
        let kind = Kind::Key(CLASSLESS);
        let key = Field { table: DHCP_OPTIONS, row, column: dhcp_options::OPTIONS, kind };
        for field in [column, key] {
            assert_eq!(Field::of_record(&field.record_key()), Some(field));
        }
        let odd = format!("ovn-peerd-lent:DHCP_Options:{row}:options:router");
        for key in ["ovn-peerd-lent:NAT", "ovn-peerd-lent:NAT:x:type", "ovn-peerd-half:a", &odd] {
            assert_eq!(Field::of_record(key), None, "{key}");
        }
    }
}
