//! Errors between this command and the daemon, and what to do about them.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use crate::control::ErrorDetail;

/// There is no such half.
const NOT_FOUND: u8 = 3;
/// The half exists, has changed meanwhile, or is kept in a file.
const CONFLICT: u8 = 5;
const CONFLICTS: [&str; 3] = ["exists", "changed", "kept-in-file"];
/// No daemon answers at the socket.
const NO_DAEMON: u8 = 4;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CtlError {
    #[error("there is no {socket}")]
    NoSocket { socket: PathBuf },
    #[error("nobody listens at {socket}")]
    NobodyListens { socket: PathBuf },
    #[error("you may not use {socket}")]
    NotPermitted { socket: PathBuf },
    #[error("cannot connect to {socket}")]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the connection to {socket} was lost")]
    Broken { socket: PathBuf, source: hyper::Error },
    #[error("the answer on {socket} was cut off")]
    Cut { socket: PathBuf, source: Box<dyn Error + Send + Sync> },
    #[error("no answer on {socket} within {} s", patience.as_secs())]
    Silent { socket: PathBuf, patience: Duration },
    #[error("what answers on {socket} is not an ovn-peerd that this ovn-peerctl understands")]
    Foreign { socket: PathBuf, source: serde_json::Error },
    #[error("{}", .0.message)]
    Refused(ErrorDetail),
    #[error("the settings have errors:\n{diagnostics}")]
    Settings { diagnostics: String },
    #[error("cannot read {file}")]
    Read { file: PathBuf, source: io::Error },
    #[error("cannot compose the request")]
    Request(#[source] hyper::http::Error),
    #[error("cannot write JSON")]
    Encode(#[source] serde_json::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl CtlError {
    /// Classifies a failed connect by what the reader can do about it.
    pub(super) fn connect(socket: PathBuf, source: io::Error) -> Self {
        if source.kind() == ErrorKind::NotFound {
            Self::NoSocket { socket }
        } else if source.kind() == ErrorKind::ConnectionRefused {
            Self::NobodyListens { socket }
        } else if source.kind() == ErrorKind::PermissionDenied {
            Self::NotPermitted { socket }
        } else {
            Self::Connect { socket, source }
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoSocket { .. }
            | Self::NobodyListens { .. }
            | Self::NotPermitted { .. }
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Cut { .. }
            | Self::Silent { .. }
            | Self::Foreign { .. } => NO_DAEMON,
            Self::Refused(detail) if detail.code == "no-such-half" => NOT_FOUND,
            Self::Refused(detail) if CONFLICTS.contains(&&*detail.code) => CONFLICT,
            Self::Refused(_)
            | Self::Read { .. }
            | Self::Settings { .. }
            | Self::Request(_)
            | Self::Encode(_)
            | Self::Output(_)
            | Self::Runtime(_) => super::FAILURE,
        }
    }

    pub(super) fn next_step(&self) -> String {
        match self {
            Self::NoSocket { .. } | Self::NobodyListens { .. } => {
                "Is the daemon running (`systemctl status ovn-peerd`)? If it listens elsewhere \
                 ([control] socket in its configuration), name that with --socket."
            }
            Self::NotPermitted { .. } => {
                "The socket or its directory is closed to you (as shipped, everybody may connect, \
                 and the daemon judges who is answered): ask the operator."
            }
            Self::Broken { .. } | Self::Cut { .. } | Self::Foreign { .. } => {
                "Is this ovn-peerd's control socket, and is the daemon of the same version \
                 (`ovn-peerd --version`)? A daemon just upgraded wants a restart. It also hangs \
                 up on a user who has too many connections at once."
            }
            Self::Connect { .. } | Self::Silent { .. } => {
                "See what the daemon does: `systemctl status ovn-peerd`, `journalctl -u ovn-peerd`."
            }
            Self::Refused(detail) => return detail.next_step.clone(),
            Self::Settings { .. } => {
                "Correct them; `ovn-peerd check --config FILE` checks all files."
            }
            Self::Read { .. } => "Check the name of the file, and whether you may read it.",
            Self::Output(_) => "Check where the output goes.",
            Self::Request(_) | Self::Encode(_) | Self::Runtime(_) => {
                "This should not happen: please report it."
            }
        }
        .to_owned()
    }
}
