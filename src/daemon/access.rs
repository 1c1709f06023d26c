//! Asks the host again for access to the northbound's socket (systemd/ovn-peerd-access.path), which ovsdb-server makes anew
//! at each start: systemd does not see a socket that is made while the access unit runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use tracing::debug;

use crate::ovsdb::Remote;

/// The directory that systemd makes for the unit.
const DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// Its file that the access unit watches.
const FILE: &str = "access-wanted";
/// Each request starts a unit: requests are at least so far apart.
const PACE: Duration = Duration::from_secs(10);

/// The requests for access.
#[derive(Debug)]
pub(super) struct AccessRequests {
    /// Without a service manager there is nobody to ask.
    file: Option<PathBuf>,
    last: Option<Instant>,
}

impl AccessRequests {
    pub(super) fn new() -> Self {
        let file = env::var_os(DIRECTORY).map(|directory| Path::new(&directory).join(FILE));
        Self { file, last: None }
    }

    /// After an attempt to connect has failed: asks if it was for the socket's permissions.
    pub(super) fn review(&mut self, remotes: &[String]) {
        let Some(file) = &self.file else { return };
        let is_early = self.last.is_some_and(|last| last.elapsed() < PACE);
        if is_early || !remotes.iter().any(|remote| is_forbidden(remote)) {
            return;
        }
        self.last = Some(Instant::now());
        if let Err(error) = fs::write(file, "") {
            debug!(%error, file = %file.display(), "cannot ask for access to the northbound's socket");
        }
    }
}

fn is_forbidden(remote: &str) -> bool {
    match remote.parse() {
        Ok(Remote::Unix(path)) => {
            access(&path, AccessFlags::R_OK | AccessFlags::W_OK) == Err(Errno::EACCES)
        }
        Ok(Remote::Tcp(_) | Remote::Ssl(_)) | Err(_) => false,
    }
}
