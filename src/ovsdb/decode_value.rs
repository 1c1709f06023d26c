//! Typed decoding of one cell (RFC 7047 section 5.1, `<value>`), from JSON into its packed form.
//!
//! Owns the serde seeds of atoms, sets, maps and of names that are looked up as they are read. May
//! not touch rows or updates. Builds nothing between the two forms. A failed read leaves a part of
//! a cell behind; the caller drops it.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Unexpected, Visitor,
};
use uuid::Uuid;

use super::atom::Atom;
use super::packed::{close_map, close_set, push_atom};
use super::schema::{AtomicType, ColumnType};

/// A string that is looked up while it is still in the buffer.
pub(super) struct NameSeed<F>(pub(super) F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for NameSeed<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for NameSeed<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<T, E> {
        Ok((self.0)(name))
    }
}

/// A UUID written as a bare string: a row's key, a transaction's id.
#[derive(Clone, Copy)]
pub(super) struct UuidText;

impl<'de> DeserializeSeed<'de> for UuidText {
    type Value = Uuid;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Uuid, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for UuidText {
    type Value = Uuid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Uuid, E> {
        Uuid::try_parse(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A cell, appended to `out`; without a type it has the type that the JSON shows.
pub(super) struct CellSeed<'a, 'o> {
    pub(super) type_: Option<&'a ColumnType>,
    pub(super) out: &'o mut String,
}

impl CellSeed<'_, '_> {
    fn key(&mut self) -> AtomSeed<'_> {
        let kind = self.type_.map(|type_| type_.key.atomic);
        AtomSeed { kind, out: self.out }
    }

    /// A bare atom where the column is a map, or the reverse, would break the replica's invariants.
    fn check<E: serde::de::Error>(&self, map: bool) -> Result<(), E> {
        match self.type_ {
            Some(type_) if type_.value.is_some() != map => Err(E::custom(if map {
                "a map in a set's column"
            } else {
                "a set in a map's column"
            })),
            _ => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an atom, a set or a map")
    }

    fn visit_str<E: serde::de::Error>(mut self, string: &str) -> Result<(), E> {
        self.check::<E>(false)?;
        self.key().visit_str(string)
    }

    fn visit_bool<E: serde::de::Error>(mut self, boolean: bool) -> Result<(), E> {
        self.check::<E>(false)?;
        self.key().visit_bool(boolean)
    }

    fn visit_i64<E: serde::de::Error>(mut self, integer: i64) -> Result<(), E> {
        self.check::<E>(false)?;
        self.key().visit_i64(integer)
    }

    fn visit_u64<E: serde::de::Error>(mut self, integer: u64) -> Result<(), E> {
        self.check::<E>(false)?;
        self.key().visit_u64(integer)
    }

    fn visit_f64<E: serde::de::Error>(mut self, real: f64) -> Result<(), E> {
        self.check::<E>(false)?;
        self.key().visit_f64(real)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let start = self.out.len();
        match next::<_, Tag>(&mut seq)? {
            Tag::Uuid => {
                self.check::<A::Error>(false)?;
                self.key().uuid(&mut seq)?;
            }
            Tag::Set => {
                next_seed(&mut seq, AtomsSeed(self.key()))?;
                // Some servers write an empty map as the empty set.
                if self.out.len() > start {
                    self.check::<A::Error>(false)?;
                }
                close_set(self.out, start);
            }
            Tag::Map => {
                self.check::<A::Error>(true)?;
                let value = self.type_.and_then(|type_| type_.value.as_ref());
                let value = value.map(|value| value.atomic);
                next_seed(&mut seq, PairsSeed { key: self.key(), value })?;
                close_map(self.out, start);
            }
        }
        end(&mut seq)
    }
}

/// The first element of an atom or value that is an array.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Uuid,
    Set,
    Map,
}

fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::custom("an array ends early"))
}

fn next_seed<'de, A, S>(seq: &mut A, seed: S) -> Result<S::Value, A::Error>
where
    A: SeqAccess<'de>,
    S: DeserializeSeed<'de>,
{
    seq.next_element_seed(seed)?.ok_or_else(|| A::Error::custom("an array ends early"))
}

fn end<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<(), A::Error> {
    match seq.next_element::<IgnoredAny>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("an array has more elements than specified")),
    }
}

/// One atom of this kind; without a kind it has the kind that the JSON shows.
struct AtomSeed<'o> {
    kind: Option<AtomicType>,
    out: &'o mut String,
}

impl AtomSeed<'_> {
    /// The seed of one atom more.
    fn again(&mut self, kind: Option<AtomicType>) -> AtomSeed<'_> {
        AtomSeed { kind, out: self.out }
    }

    fn takes(&self, atomic: AtomicType) -> bool {
        self.kind.is_none_or(|expected| expected == atomic)
    }

    /// The rest of `["uuid", <text>]`.
    fn uuid<'de, A: SeqAccess<'de>>(self, seq: &mut A) -> Result<(), A::Error> {
        if !self.takes(AtomicType::Uuid) {
            return Err(A::Error::invalid_type(Unexpected::Other("UUID"), &self));
        }
        push_atom(self.out, Atom::Uuid(next_seed(seq, UuidText)?));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for AtomSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AtomSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Some(AtomicType::Integer) => "an integer",
            Some(AtomicType::Real) => "a real",
            Some(AtomicType::Boolean) => "a boolean",
            Some(AtomicType::String) => "a string",
            Some(AtomicType::Uuid) => "a UUID",
            None => "an atom",
        })
    }

    fn visit_str<E: serde::de::Error>(self, string: &str) -> Result<(), E> {
        if !self.takes(AtomicType::String) {
            return Err(E::invalid_type(Unexpected::Str(string), &self));
        }
        push_atom(self.out, Atom::String(string));
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, boolean: bool) -> Result<(), E> {
        if !self.takes(AtomicType::Boolean) {
            return Err(E::invalid_type(Unexpected::Bool(boolean), &self));
        }
        push_atom(self.out, Atom::Boolean(boolean));
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, integer: i64) -> Result<(), E> {
        if self.takes(AtomicType::Integer) {
            push_atom(self.out, Atom::Integer(integer));
        } else if self.kind == Some(AtomicType::Real) {
            // Servers write a whole real without a point. Beyond 2^53 their own reals are as
            // inexact.
            #[allow(clippy::cast_precision_loss, reason = "as inexact as the server's own")]
            push_atom(self.out, Atom::real(integer as f64));
        } else {
            return Err(E::invalid_type(Unexpected::Signed(integer), &self));
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, integer: u64) -> Result<(), E> {
        match i64::try_from(integer) {
            Ok(integer) => self.visit_i64(integer),
            Err(_) if self.kind == Some(AtomicType::Real) => {
                #[allow(clippy::cast_precision_loss, reason = "as inexact as the server's own")]
                push_atom(self.out, Atom::real(integer as f64));
                Ok(())
            }
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(integer), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, real: f64) -> Result<(), E> {
        if !self.takes(AtomicType::Real) {
            return Err(E::invalid_type(Unexpected::Float(real), &self));
        }
        push_atom(self.out, Atom::real(real));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if next::<_, Tag>(&mut seq)? != Tag::Uuid {
            return Err(A::Error::custom("a set or map inside a set or map"));
        }
        self.uuid(&mut seq)?;
        end(&mut seq)
    }
}

struct AtomsSeed<'o>(AtomSeed<'o>);

impl<'de> DeserializeSeed<'de> for AtomsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AtomsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of atoms")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let kind = self.0.kind;
        while seq.next_element_seed(self.0.again(kind))?.is_some() {}
        Ok(())
    }
}

struct PairSeed<'o> {
    key: AtomSeed<'o>,
    value: Option<AtomicType>,
}

impl<'de> DeserializeSeed<'de> for PairSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of atoms")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let kind = self.key.kind;
        next_seed(&mut seq, self.key.again(kind))?;
        next_seed(&mut seq, self.key.again(self.value))?;
        end(&mut seq)
    }
}

struct PairsSeed<'o> {
    key: AtomSeed<'o>,
    value: Option<AtomicType>,
}

impl<'de> DeserializeSeed<'de> for PairsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of pairs")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let (kind, value) = (self.key.kind, self.value);
        loop {
            let seed = PairSeed { key: self.key.again(kind), value };
            if seq.next_element_seed(seed)?.is_none() {
                return Ok(());
            }
        }
    }
}
