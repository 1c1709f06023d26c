//! Maps of sets without empty sets; the indexes consist of these.
//!
//! Defines how such a set is stored: nearly all have one member, which needs no allocation, and the
//! others have a few.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::Deref;
use std::slice;

use hashbrown::HashMap;

/// Members in order, each once.
#[derive(Clone, Debug)]
pub(crate) enum Members<V> {
    /// Exactly one.
    One(V),
    /// None, or two and more; one after a removal.
    Many(Vec<V>),
}

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<V> Deref for Members<V> {
    type Target = [V];

    fn deref(&self) -> &[V] {
        self.as_slice()
    }
}

impl<V> Members<V> {
    /// All of them, in order.
    pub(super) fn as_slice(&self) -> &[V] {
        match self {
            Self::One(member) => slice::from_ref(member),
            Self::Many(members) => members,
        }
    }
}

impl<V: Ord + Clone> Members<V> {
    /// Adds a member. Returns whether it is new.
    pub(crate) fn insert(&mut self, member: V) -> bool {
        let Err(position) = self.binary_search(&member) else { return false };
        match self {
            Self::Many(members) if members.is_empty() => *self = Self::One(member),
            Self::One(one) => {
                let mut members = Vec::with_capacity(2);
                members.push(one.clone());
                members.insert(position, member);
                *self = Self::Many(members);
            }
            Self::Many(members) => {
                if members.len() == members.capacity() {
                    members.reserve_exact(1 + members.len() / 4);
                }
                members.insert(position, member);
            }
        }
        true
    }

    /// Removes a member. Returns whether there was one.
    pub(crate) fn remove(&mut self, member: &V) -> bool {
        let Ok(position) = self.binary_search(member) else { return false };
        match self {
            Self::One(_) => *self = Self::default(),
            Self::Many(members) => drop(members.remove(position)),
        }
        true
    }
}

/// The members of a set; none without a set.
pub(super) fn members<V>(set: Option<&Members<V>>) -> &[V] {
    set.map(Members::as_slice).unwrap_or_default()
}

/// Removes a member from a map of sets, and the set too if it is empty then.
pub(super) trait MapOfSets<K: ?Sized, V> {
    /// Returns whether there was such a member.
    fn remove_member(&mut self, key: &K, member: &V) -> bool;
}

pub(super) fn remove<K: ?Sized, V>(map: &mut impl MapOfSets<K, V>, key: &K, member: &V) -> bool {
    map.remove_member(key, member)
}

impl<O: Ord + Borrow<K>, K: Ord + ?Sized, V: Ord + Copy> MapOfSets<K, V>
    for BTreeMap<O, Members<V>>
{
    fn remove_member(&mut self, key: &K, member: &V) -> bool {
        let Some(members) = self.get_mut(key) else { return false };
        let removed = members.remove(member);
        if members.as_slice().is_empty() {
            self.remove(key);
        }
        removed
    }
}

impl<O, K, V> MapOfSets<K, V> for HashMap<O, Members<V>>
where
    O: Hash + Eq + Borrow<K>,
    K: Hash + Eq + ?Sized,
    V: Ord + Copy,
{
    fn remove_member(&mut self, key: &K, member: &V) -> bool {
        let Some(members) = self.get_mut(key) else { return false };
        let removed = members.remove(member);
        if members.as_slice().is_empty() {
            self.remove(key);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn members_are_a_set(steps in proptest::collection::vec((any::<bool>(), 0u8..12), 0..60)) {
            let (mut found, mut expected) = (Members::default(), BTreeSet::new());
            for (insert, member) in steps {
                if insert {
                    prop_assert_eq!(found.insert(member), expected.insert(member));
                } else {
                    prop_assert_eq!(found.remove(&member), expected.remove(&member));
                }
                prop_assert!(found.as_slice().iter().eq(&expected));
            }
        }
    }
}
