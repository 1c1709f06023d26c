//! The configuration on disk: the settings file and the two drop-in directories.
//!
//! Owns reading; may not touch the meaning of a text. Reads the files named `*.toml` that do not
//! begin with a dot or `#`. That leaves out the files that editors and package managers put beside
//! them (`.x.toml.swp`, `.#x.toml`, `#x.toml#`, `x.toml~`, `x.toml.tmp`, `x.toml.dpkg-new`,
//! `x.toml.rpmnew`, and the `..data` of symlink farms).
//!
//! Invariants: an interrupted listing is an error, never a shorter listing; the owner of a file is
//! the owner of the inode whose text was read; a link counts only if its maker may have that file
//! read (`links`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use nix::unistd::{Uid, User};

use crate::declare::{
    Diagnostic, DiagnosticCode, Directory, FileId, MAX_FILE_BYTES, Owner, PathSettings, Reading,
    Settings, SourceFile, is_declaration,
};

mod links;

pub(super) use links::MAX_LINKS;
use links::{Closed, Why};

/// Reads the settings. A file that cannot be read is a diagnostic and leaves the defaults.
#[must_use]
pub fn read_settings(path: &Path) -> (Settings, Vec<Diagnostic>) {
    match read_text(path) {
        Ok(text) => Settings::parse(path, &text),
        Err(why) => {
            let defaults = Settings::defaults(path.parent().unwrap_or(Path::new("")));
            let file = path.display().to_string().into();
            let message = format!("the settings cannot be read: {why}");
            let hint = "every key has a default, but the file must be there; it may be empty";
            (defaults, vec![Diagnostic::whole(&file, DiagnosticCode::Unreadable, message, hint)])
        }
    }
}

/// Reads files from the two drop-in directories.
#[derive(Debug)]
pub struct Files {
    directories: BTreeMap<Directory, PathBuf>,
    /// Account names; a look-up may ask a remote directory service.
    accounts: BTreeMap<u32, Option<String>>,
}

/// Distinguishes two versions of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    inode: (u64, u64),
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The inode's change time: its owner may have changed.
    changed: (i64, i64),
}

/// One file as it was read.
#[derive(Debug)]
pub struct Found {
    /// Its text, or why it has none.
    pub source: SourceFile,
    /// The signature of the inode that was read; `None` if it could not be opened.
    pub signature: Option<Signature>,
    /// Whether somebody wrote to it during the reading.
    pub in_flux: bool,
}

impl Files {
    /// The directories named in the settings.
    #[must_use]
    pub fn new(paths: &PathSettings) -> Self {
        Self {
            directories: BTreeMap::from([
                (Directory::Networks, paths.networks.clone()),
                (Directory::Peerings, paths.peerings.clone()),
            ]),
            accounts: BTreeMap::new(),
        }
    }

    /// Where a directory is.
    #[must_use]
    pub fn directory(&self, directory: Directory) -> &Path {
        self.directories.get(&directory).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, id: &FileId) -> PathBuf {
        self.directory(id.directory).join(&*id.name)
    }

    /// Reads everything. Keeps of each file the result of `each`, so that only one text is in
    /// memory at a time.
    pub fn read_all<F>(&mut self, mut each: impl FnMut(Found) -> F) -> Reading<F> {
        let mut reading = Reading { complete: true, ..Reading::default() };
        self.forget_accounts();
        for directory in Directory::ALL {
            let listed = self.list(directory);
            if let Ok(ids) = &listed {
                for mut found in ids.iter().filter_map(|id| self.read(id)) {
                    if found.in_flux {
                        found.source.text = Err("it is being written to".to_owned());
                    }
                    reading.files.push(each(found));
                }
            }
            let found = listed.map(drop).map_err(|error| error.to_string());
            reading.directories.push((directory, found));
        }
        reading
    }

    /// The files of a directory, in no order.
    ///
    /// # Errors
    /// When the directory cannot be listed to its end.
    pub fn list(&self, directory: Directory) -> io::Result<Vec<FileId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.directory(directory))? {
            ids.extend(file_id(directory, &entry?.file_name()));
        }
        Ok(ids)
    }

    /// Reads one file; `None` if there is none of this name.
    pub fn read(&mut self, id: &FileId) -> Option<Found> {
        let path = self.path(id);
        let opened = links::open(self.directory(id.directory), OsStr::new(&*id.name));
        let (owner, signature) = match &opened {
            Ok((_, metadata)) => (Some(metadata.uid()), Some(Signature::of(metadata))),
            Err(closed) => (closed.owner, Signature::read(&path)),
        };
        let opened = match opened {
            Ok((file, metadata)) => read_open(file, &metadata).map_err(|error| error.to_string()),
            Err(closed) => Err(self.explain(closed, id)?),
        };
        let in_flux = opened.as_ref().is_ok_and(|opened| opened.in_flux);
        let text = opened.map(|opened| opened.text);
        let (shown, owner) = (path.display().to_string().into(), owner.map(|uid| self.owner(uid)));
        let source = SourceFile { id: id.clone(), path: shown, text, owner };
        Some(Found { source, signature, in_flux })
    }

    /// Why a file cannot be read; `None` if there is no such file.
    fn explain(&mut self, Closed { why, .. }: Closed, id: &FileId) -> Option<String> {
        Some(match why {
            Why::NoEntry if id.name.contains(char::REPLACEMENT_CHARACTER) => {
                "its name is not UTF-8".to_owned()
            }
            Why::NoEntry => return None,
            Why::Dangling => "it is a link to a file that is not there".to_owned(),
            Why::Foreign(maker) => {
                let maker = self.owner(maker);
                format!(
                    "a link of {maker}'s is on the way to it, and at the end no regular file of {maker}'s \
                     that can be read; a link counts if root, the daemon's user or the owner of the \
                     file made it"
                )
            }
            Why::Misplaced(holder) => {
                let holder = self.owner(holder);
                format!(
                    "a link leads to it, and it lies in a directory of {holder}'s without being \
                     {holder}'s"
                )
            }
            Why::System(error) if error.kind() == ErrorKind::PermissionDenied => {
                format!(
                    "{error}: let the daemon's user read it, and pass the directories on the way"
                )
            }
            Why::System(error) => error.to_string(),
        })
    }

    /// The file's signature now, following links.
    #[must_use]
    pub fn signature(&self, id: &FileId) -> Option<Signature> {
        Signature::read(&self.path(id))
    }

    /// Forgets account names, so that they are looked up again.
    pub fn forget_accounts(&mut self) {
        self.accounts.clear();
    }

    fn owner(&mut self, uid: u32) -> Owner {
        let name = self.accounts.entry(uid).or_insert_with(|| {
            User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
        });
        Owner { uid, name: name.clone() }
    }
}

impl Signature {
    /// When somebody last wrote to the file.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        let (seconds, nanoseconds) = self.modified;
        let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        UNIX_EPOCH + whole + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
    }

    /// The signature of the file at a path now, following links.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::of)
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The file of a directory entry with this name, if its name counts.
#[must_use]
pub fn file_id(directory: Directory, name: &OsStr) -> Option<FileId> {
    // A name that is not UTF-8 gets replacement characters; its file cannot be opened, and the
    // error says so.
    let name = name.to_string_lossy();
    is_declaration(&name).then(|| FileId { directory, name: name.as_ref().into() })
}

struct Opened {
    text: String,
    in_flux: bool,
}

/// The text of one of the operator's own files.
fn read_text(path: &Path) -> io::Result<String> {
    // A FIFO must not block the daemon.
    let options = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).to_owned();
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    read_open(file, &metadata).map(|opened| opened.text)
}

fn read_open(mut file: File, metadata: &Metadata) -> io::Result<Opened> {
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES >> 20;
        let why = format!("it is larger than {limit} MiB; move some of its halves to another file");
        return Err(io::Error::other(why));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line =
            1 + memchr::memchr_iter(b'\n', error.as_bytes().get(..at).unwrap_or(&[])).count();
        io::Error::other(format!("it is not UTF-8 on line {line}"))
    })?;
    let in_flux = Signature::of(metadata) != Signature::of(&file.metadata()?);
    Ok(Opened { text, in_flux })
}
