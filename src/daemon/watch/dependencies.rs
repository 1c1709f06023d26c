//! What a path depends on: the directory entries that decide where it leads.
//!
//! A path through symbolic links leads elsewhere when any of the links is replaced, not only its
//! last entry. Configuration management works that way: `blue.toml -> ..data/blue.toml` and `..data
//! -> ..2024_05_01`, where only `..data` is ever replaced.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::daemon::files::MAX_LINKS;

/// A directory entry, by the directory's physical path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Dependency {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

/// Where a path leads now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Its links and its last entry, or the first missing entry.
    pub(super) dependencies: Vec<Dependency>,
    /// The path without links; `None` if an entry on the way is missing.
    pub(super) physical: Option<PathBuf>,
}

/// Follows an absolute path.
pub(super) fn resolve(path: &Path) -> Resolved {
    let mut dependencies = Vec::new();
    let mut here = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = parts(path).collect();
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let entry = here.join(&name);
        let metadata = fs::symlink_metadata(&entry);
        let link = metadata.as_ref().is_ok_and(fs::Metadata::is_symlink);
        if link || ahead.is_empty() || metadata.is_err() {
            dependencies.push(Dependency { directory: here.clone(), name });
        }
        let target = link.then(|| fs::read_link(&entry)).transpose();
        let (Ok(_), Ok(target), true) = (metadata, target, dependencies.len() <= MAX_LINKS) else {
            return Resolved { dependencies, physical: None };
        };
        match target {
            Some(target) => {
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(part);
                }
            }
            None => here = entry,
        }
    }
    Resolved { dependencies, physical: Some(here) }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn dependency(directory: &Path, name: &str) -> Dependency {
        Dependency { directory: directory.to_owned(), name: name.into() }
    }

    #[test]
    fn a_link_farm_depends_on_each_link() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().canonicalize().unwrap();
        fs::create_dir(at.join("..v1")).unwrap();
        fs::write(at.join("..v1/a.toml"), "").unwrap();
        symlink("..v1", at.join("..data")).unwrap();
        symlink("..data/a.toml", at.join("a.toml")).unwrap();
        let resolved = resolve(&at.join("a.toml"));
        let v1 = at.join("..v1");
        assert_eq!(
            resolved.dependencies,
            [dependency(&at, "a.toml"), dependency(&at, "..data"), dependency(&v1, "a.toml")]
        );
        assert_eq!(resolved.physical, Some(v1.join("a.toml")));
    }

    #[test]
    fn a_missing_entry_is_a_dependency() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().canonicalize().unwrap();
        symlink("../no/such", at.join("a")).unwrap();
        let resolved = resolve(&at.join("a/b"));
        assert_eq!(
            resolved.dependencies,
            [dependency(&at, "a"), dependency(at.parent().unwrap(), "no")]
        );
        assert_eq!(resolved.physical, None);
        symlink("loop", at.join("loop")).unwrap();
        assert_eq!(resolve(&at.join("loop")).physical, None);
    }
}
