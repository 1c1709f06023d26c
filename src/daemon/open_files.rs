//! How many files may be open at once.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// All connections and event streams of the control socket, and a reserve. The service has as
/// many; a shell gives 1024.
const WANTED: u64 = 4096;

/// Raises the limit to what the control socket may take, as far as the system allows it.
///
/// # Errors
/// The limit stays lower.
pub(super) fn allow() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= WANTED) {
        return Ok(());
    }
    limit.current = Some(limit.maximum.unwrap_or(WANTED).min(WANTED));
    setrlimit(Resource::Nofile, limit)?;
    match limit.current {
        Some(current) if current < WANTED => {
            Err(io::Error::other(format!("the system allows {current}, and {WANTED} are wanted")))
        }
        Some(_) | None => Ok(()),
    }
}
