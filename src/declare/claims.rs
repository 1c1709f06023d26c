//! Which files declare which keys: for each key, the claims of files, in drop-in order.
//!
//! The first claim in drop-in order is in effect. Each other one is a diagnostic that names both
//! positions, and takes effect as soon as those before it are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, DiagnosticCode, Location, Position, Severity};
use super::model::{Half, HalfKey, Network, NetworkKey, Rejection, RejectionKey};
use super::source::{FileId, Origin};

/// A declaration that several files may claim.
pub(super) trait Declared: Clone + PartialEq {
    type Key: Clone + Ord + fmt::Display;
    /// Its name in diagnostics.
    const KIND: &'static str;
    /// What to do about a duplicate.
    const HINT: &'static str;
    fn key(&self) -> &Self::Key;
}

impl Declared for Arc<Network> {
    type Key = NetworkKey;
    const KIND: &'static str = "network";
    const HINT: &'static str = "a network has one router; remove one of the two";
    fn key(&self) -> &NetworkKey {
        &self.key
    }
}

impl Declared for Half {
    type Key = HalfKey;
    const KIND: &'static str = "half";
    const HINT: &'static str = "a name is unique in its network: rename or remove one";
    fn key(&self) -> &HalfKey {
        &self.key
    }
}

impl Declared for Rejection {
    type Key = RejectionKey;
    const KIND: &'static str = "the rejection";
    const HINT: &'static str = "one is enough; remove the other";
    fn key(&self) -> &RejectionKey {
        &self.key
    }
}

/// One file's claim to a key.
#[derive(Clone, Debug)]
pub(super) struct Claim<T> {
    pub(super) origin: Arc<Origin>,
    /// `None` for a claim from the northbound's records.
    pub(super) position: Option<Position>,
    pub(super) value: T,
}

/// The claims in effect before a change, for each key that it touches.
pub(super) type Before<T> = BTreeMap<<T as Declared>::Key, Option<Claim<T>>>;

/// All claims to one kind of declaration.
#[derive(Clone, Debug)]
pub(super) struct Claims<T: Declared> {
    /// Never empty inside; sorted by file.
    by_key: BTreeMap<T::Key, Vec<Claim<T>>>,
    /// The diagnostics of keys that more than one file claims.
    duplicates: BTreeMap<T::Key, Vec<(FileId, Diagnostic)>>,
}

impl<T: Declared> Default for Claims<T> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), duplicates: BTreeMap::new() }
    }
}

impl<T: Declared> Claims<T> {
    /// The claim in effect.
    pub(super) fn standing(&self, key: &T::Key) -> Option<&Claim<T>> {
        self.by_key.get(key)?.first()
    }

    /// The stored copy of a claimed key; callers share it to save memory.
    pub(super) fn known(&self, key: &T::Key) -> Option<&T::Key> {
        self.by_key.get_key_value(key).map(|(known, _)| known)
    }

    /// All claims in effect, by key.
    pub(super) fn all(&self) -> impl Iterator<Item = &Claim<T>> {
        self.by_key.values().filter_map(|claims| claims.first())
    }

    /// The claims in effect from `start` on, by key.
    pub(super) fn from(&self, start: T::Key) -> impl Iterator<Item = &Claim<T>> {
        self.by_key.range(start..).filter_map(|(_, claims)| claims.first())
    }

    /// How many claims are in effect.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Removes and returns all claims, and removes their duplicates from `clashes`.
    pub(super) fn take(&mut self, clashes: &mut Clashes) -> impl Iterator<Item = Claim<T>> {
        for (file, stale) in std::mem::take(&mut self.duplicates).into_values().flatten() {
            clashes.remove(&file, &stale);
        }
        std::mem::take(&mut self.by_key).into_values().flatten()
    }

    /// Whether a file outside `files` claims the key.
    pub(super) fn is_claimed_outside<V>(&self, key: &T::Key, files: &BTreeMap<FileId, V>) -> bool {
        let claims = self.by_key.get(key).into_iter().flatten();
        claims.into_iter().any(|claim| !files.contains_key(&claim.origin.giver.file))
    }

    /// Removes these claims of a file. Adds to `before` the claims that were in effect.
    pub(super) fn withdraw<'k>(
        &mut self,
        file: &FileId,
        keys: impl IntoIterator<Item = &'k T::Key>,
        before: &mut Before<T>,
    ) where
        T::Key: 'k,
    {
        for key in keys {
            self.remember(key, before);
            self.remove(key, file);
        }
    }

    /// Replaces a file's `old` claims by new ones and returns their keys. Adds to `before` the
    /// claim that was in effect, for each key where anything changes.
    pub(super) fn replace(
        &mut self,
        origin: &Arc<Origin>,
        old: &[T::Key],
        new: impl Iterator<Item = (Option<Position>, T)>,
        before: &mut Before<T>,
    ) -> Vec<T::Key> {
        let new: BTreeMap<T::Key, (Option<Position>, T)> =
            new.map(|(position, value)| (value.key().clone(), (position, value))).collect();
        let withdrawn = old.iter().filter(|key| !new.contains_key(key));
        self.withdraw(&origin.giver.file, withdrawn, before);
        let mut keys = Vec::with_capacity(new.len());
        for (key, (position, value)) in new {
            if !self.refresh(&key, origin, position, &value) {
                self.remember(&key, before);
                self.insert(&key, Claim { origin: Arc::clone(origin), position, value });
            } else if self.duplicates.contains_key(&key) {
                self.remember(&key, before);
            }
            keys.push(self.known(&key).cloned().unwrap_or(key));
        }
        keys
    }

    /// Ends a change: updates the duplicates of its keys in `clashes`, and returns the keys whose
    /// declaration in effect, or its giver, has changed.
    pub(super) fn finish(&mut self, before: Before<T>, clashes: &mut Clashes) -> BTreeSet<T::Key> {
        let mut changed = BTreeSet::new();
        for (key, before) in before {
            for (file, stale) in self.duplicates.remove(&key).into_iter().flatten() {
                clashes.remove(&file, &stale);
            }
            let fresh = self.duplicates_of(&key);
            if !fresh.is_empty() {
                for (file, clash) in &fresh {
                    clashes.insert(file, clash.clone());
                }
                self.duplicates.insert(key.clone(), fresh);
            }
            let standing = self.standing(&key);
            let same = match (&before, standing) {
                (None, None) => true,
                (Some(old), Some(new)) => {
                    old.origin.giver == new.origin.giver && old.value == new.value
                }
                (None, Some(_)) | (Some(_), None) => false,
            };
            if !same {
                changed.insert(key);
            }
        }
        changed
    }

    fn remember(&self, key: &T::Key, before: &mut Before<T>) {
        if !before.contains_key(key) {
            before.insert(key.clone(), self.standing(key).cloned());
        }
    }

    /// If the file already claims the key with this value, and has the same owner, updates only its
    /// position.
    fn refresh(
        &mut self,
        key: &T::Key,
        origin: &Arc<Origin>,
        position: Option<Position>,
        value: &T,
    ) -> bool {
        let mut claims = self.by_key.get_mut(key).into_iter().flatten();
        match claims.find(|claim| claim.origin.giver == origin.giver) {
            Some(claim) if claim.value == *value => {
                claim.position = position;
                claim.origin = Arc::clone(origin);
                true
            }
            Some(_) | None => false,
        }
    }

    fn insert(&mut self, key: &T::Key, claim: Claim<T>) {
        let claims = self.by_key.entry(key.clone()).or_default();
        claims.retain(|other| other.origin.giver.file != claim.origin.giver.file);
        let at = claims.partition_point(|other| other.origin.giver.file < claim.origin.giver.file);
        // Usually there is one claim for a key.
        claims.reserve_exact(1);
        claims.insert(at, claim);
    }

    fn remove(&mut self, key: &T::Key, file: &FileId) {
        if let Some(claims) = self.by_key.get_mut(key) {
            claims.retain(|claim| claim.origin.giver.file != *file);
            if claims.is_empty() {
                self.by_key.remove(key);
            }
        }
    }

    fn duplicates_of(&self, key: &T::Key) -> Vec<(FileId, Diagnostic)> {
        let claims = self.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        let Some((first, others)) = claims.split_first() else { return Vec::new() };
        let stands = Location { file: &first.origin.path, position: first.position };
        let duplicate = |other: &Claim<T>| Diagnostic {
            file: Arc::clone(&other.origin.path),
            position: other.position,
            severity: Severity::Error,
            code: DiagnosticCode::Duplicate,
            message: format!(
                "{} {key} is already declared at {stands}, which is in effect (files count in the byte \
                 order of their names)",
                T::KIND
            ),
            hint: Some(T::HINT.to_owned()),
        };
        others.iter().map(|other| (other.origin.giver.file.clone(), duplicate(other))).collect()
    }
}

/// The faults of files because of others: keys that an earlier file declares, and rejections beyond
/// the quota.
#[derive(Clone, Debug, Default)]
pub(super) struct Clashes {
    by_file: BTreeMap<FileId, BTreeSet<Diagnostic>>,
    /// The files whose clashes have changed.
    changed: BTreeSet<FileId>,
}

impl Clashes {
    /// Adds a fault of a file.
    pub(super) fn insert(&mut self, file: &FileId, clash: Diagnostic) {
        self.by_file.entry(file.clone()).or_default().insert(clash);
        self.changed.insert(file.clone());
    }

    /// Removes a fault of a file.
    pub(super) fn remove(&mut self, file: &FileId, clash: &Diagnostic) {
        if let Some(all) = self.by_file.get_mut(file) {
            all.remove(clash);
            if all.is_empty() {
                self.by_file.remove(file);
            }
        }
        self.changed.insert(file.clone());
    }

    /// The faults of a file.
    pub(super) fn of(&self, file: &FileId) -> Option<&BTreeSet<Diagnostic>> {
        self.by_file.get(file)
    }

    /// The files whose clashes have changed since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<FileId> {
        std::mem::take(&mut self.changed)
    }
}
