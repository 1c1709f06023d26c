//! The packed form of cells: one after the other in a text, with nothing between them.
//!
//! Owns the form and both ways through it. May not touch JSON, the schema or names. Invariants:
//! every value has exactly one form, so that equal contents are equal texts; all but strings is
//! written in ASCII, so that the whole is valid UTF-8 and strings are borrowed from it without
//! another check.
//!
//! ```text
//! number = as in `digits`
//! cell   = EMPTY | atom | SET length atom atom… | MAP length (atom atom)…
//!        | INDEX length count offset… (atom atom)…
//! atom   = FALSE | TRUE | INTEGER zigzag | REAL bits | UUID 19 digits of 7 bits
//!        | (STRING + bytes) text
//! ```
//!
//! Names and lengths are numbers; `length` is that of what follows, in bytes. A set holds two atoms
//! and more, ascending; a map one pair and more, ascending by key. A map of more than [`SCANNED`]
//! pairs begins with where each pair is, from the first on, in five digits of 7 bits.

use std::cmp::Ordering;

use super::atom::Atom;
use super::digits::{IDENTITY, digit_of, push_number, push_uuid, take, take_number, uuid_of};

const EMPTY: u64 = 0;
const SET: u64 = 1;
const MAP: u64 = 2;
const INDEX: u64 = 3;
const FALSE: u64 = 4;
const TRUE: u64 = 5;
const INTEGER: u64 = 6;
const REAL: u64 = 7;
const UUID: u64 = 8;
/// This value and all above: a string; its length in bytes is the difference.
const STRING: u64 = 9;

/// The cell that holds nothing.
pub(super) const NOTHING: &str = "\0";
/// The cell that holds the empty string.
pub(super) const BLANK: &str = "\t";
/// A map of at most this many pairs is searched from the first pair on; a larger one by bisection.
const SCANNED: usize = 16;
/// Digits of an offset: 35 bits, more than any message has.
const OFFSET: usize = 5;

/// Appends an atom, which is a cell too.
pub(super) fn push_atom(out: &mut String, atom: Atom<&str>) {
    match atom {
        Atom::Boolean(false) => push_number(out, FALSE),
        Atom::Boolean(true) => push_number(out, TRUE),
        Atom::Integer(integer) => {
            push_number(out, INTEGER);
            push_number(out, (integer.cast_unsigned() << 1) ^ (integer >> 63).cast_unsigned());
        }
        Atom::Real(real) => {
            push_number(out, REAL);
            push_number(out, real.to_bits());
        }
        Atom::Uuid(uuid) => {
            push_number(out, UUID);
            push_uuid(out, uuid);
        }
        Atom::String(string) => {
            push_number(out, STRING + string.len() as u64);
            out.push_str(string);
        }
    }
}

/// Makes one cell of the atoms from `start` on; they may be in any order and have duplicates.
pub(super) fn close_set(out: &mut String, start: usize) {
    let body = out.get(start..).unwrap_or_default();
    let atoms = || Reader(body).atoms();
    if !atoms().is_sorted_by(|a, b| a < b) {
        let mut sorted: Vec<_> = atoms().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut body = String::with_capacity(body.len());
        sorted.into_iter().for_each(|atom| push_atom(&mut body, atom));
        out.truncate(start);
        out.push_str(&body);
    }
    match Reader(out.get(start..).unwrap_or_default()).skips().take(2).count() {
        0 => out.push_str(NOTHING),
        1 => {}
        _ => enclose(out, start, SET, ""),
    }
}

/// Makes one cell of the pairs from `start` on, in any order; if a key comes twice, the last pair
/// counts.
pub(super) fn close_map(out: &mut String, start: usize) {
    let body = out.get(start..).unwrap_or_default();
    if !Reader(body).keys().is_sorted_by(|a, b| a < b) {
        let mut sorted: Vec<_> = Reader(body).pairs().collect();
        sorted.reverse();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut body = String::with_capacity(body.len());
        for (key, value) in sorted {
            push_atom(&mut body, key);
            push_atom(&mut body, value);
        }
        out.truncate(start);
        out.push_str(&body);
    }
    let body = out.get(start..).unwrap_or_default();
    match Reader(body).keys().take(SCANNED + 1).count() {
        0 => out.push_str(NOTHING),
        1..=SCANNED => enclose(out, start, MAP, ""),
        _ => {
            let offsets = offsets(body);
            enclose(out, start, INDEX, &offsets);
        }
    }
}

/// The count and the offsets of the pairs in `body`.
fn offsets(body: &str) -> String {
    let (mut reader, mut found) = (Reader(body), Vec::new());
    while !reader.0.is_empty() {
        found.push((body.len() - reader.0.len()) as u64);
        if reader.skip().and_then(|()| reader.skip()).is_none() {
            break;
        }
    }
    let mut out = String::with_capacity(3 + OFFSET * found.len());
    push_number(&mut out, found.len() as u64);
    for offset in found {
        out.extend((0..OFFSET).rev().map(|digit| digit_of(offset >> (7 * digit))));
    }
    out
}

/// Puts a head before the text from `start` on.
fn enclose(out: &mut String, start: usize, kind: u64, head: &str) {
    let mut name = String::with_capacity(8 + head.len());
    push_number(&mut name, kind);
    push_number(&mut name, (head.len() + out.len().saturating_sub(start)) as u64);
    name.push_str(head);
    out.insert_str(start, &name);
}

/// The content of a cell.
#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    /// Exactly one atom.
    Atom(Atom<&'a str>),
    /// No atom, or two and more.
    Set(Reader<'a>),
    /// One pair and more.
    Map(Pairs<'a>),
}

/// Reads a cell; a text that is no cell reads as the empty set.
pub(super) fn content(cell: &str) -> Content<'_> {
    let mut reader = Reader(cell);
    let kind = reader.number();
    match kind {
        None | Some(EMPTY) => Content::Set(Reader("")),
        Some(SET) => {
            let _ = reader.number();
            Content::Set(reader)
        }
        Some(MAP) => {
            let _ = reader.number();
            Content::Map(Pairs { offsets: "", body: reader.0 })
        }
        Some(INDEX) => {
            let _ = reader.number();
            let count = reader.number().and_then(|count| usize::try_from(count).ok());
            let bytes = count.and_then(|count| count.checked_mul(OFFSET));
            let split = bytes.and_then(|bytes| reader.0.split_at_checked(bytes));
            let (offsets, body) = split.unwrap_or_default();
            Content::Map(Pairs { offsets, body })
        }
        Some(_) => Reader(cell).atom().map_or(Content::Set(Reader("")), Content::Atom),
    }
}

/// A pair of a map.
pub(super) type Pair<'a> = (Atom<&'a str>, Atom<&'a str>);

/// The pairs of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs<'a> {
    offsets: &'a str,
    body: &'a str,
}

impl<'a> Pairs<'a> {
    /// All of them, in order.
    pub(super) fn all(self) -> impl Iterator<Item = Pair<'a>> {
        Reader(self.body).pairs()
    }

    /// The value of a key.
    pub(super) fn get(self, key: &str) -> Option<&'a str> {
        self.value(key)?.atom()?.text()
    }

    /// Whether there is such a key.
    pub(super) fn has(self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The value after a key.
    fn value(self, key: &str) -> Option<Reader<'a>> {
        let mut reader = Reader(self.near(key)?);
        loop {
            match reader.atom()?.text().map_or(Ordering::Less, |present| present.cmp(key)) {
                Ordering::Less => reader.skip()?,
                Ordering::Equal => return Some(reader),
                Ordering::Greater => return None,
            };
        }
    }

    /// The pairs from the last one whose key is not above this one.
    fn near(self, key: &str) -> Option<&'a str> {
        let (mut low, mut high) = (0, self.offsets.len() / OFFSET);
        while high - low > 1 {
            let middle = low.midpoint(high);
            let present = Reader(self.at(middle)?).atom()?;
            if present.text().is_some_and(|present| present > key) {
                high = middle;
            } else {
                low = middle;
            }
        }
        self.at(low)
    }

    fn at(self, position: usize) -> Option<&'a str> {
        if position == 0 {
            return Some(self.body);
        }
        let digits = self.offsets.as_bytes().get(position * OFFSET..)?.get(..OFFSET)?;
        let offset = digits.iter().fold(0, |sum, digit| (sum << 7) | usize::from(*digit));
        self.body.get(offset..)
    }
}

/// Iterates over a text of cells or atoms.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a str);

impl<'a> Reader<'a> {
    /// The next cell whole.
    pub(super) fn cell(&mut self) -> Option<&'a str> {
        let from = self.0;
        self.skip()?;
        from.get(..from.len() - self.0.len())
    }

    /// The next atom.
    fn atom(&mut self) -> Option<Atom<&'a str>> {
        Some(match self.number()? {
            FALSE => Atom::Boolean(false),
            TRUE => Atom::Boolean(true),
            INTEGER => {
                let zigzag = self.number()?;
                Atom::Integer((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
            }
            REAL => Atom::Real(f64::from_bits(self.number()?)),
            UUID => Atom::Uuid(uuid_of(self.take(IDENTITY)?)?),
            kind => {
                let length = usize::try_from(kind.checked_sub(STRING)?).ok()?;
                Atom::String(self.take(length)?)
            }
        })
    }

    /// The atoms from here on.
    pub(super) fn atoms(mut self) -> impl Iterator<Item = Atom<&'a str>> {
        std::iter::from_fn(move || self.atom())
    }

    /// The keys of the pairs from here on.
    fn keys(mut self) -> impl Iterator<Item = Atom<&'a str>> {
        std::iter::from_fn(move || {
            let key = self.atom()?;
            self.skip().map(|()| key)
        })
    }

    /// As many as there are cells or atoms from here on.
    fn skips(mut self) -> impl Iterator<Item = ()> {
        std::iter::from_fn(move || self.skip())
    }

    fn pair(&mut self) -> Option<Pair<'a>> {
        Some((self.atom()?, self.atom()?))
    }

    fn pairs(mut self) -> impl Iterator<Item = Pair<'a>> {
        std::iter::from_fn(move || self.pair())
    }

    /// Passes over a cell.
    pub(super) fn skip(&mut self) -> Option<()> {
        let bytes = match self.number()? {
            EMPTY | FALSE | TRUE => 0,
            SET | MAP | INDEX => self.number()?,
            INTEGER | REAL => self.number().map(|_| 0)?,
            UUID => IDENTITY as u64,
            kind => kind.checked_sub(STRING)?,
        };
        self.take(usize::try_from(bytes).ok()?).map(drop)
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        take(&mut self.0, bytes)
    }

    fn number(&mut self) -> Option<u64> {
        take_number(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::row::Row;
    use super::super::value::{Value, ValueRef};
    use super::super::wanted::ColumnId;
    use super::*;

    fn atom() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::Integer),
            (-70i64..70).prop_map(Atom::Integer),
            any::<f64>().prop_filter("JSON has none", |real| real.is_finite()).prop_map(Atom::real),
            any::<bool>().prop_map(Atom::Boolean),
            any::<u128>().prop_map(|number| Atom::Uuid(Uuid::from_u128(number))),
            "\\PC{0,3}|[a-c]{0,2}|[a-z\u{e9}]{50,70}".prop_map(|text| Atom::String(text.into())),
        ]
    }

    /// The content of a cell in plain types.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Plain {
        Set(BTreeSet<Atom>),
        Map(BTreeMap<Atom, Atom>),
    }

    fn plain() -> impl Strategy<Value = Plain> {
        prop_oneof![
            proptest::collection::btree_set(atom(), 0..5).prop_map(Plain::Set),
            proptest::collection::btree_map(atom(), atom(), 1..40).prop_map(Plain::Map),
        ]
    }

    fn packed(plain: &Plain) -> Value {
        match plain {
            Plain::Set(atoms) => Value::set(atoms.iter().rev().cloned().collect()),
            Plain::Map(pairs) => {
                Value::map(pairs.iter().rev().map(|(k, v)| (k.clone(), v.clone())).collect())
            }
        }
    }

    fn unpacked(value: ValueRef<'_>) -> Plain {
        let pairs = value.pairs().map(|(key, value)| (key.owned(), value.owned()));
        let pairs: BTreeMap<_, _> = pairs.collect();
        if pairs.is_empty() {
            return Plain::Set(value.atoms().map(Atom::owned).collect());
        }
        assert_eq!(value.atoms().count(), 0);
        Plain::Map(pairs)
    }

    proptest! {
        #[test]
        fn a_row_holds_what_was_put_into_it(plains in proptest::collection::vec(plain(), 0..6)) {
            let row: Row = plains.iter().map(packed).collect();
            prop_assert_eq!(row.cells().map(unpacked).collect::<Vec<_>>(), plains.clone());
            for (position, plain) in (0..).zip(&plains) {
                prop_assert_eq!(&unpacked(row.get(ColumnId(position))), plain);
            }
            prop_assert!(row.get(ColumnId(6)).is_empty());
        }

        #[test]
        fn a_cell_is_replaced_alone(
            plains in proptest::collection::vec(plain(), 1..5), new in plain(), at in 0u16..5,
        ) {
            let row: Row = plains.iter().map(packed).collect();
            let mut changed = plains;
            if let Some(plain) = changed.get_mut(usize::from(at)) {
                *plain = new.clone();
            }
            let row = row.with(ColumnId(at), packed(&new).view());
            prop_assert_eq!(row, changed.iter().map(packed).collect());
        }

        #[test]
        fn values_are_ordered_as_their_contents(a in plain(), b in plain(), atoms in [atom(), atom()]) {
            prop_assert_eq!(packed(&a) == packed(&b), a == b);
            if let (Plain::Map(a_map), Plain::Map(b_map)) = (&a, &b) {
                prop_assert_eq!(packed(&a).cmp(&packed(&b)), a_map.cmp(b_map));
            }
            let [c, d] = atoms;
            prop_assert_eq!(Value::from(c.clone()).cmp(&Value::from(d.clone())), c.cmp(&d));
        }

        #[test]
        fn every_key_is_found_and_no_other(
            map in proptest::collection::btree_map("[a-d]{0,4}", "[x-z]{0,60}", 0..60),
            other in "[a-d]{0,4}",
        ) {
            let pair = |(key, value): (&String, &String)| (Atom::from(key.as_str()), value.as_str().into());
            let value = Value::map(map.iter().map(pair).collect());
            for (key, text) in &map {
                prop_assert_eq!(value.view().get(key), Some(text.as_str()));
            }
            prop_assert_eq!(value.view().get(&other), map.get(&other).map(String::as_str));
            prop_assert_eq!(value.view().len(), map.len());
        }

        /// Reading any text as a cell or as a row comes to an end.
        #[test]
        fn what_is_no_cell_does_no_harm(text in "[\0-\t]{0,9}|\\PC{0,9}") {
            let _ = unpacked(ValueRef::of_cell(&text));
            let _ = ValueRef::of_cell(&text).get("a");
            let _ = Row::of_cells(&text).cells().count();
        }
    }
}
