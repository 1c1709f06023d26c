//! `POST /v1/store`: changes of stored declarations.
//!
//! A public interface: fields may be added, never renamed.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, Refusal};
use crate::declare::{
    Diagnostic, DiagnosticCode, Edit, HalfKey, NetworkKey, NotStored, RejectionKey, StoredChange,
    parse_stored,
};

const RENAME: &str = "a rename has one half to store and one to remove, of the same network";

/// The body of a change: all of it takes effect, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreRequest {
    /// The project.
    pub project: String,
    /// Halves and rejections to store, as a file of `peerings.d` has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declarations: Option<String>,
    /// How diagnostics name that text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Halves to remove, each a network and a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<(String, String)>,
    /// Rejections to remove, each a network, and the project and the network that it rejects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreject: Vec<(String, String, String)>,
    /// Whether the one half in `declarations` is the one in `remove`, under another name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rename: bool,
    /// Whether the halves must be new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
    /// Whether all other stored declarations of the project are removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// The tag that the halves must have now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// Whether nothing is written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What has changed, or, of a dry run, would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAnswer {
    /// Halves that are stored, each as `project/network/name`.
    pub stored: Vec<String>,
    /// Halves that are removed.
    pub removed: Vec<String>,
    /// Rejections that are stored.
    pub rejected: Vec<String>,
    /// Rejections that are removed.
    pub unrejected: Vec<String>,
}

impl StoreAnswer {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<StoredChange> for StoreAnswer {
    fn from(change: StoredChange) -> Self {
        fn words<T: ToString>(keys: &[T]) -> Vec<String> {
            keys.iter().map(T::to_string).collect()
        }
        Self {
            stored: words(&change.stored),
            removed: words(&change.removed),
            rejected: words(&change.rejected),
            unrejected: words(&change.unrejected),
        }
    }
}

impl StoreRequest {
    /// The change that it asks for. The daemon sets the time.
    ///
    /// # Errors
    /// The declarations have errors, or are of another project.
    pub(super) fn into_edit(self, actor: &Actor) -> Result<Edit, Refusal> {
        let project = self.project.as_str();
        let (mut halves, mut rejections) = (Vec::new(), Vec::new());
        if let Some(text) = self.declarations {
            let path = self.path.as_deref().unwrap_or("declarations");
            let (named, found, rejected) =
                parse_stored(path, text).map_err(Refusal::BadDeclarations)?;
            if *named != *project {
                return Err(Refusal::BadDeclarations(vec![Diagnostic::whole(
                    &path.into(),
                    DiagnosticCode::NotAllowed,
                    format!("it is of project {named}, not of {project}"),
                    "name the project that the file names",
                )]));
            }
            (halves, rejections) = (found, rejected);
        }
        let network = |name: &str| NetworkKey::new(project, name);
        let half = |(of, name): &(String, String)| HalfKey::new(network(of), name.as_str());
        let rejection = |(of, from, name): &(String, String, String)| RejectionKey {
            network: network(of),
            from: NetworkKey::new(from.as_str(), name.as_str()),
        };
        let remove: Vec<HalfKey> = self.remove.iter().map(half).collect();
        if self.rename {
            match (&halves[..], &remove[..]) {
                ([new], [old]) if new.key.network == old.network => {}
                _ => return Err(Refusal::BadRequest(RENAME.to_owned())),
            }
        }
        Ok(Edit {
            project: project.into(),
            by: actor.0.to_string(),
            at: Timestamp::UNIX_EPOCH,
            halves,
            rejections,
            remove,
            unreject: self.unreject.iter().map(rejection).collect(),
            rename: self.rename,
            create: self.create,
            replace: self.replace,
            if_match: self.if_match,
            dry_run: self.dry_run,
        })
    }
}

/// A change of the store in words, as the journal names it.
#[must_use]
pub fn command(project: &str, replace: bool, dry_run: bool) -> String {
    let verb = if replace { "apply" } else { "store" };
    let dry_run = if dry_run { " --dry-run" } else { "" };
    format!("{verb} of project {project}{dry_run}")
}

pub(super) fn status(why: &NotStored) -> StatusCode {
    match why {
        NotStored::NoNetwork(_) | NotStored::Missing(_) => StatusCode::NOT_FOUND,
        NotStored::NotNamed(_) => StatusCode::FORBIDDEN,
        NotStored::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
        NotStored::Changed(_) => StatusCode::PRECONDITION_FAILED,
        NotStored::Exists(_)
        | NotStored::Targeted { .. }
        | NotStored::Consented { .. }
        | NotStored::InFile { .. }
        | NotStored::TooMany(_)
        | NotStored::Withdraws(_)
        | NotStored::Newer
        | NotStored::HostTaken => StatusCode::CONFLICT,
        NotStored::NotSynced(_)
        | NotStored::ReadOnly(_)
        | NotStored::Full(_)
        | NotStored::Restoring
        | NotStored::Busy
        | NotStored::TooLate
        | NotStored::Unknown
        | NotStored::Server(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

pub(super) fn code(why: &NotStored) -> &'static str {
    match why {
        NotStored::NotSynced(_) => "northbound-not-read",
        NotStored::ReadOnly(_) => "northbound-read-only",
        NotStored::Full(_) => "northbound-full",
        NotStored::Newer => "newer-version",
        NotStored::HostTaken => "host-name-in-use",
        NotStored::Restoring => "northbound-restoring",
        NotStored::NotNamed(_) => "store-not-allowed",
        NotStored::NoNetwork(_) => "no-such-network",
        NotStored::Exists(_) => "exists",
        NotStored::Targeted { .. } => "already-targeted",
        NotStored::Consented { .. } => "already-consented",
        NotStored::Missing(_) => "no-such-half",
        NotStored::Changed(_) => "changed",
        NotStored::InFile { .. } => "kept-in-file",
        NotStored::TooMany(_) => "too-many-halves",
        NotStored::Withdraws(_) => "too-many-withdrawals",
        NotStored::Busy => "busy",
        NotStored::TooFast(_) => "too-fast",
        NotStored::TooLate => "not-in-time",
        NotStored::Unknown => "not-known",
        NotStored::Server(_) => "northbound-refused",
    }
}

pub(super) fn next_step(why: &NotStored) -> &'static str {
    match why {
        NotStored::NotSynced(_) => {
            "nothing was stored; `ovn-peerctl status` shows an operator why the northbound is out of reach"
        }
        NotStored::ReadOnly(_) => {
            "nothing was stored; ask an operator to name a remote that may write, or to \
             make a backup server the active one (`ovn-peerctl status`)"
        }
        NotStored::Full(_) => {
            "nothing was stored; ask an operator to look at the disk and the log of the \
             northbound's server (`ovn-peerctl status`), then repeat the change"
        }
        NotStored::Newer => {
            "ask the daemon of a host that has the newer version, or upgrade this one"
        }
        NotStored::HostTaken => {
            "give each host a name of its own: `[daemon] host` in ovn-peerd.toml"
        }
        NotStored::Restoring => "nothing was stored; ask again in a moment",
        NotStored::NotNamed(_) => {
            "an operator may add \"@store\" to `hosts` of its [[project]], on all hosts"
        }
        NotStored::NoNetwork(_) => "an operator binds it to its router in networks.d",
        NotStored::Exists(_) => "choose another name, or change the half that is there",
        NotStored::Targeted { .. } => {
            "one half is enough: change or enable the one that is there, or delete it first"
        }
        NotStored::Consented { .. } => "delete that half: the peering ends, and then reject",
        NotStored::Missing(_) => "`ovn-peerctl list` shows the halves by project, network and name",
        NotStored::Changed(_) => "look at it again, and repeat the change",
        NotStored::InFile { .. } => {
            "change it there; or remove it there and store it with `ovn-peerctl create`"
        }
        NotStored::TooMany(_) => {
            "delete halves, or ask the operator: `[policy] max_halves_per_project`"
        }
        NotStored::Withdraws(_) => "delete some of them one by one first, or ask the operator",
        NotStored::Busy => "nothing was stored; ask again in a moment",
        NotStored::TooFast(_) => {
            "nothing was stored; wait, and join many changes by `ovn-peerctl apply`"
        }
        NotStored::TooLate => "nothing was stored; ask again",
        NotStored::Unknown => {
            "`ovn-peerctl list` shows whether it is stored, once the northbound is in reach"
        }
        NotStored::Server(_) => {
            "nothing was stored; ask an operator: the log of ovn-peerd has the words of the server"
        }
    }
}
