//! Values of RFC 7047 section 5.1, and how they are read.
//!
//! Owns a column's cell by itself ([`Value`]) and inside a row ([`ValueRef`]). May not touch JSON,
//! the schema or the wire. Invariants: a set is sorted, without duplicates, and never holds exactly
//! one atom (that is a bare [`Atom`], as on the wire); a map is sorted by key and never empty (an
//! empty map is the empty set). So equal contents are equal values.

use std::cmp::Ordering;
use std::fmt;

use uuid::Uuid;

use super::atom::Atom;
use super::packed::{self, Content, Pair, close_map, close_set, content, push_atom};

/// One value (RFC 7047 section 5.1, `<value>`), by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Box<str>);

/// One value, read in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ValueRef<'a>(&'a str);

impl Value {
    /// The empty set, which is also the empty map and the absent optional.
    pub fn empty() -> Self {
        Self(packed::NOTHING.into())
    }

    /// A set of these atoms in any order, duplicates allowed.
    pub fn set(atoms: Vec<Atom>) -> Self {
        Self::of_atoms(atoms.iter().map(Atom::borrowed))
    }

    /// A map of these pairs in any order; if a key comes twice, the last pair counts.
    pub fn map(pairs: Vec<(Atom, Atom)>) -> Self {
        Self::of_pairs(pairs.iter().map(|(key, value)| (key.borrowed(), value.borrowed())))
    }

    /// As [`Value::set`], of borrowed texts.
    pub fn of_atoms<S: AsRef<str>>(atoms: impl IntoIterator<Item = Atom<S>>) -> Self {
        let mut cell = String::new();
        atoms.into_iter().for_each(|atom| push_atom(&mut cell, atom.borrowed()));
        close_set(&mut cell, 0);
        Self(cell.into())
    }

    /// As [`Value::map`], of borrowed texts.
    pub fn of_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (Atom<K>, Atom<V>)>,
    ) -> Self {
        let mut cell = String::new();
        for (key, value) in pairs {
            push_atom(&mut cell, key.borrowed());
            push_atom(&mut cell, value.borrowed());
        }
        close_map(&mut cell, 0);
        Self(cell.into())
    }

    /// The same, to be read.
    pub fn view(&self) -> ValueRef<'_> {
        ValueRef(&self.0)
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::empty()
    }
}

impl<A: Into<Atom>> From<A> for Value {
    fn from(atom: A) -> Self {
        let mut cell = String::new();
        push_atom(&mut cell, atom.into().borrowed());
        Self(cell.into())
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        Self(value.0.into())
    }
}

impl PartialEq<Value> for ValueRef<'_> {
    fn eq(&self, other: &Value) -> bool {
        *self == other.view()
    }
}

impl<'a> ValueRef<'a> {
    /// The empty set, which is also the empty map and the absent optional.
    pub const EMPTY: Self = Self(packed::NOTHING);

    /// What one packed cell holds.
    pub(super) const fn of_cell(cell: &'a str) -> Self {
        Self(cell)
    }

    /// The packed cell.
    pub(super) fn cell(self) -> &'a str {
        self.0
    }

    /// The atoms of a scalar, an optional or a set, in order; none for a map.
    pub fn atoms(self) -> impl Iterator<Item = Atom<&'a str>> {
        let (one, all) = match content(self.0) {
            Content::Atom(atom) => (Some(atom), None),
            Content::Set(atoms) => (None, Some(atoms.atoms())),
            Content::Map(_) => (None, None),
        };
        one.into_iter().chain(all.into_iter().flatten())
    }

    /// The pairs of a map, in order of the keys; none for anything else.
    pub fn pairs(self) -> impl Iterator<Item = Pair<'a>> {
        let pairs =
            if let Content::Map(pairs) = content(self.0) { Some(pairs.all()) } else { None };
        pairs.into_iter().flatten()
    }

    /// The single string of a scalar or optional, `""` if there is none.
    pub fn string(self) -> &'a str {
        self.scalar().and_then(Atom::text).unwrap_or_default()
    }

    /// Whether it is this single string.
    pub fn is_string(self, text: &str) -> bool {
        self.scalar().and_then(Atom::text) == Some(text)
    }

    /// All strings of a scalar, optional or set, in order.
    pub fn strings(self) -> impl Iterator<Item = &'a str> {
        self.atoms().filter_map(Atom::text)
    }

    /// The single row identity of a scalar or optional.
    pub fn uuid(self) -> Option<Uuid> {
        self.scalar()?.as_uuid()
    }

    /// All row identities of a scalar, optional or set, in order.
    pub fn uuids(self) -> impl Iterator<Item = Uuid> + use<'a> {
        self.atoms().filter_map(|atom| atom.as_uuid())
    }

    /// The single integer of a scalar or optional.
    pub fn integer(self) -> Option<i64> {
        if let Some(Atom::Integer(integer)) = self.scalar() { Some(integer) } else { None }
    }

    /// The single real of a scalar or optional.
    pub fn real(self) -> Option<f64> {
        if let Some(Atom::Real(real)) = self.scalar() { Some(real) } else { None }
    }

    /// The single boolean of a scalar or optional.
    pub fn boolean(self) -> Option<bool> {
        if let Some(Atom::Boolean(boolean)) = self.scalar() { Some(boolean) } else { None }
    }

    /// The value of `key` in a map from strings to strings.
    pub fn get(self, key: &str) -> Option<&'a str> {
        if let Content::Map(pairs) = content(self.0) { pairs.get(key) } else { None }
    }

    /// Whether a map from strings to strings has this key.
    pub fn has_key(self, key: &str) -> bool {
        if let Content::Map(pairs) = content(self.0) { pairs.has(key) } else { false }
    }

    /// Whether a map from strings to strings has this pair.
    pub fn holds(self, key: &str, text: &str) -> bool {
        self.get(key) == Some(text)
    }

    /// The pairs of a map from strings to strings, in order of the keys.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.pairs().filter_map(|(key, value)| Some((key.text()?, value.text()?)))
    }

    /// How many atoms or pairs there are; counts them.
    pub fn len(self) -> usize {
        self.atoms().count() + self.pairs().count()
    }

    /// Whether there is no atom and no pair.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Whether there is nothing, or only the empty string.
    pub fn is_blank(self) -> bool {
        self.is_empty() || self.0 == packed::BLANK
    }

    fn scalar(self) -> Option<Atom<&'a str>> {
        if let Content::Atom(atom) = content(self.0) { Some(atom) } else { None }
    }

    /// Orders atoms before sets and sets before maps.
    fn rank(self) -> u8 {
        match content(self.0) {
            Content::Atom(_) => 0,
            Content::Set(_) => 1,
            Content::Map(_) => 2,
        }
    }
}

impl Ord for ValueRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = self.rank().cmp(&other.rank());
        rank.then_with(|| self.atoms().cmp(other.atoms()))
            .then_with(|| self.pairs().cmp(other.pairs()))
    }
}

impl PartialOrd for ValueRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        self.view().cmp(&other.view())
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match content(self.0) {
            Content::Atom(atom) => atom.fmt(f),
            Content::Set(_) => f.debug_set().entries(self.atoms()).finish(),
            Content::Map(_) => f.debug_map().entries(self.pairs()).finish(),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(map.view().entries().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
    }

    #[test]
    fn accessors_read_what_is_there_and_nothing_else() {
        let map = Value::map(vec![("k".into(), "v".into())]);
        let map = map.view();
        assert_eq!((map.get("k"), map.get("l"), map.len()), (Some("v"), None, 1));
        assert!(map.holds("k", "v") && !map.holds("k", "w") && !map.holds("l", "v"));
        assert_eq!(map.string(), "");
        let set = Value::set(vec!["x".into(), "y".into()]);
        let set = set.view();
        assert_eq!(set.strings().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((set.string(), set.integer(), set.get("x")), ("", None, None));
        assert!(!set.is_string("x") && !set.holds("x", "y") && !map.is_string("k"));
        assert!(Value::from("x").view().is_string("x") && !Value::empty().view().is_string(""));
        assert_eq!(Value::from("x").view().string(), "x");
        assert_eq!(Value::from(7).view().integer(), Some(7));
        assert_eq!(Value::from(true).view().boolean(), Some(true));
        assert_eq!(Value::from(Uuid::nil()).view().uuids().collect::<Vec<_>>(), [Uuid::nil()]);
        assert!(Value::empty().view().is_empty());
    }

    #[test]
    fn values_are_ordered_by_content() {
        let ascending = [
            Value::from(-1),
            Value::from(2),
            Value::from("b"),
            Value::from("ca"),
            Value::empty(),
            Value::set(vec!["a".into(), "b".into()]),
            Value::map(vec![("a".into(), "a".into())]),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }
}
