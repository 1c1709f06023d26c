//! The guard against mass withdrawals: what a reading would take away.
//!
//! Whether something is held must not tell a tenant how much others have. So what concerns the projects of one account
//! alone, as whatever that account may do, is judged against those projects, each by itself; what concerns several accounts,
//! or a project without one, is the operator's doing, and is judged against everything as well.

use std::collections::{BTreeMap, BTreeSet};

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
        let lost = self.lost(outcomes);
        let mut projects: BTreeMap<&str, usize> = BTreeMap::new();
        for half in &lost {
            *projects.entry(&half.network.project).or_default() += 1;
        }
        let of_project = |(project, lost): (&&str, &usize)| {
            self.limit.is_exceeded(*lost, self.halves_of_project(project).count())
        };
        let owned = |project: &&str| self.pins.owner(project).is_some();
        if projects.iter().filter(|(project, _)| owned(project)).any(of_project) {
            return true;
        }
        let accounts: BTreeSet<_> = projects.keys().map(|it| self.pins.owner(it)).collect();
        let of_one = accounts.len() == 1 && !accounts.contains(&None);
        !of_one && self.limit.is_exceeded(lost.len(), self.halves.len())
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
