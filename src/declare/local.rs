//! Everything declared on this host: the last good contribution of every file, joined in drop-in
//! order.
//!
//! Invariants:
//! - the declarations in effect depend on each file's last contribution, not on the order in which
//!   files came;
//! - the work of an `apply` follows the files in the reading, not the files known;
//! - a file with errors, and a directory that cannot be read, withdraw nothing;
//! - a contribution belongs to the owner that the file had then: if the file gets another owner,
//!   the contribution ends unless the new owner declares it again. A change to root is the
//!   exception: it is an operator's slip;
//! - a change that would withdraw more than the policy allows waits for confirmation, and nothing
//!   else waits for it.
//!
//! Each part is a value of its own: `files` are the files as they were read last, `accepted` is
//! what they contribute, `quota` limits the rejections, `guard` is what waits. `reading`, `memory` and `withdrawals` are functions
//! of these.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::changed::Changed;
use super::contribution::{Contribution, Entries, Outcomes, ParsedFile};
use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, HalfKey, Network, NetworkKey, Rejection, RejectionKey};
use super::pins::Pins;
use super::settings::{MaxWithdrawals, Settings};
use super::source::{FileId, Giver, Reading};

mod accepted;
mod files;
mod guard;
mod memory;
mod quota;
mod reading;
mod withdrawals;

use accepted::Accepted;
use files::Files;
use guard::Guard;
pub use guard::{Held, HeldPart};
pub use memory::{LastGood, Remembered};
use withdrawals::Limits;

/// The declarations in effect, and the faults of those that are not.
#[derive(Clone, Debug)]
pub struct LocalDeclarations {
    pins: Pins,
    limit: MaxWithdrawals,
    files: Files,
    accepted: Accepted,
    guard: Guard,
}

impl LocalDeclarations {
    /// No declarations yet, with the operator's policy and pins.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            pins: Pins::new(&settings.projects),
            limit: settings.policy.max_withdrawals,
            files: Files::new(&settings.paths),
            accepted: Accepted::new(settings.policy.quotas.rejections_per_project),
            guard: Guard::default(),
        }
    }

    /// Applies a reading. The work follows the files in the reading.
    pub fn apply(&mut self, reading: impl Into<Reading<ParsedFile>>) -> Changed {
        let mut fresh = self.check(reading.into());
        self.guard.renew(&mut fresh);
        let changed = self.admit(fresh);
        self.finish(changed)
    }

    /// Applies the held changes, all or those of a project: the operator has confirmed them.
    pub fn confirm(&mut self, project: Option<&str>) -> Changed {
        let confirmed = match project {
            Some(project) => self.guard.take_project(project, &self.accepted),
            None => self.take_held(),
        };
        let changed = self.put(confirmed);
        self.finish(changed)
    }

    /// Applies the recorded declarations as if they had come before all readings so far, and
    /// applies these again. So an error made in a file while the daemon was stopped takes no
    /// peering down, and a mass removal is held as if the daemon had seen it. For the start, once.
    pub fn remember(&mut self, remembered: Remembered) {
        let mut readings = self.accepted.take();
        readings.append(&mut self.take_held());
        for Giver { file, .. } in remembered.keys() {
            if self.files.add_recorded(file) && self.files.was_listed(file.directory) {
                readings.insert(file.clone(), None);
            }
        }
        let path = |file: &FileId| self.files.path_of(file);
        let recorded = memory::contributions(remembered, path);
        let ids: Vec<FileId> = recorded.keys().cloned().collect();
        self.put(recorded);
        for id in ids {
            if !readings.contains_key(&id)
                && let Some(ended) = self.end_contribution(&id)
            {
                readings.insert(id, Some(ended));
            }
        }
        self.admit(readings);
        self.finish(Changed::default());
    }

    /// Sets another policy and other pins. They apply from the next reading on; a complete one must
    /// follow.
    pub fn configure(&mut self, settings: &Settings) {
        self.pins = Pins::new(&settings.projects);
        self.limit = settings.policy.max_withdrawals;
        self.accepted.configure(settings.policy.quotas.rejections_per_project);
    }

    /// Notes the faults of a reading, and returns the contributions that count.
    fn check(&mut self, reading: Reading<ParsedFile>) -> Outcomes {
        let mut outcomes = reading::gone(&reading, &self.files);
        for (directory, found) in reading.directories {
            self.files.note_directory(directory, found, reading.complete);
        }
        for file in reading.files {
            let id = file.id.clone();
            outcomes.remove(&id);
            let (state, contribution) = reading::check(file, &self.accepted, &self.pins);
            self.files.set(id.clone(), state);
            if contribution.is_some() {
                outcomes.insert(id, contribution);
            } else {
                // The file was removed and is back with errors: that withdraws nothing.
                self.guard.returned(&id);
            }
        }
        outcomes.retain(|id, outcome| outcome.is_some() || self.files.get(id).is_some());
        let gone = outcomes.iter().filter(|(_, outcome)| outcome.is_none());
        gone.for_each(|(id, _)| self.files.clear(id));
        outcomes
    }

    /// Ends the contribution of a file that got another owner while the daemon was stopped, and
    /// that has errors now.
    fn end_contribution(&mut self, id: &FileId) -> Option<Contribution> {
        let mut state = self.files.get(id)?.clone();
        if !self.accepted.has_new_owner(id, state.giver(id), &self.pins) {
            return None;
        }
        state.end_contribution();
        let ended = state.contribution(id, Entries::default());
        self.files.set(id.clone(), state);
        Some(ended)
    }

    /// Applies outcomes within the limits, and holds the others.
    fn admit(&mut self, outcomes: Outcomes) -> Changed {
        if !self.limits().forbid(&outcomes) {
            return self.put(outcomes);
        }
        let mut changed = Changed::default();
        for outcomes in self.limits().parts(outcomes) {
            if self.limits().forbid(&outcomes) {
                self.guard.hold(outcomes, &self.accepted);
            } else {
                changed.extend(self.put(outcomes));
            }
        }
        changed
    }

    /// Ends a change: applies held outcomes that are within the limits now, and shows the faults.
    fn finish(&mut self, mut changed: Changed) -> Changed {
        let mut held = Vec::new();
        for holding in self.guard.take() {
            if holding.stays(&self.limits()) {
                held.push(holding);
            } else {
                changed.extend(self.put(holding.outcomes));
            }
        }
        self.guard.keep(held, &self.accepted);
        self.files.show_faults(&mut self.accepted.clashes);
        changed
    }

    fn put(&mut self, outcomes: Outcomes) -> Changed {
        let gone = outcomes.iter().filter(|(_, outcome)| outcome.is_none());
        gone.for_each(|(id, _)| self.files.remove(id));
        self.accepted.put(outcomes)
    }

    fn take_held(&mut self) -> Outcomes {
        self.guard.take().into_iter().flat_map(|holding| holding.outcomes).collect()
    }

    fn limits(&self) -> Limits<'_> {
        Limits { most: self.limit, pins: &self.pins, accepted: &self.accepted }
    }

    /// The network in effect under this key.
    #[must_use]
    pub fn network(&self, key: &NetworkKey) -> Option<&Arc<Network>> {
        self.accepted.networks.standing(key).map(|claim| &claim.value)
    }

    /// All networks in effect, by key.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.accepted.networks.all().map(|claim| claim.value.as_ref())
    }

    /// The networks in effect of one project, by name.
    pub fn networks_of_project(&self, project: &str) -> impl Iterator<Item = &Network> {
        let networks = self.accepted.networks.from(NetworkKey::new(project, ""));
        let networks = networks.take_while(move |claim| *claim.value.key.project == *project);
        networks.map(|claim| claim.value.as_ref())
    }

    /// The half in effect under this key.
    #[must_use]
    pub fn half(&self, key: &HalfKey) -> Option<&Half> {
        self.accepted.halves.standing(key).map(|claim| &claim.value)
    }

    /// All halves in effect, by key.
    pub fn halves(&self) -> impl Iterator<Item = &Half> {
        self.accepted.halves.all().map(|claim| &claim.value)
    }

    /// How many halves are in effect.
    #[must_use]
    pub fn count(&self) -> usize {
        self.accepted.halves.len()
    }

    /// The halves in effect of one network, by name.
    pub fn halves_of(&self, network: &NetworkKey) -> impl Iterator<Item = &Half> {
        self.accepted.halves_of(network)
    }

    /// The halves in effect of one project, by network and name.
    pub fn halves_of_project(&self, project: &str) -> impl Iterator<Item = &Half> {
        self.accepted.halves_of_project(project)
    }

    /// The networks of which something is in effect.
    #[must_use]
    pub fn declared_networks(&self) -> BTreeSet<NetworkKey> {
        let networks = self.networks().map(|network| &network.key);
        let halves = self.halves().map(|half| &half.key.network);
        let rejections = self.rejections().map(|rejection| &rejection.key.network);
        networks.chain(halves).chain(rejections).cloned().collect()
    }

    /// All in effect of one project, as if it had changed.
    pub(super) fn declared_of_project(&self, project: &str) -> Changed {
        let of = |key: &NetworkKey| *key.project == *project;
        let networks = self.networks().map(|network| &network.key).filter(|key| of(key));
        let rejections = self.rejections().map(|it| &it.key).filter(|key| of(&key.network));
        Changed {
            networks: networks.cloned().collect(),
            halves: self.halves_of_project(project).map(|half| half.key.clone()).collect(),
            rejections: rejections.cloned().collect(),
        }
    }

    /// The rejection in effect under this key.
    #[must_use]
    pub fn rejection(&self, key: &RejectionKey) -> Option<&Rejection> {
        self.accepted.rejection(key)
    }

    /// The rejections in effect of one network, by the rejected network.
    pub fn rejections_of(&self, network: &NetworkKey) -> impl Iterator<Item = &Rejection> {
        self.accepted.rejections_of(network)
    }

    /// All rejections in effect, by key.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.accepted.rejections()
    }

    /// The giver of a rejection.
    #[must_use]
    pub fn origin_of_rejection(&self, key: &RejectionKey) -> Option<&Giver> {
        self.accepted.rejections.standing(key).map(|claim| &claim.origin.giver)
    }

    /// The file that gives a network.
    #[must_use]
    pub fn origin_of_network(&self, key: &NetworkKey) -> Option<&FileId> {
        self.accepted.networks.standing(key).map(|claim| &claim.origin.giver.file)
    }

    /// The giver of a half.
    #[must_use]
    pub fn origin_of_half(&self, key: &HalfKey) -> Option<&Giver> {
        self.accepted.halves.standing(key).map(|claim| &claim.origin.giver)
    }

    /// The path of the file that declares a half, and the line there; none of one that only the
    /// records of the northbound know.
    #[must_use]
    pub fn place_of_half(&self, key: &HalfKey) -> Option<(&str, u32)> {
        let claim = self.accepted.halves.standing(key)?;
        Some((&claim.origin.path, claim.position?.line))
    }

    /// The changes that wait for [`LocalDeclarations::confirm`], if there are any.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        self.guard.held()
    }

    /// Where a network is bound: its file as shown, line and column.
    pub(super) fn position_of_network(
        &self,
        key: &NetworkKey,
    ) -> Option<(&Arc<str>, Option<Position>)> {
        self.accepted.networks.standing(key).map(|claim| (&claim.origin.path, claim.position))
    }

    /// Where a half is declared: its file as shown, line and column.
    pub(super) fn position_of_half(&self, key: &HalfKey) -> Option<(&Arc<str>, Option<Position>)> {
        self.accepted.halves.standing(key).map(|claim| (&claim.origin.path, claim.position))
    }

    /// All present faults of the files, sorted by file, line and column; of each file at most as
    /// many as are reported.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.files.diagnostics()
    }

    /// The present faults of those `peerings.d` files that belong to the accounts of these
    /// projects. They reveal only what such an account has written or knows.
    pub fn diagnostics_of<'a>(
        &'a self,
        projects: &'a BTreeSet<Arc<str>>,
    ) -> impl Iterator<Item = &'a Diagnostic> {
        self.files.diagnostics_of(projects, &self.pins)
    }

    /// The projects of the account that owns a file of `peerings.d`, by its path as shown.
    pub fn projects_of_owner(&self, path: &str) -> Vec<Arc<str>> {
        self.files.projects_of_owner(path, &self.pins)
    }
}
