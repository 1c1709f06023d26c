//! The withdrawal guard: holds a reading that would withdraw too much.
//!
//! A hold must not reveal to a tenant how much others have. So the guard compares a change that
//! concerns only the projects of one account with each of those projects alone, because that
//! account may have made it. A change that concerns several accounts, or a project without an
//! account, is an operator's; the guard compares it with all projects together as well.
//!
//! Changes that were compared together wait together, in a [`Holding`]: all of an operator's
//! changes, or the files that change the keys of one project. Nothing else waits for them, and a
//! confirmation of one holding releases no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Changed, LocalDeclarations, Outcomes};
use crate::declare::contribution::Contribution;
use crate::declare::model::{HalfKey, NetworkKey};
use crate::declare::source::FileId;

/// Bytes of the digest that names held withdrawals: enough that no tenant can find other halves
/// with the same digest.
const SEEN_BYTES: usize = 10;

/// The withdrawals that wait for the operator, because they are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The halves that would be withdrawn, because their own declaration or their network's is
    /// removed.
    pub withdrawals: Vec<HalfKey>,
    /// How many halves stand now.
    pub of: usize,
    /// Names these withdrawals, and no others.
    pub seen: String,
    /// The part of each project, which can be confirmed by itself.
    pub parts: Vec<HeldPart>,
}

/// The withdrawals that are released together with a project's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPart {
    /// The project.
    pub project: Arc<str>,
    /// The halves that would be withdrawn. If one file has networks of several projects, halves of
    /// other projects may be among them.
    pub withdrawals: Vec<HalfKey>,
    /// Names these withdrawals, and no others.
    pub seen: String,
}

/// Outcomes that were compared together, and wait together.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    outcomes: Outcomes,
    /// A part of it was confirmed. The rest stays held, even if it is now below the limit.
    is_rest: bool,
}

impl Holding {
    /// Moves the new outcomes of its files out of `fresh`.
    pub(super) fn renew(&mut self, fresh: &mut Outcomes) {
        for (id, outcome) in &mut self.outcomes {
            if let Some(new) = fresh.remove(id) {
                *outcome = new;
            }
        }
    }

    /// Notes that a removed file is there again.
    pub(super) fn returned(&mut self, id: &FileId) {
        if self.outcomes.get(id).is_some_and(Option::is_none) {
            self.outcomes.remove(id);
        }
    }
}

impl LocalDeclarations {
    /// Applies outcomes within the limit, and holds the others.
    pub(super) fn admit(&mut self, outcomes: Outcomes) -> Changed {
        if !self.is_too_much(&outcomes) {
            return self.put(outcomes);
        }
        let separate = match self.is_too_much_of_all(&self.lost(&outcomes)) {
            true => vec![outcomes],
            false => self.separate(outcomes),
        };
        let mut changed = Changed::default();
        for outcomes in separate {
            if self.is_too_much(&outcomes) {
                self.hold(outcomes);
            } else {
                changed.extend(self.put(outcomes));
            }
        }
        changed
    }

    /// Holds outcomes, together with the held ones of the same projects: one may withdraw what the
    /// other declares.
    fn hold(&mut self, outcomes: Outcomes) {
        let projects = self.projects_of(&outcomes);
        let mut joined = Holding { outcomes, is_rest: false };
        for other in std::mem::take(&mut self.holdings) {
            if self.projects_of(&other.outcomes).is_disjoint(&projects) {
                self.holdings.push(other);
            } else {
                joined.outcomes.extend(other.outcomes);
                joined.is_rest |= other.is_rest;
            }
        }
        self.holdings.push(joined);
    }

    /// Applies held outcomes that are within the limit now.
    pub(super) fn release(&mut self) -> Changed {
        let mut changed = Changed::default();
        for holding in std::mem::take(&mut self.holdings) {
            let stays = match holding.is_rest {
                true => !self.lost(&holding.outcomes).is_empty(),
                false => self.is_too_much(&holding.outcomes),
            };
            if stays {
                self.holdings.push(holding);
            } else {
                changed.extend(self.put(holding.outcomes));
            }
        }
        self.held = self.describe();
        changed
    }

    /// Removes and returns the held outcomes of a project, or all.
    pub(super) fn take_held(&mut self, project: Option<&str>) -> Outcomes {
        let mut taken = Outcomes::new();
        for mut holding in std::mem::take(&mut self.holdings) {
            let Some(project) = project else {
                taken.extend(holding.outcomes);
                continue;
            };
            for outcomes in self.separate(std::mem::take(&mut holding.outcomes)) {
                if self.projects_of(&outcomes).contains(project) {
                    taken.extend(outcomes);
                    holding.is_rest = true;
                } else {
                    holding.outcomes.extend(outcomes);
                }
            }
            self.holdings.push(holding);
        }
        self.holdings.retain(|holding| !holding.outcomes.is_empty());
        taken
    }

    fn describe(&self) -> Option<Held> {
        let mut all = BTreeSet::new();
        let mut parts: BTreeMap<Arc<str>, BTreeSet<HalfKey>> = BTreeMap::new();
        for holding in &self.holdings {
            for outcomes in self.separate(holding.outcomes.clone()) {
                let lost = self.lost(&outcomes);
                for half in &lost {
                    parts.entry(Arc::clone(&half.network.project)).or_default();
                }
                for project in self.projects_of(&outcomes) {
                    if let Some(part) = parts.get_mut(&project) {
                        part.extend(lost.iter().cloned());
                    }
                }
                all.extend(lost);
            }
        }
        let part = |(project, lost): (Arc<str>, BTreeSet<HalfKey>)| {
            let seen = digest(&lost);
            HeldPart { project, withdrawals: lost.into_iter().collect(), seen }
        };
        (!self.holdings.is_empty()).then(|| Held {
            seen: digest(&all),
            withdrawals: all.into_iter().collect(),
            of: self.halves.len(),
            parts: parts.into_iter().map(part).collect(),
        })
    }

    /// Whether these outcomes need the operator's confirmation.
    fn is_too_much(&self, outcomes: &Outcomes) -> bool {
        let lost = self.lost(outcomes);
        let of_project = |(project, lost): (&str, usize)| {
            self.pins.owner(project).is_some()
                && self.limit.is_exceeded(lost, self.halves_of_project(project).count())
        };
        by_project(&lost).into_iter().any(of_project) || self.is_too_much_of_all(&lost)
    }

    /// The same for an operator's changes.
    fn is_too_much_of_all(&self, lost: &BTreeSet<HalfKey>) -> bool {
        let projects = by_project(lost);
        let accounts: BTreeSet<_> = projects.keys().map(|it| self.pins.owner(it)).collect();
        let of_one = accounts.len() == 1 && !accounts.contains(&None);
        !of_one && self.limit.is_exceeded(lost.len(), self.halves.len())
    }

    /// Separates the outcomes; those that change keys of the same project stay together.
    fn separate(&self, outcomes: Outcomes) -> Vec<Outcomes> {
        let mut groups: Vec<(Vec<Arc<str>>, Outcomes)> = Vec::new();
        let mut group_of: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for (id, outcome) in outcomes {
            let projects = self.changed_projects(&id, outcome.as_ref());
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

    fn projects_of(&self, outcomes: &Outcomes) -> BTreeSet<Arc<str>> {
        let projects = |(id, outcome): (&FileId, &Option<Contribution>)| {
            self.changed_projects(id, outcome.as_ref())
        };
        outcomes.iter().flat_map(projects).collect()
    }

    /// The projects of which the file declares other networks, halves or rejections than before.
    fn changed_projects(&self, id: &FileId, new: Option<&Contribution>) -> BTreeSet<Arc<str>> {
        let old = self.files.get(id);
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
    fn lost(&self, outcomes: &Outcomes) -> BTreeSet<HalfKey> {
        let given = || outcomes.values().flatten();
        let kept: BTreeSet<&HalfKey> =
            given().flat_map(|new| new.halves.iter().map(|(_, half)| &half.key)).collect();
        let kept_networks: BTreeSet<&NetworkKey> =
            given().flat_map(|new| new.networks.iter().map(|(_, network)| &network.key)).collect();
        let entries = || outcomes.keys().filter_map(|id| self.files.get(id));
        let mut lost: BTreeSet<HalfKey> = entries()
            .flat_map(|entry| &entry.halves)
            .filter(|key| !kept.contains(key) && !self.halves.is_claimed_outside(key, outcomes))
            .cloned()
            .collect();
        let networks = entries().flat_map(|entry| &entry.networks).filter(|key| {
            !kept_networks.contains(key) && !self.networks.is_claimed_outside(key, outcomes)
        });
        for network in networks {
            lost.extend(self.halves_of(network).map(|half| half.key.clone()));
        }
        lost
    }
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

/// Length-prefixed, so that no two lists of names give the same bytes.
fn digest(halves: &BTreeSet<HalfKey>) -> String {
    let mut hash = Sha256::new();
    for half in halves {
        for part in [&half.network.project, &half.network.name, &half.name] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().iter().take(SEEN_BYTES).map(|byte| format!("{byte:02x}")).collect()
}
