//! How many rejections of a project count: the first ones by name.
//!
//! A rejection beyond the limit is not in effect, and its file has a fault that says so. It takes
//! effect as soon as it has a place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::declare::claims::{Claim, Claims, Clashes};
use crate::declare::diagnostic::{Diagnostic, DiagnosticCode, Severity};
use crate::declare::limit_group::LimitGroup;
use crate::declare::model::{Rejection, RejectionKey};
use crate::declare::source::FileId;

/// The places of all rejections. Without a limit no state is kept.
#[derive(Clone, Debug)]
pub(super) struct RejectionQuota {
    limit: Option<u32>,
    /// Whether the limit is new, so that all places are to be assigned again.
    is_new: bool,
    projects: BTreeMap<Arc<str>, LimitGroup<RejectionKey>>,
    /// The rejections without a place, with the faults that say so.
    over: BTreeMap<RejectionKey, (FileId, Diagnostic)>,
}

impl RejectionQuota {
    pub(super) fn new(limit: Option<u32>) -> Self {
        let (projects, over) = (BTreeMap::new(), BTreeMap::new());
        Self { limit, is_new: true, projects, over }
    }

    /// Sets another limit. It applies from the next update on.
    pub(super) fn configure(&mut self, limit: Option<u32>) {
        self.is_new |= self.limit != limit;
        self.limit = limit;
    }

    /// Whether a rejection is beyond the limit.
    pub(super) fn is_over(&self, key: &RejectionKey) -> bool {
        self.over.contains_key(key)
    }

    /// Applies `changed` claims, and adds the rejections that gain or lose a place. The faults of
    /// those that were `read` again may have other positions.
    pub(super) fn update<'k>(
        &mut self,
        changed: &mut BTreeSet<RejectionKey>,
        read: impl Iterator<Item = &'k RejectionKey>,
        claims: &Claims<Rejection>,
        clashes: &mut Clashes,
    ) {
        let mut moved = BTreeSet::new();
        if std::mem::take(&mut self.is_new) {
            self.projects.clear();
            moved.extend(self.over.keys().cloned());
            self.place(claims.all().map(|claim| &claim.value.key), claims, &mut moved);
        } else {
            self.place(changed.iter(), claims, &mut moved);
        }
        changed.append(&mut moved);
        changed.iter().for_each(|key| self.show(key, claims, clashes));
        if !self.over.is_empty() {
            read.for_each(|key| self.show(key, claims, clashes));
        }
    }

    /// Assigns the places of the projects of these claims.
    fn place<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k RejectionKey>,
        claims: &Claims<Rejection>,
        moved: &mut BTreeSet<RejectionKey>,
    ) {
        let Some(limit) = self.limit else { return };
        let mut projects = BTreeSet::new();
        for key in keys {
            let project = &key.network.project;
            let group = self.projects.entry(Arc::clone(project)).or_default();
            match claims.standing(key) {
                Some(_) => group.put(key, false, moved),
                None => group.take(key),
            }
            projects.insert(Arc::clone(project));
        }
        for project in projects {
            let Some(group) = self.projects.get_mut(&project) else { continue };
            group.fill(limit, moved);
            if group.is_empty() {
                self.projects.remove(&project);
            }
        }
    }

    /// Updates the fault of a rejection.
    fn show(&mut self, key: &RejectionKey, claims: &Claims<Rejection>, clashes: &mut Clashes) {
        if let Some((file, stale)) = self.over.remove(key) {
            clashes.remove(&file, &stale);
        }
        let group = self.projects.get(&key.network.project);
        let Some(limit) = self.limit.filter(|_| group.is_some_and(|it| it.is_outside(key))) else {
            return;
        };
        if let Some(claim) = claims.standing(key) {
            let (file, fault) = (claim.origin.giver.file.clone(), fault(claim, limit));
            clashes.insert(&file, fault.clone());
            self.over.insert(key.clone(), (file, fault));
        }
    }

    /// Removes all claims, and their faults from `clashes`.
    pub(super) fn clear(&mut self, clashes: &mut Clashes) {
        self.projects.clear();
        for (file, stale) in std::mem::take(&mut self.over).into_values() {
            clashes.remove(&file, &stale);
        }
    }
}

fn fault(claim: &Claim<Rejection>, limit: u32) -> Diagnostic {
    const KEY: &str = "max_rejections_per_project";
    Diagnostic {
        file: Arc::clone(&claim.origin.path),
        position: claim.position,
        severity: Severity::Error,
        code: DiagnosticCode::OverLimit,
        message: format!(
            "project {} may have {limit} rejections ({KEY}), and others come before this one",
            claim.value.key.network.project
        ),
        hint: Some(format!(
            "withdraw rejections that are not needed, or ask the operator to raise {KEY} under \
             [policy] in ovn-peerd.toml"
        )),
    }
}
