//! The input from the shell: texts of files, and which files appeared or were removed.

use std::fmt;
use std::sync::Arc;

/// The two drop-in directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Directory {
    /// `networks.d`: the operator's bindings of networks to routers.
    Networks,
    /// `peerings.d`: the tenants' halves.
    Peerings,
}

impl Directory {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Networks, Self::Peerings];
}

/// A file's identity. Its order is drop-in order: the byte order of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The directory that holds it.
    pub directory: Directory,
    /// Its name there, with the suffix.
    pub name: Arc<str>,
}

impl FileId {
    /// A file of `networks.d`.
    #[must_use]
    pub fn networks(name: &str) -> Self {
        Self { directory: Directory::Networks, name: name.into() }
    }

    /// A file of `peerings.d`.
    #[must_use]
    pub fn peerings(name: &str) -> Self {
        Self { directory: Directory::Peerings, name: name.into() }
    }
}

/// Whether a file of this name is read: `*.toml`, unless it begins with a dot or `#`.
#[must_use]
pub fn is_declaration(name: &str) -> bool {
    name.ends_with(".toml") && !name.starts_with(['.', '#'])
}

/// The giver of a declaration: a file with its owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Giver {
    /// Which file.
    pub file: FileId,
    /// The uid of its owner then; `None` if it is not known.
    pub owner: Option<u32>,
}

/// The origin of declarations: one for all declarations of a file.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) giver: Giver,
    /// As diagnostics show it.
    pub(super) path: Arc<str>,
}

/// A Unix account: a file's owner, or a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Numeric.
    pub uid: u32,
    /// The account's name, if the uid has one.
    pub name: Option<String>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

impl Owner {
    /// Whether this is the account that the operator wrote as a name, or as a uid in digits.
    #[must_use]
    pub fn is(&self, account: &str) -> bool {
        match account.parse::<u32>() {
            Ok(uid) => self.uid == uid,
            Err(_) => self.name.as_deref() == Some(account),
        }
    }
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Which one.
    pub id: FileId,
    /// As diagnostics show it.
    pub path: Arc<str>,
    /// Its text, or why it cannot be read.
    pub text: Result<String, String>,
    /// Who owns it, or is to answer for that it cannot be read; `None` when that is unknown.
    pub owner: Option<Owner>,
}

/// The content of the directories at one moment: files as read, or as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<F = SourceFile> {
    /// Whether it is complete: a full listing of every directory that `directories` names as read,
    /// so that each file that is not in `files` is gone. Otherwise only the files named here have
    /// changed.
    pub complete: bool,
    /// Read now.
    pub files: Vec<F>,
    /// Removed files, in directories that are still there.
    pub removed: Vec<FileId>,
    /// The directories that were read, or why one was not (missing, not readable).
    pub directories: Vec<(Directory, Result<(), String>)>,
}

impl<F> Default for Reading<F> {
    fn default() -> Self {
        Self { complete: false, files: Vec::new(), removed: Vec::new(), directories: Vec::new() }
    }
}
