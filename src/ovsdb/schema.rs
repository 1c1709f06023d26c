//! The database schema, as `get_schema` returns it (RFC 7047 section 3.2).
//!
//! Owns the typed form of a schema. May not touch sockets or any table's name. Skips the members
//! that this client does not need (constraints, indexes, comments), so that it can read a newer
//! server's schema.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// A database's schema (RFC 7047 section 3.2, `<database-schema>`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DatabaseSchema {
    /// The database's name.
    pub name: Box<str>,
    /// `x.y.z`; informative only: `tables` says what is there.
    #[serde(default)]
    pub version: Box<str>,
    /// Tables by name.
    pub tables: BTreeMap<Box<str>, TableSchema>,
}

/// A table's schema (RFC 7047 section 3.2, `<table-schema>`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TableSchema {
    /// Columns by name, without `_uuid` and `_version`.
    pub columns: BTreeMap<Box<str>, ColumnSchema>,
    /// Whether rows exist without a reference to them.
    #[serde(default, rename = "isRoot")]
    pub is_root: bool,
}

/// A column's schema (RFC 7047 section 3.2, `<column-schema>`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ColumnSchema {
    /// What a cell may hold.
    #[serde(rename = "type")]
    pub type_: ColumnType,
    /// Whether the cell may change after the row's insertion.
    #[serde(default = "yes")]
    pub mutable: bool,
}

fn yes() -> bool {
    true
}

/// The type of a column (RFC 7047 section 3.2, `<type>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// Type of the atoms, or of a map's keys.
    pub key: BaseType,
    /// Type of a map's values; `None` for a scalar, an optional or a set.
    pub value: Option<BaseType>,
    /// Least number of atoms or pairs: 0 or 1.
    pub min: u32,
    /// Greatest number of atoms or pairs; `None` is "unlimited".
    pub max: Option<u32>,
}

impl ColumnType {
    /// A column of exactly one atom.
    pub const fn scalar(key: AtomicType) -> Self {
        Self { key: BaseType::plain(key), value: None, min: 1, max: Some(1) }
    }

    /// Whether an update2/update3 `modify` replaces the cell as a whole: a cell of at most one atom
    /// or pair has no difference.
    pub fn is_replaced_by_modify(&self) -> bool {
        self.max == Some(1)
    }
}

/// The type of an atom (RFC 7047 section 3.2, `<base-type>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseType {
    /// Kind of atom.
    pub atomic: AtomicType,
    /// For UUIDs: the table that they refer to.
    pub ref_table: Option<Box<str>>,
    /// For references: whether the target may be deleted, which also removes the reference.
    pub is_weak: bool,
}

impl BaseType {
    const fn plain(atomic: AtomicType) -> Self {
        Self { atomic, ref_table: None, is_weak: false }
    }
}

/// The kind of an atom (RFC 7047 section 3.2, `<atomic-type>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtomicType {
    /// 64-bit signed.
    Integer,
    /// A double.
    Real,
    /// True or false.
    Boolean,
    /// UTF-8 without NUL.
    String,
    /// A row's identity.
    Uuid,
}

/// A type is written as the name of an atomic type, or as an object with further members.
#[derive(Deserialize)]
#[serde(untagged)]
enum Either<T> {
    Name(AtomicType),
    Object(T),
}

#[derive(Deserialize)]
struct TypeObject {
    key: Either<BaseObject>,
    #[serde(default)]
    value: Option<Either<BaseObject>>,
    #[serde(default = "one")]
    min: u32,
    #[serde(default)]
    max: Limit,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct BaseObject {
    #[serde(rename = "type")]
    atomic: AtomicType,
    #[serde(default, rename = "refTable")]
    ref_table: Option<Box<str>>,
    #[serde(default, rename = "refType")]
    ref_type: Option<Box<str>>,
}

impl From<Either<BaseObject>> for BaseType {
    fn from(either: Either<BaseObject>) -> Self {
        match either {
            Either::Name(atomic) => Self::plain(atomic),
            Either::Object(object) => Self {
                atomic: object.atomic,
                ref_table: object.ref_table,
                is_weak: object.ref_type.as_deref() == Some("weak"),
            },
        }
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Either::<TypeObject>::deserialize(deserializer)? {
            Either::Name(atomic) => Self::scalar(atomic),
            Either::Object(object) => Self {
                key: object.key.into(),
                value: object.value.map(BaseType::from),
                min: object.min,
                max: object.max.0,
            },
        })
    }
}

struct Limit(Option<u32>);

impl Default for Limit {
    fn default() -> Self {
        Self(Some(1))
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;
        impl Visitor<'_> for LimitVisitor {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a positive integer or \"unlimited\"")
            }

            fn visit_u64<E: de::Error>(self, max: u64) -> Result<Limit, E> {
                // A limit beyond 32 bits is no limit in practice.
                Ok(Limit(u32::try_from(max).ok()))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Limit, E> {
                if name == "unlimited" {
                    Ok(Limit(None))
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(name), &self))
                }
            }
        }
        deserializer.deserialize_any(LimitVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_a_type() {
        let schema: DatabaseSchema = serde_json::from_str(
            r#"{"name":"D","version":"1.2.3","cksum":"1 2","tables":{"T":{"isRoot":true,"maxRows":1,
              "indexes":[["n"]],"columns":{
                "n":{"type":"string","mutable":false},
                "o":{"type":{"key":{"type":"integer","minInteger":0,"maxInteger":9},"min":0}},
                "e":{"type":{"key":{"type":"string","enum":["set",["a","b"]]}},"ephemeral":true},
                "r":{"type":{"key":{"type":"uuid","refTable":"T","refType":"weak"},"min":0,"max":"unlimited"}},
                "m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}}}}"#,
        )
        .unwrap();
        let table = &schema.tables["T"];
        assert!(table.is_root);
        assert!(!table.columns["n"].mutable);
        assert_eq!(table.columns["n"].type_, ColumnType::scalar(AtomicType::String));
        let optional = &table.columns["o"].type_;
        assert_eq!((optional.min, optional.max), (0, Some(1)));
        assert!(optional.is_replaced_by_modify());
        let reference = &table.columns["r"].type_;
        assert_eq!(reference.key.ref_table.as_deref(), Some("T"));
        assert!(reference.key.is_weak && !reference.is_replaced_by_modify());
        assert!(table.columns["m"].type_.value.is_some());
    }

    #[test]
    fn refuses_nonsense() {
        assert!(serde_json::from_str::<ColumnType>(r#""text""#).is_err());
        assert!(serde_json::from_str::<ColumnType>(r#"{"key":"string","max":"none"}"#).is_err());
    }
}
