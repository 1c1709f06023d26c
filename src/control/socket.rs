//! The control socket's file: created without ever replacing a live daemon's socket, and removed at
//! the exit.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::net::{UnixListener, UnixStream};
use tokio::time;

use super::access::Privileged;

/// Everybody may connect; the client's credentials decide on the answer, see [`super::Access`].
const SOCKET_MODE: u32 = 0o666;
/// Everybody may reach the socket.
const DIRECTORY_MODE: u32 = 0o755;
/// Only the daemon's user may open the lock file: whoever opens it can lock it and so prevent the
/// daemon's start.
const LOCK_MODE: u32 = 0o600;
/// How long to wait for the lock: a stopping daemon keeps it for a second or two.
const LOCK_TIME: Duration = Duration::from_secs(3);
/// The pause between attempts to lock it.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait for a live daemon: it accepts at once. A full backlog also shows a live daemon.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers there.
    #[error(
        "{path} belongs to a live daemon{}: stop it, or give this one another `[control] socket`",
        pid.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Live {
        /// The socket.
        path: PathBuf,
        /// Its process, where known.
        pid: Option<String>,
    },
    /// The path is not a socket.
    #[error("{0} is there and is not a socket: move it away, or choose another `[control] socket`")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {action} {path}; check the directory's owner, mode and space")]
    Io {
        /// What the daemon tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A bound control socket. Dropping it removes the file.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    privileged: Privileged,
    // Locked as long as the socket exists: the lock distinguishes a live daemon from a dead one's
    // leftovers.
    _lock: Flock<File>,
}

impl Socket {
    /// Binds `path`: creates its directory, replaces a dead daemon's socket, and fails at a live
    /// daemon's.
    ///
    /// # Errors
    ///
    /// [`SocketError`].
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let io_error = |action, path: &Path| {
            let path = path.to_owned();
            move |source| SocketError::Io { action, path, source }
        };
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            DirBuilder::new()
                .recursive(true)
                .mode(DIRECTORY_MODE)
                .create(directory)
                .map_err(io_error("create the directory", directory))?;
        }
        let lock = lock(path).await?;
        remove_stale(path).await?;
        let listener = UnixListener::bind(path).map_err(io_error("bind", path))?;
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
            .map_err(io_error("set the mode of", path))?;
        let metadata = fs::symlink_metadata(path).map_err(io_error("look at", path))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode: metadata.ino(),
            privileged: Privileged::of_group(metadata.gid()),
            _lock: lock,
        })
    }

    /// The accounts that are operators by the system, independent of the settings.
    pub(super) fn privileged(&self) -> Privileged {
        self.privileged
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Only this daemon's own: somebody may have replaced the file meanwhile.
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Locks the file next to the socket, so that two daemons that start at once do not both take the
/// socket for a dead one's. The kernel releases the lock with the process.
async fn lock(socket: &Path) -> Result<Flock<File>, SocketError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let io_error = |source| SocketError::Io { action: "lock", path: path.clone(), source };
    let mut file = open_lock(&path).map_err(io_error)?;
    let until = Instant::now() + LOCK_TIME;
    let mut lock = loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => break lock,
            Err((waiting, Errno::EWOULDBLOCK)) if Instant::now() < until => file = waiting,
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut pid = String::new();
                let pid = file.read_to_string(&mut pid).ok().map(|_| pid.trim().to_owned());
                return Err(SocketError::Live { path: socket.to_owned(), pid });
            }
            Err((_, errno)) => return Err(io_error(errno.into())),
        }
        time::sleep(LOCK_PAUSE).await;
    };
    lock.set_len(0).map_err(io_error)?;
    lock.rewind().map_err(io_error)?;
    writeln!(lock, "{}", process::id()).map_err(io_error)?;
    Ok(lock)
}

/// Opens the lock file. A file that others may open is from an older version, and anybody may have
/// locked it: so a new file replaces it. A live daemon that has locked the old file is found by its
/// socket.
fn open_lock(path: &Path) -> io::Result<File> {
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(LOCK_MODE).open(path)
    };
    let file = open()?;
    if file.metadata()?.mode() & 0o777 & !LOCK_MODE == 0 {
        return Ok(file);
    }
    fs::remove_file(path)?;
    open()
}

/// Removes a socket without a listener. The lock does not replace the probe: the path may belong to
/// a program that does not use the lock.
async fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let io_error = |action| move |source| SocketError::Io { action, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("look at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match time::timeout(PROBE_TIME, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(io_error("remove the stale socket"))
        }
        Ok(Err(error)) => Err(io_error("probe")(error)),
        Ok(Ok(_)) | Err(_) => Err(SocketError::Live { path: path.to_owned(), pid: None }),
    }
}
