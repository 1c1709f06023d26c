//! The withdrawal guard: holds changes that would withdraw too much.
//!
//! Changes that were compared together wait together, in a [`Holding`]: all of an operator's
//! changes, or the files that change the keys of one project. Nothing else waits for them, and a
//! confirmation of one holding releases no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::accepted::Accepted;
use super::withdrawals::{Limits, lost, projects_of, separate};
use crate::declare::contribution::Outcomes;
use crate::declare::model::HalfKey;
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
    pub(super) outcomes: Outcomes,
    /// A part of it was confirmed. The rest stays held, even if it is now below the limit.
    is_rest: bool,
}

impl Holding {
    /// Whether it is still to be held.
    pub(super) fn stays(&self, limits: &Limits<'_>) -> bool {
        match self.is_rest {
            true => !lost(limits.accepted, &self.outcomes).is_empty(),
            false => limits.forbid(&self.outcomes),
        }
    }
}

/// The changes that wait for the operator.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// Each by itself.
    holdings: Vec<Holding>,
    /// All of it, in words.
    held: Option<Held>,
}

impl Guard {
    /// All that waits, in words.
    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Moves the new outcomes of held files out of `fresh`.
    pub(super) fn renew(&mut self, fresh: &mut Outcomes) {
        for (id, outcome) in self.holdings.iter_mut().flat_map(|holding| &mut holding.outcomes) {
            if let Some(new) = fresh.remove(id) {
                *outcome = new;
            }
        }
    }

    /// Notes that a removed file is there again.
    pub(super) fn returned(&mut self, id: &FileId) {
        for holding in &mut self.holdings {
            if holding.outcomes.get(id).is_some_and(Option::is_none) {
                holding.outcomes.remove(id);
            }
        }
    }

    /// Holds outcomes, together with the held ones of the same projects: one may withdraw what the
    /// other declares.
    pub(super) fn hold(&mut self, outcomes: Outcomes, accepted: &Accepted) {
        let projects = projects_of(accepted, &outcomes);
        let mut joined = Holding { outcomes, is_rest: false };
        for other in std::mem::take(&mut self.holdings) {
            if projects_of(accepted, &other.outcomes).is_disjoint(&projects) {
                self.holdings.push(other);
            } else {
                joined.outcomes.extend(other.outcomes);
                joined.is_rest |= other.is_rest;
            }
        }
        self.holdings.push(joined);
    }

    /// Removes and returns the held outcomes of a project.
    pub(super) fn take_project(&mut self, project: &str, accepted: &Accepted) -> Outcomes {
        let mut taken = Outcomes::new();
        for holding in &mut self.holdings {
            for outcomes in separate(accepted, std::mem::take(&mut holding.outcomes)) {
                if projects_of(accepted, &outcomes).contains(project) {
                    taken.extend(outcomes);
                    holding.is_rest = true;
                } else {
                    holding.outcomes.extend(outcomes);
                }
            }
        }
        self.holdings.retain(|holding| !holding.outcomes.is_empty());
        taken
    }

    /// Removes and returns everything held, for a review.
    pub(super) fn take(&mut self) -> Vec<Holding> {
        std::mem::take(&mut self.holdings)
    }

    /// Ends a review: these stay held.
    pub(super) fn keep(&mut self, holdings: Vec<Holding>, accepted: &Accepted) {
        self.holdings = holdings;
        self.held = self.describe(accepted);
    }

    fn describe(&self, accepted: &Accepted) -> Option<Held> {
        let mut all = BTreeSet::new();
        let mut parts: BTreeMap<Arc<str>, BTreeSet<HalfKey>> = BTreeMap::new();
        for holding in &self.holdings {
            for outcomes in separate(accepted, holding.outcomes.clone()) {
                let lost = lost(accepted, &outcomes);
                for half in &lost {
                    parts.entry(Arc::clone(&half.network.project)).or_default();
                }
                for project in projects_of(accepted, &outcomes) {
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
            of: accepted.halves.len(),
            parts: parts.into_iter().map(part).collect(),
        })
    }
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
