//! What outcomes would withdraw, and whether that is more than the limits allow.
//!
//! A hold must not reveal to a tenant how much others have. So a change that concerns only the
//! projects of one account is compared with each of those projects alone, because that account may
//! have made it. A change that concerns several accounts, or a project without an account, is an
//! operator's; it is compared with all projects together as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::accepted::Accepted;
use crate::declare::contribution::{Contribution, Outcomes};
use crate::declare::model::{HalfKey, NetworkKey};
use crate::declare::pins::Pins;
use crate::declare::settings::MaxWithdrawals;
use crate::declare::source::FileId;

/// The limits, and what they apply to.
pub(super) struct Limits<'a> {
    pub(super) most: MaxWithdrawals,
    pub(super) pins: &'a Pins,
    pub(super) accepted: &'a Accepted,
}

impl Limits<'_> {
    /// Whether these outcomes need the operator's confirmation.
    pub(super) fn forbid(&self, outcomes: &Outcomes) -> bool {
        let lost = lost(self.accepted, outcomes);
        let of_project = |(project, lost): (&str, usize)| {
            self.pins.owner(project).is_some()
                && self.most.is_exceeded(lost, self.accepted.halves_of_project(project).count())
        };
        by_project(&lost).into_iter().any(of_project) || self.forbid_to_operators(&lost)
    }

    /// Separates outcomes into those that are compared with the limits together.
    pub(super) fn parts(&self, outcomes: Outcomes) -> Vec<Outcomes> {
        match self.forbid_to_operators(&lost(self.accepted, &outcomes)) {
            true => vec![outcomes],
            false => separate(self.accepted, outcomes),
        }
    }

    /// Whether an operator's changes need a confirmation.
    fn forbid_to_operators(&self, lost: &BTreeSet<HalfKey>) -> bool {
        let projects = by_project(lost);
        let accounts: BTreeSet<_> = projects.keys().map(|it| self.pins.owner(it)).collect();
        let of_one = accounts.len() == 1 && !accounts.contains(&None);
        !of_one && self.most.is_exceeded(lost.len(), self.accepted.halves.len())
    }
}

/// Separates the outcomes; those that change keys of the same project stay together.
pub(super) fn separate(accepted: &Accepted, outcomes: Outcomes) -> Vec<Outcomes> {
    let mut groups: Vec<(Vec<Arc<str>>, Outcomes)> = Vec::new();
    let mut group_of: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for (id, outcome) in outcomes {
        let projects = changed_projects(accepted, &id, outcome.as_ref());
        let known: BTreeSet<usize> =
            projects.iter().filter_map(|it| group_of.get(it)).copied().collect();
        let mut joined = (projects.into_iter().collect(), Outcomes::from([(id, outcome)]));
        for index in known {
            let Some(group) = groups.get_mut(index) else { continue };
            let (mut more, mut less) = (std::mem::take(group), joined);
            // The smaller group moves.
            if more.1.len() < less.1.len() {
                std::mem::swap(&mut more, &mut less);
            }
            more.0.extend(less.0);
            more.1.extend(less.1);
            joined = more;
        }
        for project in &joined.0 {
            group_of.insert(Arc::clone(project), groups.len());
        }
        groups.push(joined);
    }
    groups.into_iter().map(|(_, group)| group).filter(|group| !group.is_empty()).collect()
}

/// The projects of which outcomes change anything.
pub(super) fn projects_of(accepted: &Accepted, outcomes: &Outcomes) -> BTreeSet<Arc<str>> {
    let projects = |(id, outcome): (&FileId, &Option<Contribution>)| {
        changed_projects(accepted, id, outcome.as_ref())
    };
    outcomes.iter().flat_map(projects).collect()
}

/// The projects of which the file declares other networks, halves or rejections than before.
fn changed_projects(
    accepted: &Accepted,
    id: &FileId,
    new: Option<&Contribution>,
) -> BTreeSet<Arc<str>> {
    let old = accepted.of(id);
    let new = new.map(|new| &new.entries);
    let networks = |key: &NetworkKey| Arc::clone(&key.project);
    let mut changed = BTreeSet::new();
    let before = old.iter().flat_map(|old| &old.networks).collect();
    let after = new.iter().flat_map(|new| new.networks.iter().map(|(_, it)| &it.key)).collect();
    changed.extend(differing(&before, &after).map(networks));
    let before = old.iter().flat_map(|old| &old.halves).collect();
    let after = new.iter().flat_map(|new| new.halves.iter().map(|(_, it)| &it.key)).collect();
    changed.extend(differing(&before, &after).map(|half| networks(&half.network)));
    let before = old.iter().flat_map(|old| &old.rejections).collect();
    let after = new.iter().flat_map(|new| new.rejections.iter().map(|(_, it)| &it.key));
    let after = after.collect();
    changed.extend(differing(&before, &after).map(|it| networks(&it.network)));
    changed
}

/// The halves that would no longer be in effect, because no file declares them or their network
/// any more. A half that only moves between files is not among them.
pub(super) fn lost(accepted: &Accepted, outcomes: &Outcomes) -> BTreeSet<HalfKey> {
    let given = || outcomes.values().flatten().map(|new| &new.entries);
    let kept: BTreeSet<&HalfKey> =
        given().flat_map(|new| new.halves.iter().map(|(_, half)| &half.key)).collect();
    let kept_networks: BTreeSet<&NetworkKey> =
        given().flat_map(|new| new.networks.iter().map(|(_, network)| &network.key)).collect();
    let entries = || outcomes.keys().filter_map(|id| accepted.of(id));
    let mut lost: BTreeSet<HalfKey> = entries()
        .flat_map(|entry| &entry.halves)
        .filter(|key| !kept.contains(key) && !accepted.halves.is_claimed_outside(key, outcomes))
        .cloned()
        .collect();
    let networks = entries().flat_map(|entry| &entry.networks).filter(|key| {
        !kept_networks.contains(key) && !accepted.networks.is_claimed_outside(key, outcomes)
    });
    for network in networks {
        lost.extend(accepted.halves_of(network).map(|half| half.key.clone()));
    }
    lost
}

fn differing<'a, T: Ord>(
    before: &'a BTreeSet<&'a T>,
    after: &'a BTreeSet<&'a T>,
) -> impl Iterator<Item = &'a T> {
    before.symmetric_difference(after).copied()
}

fn by_project(lost: &BTreeSet<HalfKey>) -> BTreeMap<&str, usize> {
    let mut projects: BTreeMap<&str, usize> = BTreeMap::new();
    for half in lost {
        *projects.entry(&half.network.project).or_default() += 1;
    }
    projects
}
