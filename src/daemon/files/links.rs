//! Opens a file of a drop-in directory through symbolic links, hop by hop.
//!
//! The maker of a link chooses whose file the daemon reads. So a link counts only if root, the
//! daemon's own user or the owner of the file at its end made it. The file at its end must also lie
//! in a directory of one of these, because anybody who may write to a directory can make a hard
//! link there.
//!
//! Invariants: opens each entry in the directory that it opened before, and never lets the kernel
//! follow a link, so that nobody can exchange anything between the check and the reading; the
//! report on a link that does not count is the same for every target, and for none.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

/// As in Linux (path_resolution(7)): a path with more links than this leads nowhere.
pub(in crate::daemon) const MAX_LINKS: usize = 40;

/// Why there is no file to read.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) why: Why,
    /// The account that is responsible, if it is known.
    pub(super) owner: Option<u32>,
}

/// What is wrong, as far as the report may reveal it.
#[derive(Debug)]
pub(super) enum Why {
    /// There is no entry of this name.
    NoEntry,
    /// A link has no target.
    Dangling,
    /// A link of this account leads to somebody else's file, or to nothing that can be read.
    Foreign(u32),
    /// The file of one account lies in a directory of another account.
    Misplaced(u32),
    /// The system's error.
    System(io::Error),
}

/// Where a path leads, as far as it was followed.
struct Trail {
    here: File,
    ahead: VecDeque<OsString>,
    /// Who made the links so far.
    makers: Vec<u32>,
}

/// Opens the file of this name in a directory that the operator has chosen.
pub(super) fn open(directory: &Path, name: &OsStr) -> Result<(File, Metadata), Closed> {
    // The listing reports a directory that cannot be entered.
    let here = enter(directory).map_err(|_| Closed { why: Why::NoEntry, owner: None })?;
    let mut trail = Trail { here, ahead: VecDeque::from([name.to_owned()]), makers: Vec::new() };
    trail.follow().map_err(|closed| trail.judge(closed))
}

impl Trail {
    /// Follows the path to its end.
    fn follow(&mut self) -> Result<(File, Metadata), Closed> {
        while let Some(name) = self.ahead.pop_front() {
            let entry = at(&self.here, &name, OFlag::O_PATH)?;
            let found = entry.metadata()?;
            if found.is_symlink() {
                self.makers.push(found.uid());
                if self.makers.len() > MAX_LINKS {
                    return Err(io::Error::from(Errno::ELOOP).into());
                }
                let target = readlinkat(entry.as_fd(), "").map_err(io::Error::from)?;
                self.turn(Path::new(&target))?;
            } else if self.ahead.is_empty() {
                self.check(&found)?;
                let read = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
                let owner = Some(found.uid());
                let file = at(&self.here, &name, read)
                    .map_err(|error| Closed { why: Why::System(error), owner })?;
                // The path may lead to another file by now: the opened one counts.
                let found = file.metadata()?;
                self.check(&found)?;
                return Ok((file, found));
            } else {
                self.here = entry;
            }
        }
        Err(irregular().into())
    }

    /// Follows a link.
    fn turn(&mut self, target: &Path) -> io::Result<()> {
        if target.is_absolute() {
            self.here = enter(Path::new("/"))?;
        }
        let parts = target.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        });
        for part in parts.collect::<Vec<_>>().into_iter().rev() {
            self.ahead.push_front(part);
        }
        Ok(())
    }

    /// Whether the makers of the links may have this file read.
    fn check(&self, found: &Metadata) -> Result<(), Closed> {
        if !found.is_file() {
            return Err(Closed { why: Why::System(irregular()), owner: Some(found.uid()) });
        }
        let is_trusted = |uid: &u32| is_operator(*uid) || *uid == found.uid();
        let is_linked = !self.makers.is_empty();
        let holder = self.here.metadata()?.uid();
        if is_linked && !(self.makers.iter().all(is_trusted) && is_trusted(&holder)) {
            return Err(Closed { why: Why::Misplaced(holder), owner: Some(holder) });
        }
        Ok(())
    }

    /// The report on a trail that ended early.
    fn judge(&self, closed: Closed) -> Closed {
        let maker = self.makers.iter().find(|uid| !is_operator(**uid));
        if let Some(maker) = maker {
            return Closed { why: Why::Foreign(*maker), owner: Some(*maker) };
        }
        let is_absent =
            matches!(&closed.why, Why::System(error) if error.kind() == ErrorKind::NotFound);
        if self.makers.is_empty() {
            return if is_absent { Closed { why: Why::NoEntry, owner: None } } else { closed };
        }
        let holder = self.here.metadata().ok().map(|holder| holder.uid());
        let owner = closed.owner.or(holder.filter(|uid| !is_operator(*uid)));
        Closed { why: if is_absent { Why::Dangling } else { closed.why }, owner }
    }
}

impl From<io::Error> for Closed {
    fn from(error: io::Error) -> Self {
        Self { why: Why::System(error), owner: None }
    }
}

/// Root and the daemon's own user may have any file read.
fn is_operator(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

fn irregular() -> io::Error {
    io::Error::other("it is not a regular file")
}

/// A directory, to open its entries.
fn enter(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// An entry of an open directory; a link itself, not its target.
fn at(directory: &File, name: &OsStr, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(directory.as_fd(), name, flags, Mode::empty())?.into())
}
