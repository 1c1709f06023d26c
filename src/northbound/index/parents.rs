//! The parents of rows: part of the index.
//!
//! Holds the reverse of strong references, which OVSDB does not offer. There are many children and
//! few parents, so a child stores its parent's number. OVN gives each child one parent. OVSDB
//! allows several: somebody may copy a router's row with all of its references. Parents after the
//! first are stored separately.

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};
use uuid::Uuid;

use crate::ovsdb::{Replica, RowChange};

use super::super::rows::set_difference;
use super::super::tables::children_of;

/// Children and their parents.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct Parents {
    numbers: HashMap<Uuid, u32>,
    /// By number. Numbers in `free` are unused.
    parents: Vec<Uuid>,
    free: Vec<u32>,
    by_parent: HashTable<u32>,
    /// The other parents of a child, in the order in which they came.
    others: HashMap<Uuid, Vec<Uuid>>,
}

impl Parents {
    /// Applies a change that the replica has applied.
    pub(super) fn apply(&mut self, replica: &Replica, change: &RowChange) {
        let parent = change.uuid;
        let (old, mut is_parent) = (change.old.as_ref(), false);
        let new = replica.row(change.table, parent);
        for (column, _) in children_of(change.table) {
            let (lost, gained) = set_difference(old, new, column);
            self.lose(parent, &lost);
            self.gain(parent, &gained);
            is_parent = true;
        }
        if is_parent && new.is_none() {
            self.forget(parent);
        }
    }

    /// All parents of a child.
    pub(in crate::northbound) fn all(&self, child: Uuid) -> impl Iterator<Item = Uuid> {
        let others = self.others.get(&child).map(Vec::as_slice).unwrap_or_default();
        self.get(child).into_iter().chain(others.iter().copied())
    }

    /// The parent of a child; of several, the one that has had it longest.
    fn get(&self, child: Uuid) -> Option<Uuid> {
        self.parents.get(*self.numbers.get(&child)? as usize).copied()
    }

    /// A parent gained children, which may have another parent as well.
    fn gain(&mut self, parent: Uuid, children: &[Uuid]) {
        let Some(number) = children.first().and_then(|_| self.number(parent)) else { return };
        for child in children {
            match self.numbers.get(child) {
                None => drop(self.numbers.insert(*child, number)),
                Some(known) if *known == number => {}
                Some(_) => {
                    let others = self.others.entry(*child).or_default();
                    if !others.contains(&parent) {
                        others.push(parent);
                    }
                }
            }
        }
    }

    /// A parent lost children, which may have another parent as well.
    fn lose(&mut self, parent: Uuid, children: &[Uuid]) {
        for child in children {
            let others = self.others.remove(child).unwrap_or_default();
            let mut left: Vec<Uuid> = self.get(*child).into_iter().chain(others).collect();
            left.retain(|of| *of != parent);
            match left.split_first().and_then(|(first, rest)| Some((self.number(*first)?, rest))) {
                None => drop(self.numbers.remove(child)),
                Some((number, rest)) => {
                    self.numbers.insert(*child, number);
                    if !rest.is_empty() {
                        self.others.insert(*child, rest.to_vec());
                    }
                }
            }
        }
    }

    /// Frees the number of a parent without children.
    fn forget(&mut self, parent: Uuid) {
        let (parents, hash) = (&self.parents, self.numbers.hasher().hash_one(parent));
        let is_it = |number: &u32| parents.get(*number as usize) == Some(&parent);
        if let Ok(found) = self.by_parent.find_entry(hash, is_it) {
            self.free.push(found.remove().0);
        }
    }

    fn number(&mut self, parent: Uuid) -> Option<u32> {
        let (parents, hash) = (&mut self.parents, self.numbers.hasher().hash_one(parent));
        let is_it = |number: &u32| parents.get(*number as usize) == Some(&parent);
        if let Some(number) = self.by_parent.find(hash, is_it) {
            return Some(*number);
        }
        let number = match self.free.pop() {
            Some(number) => {
                *parents.get_mut(number as usize)? = parent;
                number
            }
            None => {
                parents.push(parent);
                u32::try_from(parents.len() - 1).ok()?
            }
        };
        let hash_of = |number: &u32| {
            parents.get(*number as usize).map_or(0, |parent| self.numbers.hasher().hash_one(parent))
        };
        self.by_parent.insert_unique(hash, number, hash_of);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_child_has_all_the_parents_that_refer_to_it(
            steps in proptest::collection::vec((0u8..3, 0u128..5, 0u128..8), 0..80),
        ) {
            let mut found = Parents::default();
            let mut expected: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
            for (step, parent, child) in steps {
                let (parent, child) = (Uuid::from_u128(100 + parent), Uuid::from_u128(child));
                let all: Vec<_> =
                    expected.iter().filter(|it| it.1.contains(&parent)).map(|it| *it.0).collect();
                let parents = expected.entry(child).or_default();
                match step {
                    0 => {
                        found.gain(parent, &[child]);
                        if !parents.contains(&parent) {
                            parents.push(parent);
                        }
                    }
                    1 => {
                        found.lose(parent, &[child]);
                        parents.retain(|of| *of != parent);
                    }
                    _ => {
                        found.lose(parent, &all);
                        found.forget(parent);
                        expected.values_mut().for_each(|of| of.retain(|of| *of != parent));
                    }
                }
                for child in (0..8).map(Uuid::from_u128) {
                    let parents = expected.get(&child).cloned().unwrap_or_default();
                    prop_assert_eq!(found.get(child), parents.first().copied());
                    prop_assert_eq!(found.all(child).collect::<Vec<_>>(), parents);
                }
                prop_assert!(found.others.values().all(|others| !others.is_empty()));
            }
        }
    }
}
