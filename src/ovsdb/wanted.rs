//! What the client asks for: tables, columns, and conditions on rows.
//!
//! Owns how conditions are written (RFC 7047 section 5.1). May not touch a schema: the layout says
//! which of it a server has.

use serde::{Serialize, Serializer};

/// A table's position in the wanted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

/// A column's position in its table's wanted columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

/// A wanted table.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The table's name.
    pub table: &'static str,
    /// The columns' names; their order gives the [`ColumnId`]s.
    pub columns: &'static [&'static str],
    /// Rows wanted; `None` for all. It only reduces the load: a server without conditions (before
    /// OVS 2.6), or with a schema that lacks a column of the condition, sends all rows.
    pub condition: Option<Condition>,
}

/// Rows that meet at least one clause (ovsdb-server(7) section 4.1.12, `where` of `monitor_cond`).
#[derive(Clone, Copy, Debug)]
pub struct Condition(pub &'static [Clause]);

/// One clause of a condition (RFC 7047 section 5.1, `<condition>`).
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// The column to compare.
    pub column: &'static str,
    /// How.
    pub function: Function,
    /// The constant to compare it with.
    pub value: Constant,
}

/// The function of a clause (RFC 7047 section 5.1, `<function>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `includes`
    Includes,
    /// `excludes`
    Excludes,
}

impl Function {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
        }
    }
}

/// The constant of a [`Clause`].
#[derive(Clone, Copy, Debug)]
pub enum Constant {
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// A string.
    String(&'static str),
    /// A set of strings.
    Set(&'static [&'static str]),
    /// A map of strings.
    Map(&'static [(&'static str, &'static str)]),
}

impl Serialize for Constant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::String(string) => serializer.serialize_str(string),
            Self::Set(strings) => ("set", strings).serialize(serializer),
            Self::Map(pairs) => ("map", pairs).serialize(serializer),
        }
    }
}

impl Serialize for Clause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.column, self.function.as_str(), self.value).serialize(serializer)
    }
}
