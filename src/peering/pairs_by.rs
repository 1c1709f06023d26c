//! Pairs by something that they have to do with, so that a change of it marks those pairs alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::PeeringKey;

/// Pairs by something that they have to do with.
#[derive(Debug)]
pub(super) struct PairsBy<K>(BTreeMap<K, BTreeSet<PeeringKey>>);

impl<K> Default for PairsBy<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> PairsBy<K> {
    pub(super) fn add(&mut self, key: &K, pair: &PeeringKey) {
        self.0.entry(key.clone()).or_default().insert(pair.clone());
    }

    pub(super) fn remove(&mut self, key: &K, pair: &PeeringKey) {
        let Some(pairs) = self.0.get_mut(key) else { return };
        pairs.remove(pair);
        if pairs.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn of<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a PeeringKey> + use<'a, K> {
        self.0.get(key).into_iter().flatten()
    }
}
