//! The operations of a transaction (RFC 7047 section 5.2), as sent.
//!
//! Owns their typed form and its JSON. May not touch sockets or any table's name. Invariant: each
//! `wait` has the timeout 0, because a `wait` without a timeout would hold the connection forever.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A value to be written (RFC 7047 section 5.1, `<value>`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Datum {
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// A string; a NUL in it makes the server close the connection.
    String(String),
    /// A row.
    Uuid(Uuid),
    /// A row inserted in the same transaction, by its `uuid_name`.
    NamedUuid(String),
    /// A set; empty for an absent optional.
    Set(Vec<Datum>),
    /// A map of strings.
    Map(Vec<(String, String)>),
}

impl Datum {
    /// A set of strings.
    pub fn strings<S: Into<String>>(strings: impl IntoIterator<Item = S>) -> Self {
        Self::Set(strings.into_iter().map(|string| Self::String(string.into())).collect())
    }

    /// A map of strings.
    pub fn map<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl Datum {
    fn contains_nul(&self) -> bool {
        match self {
            Self::Integer(_) | Self::Boolean(_) | Self::Uuid(_) => false,
            Self::String(string) | Self::NamedUuid(string) => string.contains('\0'),
            Self::Set(atoms) => atoms.iter().any(Self::contains_nul),
            Self::Map(pairs) => {
                pairs.iter().any(|(key, value)| key.contains('\0') || value.contains('\0'))
            }
        }
    }
}

impl From<&str> for Datum {
    fn from(string: &str) -> Self {
        Self::String(string.to_owned())
    }
}

impl From<String> for Datum {
    fn from(string: String) -> Self {
        Self::String(string)
    }
}

impl From<Uuid> for Datum {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<i64> for Datum {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<bool> for Datum {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::String(string) => serializer.serialize_str(string),
            Self::Uuid(uuid) => ("uuid", uuid).serialize(serializer),
            Self::NamedUuid(name) => ("named-uuid", name).serialize(serializer),
            Self::Set(atoms) => ("set", atoms).serialize(serializer),
            Self::Map(pairs) => ("map", pairs).serialize(serializer),
        }
    }
}

/// Columns to be written, with their values.
pub type Columns = Vec<(&'static str, Datum)>;

/// Which rows an operation concerns (RFC 7047 section 5.1, `<condition>`; all clauses must hold).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// Every row of the table.
    All,
    /// One row.
    Uuid(Uuid),
    /// Rows whose columns equal these.
    Equal(Columns),
}

impl Serialize for Where {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_seq(Some(0))?.end(),
            Self::Uuid(uuid) => [("_uuid", "==", ("uuid", uuid))].serialize(serializer),
            Self::Equal(columns) => {
                serializer.collect_seq(columns.iter().map(|(column, datum)| (column, "==", datum)))
            }
        }
    }
}

/// How a column is changed in place (RFC 7047 section 5.1, `<mutator>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`
    Modulo,
    /// Adds atoms to a set, or pairs to a map whose keys are not there.
    Insert,
    /// Removes atoms from a set, or pairs from a map; a set of keys removes these keys with any
    /// value.
    Delete,
}

impl Mutator {
    /// As written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Subtract => "-=",
            Self::Multiply => "*=",
            Self::Divide => "/=",
            Self::Modulo => "%=",
            Self::Insert => "insert",
            Self::Delete => "delete",
        }
    }
}

/// The comparison of a `wait`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// RFC 7047 section 5.2.1.
    Insert {
        /// The table.
        table: &'static str,
        /// The name by which other operations of this transaction refer to the row: letters, digits
        /// and underscores.
        uuid_name: Option<String>,
        /// Columns that differ from their defaults.
        row: Columns,
    },
    /// RFC 7047 section 5.2.3, of one row.
    Update {
        /// The table.
        table: &'static str,
        /// The row.
        row_uuid: Uuid,
        /// Columns to set.
        row: Columns,
    },
    /// RFC 7047 section 5.2.4.
    Mutate {
        /// The table.
        table: &'static str,
        /// The rows.
        selection: Where,
        /// The mutations: column, mutator and value.
        mutations: Vec<(&'static str, Mutator, Datum)>,
    },
    /// RFC 7047 section 5.2.5, of one row.
    Delete {
        /// The table.
        table: &'static str,
        /// The row.
        row_uuid: Uuid,
    },
    /// RFC 7047 section 5.2.6, with timeout 0: true now, or the transaction fails with "timed out".
    Wait {
        /// The table.
        table: &'static str,
        /// The rows to look at.
        selection: Where,
        /// The columns to compare.
        columns: Vec<&'static str>,
        /// Whether the selected rows must equal the given rows, or must differ from them.
        until: Until,
        /// The rows to compare with.
        rows: Vec<Columns>,
    },
    /// RFC 7047 section 5.2.2.
    Select {
        /// The table.
        table: &'static str,
        /// The rows.
        selection: Where,
        /// The columns.
        columns: Vec<&'static str>,
    },
    /// RFC 7047 section 5.2.10: this session holds the lock, or the transaction fails with "not
    /// owner".
    Assert {
        /// The lock's name.
        lock: String,
    },
    /// RFC 7047 section 5.2.9: a comment for the database's log.
    Comment(String),
}

impl Operation {
    /// The operation's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Insert { .. } => "insert",
            Self::Update { .. } => "update",
            Self::Mutate { .. } => "mutate",
            Self::Delete { .. } => "delete",
            Self::Wait { .. } => "wait",
            Self::Select { .. } => "select",
            Self::Assert { .. } => "assert",
            Self::Comment(_) => "comment",
        }
    }

    /// The table concerned, if any.
    pub fn table(&self) -> Option<&'static str> {
        match self {
            Self::Insert { table, .. }
            | Self::Update { table, .. }
            | Self::Mutate { table, .. }
            | Self::Delete { table, .. }
            | Self::Wait { table, .. }
            | Self::Select { table, .. } => Some(table),
            Self::Assert { .. } | Self::Comment(_) => None,
        }
    }
}

impl Operation {
    /// Whether any string contains a NUL: the server would close the connection instead of
    /// answering.
    pub fn contains_nul(&self) -> bool {
        let columns = |row: &Columns| row.iter().any(|(_, datum)| datum.contains_nul());
        let chosen = |selection: &Where| match selection {
            Where::All | Where::Uuid(_) => false,
            Where::Equal(row) => columns(row),
        };
        match self {
            Self::Insert { uuid_name, row, .. } => {
                columns(row) || uuid_name.as_ref().is_some_and(|name| name.contains('\0'))
            }
            Self::Update { row, .. } => columns(row),
            Self::Mutate { selection, mutations, .. } => {
                chosen(selection) || mutations.iter().any(|(_, _, datum)| datum.contains_nul())
            }
            Self::Wait { selection, rows, .. } => chosen(selection) || rows.iter().any(columns),
            Self::Select { selection, .. } => chosen(selection),
            Self::Delete { .. } => false,
            Self::Assert { lock: text } | Self::Comment(text) => text.contains('\0'),
        }
    }
}

struct Object<'a>(&'a [(&'static str, Datum)]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(column, datum)| (column, datum)))
    }
}

struct Mutations<'a>(&'a [(&'static str, Mutator, Datum)]);

impl Serialize for Mutations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for (column, mutator, datum) in self.0 {
            seq.serialize_element(&(column, mutator.as_str(), datum))?;
        }
        seq.end()
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("op", self.name())?;
        if let Some(table) = self.table() {
            map.serialize_entry("table", table)?;
        }
        match self {
            Self::Insert { uuid_name, row, .. } => {
                if let Some(name) = uuid_name {
                    map.serialize_entry("uuid-name", name)?;
                }
                map.serialize_entry("row", &Object(row))?;
            }
            Self::Update { row_uuid, row, .. } => {
                map.serialize_entry("where", &Where::Uuid(*row_uuid))?;
                map.serialize_entry("row", &Object(row))?;
            }
            Self::Mutate { selection, mutations, .. } => {
                map.serialize_entry("where", selection)?;
                map.serialize_entry("mutations", &Mutations(mutations))?;
            }
            Self::Delete { row_uuid, .. } => {
                map.serialize_entry("where", &Where::Uuid(*row_uuid))?;
            }
            Self::Wait { selection, columns, until, rows, .. } => {
                map.serialize_entry("timeout", &0)?;
                map.serialize_entry("where", selection)?;
                map.serialize_entry("columns", columns)?;
                map.serialize_entry("until", if *until == Until::Equal { "==" } else { "!=" })?;
                map.serialize_entry(
                    "rows",
                    &rows.iter().map(|row| Object(row)).collect::<Vec<_>>(),
                )?;
            }
            Self::Select { selection, columns, .. } => {
                map.serialize_entry("where", selection)?;
                map.serialize_entry("columns", columns)?;
            }
            Self::Assert { lock } => map.serialize_entry("lock", lock)?,
            Self::Comment(comment) => map.serialize_entry("comment", comment)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn operations_are_written_as_the_rfc_has_them() {
        let uuid = Uuid::from_u128(7);
        let insert = Operation::Insert {
            table: "T",
            uuid_name: Some("new".into()),
            row: vec![("n", "x".into()), ("r", Datum::NamedUuid("o".into()))],
        };
        assert_eq!(
            to_value(&insert).unwrap(),
            json!({"op":"insert","table":"T","uuid-name":"new",
                   "row":{"n":"x","r":["named-uuid","o"]}})
        );
        let update =
            Operation::Update { table: "T", row_uuid: uuid, row: vec![("b", true.into())] };
        assert_eq!(
            to_value(&update).unwrap(),
            json!({"op":"update","table":"T","where":[["_uuid","==",["uuid",uuid]]],
                   "row":{"b":true}})
        );
        let mutate = Operation::Mutate {
            table: "T",
            selection: Where::Equal(vec![("n", "x".into())]),
            mutations: vec![
                ("m", Mutator::Delete, Datum::strings(["k"])),
                ("m", Mutator::Insert, Datum::map([("k", "v")])),
                ("i", Mutator::Add, 1.into()),
            ],
        };
        assert_eq!(
            to_value(&mutate).unwrap(),
            json!({"op":"mutate","table":"T","where":[["n","==","x"]],"mutations":[
                ["m","delete",["set",["k"]]],["m","insert",["map",[["k","v"]]]],["i","+=",1]]})
        );
        let delete = Operation::Delete { table: "T", row_uuid: uuid };
        assert_eq!(
            to_value(&delete).unwrap(),
            json!({"op":"delete","table":"T","where":[["_uuid","==",["uuid",uuid]]]})
        );
    }

    #[test]
    fn a_wait_never_waits() {
        let wait = Operation::Wait {
            table: "T",
            selection: Where::All,
            columns: vec!["n"],
            until: Until::NotEqual,
            rows: vec![vec![("n", Datum::Set(vec![]))]],
        };
        assert_eq!(
            to_value(&wait).unwrap(),
            json!({"op":"wait","table":"T","timeout":0,"where":[],"columns":["n"],"until":"!=",
                   "rows":[{"n":["set",[]]}]})
        );
    }

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        let row = || vec![("m", Datum::map([("k", "v\0")]))];
        let set = || Datum::Set(vec![1.into(), "\0".into()]);
        let (table, uuid_name) = ("T", None);
        for operation in [
            Operation::Insert { table, uuid_name, row: row() },
            Operation::Update { table, row_uuid: Uuid::nil(), row: row() },
            Operation::Mutate {
                table,
                selection: Where::All,
                mutations: vec![("s", Mutator::Insert, set())],
            },
            Operation::Select { table, selection: Where::Equal(row()), columns: vec![] },
            Operation::Comment("\0".into()),
        ] {
            assert!(operation.contains_nul(), "{operation:?}");
        }
        assert!(!Operation::Comment("0".into()).contains_nul());
    }

    #[test]
    fn operations_without_a_table() {
        assert_eq!(
            to_value(Operation::Assert { lock: "l".into() }).unwrap(),
            json!({"op":"assert","lock":"l"})
        );
        assert_eq!(
            to_value(Operation::Comment("c".into())).unwrap(),
            json!({"op":"comment","comment":"c"})
        );
        let select = Operation::Select { table: "T", selection: Where::All, columns: vec!["n"] };
        assert_eq!(
            to_value(select).unwrap(),
            json!({"op":"select","table":"T","where":[],"columns":["n"]})
        );
    }
}
