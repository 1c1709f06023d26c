//! Atoms and values of RFC 7047 section 5.1, as the replica keeps them.
//!
//! Owns the in-memory form of a column's cell and how it is read. May not touch JSON, the schema or the
//! wire. Invariants: a set is sorted, without duplicates, and never holds exactly one atom (that is a
//! bare [`Atom`], as on the wire); a map is sorted by key and never empty (an empty map is the empty
//! set), so that equal contents are equal values.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ecow::EcoString;
use uuid::Uuid;

/// One atom (RFC 7047 section 5.1, `<atom>`). 24 bytes.
#[derive(Clone, Debug)]
pub enum Atom {
    /// A 64-bit signed integer.
    Integer(i64),
    /// A double; never negative zero, so that equal numbers are equal atoms.
    Real(f64),
    /// A boolean.
    Boolean(bool),
    /// A string without NUL; 15 bytes need no allocation.
    String(EcoString),
    /// The identity of a row.
    Uuid(Uuid),
}

impl Atom {
    /// The string in this atom, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(string) = self { Some(string) } else { None }
    }

    /// The row identity in this atom, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Self::Uuid(uuid) = self { Some(*uuid) } else { None }
    }

    /// A real atom; negative zero becomes zero.
    pub fn real(real: f64) -> Self {
        Self::Real(if real == 0.0 { 0.0 } else { real })
    }

    /// Orders the kinds among each other, so that the order is total whatever a set holds.
    fn kind(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
        }
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Atom {}

impl Hash for Atom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Self::Integer(integer) => integer.hash(state),
            Self::Real(real) => real.to_bits().hash(state),
            Self::Boolean(boolean) => boolean.hash(state),
            Self::String(string) => string.hash(state),
            Self::Uuid(uuid) => uuid.hash(state),
        }
    }
}

impl From<&str> for Atom {
    fn from(string: &str) -> Self {
        Self::String(string.into())
    }
}

impl From<Uuid> for Atom {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<i64> for Atom {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<bool> for Atom {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

/// One cell of a row (RFC 7047 section 5.1, `<value>`). 24 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Exactly one atom.
    Atom(Atom),
    /// No atom, or two and more: sorted, without duplicates.
    Set(Box<[Atom]>),
    /// One pair and more: sorted by key, each key once. Shared: many rows carry the same tags.
    Map(Arc<[(Atom, Atom)]>),
}

impl Default for Value {
    fn default() -> Self {
        Self::empty()
    }
}

impl Value {
    /// The empty set, which is also the empty map and the absent optional. Allocates nothing.
    pub fn empty() -> Self {
        Self::Set(Box::default())
    }

    /// A set of these atoms in any order, duplicates allowed.
    pub fn set(mut atoms: Vec<Atom>) -> Self {
        if !atoms.is_sorted_by(|a, b| a < b) {
            atoms.sort_unstable();
            atoms.dedup();
        }
        if atoms.len() == 1
            && let Some(atom) = atoms.pop()
        {
            return Self::Atom(atom);
        }
        Self::Set(atoms.into_boxed_slice())
    }

    /// A map of these pairs in any order; of pairs with the same key the last counts.
    pub fn map(mut pairs: Vec<(Atom, Atom)>) -> Self {
        if pairs.is_empty() {
            return Self::empty();
        }
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.reverse();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        }
        Self::Map(pairs.into())
    }

    /// The atoms of a scalar, an optional or a set; none for a map.
    pub fn atoms(&self) -> &[Atom] {
        match self {
            Self::Atom(atom) => std::slice::from_ref(atom),
            Self::Set(atoms) => atoms,
            Self::Map(_) => &[],
        }
    }

    /// The pairs of a map; none for anything else.
    pub fn pairs(&self) -> &[(Atom, Atom)] {
        if let Self::Map(pairs) = self { pairs } else { &[] }
    }

    /// The single string of a scalar or optional, `""` if there is none.
    pub fn string(&self) -> &str {
        self.optional_string().unwrap_or("")
    }

    /// The single string of a scalar or optional.
    pub fn optional_string(&self) -> Option<&str> {
        self.scalar()?.as_str()
    }

    /// All strings of a scalar, optional or set, in order.
    pub fn strings(&self) -> impl Iterator<Item = &str> {
        self.atoms().iter().filter_map(Atom::as_str)
    }

    /// The single row identity of a scalar or optional.
    pub fn uuid(&self) -> Option<Uuid> {
        self.scalar()?.as_uuid()
    }

    /// All row identities of a scalar, optional or set, in order.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> {
        self.atoms().iter().filter_map(Atom::as_uuid)
    }

    /// The single integer of a scalar or optional.
    pub fn integer(&self) -> Option<i64> {
        if let Some(Atom::Integer(integer)) = self.scalar() { Some(*integer) } else { None }
    }

    /// The single real of a scalar or optional.
    pub fn real(&self) -> Option<f64> {
        if let Some(Atom::Real(real)) = self.scalar() { Some(*real) } else { None }
    }

    /// The single boolean of a scalar or optional.
    pub fn boolean(&self) -> Option<bool> {
        if let Some(Atom::Boolean(boolean)) = self.scalar() { Some(*boolean) } else { None }
    }

    /// The value of `key` in a map from strings to strings.
    pub fn get(&self, key: &str) -> Option<&str> {
        let pairs = self.pairs();
        let found = pairs.binary_search_by(|(present, _)| match present.as_str() {
            Some(present) => present.cmp(key),
            None => Ordering::Less,
        });
        pairs.get(found.ok()?).and_then(|(_, value)| value.as_str())
    }

    /// The pairs of a map from strings to strings, in order of the keys.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().iter().filter_map(|(key, value)| Some((key.as_str()?, value.as_str()?)))
    }

    /// How many atoms or pairs there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Atom(_) => 1,
            Self::Set(atoms) => atoms.len(),
            Self::Map(pairs) => pairs.len(),
        }
    }

    /// Whether there is no atom and no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn scalar(&self) -> Option<&Atom> {
        if let Self::Atom(atom) = self { Some(atom) } else { None }
    }
}

impl<A: Into<Atom>> From<A> for Value {
    fn from(atom: A) -> Self {
        Self::Atom(atom.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_small() {
        assert_eq!(size_of::<Atom>(), 24);
        assert_eq!(size_of::<Value>(), 24);
    }

    #[test]
    fn sets_and_maps_are_canonical() {
        assert_eq!(Value::set(vec![]), Value::empty());
        assert_eq!(Value::map(vec![]), Value::empty());
        assert_eq!(Value::set(vec!["a".into(), "a".into()]), Value::from("a"));
        assert_eq!(
            Value::set(vec![2.into(), 1.into(), 2.into()]),
            Value::set(vec![1.into(), 2.into()])
        );
        let map = Value::map(vec![
            ("b".into(), "1".into()),
            ("a".into(), "2".into()),
            ("b".into(), "3".into()),
        ]);
        assert_eq!(map.entries().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
    }

    #[test]
    fn accessors_read_what_is_there_and_nothing_else() {
        let map = Value::map(vec![("k".into(), "v".into())]);
        assert_eq!((map.get("k"), map.get("l"), map.len()), (Some("v"), None, 1));
        assert_eq!(map.optional_string(), None);
        let set = Value::set(vec!["x".into(), "y".into()]);
        assert_eq!(set.strings().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((set.string(), set.integer(), set.get("x")), ("", None, None));
        assert_eq!(Value::from("x").string(), "x");
        assert_eq!(Value::from(7).integer(), Some(7));
        assert_eq!(Value::from(true).boolean(), Some(true));
        assert_eq!(Value::from(Uuid::nil()).uuids().collect::<Vec<_>>(), [Uuid::nil()]);
        assert!(Value::empty().is_empty());
    }

    #[test]
    fn negative_zero_is_zero() {
        assert_eq!(Atom::real(-0.0), Atom::real(0.0));
    }
}
