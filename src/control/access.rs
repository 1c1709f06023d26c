//! Who may ask: the kernel says who the client is, the socket's group says who is an operator.
//!
//! The socket's mode already keeps others out; this holds when somebody has widened it.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::net::UnixStream;
use tokio::task;

use super::Refusal;

/// The users that count as operators.
#[derive(Clone, Copy, Debug)]
pub struct Operators {
    daemon: Uid,
    group: Gid,
}

impl Operators {
    /// Root, the user that this process runs as, and the members of `group`.
    #[must_use]
    pub fn of_group(group: u32) -> Self {
        Self { daemon: Uid::effective(), group: Gid::from_raw(group) }
    }

    /// Admits or refuses the process at the other end (unix(7), `SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// [`Refusal::NotOperator`]; also where the user database does not answer.
    pub async fn admit(self, stream: &UnixStream) -> Result<(), Refusal> {
        let client = match stream.peer_cred() {
            Ok(client) => client,
            Err(_) => return Err(Refusal::NotOperator { uid: u32::MAX }),
        };
        let uid = Uid::from_raw(client.uid());
        if uid.is_root() || uid == self.daemon || Gid::from_raw(client.gid()) == self.group {
            return Ok(());
        }
        // The user database may be a directory server: off the event loop.
        let gid = Gid::from_raw(client.gid());
        match task::spawn_blocking(move || self.has_member(uid, gid)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(Refusal::NotOperator { uid: uid.as_raw() }),
        }
    }

    fn has_member(self, uid: Uid, gid: Gid) -> io::Result<bool> {
        let Some(user) = User::from_uid(uid)? else { return Ok(false) };
        let name = CString::new(user.name)?;
        Ok(getgrouplist(&name, gid)?.contains(&self.group))
    }
}
