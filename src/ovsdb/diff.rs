//! The difference semantics of `modify` in update2 and update3 (ovsdb-server(7) section 4.1.13).
//!
//! Owns how a difference is applied to a value. May not touch JSON or the replica. Invariant: a
//! difference of sets is its own inverse: applied twice, it gives the value back.

use super::schema::ColumnType;
use super::value::{Value, ValueRef};

/// Applies `diff` to `current`. A column of at most one atom or pair is replaced. In a set, each
/// atom of `diff` is removed if it is there, and added if not. In a map, a pair that is there with
/// the same value is removed, and any other pair is set.
pub fn apply_diff(current: ValueRef<'_>, diff: ValueRef<'_>, type_: &ColumnType) -> Value {
    if type_.is_replaced_by_modify() {
        return diff.into();
    }
    if type_.value.is_some() { diff_map(current, diff) } else { diff_set(current, diff) }
}

fn diff_set(current: ValueRef<'_>, diff: ValueRef<'_>) -> Value {
    let (mut applied, mut toggled) = (Vec::new(), diff.atoms().peekable());
    for atom in current.atoms() {
        while let Some(added) = toggled.next_if(|next| *next < atom) {
            applied.push(added);
        }
        if toggled.next_if_eq(&atom).is_none() {
            applied.push(atom);
        }
    }
    Value::of_atoms(applied.into_iter().chain(toggled))
}

fn diff_map(current: ValueRef<'_>, diff: ValueRef<'_>) -> Value {
    let (mut applied, mut changes) = (Vec::new(), diff.pairs().peekable());
    for pair in current.pairs() {
        while let Some(added) = changes.next_if(|next| next.0 < pair.0) {
            applied.push(added);
        }
        match changes.next_if(|next| next.0 == pair.0) {
            None => applied.push(pair),
            Some(changed) if changed.1 == pair.1 => {}
            Some(changed) => applied.push(changed),
        }
    }
    Value::of_pairs(applied.into_iter().chain(changes))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::atom::Atom;
    use super::*;

    fn apply_diff(current: &Value, diff: &Value, type_: &ColumnType) -> Value {
        super::apply_diff(current.view(), diff.view(), type_)
    }

    fn type_of(json: &str) -> ColumnType {
        serde_json::from_str(json).unwrap()
    }

    fn set_type() -> ColumnType {
        type_of(r#"{"key":"integer","min":0,"max":"unlimited"}"#)
    }

    fn map_type() -> ColumnType {
        type_of(r#"{"key":"string","value":"string","min":0,"max":"unlimited"}"#)
    }

    fn set(atoms: &BTreeSet<i64>) -> Value {
        Value::set(atoms.iter().map(|atom| Atom::Integer(*atom)).collect())
    }

    fn map(pairs: &BTreeMap<String, String>) -> Value {
        Value::map(pairs.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect())
    }

    /// The difference as ovsdb-server defines it, written out slowly.
    fn map_diff(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Value {
        let mut diff = BTreeMap::new();
        for (key, value) in old {
            if !new.contains_key(key) {
                diff.insert(key.clone(), value.clone());
            }
        }
        for (key, value) in new {
            if old.get(key) != Some(value) {
                diff.insert(key.clone(), value.clone());
            }
        }
        map(&diff)
    }

    fn small_map() -> impl Strategy<Value = BTreeMap<String, String>> {
        proptest::collection::btree_map("[a-f]", "[x-z]", 0..6)
    }

    #[test]
    fn at_most_one_atom_is_replaced() {
        let optional = type_of(r#"{"key":"string","min":0,"max":1}"#);
        assert_eq!(apply_diff(&"a".into(), &"b".into(), &optional), "b".into());
        assert_eq!(apply_diff(&"a".into(), &"a".into(), &optional), "a".into());
        assert_eq!(apply_diff(&"a".into(), &Value::empty(), &optional), Value::empty());
    }

    #[test]
    fn one_pair_at_most_is_replaced_too() {
        let single = type_of(r#"{"key":"string","value":"string","min":0,"max":1}"#);
        let pair = Value::map(vec![("k".into(), "v".into())]);
        assert_eq!(apply_diff(&pair, &pair, &single), pair);
    }

    proptest! {
        #[test]
        fn sets_take_the_symmetric_difference(
            old in proptest::collection::btree_set(0i64..12, 0..8),
            new in proptest::collection::btree_set(0i64..12, 0..8),
        ) {
            let diff: BTreeSet<i64> = old.symmetric_difference(&new).copied().collect();
            let applied = apply_diff(&set(&old), &set(&diff), &set_type());
            prop_assert_eq!(&applied, &set(&new));
            prop_assert_eq!(apply_diff(&applied, &set(&diff), &set_type()), set(&old));
        }

        #[test]
        fn maps_delete_same_pairs_and_set_others(old in small_map(), new in small_map()) {
            let diff = map_diff(&old, &new);
            prop_assert_eq!(apply_diff(&map(&old), &diff, &map_type()), map(&new));
        }
    }
}
