//! The guard against mass withdrawals: what a reading would take away.

use std::collections::BTreeSet;

use super::{Book, Outcomes};
use crate::declare::model::{HalfKey, NetworkKey};

/// A reading that waits for the operator, because it would withdraw too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The halves that would be lost, because their own declaration goes or their network's.
    pub withdrawals: Vec<HalfKey>,
    /// How many halves stand now.
    pub of: usize,
}

impl Book {
    /// Whether these outcomes need the operator's confirmation.
    pub(super) fn is_too_much(&self, outcomes: &Outcomes) -> bool {
        self.limit.is_exceeded(self.lost(outcomes).len(), self.halves.len())
    }

    /// Keeps outcomes until they are confirmed.
    pub(super) fn hold(&mut self, pending: Outcomes) {
        let withdrawals = self.lost(&pending).into_iter().collect();
        self.held = Some(Held { withdrawals, of: self.halves.len() });
        self.pending = pending;
    }

    /// The halves in effect that would not be afterwards, because no file declares them or their
    /// network any more. One that only moves between files is not lost.
    pub(super) fn lost(&self, outcomes: &Outcomes) -> BTreeSet<HalfKey> {
        let given = || outcomes.values().flatten();
        let kept: BTreeSet<&HalfKey> =
            given().flat_map(|new| new.halves.iter().map(|(_, half)| &half.key)).collect();
        let kept_networks: BTreeSet<&NetworkKey> =
            given().flat_map(|new| new.networks.iter().map(|(_, network)| &network.key)).collect();
        let entries = || outcomes.keys().filter_map(|id| self.files.get(id));
        let mut lost: BTreeSet<HalfKey> = entries()
            .flat_map(|entry| &entry.halves)
            .filter(|key| !kept.contains(key) && !self.halves.is_claimed_beside(key, outcomes))
            .cloned()
            .collect();
        let networks = entries().flat_map(|entry| &entry.networks).filter(|key| {
            !kept_networks.contains(key) && !self.networks.is_claimed_beside(key, outcomes)
        });
        for network in networks {
            lost.extend(self.halves_of(network).map(|half| half.key.clone()));
        }
        lost
    }
}
