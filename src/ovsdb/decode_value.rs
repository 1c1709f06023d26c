//! Typed decoding of one cell (RFC 7047 section 5.1, `<value>`).
//!
//! Owns the serde seeds of atoms, sets, maps and of names that are looked up as they are read. May not
//! touch rows or updates.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Unexpected, Visitor,
};
use uuid::Uuid;

use super::schema::{AtomicType, ColumnType};
use super::value::{Atom, Value};

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

/// A cell; with `None` whatever the JSON says it is.
#[derive(Clone, Copy)]
pub(super) struct ValueSeed<'a>(pub(super) Option<&'a ColumnType>);

impl ValueSeed<'_> {
    fn key(self) -> AtomSeed {
        AtomSeed(self.0.map(|type_| type_.key.atomic))
    }

    fn value(self) -> AtomSeed {
        AtomSeed(self.0.and_then(|type_| type_.value.as_ref()).map(|value| value.atomic))
    }

    /// A bare atom where the column is a map, or the reverse, would break the replica's invariants.
    fn check<E: serde::de::Error>(self, map: bool) -> Result<(), E> {
        match self.0 {
            Some(type_) if type_.value.is_some() != map => Err(E::custom(if map {
                "a map in a set's column"
            } else {
                "a set in a map's column"
            })),
            _ => Ok(()),
        }
    }

    fn atom<E: serde::de::Error>(self, atom: Result<Atom, E>) -> Result<Value, E> {
        self.check::<E>(false)?;
        atom.map(Value::Atom)
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an atom, a set or a map")
    }

    fn visit_str<E: serde::de::Error>(self, string: &str) -> Result<Value, E> {
        self.atom(self.key().visit_str(string))
    }

    fn visit_bool<E: serde::de::Error>(self, boolean: bool) -> Result<Value, E> {
        self.atom(self.key().visit_bool(boolean))
    }

    fn visit_i64<E: serde::de::Error>(self, integer: i64) -> Result<Value, E> {
        self.atom(self.key().visit_i64(integer))
    }

    fn visit_u64<E: serde::de::Error>(self, integer: u64) -> Result<Value, E> {
        self.atom(self.key().visit_u64(integer))
    }

    fn visit_f64<E: serde::de::Error>(self, real: f64) -> Result<Value, E> {
        self.atom(self.key().visit_f64(real))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let value = match next::<_, Tag>(&mut seq)? {
            Tag::Uuid => {
                self.check::<A::Error>(false)?;
                Value::Atom(self.key().uuid(&mut seq)?)
            }
            Tag::Set => {
                let atoms = next_seed(&mut seq, AtomsSeed(self.key()))?;
                // The empty set is written for an empty map too, by some servers.
                self.check::<A::Error>(false)
                    .or_else(|e| if atoms.is_empty() { Ok(()) } else { Err(e) })?;
                Value::set(atoms)
            }
            Tag::Map => {
                self.check::<A::Error>(true)?;
                Value::map(next_seed(&mut seq, PairsSeed(self.key(), self.value()))?)
            }
        };
        end(&mut seq)?;
        Ok(value)
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

/// One atom of this type; with `None` whatever the JSON says it is.
#[derive(Clone, Copy)]
struct AtomSeed(Option<AtomicType>);

impl AtomSeed {
    fn takes(self, atomic: AtomicType) -> bool {
        self.0.is_none_or(|expected| expected == atomic)
    }

    /// The rest of `["uuid", <text>]`.
    fn uuid<'de, A: SeqAccess<'de>>(self, seq: &mut A) -> Result<Atom, A::Error> {
        if !self.takes(AtomicType::Uuid) {
            return Err(A::Error::invalid_type(Unexpected::Other("UUID"), &self));
        }
        next_seed(seq, UuidText).map(Atom::Uuid)
    }
}

impl<'de> DeserializeSeed<'de> for AtomSeed {
    type Value = Atom;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Atom, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AtomSeed {
    type Value = Atom;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(AtomicType::Integer) => "an integer",
            Some(AtomicType::Real) => "a real",
            Some(AtomicType::Boolean) => "a boolean",
            Some(AtomicType::String) => "a string",
            Some(AtomicType::Uuid) => "a UUID",
            None => "an atom",
        })
    }

    fn visit_str<E: serde::de::Error>(self, string: &str) -> Result<Atom, E> {
        if self.takes(AtomicType::String) {
            Ok(Atom::String(string.into()))
        } else {
            Err(E::invalid_type(Unexpected::Str(string), &self))
        }
    }

    fn visit_bool<E: serde::de::Error>(self, boolean: bool) -> Result<Atom, E> {
        if self.takes(AtomicType::Boolean) {
            Ok(Atom::Boolean(boolean))
        } else {
            Err(E::invalid_type(Unexpected::Bool(boolean), &self))
        }
    }

    fn visit_i64<E: serde::de::Error>(self, integer: i64) -> Result<Atom, E> {
        if self.takes(AtomicType::Integer) {
            Ok(Atom::Integer(integer))
        } else if self.0 == Some(AtomicType::Real) {
            // A whole real is written without a point. Beyond 2^53 the server's own is as inexact.
            #[allow(clippy::cast_precision_loss, reason = "as inexact as the server's own")]
            Ok(Atom::real(integer as f64))
        } else {
            Err(E::invalid_type(Unexpected::Signed(integer), &self))
        }
    }

    fn visit_u64<E: serde::de::Error>(self, integer: u64) -> Result<Atom, E> {
        match i64::try_from(integer) {
            Ok(integer) => self.visit_i64(integer),
            Err(_) if self.0 == Some(AtomicType::Real) =>
            {
                #[allow(clippy::cast_precision_loss, reason = "as inexact as the server's own")]
                Ok(Atom::real(integer as f64))
            }
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(integer), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, real: f64) -> Result<Atom, E> {
        if self.takes(AtomicType::Real) {
            Ok(Atom::real(real))
        } else {
            Err(E::invalid_type(Unexpected::Float(real), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Atom, A::Error> {
        if next::<_, Tag>(&mut seq)? != Tag::Uuid {
            return Err(A::Error::custom("a set or map inside a set or map"));
        }
        let atom = self.uuid(&mut seq)?;
        end(&mut seq)?;
        Ok(atom)
    }
}

struct AtomsSeed(AtomSeed);

impl<'de> DeserializeSeed<'de> for AtomsSeed {
    type Value = Vec<Atom>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Atom>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AtomsSeed {
    type Value = Vec<Atom>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of atoms")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Atom>, A::Error> {
        let mut atoms = Vec::new();
        while let Some(atom) = seq.next_element_seed(self.0)? {
            atoms.push(atom);
        }
        Ok(atoms)
    }
}

#[derive(Clone, Copy)]
struct PairSeed(AtomSeed, AtomSeed);

impl<'de> DeserializeSeed<'de> for PairSeed {
    type Value = (Atom, Atom);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairSeed {
    type Value = (Atom, Atom);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of atoms")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let pair = (next_seed(&mut seq, self.0)?, next_seed(&mut seq, self.1)?);
        end(&mut seq)?;
        Ok(pair)
    }
}

struct PairsSeed(AtomSeed, AtomSeed);

impl<'de> DeserializeSeed<'de> for PairsSeed {
    type Value = Vec<(Atom, Atom)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairsSeed {
    type Value = Vec<(Atom, Atom)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of pairs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = seq.next_element_seed(PairSeed(self.0, self.1))? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
