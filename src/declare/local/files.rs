//! The directories and the files as they were read last: whose the files are, and the present
//! faults, at most [`MAX_FAULTS`] for each file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::declare::claims::Clashes;
use crate::declare::contribution::{Contribution, Entries};
use crate::declare::diagnostic::{Diagnostic, DiagnosticCode};
use crate::declare::limits::MAX_FAULTS;
use crate::declare::pins::Pins;
use crate::declare::settings::PathSettings;
use crate::declare::source::{Directory, FileId, Giver, Origin, Owner};

/// All directories and files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    directories: BTreeMap<Directory, DirectoryState>,
    files: BTreeMap<FileId, FileState>,
    /// The files whose own faults have changed.
    changed: BTreeSet<FileId>,
}

#[derive(Clone, Debug)]
struct DirectoryState {
    /// As diagnostics show it.
    path: Arc<str>,
    fault: Option<Diagnostic>,
    /// Whether it was listed at least once.
    was_listed: bool,
}

/// The state of one file.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    path: Arc<str>,
    /// The owner of its latest text, if it is known.
    owner: Option<Owner>,
    /// Of its latest text.
    faults: Vec<Diagnostic>,
    /// The faults to report: some of these, and duplicates of other files' declarations.
    shown: Vec<Diagnostic>,
}

impl FileState {
    pub(super) fn new(path: Arc<str>, owner: Option<Owner>, faults: Vec<Diagnostic>) -> Self {
        Self { path, owner, faults, shown: Vec::new() }
    }

    /// Its contribution: these declarations.
    pub(super) fn contribution(&self, id: &FileId, entries: Entries) -> Contribution {
        let owner = self.giver(id).map(|owner| owner.uid);
        let giver = Giver { file: id.clone(), owner };
        Contribution { origin: Arc::new(Origin { giver, path: Arc::clone(&self.path) }), entries }
    }

    /// The account that declares what is in it. The files of `networks.d` belong to the operators,
    /// whichever operator owns one.
    pub(super) fn giver(&self, id: &FileId) -> Option<&Owner> {
        self.owner.as_ref().filter(|_| id.directory == Directory::Peerings)
    }

    /// Notes that the contribution of its former owner ends, because its new text does not count.
    pub(super) fn end_contribution(&mut self) {
        let now = self.owner.as_ref().map_or_else(|| "somebody".to_owned(), Owner::to_string);
        self.faults.push(Diagnostic::whole(
            &self.path,
            DiagnosticCode::OwnerChanged,
            format!("the file now belongs to {now}: its former owner's declarations are withdrawn"),
            "only its owner may consent: let that account declare it in a file of its own",
        ));
    }
}

impl Files {
    /// No file yet.
    pub(super) fn new(paths: &PathSettings) -> Self {
        let directories =
            [(Directory::Networks, &paths.networks), (Directory::Peerings, &paths.peerings)];
        let state =
            |path: String| DirectoryState { path: path.into(), fault: None, was_listed: false };
        let states = directories.map(|(it, path)| (it, state(path.display().to_string())));
        Self { directories: states.into(), files: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// All known files.
    pub(super) fn known(&self) -> impl Iterator<Item = &FileId> {
        self.files.keys()
    }

    /// A known file.
    pub(super) fn get(&self, id: &FileId) -> Option<&FileState> {
        self.files.get(id)
    }

    /// Sets the state of a file.
    pub(super) fn set(&mut self, id: FileId, state: FileState) {
        self.changed.insert(id.clone());
        self.files.insert(id, state);
    }

    /// A file's path, as diagnostics show it.
    pub(super) fn path_of(&self, id: &FileId) -> Arc<str> {
        match (self.files.get(id), self.directories.get(&id.directory)) {
            (Some(state), _) => Arc::clone(&state.path),
            (None, Some(directory)) => format!("{}/{}", directory.path, id.name).into(),
            (None, None) => Arc::clone(&id.name),
        }
    }

    /// Adds a file that only its record names. Returns whether it is new.
    pub(super) fn add_recorded(&mut self, id: &FileId) -> bool {
        let is_new = !self.files.contains_key(id);
        if is_new {
            let state = FileState::new(self.path_of(id), None, Vec::new());
            self.files.insert(id.clone(), state);
        }
        is_new
    }

    /// Notes that a file has no text any more. It stays known until that is accepted.
    pub(super) fn clear(&mut self, id: &FileId) {
        if let Some(state) = self.files.get_mut(id) {
            state.faults.clear();
            self.changed.insert(id.clone());
        }
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, id: &FileId) {
        self.files.remove(id);
    }

    /// Notes whether a directory can be read; `listed` if all its files are known then.
    pub(super) fn note_directory(
        &mut self,
        directory: Directory,
        found: Result<(), String>,
        listed: bool,
    ) {
        let Some(state) = self.directories.get_mut(&directory) else { return };
        state.was_listed |= listed && found.is_ok();
        state.fault = found.err().map(|why| {
            Diagnostic::whole(
                &state.path,
                DiagnosticCode::Unreadable,
                format!("the directory cannot be read: {why}"),
                "the last good declarations of its files stay in effect; bring the directory back, \
                 or leave it there empty to withdraw everything",
            )
        });
    }

    /// Whether all files of a directory have been known at some time.
    pub(super) fn was_listed(&self, directory: Directory) -> bool {
        self.directories.get(&directory).is_some_and(|state| state.was_listed)
    }

    /// Updates the shown faults of the files that have changed.
    pub(super) fn show_faults(&mut self, clashes: &mut Clashes) {
        let mut changed = clashes.take_changed();
        changed.append(&mut self.changed);
        for id in changed {
            let Some(state) = self.files.get_mut(&id) else { continue };
            state.shown = shown(&state.path, &state.faults, clashes.of(&id));
        }
    }

    /// The projects of the account that owns a file of `peerings.d`, by its path as shown.
    pub(super) fn projects_of_owner(&self, path: &str, pins: &Pins) -> Vec<Arc<str>> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let id = FileId { directory: Directory::Peerings, name: name.into() };
        let file = self.files.get(&id).filter(|state| *state.path == *path);
        let owner = file.and_then(|state| state.giver(&id));
        owner.map(|owner| pins.projects_of(owner)).unwrap_or_default()
    }

    /// All present faults, sorted by file, line and column; of each file at most as many as are
    /// reported.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.directories.iter().flat_map(|(directory, state)| {
            let files = self.files.range(FileId { directory: *directory, name: "".into() }..);
            let files = files.take_while(move |(id, _)| id.directory == *directory);
            state.fault.iter().chain(files.flat_map(|(_, state)| &state.shown))
        })
    }

    /// The present faults of those `peerings.d` files that belong to the accounts of these
    /// projects. They reveal only what such an account has written or knows.
    pub(super) fn diagnostics_of<'a>(
        &'a self,
        projects: &'a BTreeSet<Arc<str>>,
        pins: &'a Pins,
    ) -> impl Iterator<Item = &'a Diagnostic> {
        let own = self.files.iter().filter(|(id, state)| {
            state.giver(id).is_some_and(|owner| pins.is_owner_of_any(projects, owner))
        });
        own.flat_map(|(_, state)| &state.shown)
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
        shown.insert(0, Diagnostic::more(path, count));
    }
    shown
}
