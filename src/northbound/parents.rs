//! From a row to the one that refers to it: part of the index.
//!
//! Owns the reverse of strong references, which OVSDB does not keep. There are many children and few
//! parents: a child has its parent's number.

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};
use uuid::Uuid;

/// Children and their parents.
#[derive(Debug, Default)]
pub(super) struct Parents {
    numbers: HashMap<Uuid, u32>,
    /// By number; the numbers in `free` are nobody's.
    parents: Vec<Uuid>,
    free: Vec<u32>,
    by_parent: HashTable<u32>,
}

impl Parents {
    /// The parent of a child.
    pub(super) fn get(&self, child: Uuid) -> Option<Uuid> {
        self.parents.get(*self.numbers.get(&child)? as usize).copied()
    }

    /// A parent gained children, that may have been another's.
    pub(super) fn gain(&mut self, parent: Uuid, children: &[Uuid]) {
        if let Some(number) = children.first().and_then(|_| self.number(parent)) {
            self.numbers.extend(children.iter().map(|child| (*child, number)));
        }
    }

    /// A parent lost children, which another may have gained.
    pub(super) fn lose(&mut self, parent: Uuid, children: &[Uuid]) {
        for child in children {
            if self.get(*child) == Some(parent) {
                self.numbers.remove(child);
            }
        }
    }

    /// A parent that has lost all its children is gone.
    pub(super) fn forget(&mut self, parent: Uuid) {
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
        fn a_child_has_the_parent_that_gained_it_last(
            steps in proptest::collection::vec((0u8..3, 0u128..5, 0u128..8), 0..80),
        ) {
            let (mut found, mut expected) = (Parents::default(), BTreeMap::new());
            for (step, parent, child) in steps {
                let (parent, child) = (Uuid::from_u128(100 + parent), Uuid::from_u128(child));
                let all: Vec<_> =
                    expected.iter().filter(|it| *it.1 == parent).map(|it| *it.0).collect();
                match step {
                    0 => {
                        found.gain(parent, &[child]);
                        expected.insert(child, parent);
                    }
                    1 => {
                        found.lose(parent, &[child]);
                        if expected.get(&child) == Some(&parent) {
                            expected.remove(&child);
                        }
                    }
                    _ => {
                        found.lose(parent, &all);
                        found.forget(parent);
                        expected.retain(|_, of| *of != parent);
                    }
                }
                for child in (0..8).map(Uuid::from_u128) {
                    prop_assert_eq!(found.get(child), expected.get(&child).copied());
                }
            }
        }
    }
}
