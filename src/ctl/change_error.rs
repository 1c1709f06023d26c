//! Errors of commands that change halves, as far as they are not the daemon's.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::view::{HalfView, State};

/// There is no such half.
const NOT_FOUND: u8 = 3;
/// The half is in none of the states that were waited for.
const TIME_IS_OVER: u8 = 6;

/// Why a change is not made, or not known to be in effect.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error("no project is named")]
    NoProject,
    #[error("{0}")]
    Name(String),
    #[error("{0}")]
    Text(String),
    #[error("nobody declares {0} any more")]
    NotDeclared(String),
    #[error("{0} is not stored")]
    NotStored(String),
    #[error("{half} has no `{key}`")]
    NoKey { half: String, key: String },
    #[error(
        "{half} is {}, not {}, and the time is over",
        found.state,
        wanted.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" or ")
    )]
    NotInTime { half: String, wanted: Vec<State>, found: Box<HalfView> },
    #[error("{file} still has errors")]
    StillWrong { file: PathBuf },
    #[error("the daemon has not applied the new text of {0} yet")]
    NotApplied(String),
    #[error("cannot use the editor")]
    Editor(#[source] io::Error),
    #[error("the editor `{editor}` failed: {status}")]
    EditorFailed { editor: String, status: ExitStatus },
}

impl ChangeError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NotDeclared(_) => NOT_FOUND,
            Self::NotInTime { .. } => TIME_IS_OVER,
            Self::NoProject
            | Self::Name(_)
            | Self::Text(_)
            | Self::NotStored(_)
            | Self::NoKey { .. }
            | Self::StillWrong { .. }
            | Self::NotApplied(_)
            | Self::Editor(_)
            | Self::EditorFailed { .. } => super::FAILURE,
        }
    }

    /// One word that a program can match; it is never renamed.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NoProject => "no-project",
            Self::Name(_) => "bad-name",
            Self::Text(_) | Self::StillWrong { .. } => "bad-declarations",
            Self::NotDeclared(_) => "no-such-half",
            Self::NotStored(_) => "not-stored",
            Self::NoKey { .. } => "no-such-key",
            Self::NotInTime { .. } => "not-in-time",
            Self::NotApplied(_) => "not-applied",
            Self::Editor(_) | Self::EditorFailed { .. } => "editor",
        }
    }

    pub(super) fn next_step(&self) -> String {
        match self {
            Self::NotInTime { found, .. } => {
                let next = found.next_step.clone();
                return next.unwrap_or_else(|| "`ovn-peerctl show` says how it stands.".to_owned());
            }
            Self::NoProject => {
                "Write it before the network (PROJECT/NETWORK), or name it with --project or \
                 OVN_PEERD_PROJECT."
            }
            Self::Name(_) => "`%2F` stands for a slash in a name.",
            Self::Text(_) => "Correct it; nothing is stored.",
            Self::NotDeclared(_) => "`ovn-peerctl create` stores it again.",
            Self::NotStored(_) => "A file declares it: `ovn-peerctl show` names that.",
            Self::NoKey { .. } => "`ovn-peerctl get HALF` prints the keys that it has.",
            Self::StillWrong { .. } => "Correct it; its last good content stays in effect.",
            Self::NotApplied(_) => "See `ovn-peerctl diagnostics`, and the log of the daemon.",
            Self::Editor(_) | Self::EditorFailed { .. } => {
                "Nothing is stored. Name your editor in VISUAL or EDITOR."
            }
        }
        .to_owned()
    }
}
