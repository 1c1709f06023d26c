//! Which directories the kernel watches, and what each of their entries decides.
//!
//! Invariant: all entries that decide where a drop-in directory or a linked file in it leads are
//! watched before that directory or file is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf, absolute};

use notify::{INotifyWatcher, RecursiveMode, Watcher};

use super::dependencies::{Dependency, resolve};
use crate::daemon::files::{Files, Signature, file_id};
use crate::declare::{Directory, FileId};

/// What depends on a directory entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dependent {
    /// A drop-in directory itself: it appeared, disappeared or was exchanged.
    Directory,
    /// A file in one of them.
    File(FileId),
    /// A file outside of the directories.
    Extra,
}

/// The watched directories.
pub(super) struct Watches {
    /// `None` if the kernel has no instance for this process.
    kernel: Option<INotifyWatcher>,
    /// Watched files outside of the drop-in directories: those of certificates and keys.
    extra: Vec<PathBuf>,
    watched: BTreeMap<PathBuf, Watched>,
    /// The drop-in directories by physical path.
    directories: BTreeMap<PathBuf, Directory>,
    /// The directories and the linked files that depend on an entry.
    dependencies: BTreeMap<Dependency, BTreeSet<Dependent>>,
    links: BTreeMap<FileId, Vec<Dependency>>,
}

#[derive(Debug)]
struct Watched {
    /// Device and inode: another directory under this name is not watched yet.
    inode: Option<(u64, u64)>,
    /// How many dependents need it.
    users: usize,
    /// Whether the kernel watches it.
    armed: bool,
}

impl Watches {
    pub(super) fn new(kernel: Option<INotifyWatcher>, extra: Vec<PathBuf>) -> Self {
        Self {
            kernel,
            extra,
            watched: BTreeMap::new(),
            directories: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// Whether notices can be missing, so that signatures must be compared often.
    pub(super) fn is_blind(&self) -> bool {
        self.kernel.is_none() || self.watched.values().any(|watched| !watched.armed)
    }

    /// Determines again which directories must be watched, and watches them. Directories that are
    /// still the same stay watched without a gap.
    pub(super) fn arm(&mut self, files: &Files) {
        self.directories.clear();
        self.dependencies.clear();
        self.links.clear();
        for watched in self.watched.values_mut() {
            watched.users = 0;
        }
        for directory in Directory::ALL {
            let Ok(path) = absolute(files.directory(directory)) else { continue };
            let resolved = resolve(&path);
            for dependency in resolved.dependencies {
                self.depend(dependency, Dependent::Directory);
            }
            if let Some(physical) = resolved.physical {
                self.need(&physical);
                self.directories.insert(physical, directory);
            }
        }
        let extra = self.extra.iter().filter_map(|path| absolute(path).ok());
        for dependency in extra.flat_map(|path| resolve(&path).dependencies).collect::<Vec<_>>() {
            self.depend(dependency, Dependent::Extra);
        }
        for id in Directory::ALL.into_iter().filter_map(|at| files.list(at).ok()).flatten() {
            self.follow(files, &id);
        }
        let unused =
            |(path, watched): (&PathBuf, &Watched)| (watched.users == 0).then(|| path.clone());
        for path in self.watched.iter().filter_map(unused).collect::<Vec<_>>() {
            self.drop_watch(&path);
        }
    }

    /// Watches all entries that a file's link leads through; must be called before the file is
    /// read.
    pub(super) fn follow(&mut self, files: &Files, id: &FileId) {
        let path = files.path(id);
        let dependencies = match absolute(&path) {
            Ok(path) if path.is_symlink() => resolve(&path).dependencies,
            Ok(_) | Err(_) => Vec::new(),
        };
        let former = self.links.remove(id).unwrap_or_default();
        for dependency in &dependencies {
            self.depend(dependency.clone(), Dependent::File(id.clone()));
        }
        for dependency in &former {
            self.release(dependency, id, dependencies.contains(dependency));
        }
        if !dependencies.is_empty() {
            self.links.insert(id.clone(), dependencies);
        }
    }

    /// The signatures of the files outside of the directories.
    pub(super) fn extra(&self) -> Vec<Option<Signature>> {
        self.extra.iter().map(|path| Signature::read(path)).collect()
    }

    /// The dependents of an entry.
    pub(super) fn dependents(&self, path: &Path) -> BTreeSet<Dependent> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return BTreeSet::new();
        };
        let dependency = Dependency { directory: directory.to_owned(), name: name.to_owned() };
        let mut dependents = self.dependencies.get(&dependency).cloned().unwrap_or_default();
        let file = self.directories.get(directory).and_then(|at| file_id(*at, name));
        dependents.extend(file.map(Dependent::File));
        dependents
    }

    /// Notes that a directory was removed; returns whether it was watched.
    pub(super) fn lose(&mut self, path: &Path) -> bool {
        match self.watched.get_mut(path) {
            Some(watched) => {
                watched.armed = false;
                true
            }
            None => false,
        }
    }

    /// Notes that notices were lost: no watch counts any more.
    pub(super) fn lose_all(&mut self) {
        for watched in self.watched.values_mut() {
            watched.armed = false;
        }
    }

    /// Whether a watched directory was exchanged without a notice.
    pub(super) fn is_stale(&self) -> bool {
        self.watched.iter().any(|(path, watched)| watched.inode != inode(path))
    }

    fn depend(&mut self, dependency: Dependency, dependent: Dependent) {
        self.need(&dependency.directory);
        self.dependencies.entry(dependency).or_default().insert(dependent);
    }

    fn release(&mut self, dependency: &Dependency, id: &FileId, still_needed: bool) {
        if !still_needed && let Some(dependents) = self.dependencies.get_mut(dependency) {
            dependents.remove(&Dependent::File(id.clone()));
            if dependents.is_empty() {
                self.dependencies.remove(dependency);
            }
        }
        let Some(watched) = self.watched.get_mut(&dependency.directory) else { return };
        watched.users = watched.users.saturating_sub(1);
        if watched.users == 0 {
            self.drop_watch(&dependency.directory);
        }
    }

    fn need(&mut self, path: &Path) {
        let watched = self.watched.entry(path.to_owned());
        watched.or_insert(Watched { inode: None, users: 0, armed: false }).users += 1;
        self.watch(path);
    }

    /// Makes the kernel watch a directory, unless it watches this one already.
    fn watch(&mut self, path: &Path) {
        let Some(watched) = self.watched.get_mut(path) else { return };
        let former = std::mem::replace(&mut watched.inode, inode(path));
        let Some(kernel) = &mut self.kernel else { return };
        if watched.armed && watched.inode == former {
            return;
        }
        // An error here only says that the kernel dropped the watch with the directory.
        let _ = kernel.unwatch(path);
        watched.armed = match kernel.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    directory = %path.display(), %error,
                    "cannot watch a directory; looking for changes every few seconds instead"
                );
                false
            }
        };
    }

    fn drop_watch(&mut self, path: &Path) {
        self.watched.remove(path);
        if let Some(kernel) = &mut self.kernel {
            // An error here only says that the kernel dropped the watch with the directory.
            let _ = kernel.unwatch(path);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
