//! Why the daemon cannot start, or must stop.

use crate::control::SocketError;
use crate::listen::ListenError;
use crate::ovsdb::client::RemoteError;

/// Why the daemon cannot start, or must stop.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    /// The settings have errors.
    #[error("the settings in {path} have errors:\n{diagnostics}")]
    Settings {
        /// The file.
        path: String,
        /// One per line.
        diagnostics: String,
    },
    /// A remote in the settings is malformed.
    #[error("a remote in the settings cannot be understood")]
    Remote(#[from] RemoteError),
    /// Another daemon uses the path, or the path is not usable.
    #[error("the control socket cannot be served")]
    Socket(#[from] SocketError),
    /// An address in the settings cannot be listened on.
    #[error("the network cannot be served")]
    Listen(#[from] ListenError),
    /// This host has no usable name.
    #[error(
        "this host has no name of its own under which it could declare: set `host` in [daemon] of {path}"
    )]
    NoHost {
        /// The settings.
        path: String,
    },
    /// Another instance uses this host's name.
    #[error(
        "host-name-in-use: another ovn-peerd declares as host {host:?}: give each host a name of its own (`host` in [daemon]), or end the other one"
    )]
    HostNameInUse {
        /// The name.
        host: String,
    },
    /// A part of the daemon has ended that must never end.
    #[error("{0} has ended, which must not happen: please report it with the log")]
    Ended(&'static str),
    /// The operating system refused something.
    #[error("cannot {what}")]
    System {
        /// What the daemon tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}
