//! Errors between this command and the daemon, and what to do about them.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use super::change_error::ChangeError;
use crate::api::secret::NoRandom;
use crate::control::{ErrorBody, ErrorDetail};
use crate::daemon::discover::DiscoverError;
use crate::daemon::verify::OfflineError;
use crate::view::Diagnostic;

/// There is no such half.
const NOT_FOUND: u8 = 3;
/// Another half is in the way; or the half has changed meanwhile, or is kept in a file.
const CONFLICT: u8 = 5;
const CONFLICTS: [&str; 5] =
    ["exists", "already-targeted", "already-consented", "changed", "kept-in-file"];
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
    #[error("an event cannot be understood")]
    Event(#[source] serde_json::Error),
    #[error("{}", .0.message)]
    Refused(ErrorDetail),
    #[error("the settings have errors")]
    Settings { diagnostics: Vec<Diagnostic> },
    #[error("cannot read {file}")]
    Read { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// With what was written in an editor, so that it is not lost.
    #[error("{error}")]
    Edited { error: Box<Self>, text: String },
    #[error("cannot compose the request")]
    Request(#[source] hyper::http::Error),
    #[error("cannot write JSON")]
    Encode(#[source] serde_json::Error),
    #[error("cannot write YAML")]
    Yaml(#[source] yaml_serde::Error),
    #[error("cannot write CSV")]
    Csv(#[source] csv::Error),
    #[error("the answer is no list, so it cannot be CSV")]
    NoList,
    #[error("there is no token {name:?}")]
    NoToken { name: String },
    #[error(transparent)]
    Random(NoRandom),
    #[error("{message}")]
    Usage { message: String },
    /// What keeps ovn-trace from following a packet.
    #[error("{0}")]
    Trace(String),
    #[error("cannot verify without the daemon")]
    Offline(#[from] OfflineError),
    #[error("cannot discover")]
    Discover(#[from] DiscoverError),
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

    /// Whether the daemon is away, or about to leave: it may come back.
    pub(super) fn is_away(&self) -> bool {
        let leaves = matches!(self, Self::Refused(detail) if detail.code == "stopping");
        leaves || self.exit_code() == NO_DAEMON
    }

    /// Whether there is no such half.
    pub(super) fn is_missing(&self) -> bool {
        self.exit_code() == NOT_FOUND
    }

    /// Whether somebody else has changed the half meanwhile.
    pub(super) fn has_changed(&self) -> bool {
        matches!(self, Self::Refused(detail) if detail.code == "changed")
    }

    /// Whether another text would do.
    pub(super) fn is_about_text(&self) -> bool {
        const CODES: [&str; 5] =
            ["bad-declarations", "bad-request", "exists", "already-targeted", "already-consented"];
        let refused = matches!(self, Self::Refused(detail) if CODES.contains(&&*detail.code));
        refused || matches!(self, Self::Change(ChangeError::Text(_)))
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
            | Self::Foreign { .. }
            | Self::Event(_) => NO_DAEMON,
            Self::Refused(detail) if detail.code == "no-such-half" => NOT_FOUND,
            Self::Refused(detail) if CONFLICTS.contains(&&*detail.code) => CONFLICT,
            Self::Change(error) => error.exit_code(),
            Self::Edited { error, .. } => error.exit_code(),
            Self::Refused(_)
            | Self::Read { .. }
            | Self::Settings { .. }
            | Self::Request(_)
            | Self::Encode(_)
            | Self::Yaml(_)
            | Self::Csv(_)
            | Self::NoList
            | Self::Usage { .. }
            | Self::Trace(_)
            | Self::Offline(_)
            | Self::Discover(_)
            | Self::NoToken { .. }
            | Self::Random(_)
            | Self::Output(_)
            | Self::Runtime(_) => super::FAILURE,
        }
    }

    /// One word that a program can match; it is never renamed.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::NoSocket { .. } | Self::NobodyListens { .. } => "no-daemon",
            Self::NotPermitted { .. } => "not-permitted",
            Self::Connect { .. } => "not-connected",
            Self::Broken { .. } | Self::Cut { .. } => "connection-lost",
            Self::Silent { .. } => "no-answer",
            Self::Foreign { .. } | Self::Event(_) => "not-understood",
            Self::Refused(detail) => &detail.code,
            Self::Change(error) => error.code(),
            Self::Edited { error, .. } => error.code(),
            Self::Settings { .. } => "bad-settings",
            Self::Read { .. } => "unreadable-file",
            Self::NoList => "no-list",
            Self::Trace(_) => "no-trace",
            Self::Offline(_) => "not-offline",
            Self::Discover(_) => "not-discovered",
            Self::Usage { .. } => "usage",
            Self::NoToken { .. } => "no-such-token",
            Self::Random(_) => "no-random-numbers",
            Self::Output(_) => "output",
            Self::Request(_)
            | Self::Encode(_)
            | Self::Yaml(_)
            | Self::Csv(_)
            | Self::Runtime(_) => "internal",
        }
    }

    /// What is wrong with declarations or settings, if that is the error.
    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        if let Self::Edited { error, .. } = self {
            return error.diagnostics();
        }
        if let Self::Discover(DiscoverError::Settings(all) | DiscoverError::Files(all)) = self {
            return all;
        }
        if let Self::Refused(ErrorDetail { diagnostics, .. }) | Self::Settings { diagnostics } =
            self
        {
            return diagnostics;
        }
        &[]
    }

    /// The error and all its causes, in one line.
    pub(super) fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(&format!(": {error}"));
            cause = error.source();
        }
        line
    }

    /// For programs: as the daemon's own refusals.
    pub(super) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code().to_owned(),
                message: self.chain(),
                next_step: self.next_step(),
                diagnostics: self.diagnostics().to_vec(),
            },
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
            Self::Broken { .. } | Self::Cut { .. } | Self::Foreign { .. } | Self::Event(_) => {
                "Is this ovn-peerd's control socket, and is the daemon of the same version \
                 (`ovn-peerd --version`)? A daemon just upgraded wants a restart. It also hangs \
                 up on a user who has too many connections at once."
            }
            Self::Connect { .. } | Self::Silent { .. } => {
                "See what the daemon does: `systemctl status ovn-peerd`, `journalctl -u ovn-peerd`."
            }
            Self::Refused(detail) => return detail.next_step.clone(),
            Self::Change(error) => return error.next_step(),
            Self::Edited { error, text } => {
                return format!("{}\nYour text was:\n{text}", error.next_step());
            }
            Self::Settings { .. } => {
                "Correct them; `ovn-peerd check --config FILE` checks all files."
            }
            Self::Read { .. } => "Check the name of the file, and whether you may read it.",
            Self::Trace(_) => {
                "ovn-trace and ovn-sbctl are part of OVN (the package ovn-common or ovn-central); name their \
                 directory with --ovn-bin, the southbound with --southbound or OVN_SB_DB, and its \
                 certificates with --ovn-option. Run it where the southbound is reached, as root."
            }
            Self::Offline(error) => return error.next_step().to_owned(),
            Self::Discover(error) => return error.next_step().to_owned(),
            Self::Output(_) => "Check where the output goes.",
            Self::Usage { .. } => "`ovn-peerctl --help` lists the commands, and each has --help.",
            Self::NoToken { .. } => "`ovn-peerctl token list` lists the tokens.",
            Self::Random(_) => "Repeat the command once the system has started.",
            Self::NoList => "Use --format json or --format yaml.",
            Self::Request(_)
            | Self::Encode(_)
            | Self::Yaml(_)
            | Self::Csv(_)
            | Self::Runtime(_) => "This should not happen: please report it.",
        }
        .to_owned()
    }
}
