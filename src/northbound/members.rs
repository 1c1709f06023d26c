//! Maps of sets in which no set is ever empty: what the index is made of.

use std::collections::{BTreeMap, HashMap};

use sorted_vec::SortedSet;

/// Takes a member out of a map of sets, and the set with its last member.
pub(super) trait MapOfSets<K: ?Sized, V> {
    fn remove_member(&mut self, key: &K, member: &V);
}

pub(super) fn remove<K: ?Sized, V>(map: &mut impl MapOfSets<K, V>, key: &K, member: &V) {
    map.remove_member(key, member);
}

impl<O: Ord + std::borrow::Borrow<K>, K: Ord + ?Sized, V: Ord> MapOfSets<K, V>
    for BTreeMap<O, SortedSet<V>>
{
    fn remove_member(&mut self, key: &K, member: &V) {
        if let Some(members) = self.get_mut(key)
            && members.remove_item(member).is_some()
            && members.is_empty()
        {
            self.remove(key);
        }
    }
}

impl<O, K, V> MapOfSets<K, V> for HashMap<O, SortedSet<V>>
where
    O: std::hash::Hash + Eq + std::borrow::Borrow<K>,
    K: std::hash::Hash + Eq + ?Sized,
    V: Ord,
{
    fn remove_member(&mut self, key: &K, member: &V) {
        if let Some(members) = self.get_mut(key)
            && members.remove_item(member).is_some()
            && members.is_empty()
        {
            self.remove(key);
        }
    }
}
