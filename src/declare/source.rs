//! What the shell hands in: texts of files, and which of them came or went.

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

/// A Unix account: a file's owner, or who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Numeric.
    pub uid: u32,
    /// The account's name, where the uid has one.
    pub name: Option<String>,
}

impl Owner {
    /// Whether an account is meant that the operator wrote as a name, or as a uid in digits.
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
    /// Who owns it; `None` when that is unknown.
    pub owner: Option<Owner>,
}

/// What was found in the directories at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// A full listing of every directory that `directories` says was read: whatever file of it
    /// is not in `files` is gone. Otherwise only what is named here has changed.
    pub complete: bool,
    /// Read now.
    pub files: Vec<SourceFile>,
    /// Gone, in a directory that is still there.
    pub removed: Vec<FileId>,
    /// Directories read, or why one cannot be (vanished, not readable).
    pub directories: Vec<(Directory, Result<(), String>)>,
}
