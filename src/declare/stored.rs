//! What clients declare by command: the store, which all hosts share.
//!
//! A stored declaration is an entry of a registration, as a host's is, under the mark [`STORE`]. A
//! file counts before it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostic, DiagnosticCode};
use super::model::{Half, HalfKey, Host, NetworkKey, RejectionKey};
use super::source::{FileId, Giver, SourceFile};

/// The mark of stored declarations, where a host's name stands otherwise. No host has it as a name.
pub const STORE: &str = "@store";

/// Who stored a declaration, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The account.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored by {}, {}", self.by, self.at)
    }
}

/// Where another host, or the store, has a declaration from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of the host.
    File(Giver),
    /// A command.
    Store(Stored),
}

/// A change of the stored declarations of one project: all of it, or nothing.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The project.
    pub project: Arc<str>,
    /// Who wants it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Halves to store, in place of those of the same names.
    pub halves: Vec<Half>,
    /// Rejections to store.
    pub rejections: Vec<RejectionKey>,
    /// Halves to remove.
    pub remove: Vec<HalfKey>,
    /// Rejections to remove, as far as they are stored.
    pub unreject: Vec<RejectionKey>,
    /// Whether the one half that is stored is the one that is removed, under another name.
    pub rename: bool,
    /// Whether the halves must be new.
    pub create: bool,
    /// Whether all other stored declarations of the project are removed.
    pub replace: bool,
    /// The tag that each of the halves, stored or removed, must have now.
    pub if_match: Option<String>,
    /// Whether it is only judged.
    pub dry_run: bool,
}

impl Edit {
    /// An edit that changes nothing yet.
    #[must_use]
    pub fn new(project: Arc<str>, by: String) -> Self {
        Self {
            project,
            by,
            at: Timestamp::UNIX_EPOCH,
            halves: Vec::new(),
            rejections: Vec::new(),
            remove: Vec::new(),
            unreject: Vec::new(),
            rename: false,
            create: false,
            replace: false,
            if_match: None,
            dry_run: false,
        }
    }
}

/// What an edit changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredChange {
    /// Halves that are stored, or stored anew.
    pub stored: Vec<HalfKey>,
    /// Halves that are removed.
    pub removed: Vec<HalfKey>,
    /// Rejections that are stored.
    pub rejected: Vec<RejectionKey>,
    /// Rejections that are removed.
    pub unrejected: Vec<RejectionKey>,
}

impl StoredChange {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for StoredChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("stored", list(&self.stored)),
            ("removed", list(&self.removed)),
            ("rejections stored", list(&self.rejected)),
            ("rejections removed", list(&self.unrejected)),
        ];
        let parts = parts.into_iter().filter_map(|(verb, list)| Some(format!("{verb}: {}", list?)));
        let parts: Vec<String> = parts.collect();
        f.write_str(if parts.is_empty() { "no change" } else { "" })?;
        f.write_str(&parts.join("; "))
    }
}

/// The first few in words; none of none.
fn list(keys: &[impl fmt::Display]) -> Option<String> {
    const NAMED: usize = 3;
    let mut named: Vec<String> = keys.iter().take(NAMED).map(ToString::to_string).collect();
    if keys.len() > NAMED {
        named.push(format!("{} more", keys.len() - NAMED));
    }
    (!named.is_empty()).then(|| named.join(", "))
}

/// Why nothing is stored. What the database server says of it is for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// The northbound is not connected, or not read.
    #[error(
        "the northbound is not connected or not read yet, so nothing can be stored in it{}",
        because(.0)
    )]
    NotSynced(Option<String>),
    /// The northbound takes no writes: it is a backup, or its remote is read-only.
    #[error("the northbound may only be read now, so nothing can be stored in it{}", because(.0))]
    ReadOnly(Option<String>),
    /// The northbound's server lacks room.
    #[error(
        "the northbound has no room for it: the disk of its server is full or fails, or a quota is reached{}",
        because(.0)
    )]
    Full(Option<String>),
    /// A newer version has written to the northbound.
    #[error("a newer version of ovn-peerd has written to the northbound; this one writes nothing")]
    Newer,
    /// Another instance has this host's name.
    #[error("another instance runs with the name of this host; this one writes nothing")]
    HostTaken,
    /// The northbound is restored from a backup just now.
    #[error("the northbound is older than known, and is being restored")]
    Restoring,
    /// `hosts` of the project does not name the store.
    #[error(
        "`hosts` of project {0} does not contain \"@store\", so only files of these hosts count"
    )]
    NotNamed(Arc<str>),
    /// No host binds the network.
    #[error("no host binds a network {0}")]
    NoNetwork(NetworkKey),
    /// The half is there already.
    #[error("there is a half {0} already")]
    Exists(HalfKey),
    /// Another half of the network has this target.
    #[error("{half} already targets {target}")]
    Targeted {
        /// The other half.
        half: HalfKey,
        /// The target.
        target: NetworkKey,
    },
    /// What is to be rejected has the consent of a half.
    #[error("{half} targets {from}, and a half counts before a rejection")]
    Consented {
        /// The half.
        half: HalfKey,
        /// Whose request is to be rejected.
        from: NetworkKey,
    },
    /// The half is not there.
    #[error("there is no stored half {0}")]
    Missing(HalfKey),
    /// The half has another tag now.
    #[error("{0} has changed meanwhile")]
    Changed(HalfKey),
    /// A file declares the half.
    #[error("{half} is kept in a file{}, on {}", place.iter().map(|at| format!(", {at}")).collect::<String>(), hosts.join(", "))]
    InFile {
        /// The half.
        half: HalfKey,
        /// Where, if this host has the file: `FILE:LINE`.
        place: Option<String>,
        /// The hosts.
        hosts: Vec<Host>,
    },
    /// The project would have more halves than this.
    #[error("the project would have more than {0} halves")]
    TooMany(u32),
    /// More would be removed than may be without a confirmation.
    #[error("{0} halves would be removed at once, more than `max_withdrawals` allows")]
    Withdraws(usize),
    /// Too many edits wait.
    #[error("too many changes wait to be stored")]
    Busy,
    /// The project has stored too much lately.
    #[error("the project has stored too much lately; it may go on in {0} s")]
    TooFast(u64),
    /// It could not be written in time.
    #[error(
        "it was not stored in time: other writers were faster, or the server is slow or has no leader"
    )]
    TooLate,
    /// Its reply was lost, and no rows have shown since whether it was done.
    #[error(
        "the connection to the northbound was lost before it answered: the change may be stored"
    )]
    Unknown,
    /// The server refused it for another reason.
    #[error("the northbound refused it{}", because(.0))]
    Server(Option<String>),
}

fn because(words: &Option<String>) -> String {
    words.iter().map(|words| format!(": {words}")).collect()
}

impl NotStored {
    /// The same without what the database server says: that may name what is somebody else's.
    #[must_use]
    pub fn for_tenant(self) -> Self {
        match self {
            Self::NotSynced(_) => Self::NotSynced(None),
            Self::ReadOnly(_) => Self::ReadOnly(None),
            Self::Full(_) => Self::Full(None),
            Self::Server(_) => Self::Server(None),
            Self::Newer
            | Self::HostTaken
            | Self::Restoring
            | Self::NotNamed(_)
            | Self::NoNetwork(_)
            | Self::Exists(_)
            | Self::Targeted { .. }
            | Self::Consented { .. }
            | Self::Missing(_)
            | Self::Changed(_)
            | Self::InFile { .. }
            | Self::TooMany(_)
            | Self::Withdraws(_)
            | Self::Busy
            | Self::TooFast(_)
            | Self::TooLate
            | Self::Unknown => self,
        }
    }

    /// Whether the database refuses it, so that an operator must act.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::ReadOnly(_) | Self::Full(_) | Self::Server(_))
    }
}

/// The declarations in a text of the form of `peerings.d`, or what is wrong with it.
pub type StoredText = Result<(Arc<str>, Vec<Half>, Vec<RejectionKey>), Vec<Diagnostic>>;

/// Parses a text of the form of `peerings.d`. `path` is how diagnostics name it.
///
/// # Errors
/// All that is wrong with the text, as diagnostics.
pub fn parse_stored(path: &str, text: String) -> StoredText {
    let id = FileId::peerings("stored.toml");
    let file = SourceFile { id, path: path.into(), text: Ok(text), owner: None };
    let parsed = file.parse();
    match (parsed.entries, parsed.project) {
        (Some(entries), Some((project, _))) => Ok((
            project,
            entries.halves.into_iter().map(|(_, half)| half).collect(),
            entries.rejections.into_iter().map(|(_, rejection)| rejection.key).collect(),
        )),
        _ if parsed.diagnostics.is_empty() => Err(vec![Diagnostic::whole(
            &path.into(),
            DiagnosticCode::MissingKey,
            "no project is named",
            "add project = \"blue\"",
        )]),
        _ => Err(parsed.diagnostics),
    }
}
