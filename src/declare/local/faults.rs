//! The present faults of the files, at most [`MAX_FAULTS`] for each file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::LocalDeclarations;
use crate::declare::diagnostic::Diagnostic;
use crate::declare::limits::MAX_FAULTS;
use crate::declare::source::{Directory, FileId};
use crate::declare::toml_reader::more;

/// Keys that several files declare: each file but the first has a fault.
#[derive(Clone, Debug, Default)]
pub(in crate::declare) struct Clashes {
    by_file: BTreeMap<FileId, BTreeSet<Diagnostic>>,
    /// The files whose clashes have changed.
    changed: BTreeSet<FileId>,
}

impl Clashes {
    pub(in crate::declare) fn insert(&mut self, file: &FileId, clash: Diagnostic) {
        self.by_file.entry(file.clone()).or_default().insert(clash);
        self.changed.insert(file.clone());
    }

    pub(in crate::declare) fn remove(&mut self, file: &FileId, clash: &Diagnostic) {
        if let Some(all) = self.by_file.get_mut(file) {
            all.remove(clash);
            if all.is_empty() {
                self.by_file.remove(file);
            }
        }
        self.changed.insert(file.clone());
    }
}

impl LocalDeclarations {
    /// Replaces a file's own faults.
    pub(super) fn note(&mut self, id: &FileId, faults: Vec<Diagnostic>) {
        if let Some(entry) = self.files.get_mut(id) {
            entry.faults = faults;
            self.clashes.changed.insert(id.clone());
        }
    }

    /// Updates the shown faults of the files that have changed.
    pub(super) fn show_faults(&mut self) {
        for id in std::mem::take(&mut self.clashes.changed) {
            let Some(entry) = self.files.get_mut(&id) else { continue };
            let clashes = self.clashes.by_file.get(&id);
            entry.shown = shown(&entry.path, &entry.faults, clashes);
        }
    }

    /// Replaces the fault of a directory; it may have none.
    pub(super) fn note_directory(&mut self, directory: Directory, found: Result<(), String>) {
        self.directory_faults.remove(&directory);
        let (Err(why), Some(path)) = (found, self.paths.get(&directory)) else { return };
        let fault = Diagnostic::whole(
            path,
            format!("the directory cannot be read: {why}"),
            "the last good declarations of its files stay in effect; bring the directory back, or \
             leave it there empty to withdraw everything",
        );
        self.directory_faults.insert(directory, fault);
    }

    /// All present faults of the files, sorted by file, line and column; of each file at most as
    /// many as are reported.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        Directory::ALL.into_iter().flat_map(|directory| {
            let files = self.files.range(FileId { directory, name: "".into() }..);
            let files = files.take_while(move |(id, _)| id.directory == directory);
            let faults = self.directory_faults.get(&directory).into_iter();
            faults.chain(files.flat_map(|(_, entry)| &entry.shown))
        })
    }

    /// The present faults of those `peerings.d` files that belong to the accounts of these
    /// projects. They reveal only what such an account has written or knows.
    pub fn diagnostics_of<'a>(
        &'a self,
        projects: &'a BTreeSet<Arc<str>>,
    ) -> impl Iterator<Item = &'a Diagnostic> {
        let files = self.files.iter().filter(|(id, _)| id.directory == Directory::Peerings);
        let own = files.map(|(_, entry)| entry).filter(|entry| {
            entry.owner.as_ref().is_some_and(|owner| self.pins.is_owner_of_any(projects, owner))
        });
        own.flat_map(|entry| &entry.shown)
    }
}

/// The shown faults of a file: its own ones first, because the others may follow from them.
fn shown(
    path: &Arc<str>,
    faults: &[Diagnostic],
    clashes: Option<&BTreeSet<Diagnostic>>,
) -> Vec<Diagnostic> {
    let clashes = clashes.into_iter().flatten();
    let count = faults.len() + clashes.clone().count();
    let mut shown: Vec<Diagnostic> =
        faults.iter().chain(clashes).take(MAX_FAULTS + 1).cloned().collect();
    shown.sort();
    let is_told = shown.first().is_some_and(|first| first.position.is_none());
    if count > MAX_FAULTS && !is_told {
        shown.truncate(MAX_FAULTS);
        shown.insert(0, more(path, count));
    }
    shown
}
