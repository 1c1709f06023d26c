//! Why the daemon refuses a request: a status, a code for programs, a sentence and a next step for
//! people.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::audit::EarlyRefusal;
use super::{ErrorBody, ErrorDetail, MAX_BODY_BYTES, REQUEST_TIME};
use crate::declare::{Diagnostic, HalfKey, NotStored, Owner};
use crate::view::Viewer;

/// The reason for a refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client is neither an operator nor a tenant.
    #[error(
        "{} may not ask: the control socket answers operators, and the owners of projects",
        shown(.0)
    )]
    Stranger(Owner),
    /// The client is a tenant, and this is for operators.
    #[error("{path} is for operators")]
    OperatorsOnly {
        /// The request's path.
        path: String,
    },
    /// There is no half of that name.
    #[error("there is no half {0}")]
    NoSuchHalf(HalfKey),
    /// No host of this name declares anything.
    #[error("no host {0} declares anything")]
    NoSuchHost(String),
    /// This host's declarations are its own files.
    #[error("{0} is the host that was asked")]
    OwnHost(String),
    /// The store is no host.
    #[error("@store is no host: it contains what was declared by command")]
    NotAHost,
    /// The client owns other projects.
    #[error("project {0} is not yours")]
    NotOwner(String),
    /// The text of declarations has errors.
    #[error("the declarations have errors")]
    BadDeclarations(Vec<Diagnostic>),
    /// The store does not take a change.
    #[error("{0}")]
    NotStored(NotStored),
    /// The held withdrawals are not the confirmed ones.
    #[error("other withdrawals are held than those seen: nothing is released")]
    HeldElse,
    /// No link of another tool is in the way of a half.
    #[error("no link of another tool is in the way of {half}: it is {standing}")]
    NoForeignLink {
        /// The half.
        half: HalfKey,
        /// Its state, and its reason.
        standing: String,
    },
    /// The link is being taken over already.
    #[error("the link in the way of {0} is being taken over already")]
    UnderWay(HalfKey),
    /// Another instance writes.
    #[error("another instance of ovn-peerd holds the lock and writes; this one takes nothing over")]
    Standby,
    /// A newer version writes, so this one does not.
    #[error("a newer version of ovn-peerd has written to the northbound; this one writes nothing")]
    NewerVersion,
    /// There is no such route.
    #[error("there is no {method} {path} here")]
    NoSuchRoute {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
    },
    /// The route exists, but not for this method.
    #[error("{path} does not take {method}")]
    WrongMethod {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
    },
    /// The request is malformed.
    #[error("the request cannot be understood: {0}")]
    BadRequest(String),
    /// The body is over [`MAX_BODY_BYTES`].
    #[error("the request's body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// The answer took longer than [`REQUEST_TIME`].
    #[error("no answer within {} s", REQUEST_TIME.as_secs())]
    TooLate,
    /// Too many connections at once.
    #[error("too many connections at once")]
    TooManyConnections,
    /// Too many event streams at once.
    #[error("too many event streams at once")]
    TooManyStreams,
    /// Too many plans at once.
    #[error("too many plans are being made at once")]
    Busy,
    /// The northbound has not been read yet.
    #[error("the northbound has not been read yet, so nothing can be compared with it")]
    NotSynced,
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Leaving,
}

impl Refusal {
    /// The HTTP status (RFC 9110 section 15).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Stranger(_) | Self::OperatorsOnly { .. } | Self::NotOwner(_) => {
                StatusCode::FORBIDDEN
            }
            Self::NotStored(why) => super::store::status(why),
            Self::NoSuchHalf(_) | Self::NoSuchHost(_) | Self::NoSuchRoute { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::OwnHost(_)
            | Self::NotAHost
            | Self::HeldElse
            | Self::NoForeignLink { .. }
            | Self::UnderWay(_)
            | Self::Standby
            | Self::NewerVersion => StatusCode::CONFLICT,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) | Self::BadDeclarations(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooLate => StatusCode::GATEWAY_TIMEOUT,
            Self::TooManyConnections
            | Self::TooManyStreams
            | Self::Busy
            | Self::NotSynced
            | Self::Leaving => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// One word that a program can match; it is never renamed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stranger(_) => "not-operator",
            Self::OperatorsOnly { .. } => "operators-only",
            Self::NoSuchHalf(_) => "no-such-half",
            Self::NoSuchHost(_) => "no-such-host",
            Self::OwnHost(_) => "own-host",
            Self::NotAHost => "not-a-host",
            Self::NotOwner(_) => "not-owner",
            Self::BadDeclarations(_) => "bad-declarations",
            Self::NotStored(why) => super::store::code(why),
            Self::HeldElse => "held-changed",
            Self::NoForeignLink { .. } => "no-foreign-link",
            Self::UnderWay(_) => "under-way",
            Self::Standby => "standby",
            Self::NewerVersion => "newer-version",
            Self::NoSuchRoute { .. } => "no-such-route",
            Self::WrongMethod { .. } => "wrong-method",
            Self::BadRequest(_) => "bad-request",
            Self::TooLarge => "too-large",
            Self::TooLate => "too-late",
            Self::TooManyConnections => "crowded",
            Self::TooManyStreams => "too-many-streams",
            Self::Busy => "busy",
            Self::NotSynced => "northbound-not-read",
            Self::Leaving => "stopping",
        }
    }

    /// Why, if the event loop has not had the request.
    fn early(&self) -> Option<EarlyRefusal> {
        match self {
            Self::BadDeclarations(found) => {
                let first = found.iter().take(1).map(|first| format!(": {first}"));
                Some(EarlyRefusal(first.fold(self.to_string(), |text, first| text + &first)))
            }
            Self::OperatorsOnly { .. }
            | Self::NotOwner(_)
            | Self::NoSuchRoute { .. }
            | Self::WrongMethod { .. }
            | Self::BadRequest(_)
            | Self::TooLarge => Some(EarlyRefusal(self.to_string())),
            Self::Stranger(_)
            | Self::NoSuchHalf(_)
            | Self::NoSuchHost(_)
            | Self::OwnHost(_)
            | Self::NotAHost
            | Self::NotStored(_)
            | Self::HeldElse
            | Self::NoForeignLink { .. }
            | Self::UnderWay(_)
            | Self::Standby
            | Self::NewerVersion
            | Self::TooLate
            | Self::TooManyConnections
            | Self::TooManyStreams
            | Self::Busy
            | Self::NotSynced
            | Self::Leaving => None,
        }
    }

    /// The same, in the words that a viewer may read.
    pub(super) fn for_viewer(self, viewer: &Viewer) -> Self {
        if let (Self::NotStored(why), false) = (&self, viewer.is_operator()) {
            return Self::NotStored(why.clone().for_tenant());
        }
        self
    }

    /// What the client can do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Stranger(_) => {
                "run it as root; or have the operator add you to the socket's group or to `[control] operators`, or name you as `owner` of your [[project]], in ovn-peerd.toml"
            }
            Self::OperatorsOnly { .. } => {
                "`ovn-peerctl list` and `ovn-peerctl show` are yours; for the rest ask an operator"
            }
            Self::NoSuchHalf(_) => {
                "`ovn-peerctl list` shows every half of yours by project, network and name"
            }
            Self::NoSuchHost(_) => "`ovn-peerctl host list` shows the hosts that declare something",
            Self::OwnHost(_) => "remove its files: this host declares what they contain",
            Self::NotAHost => "`ovn-peerctl delete` removes a stored half",
            Self::NotOwner(_) => {
                "`owner` of its [[project]] in ovn-peerd.toml says who may declare for it: ask an operator"
            }
            Self::BadDeclarations(_) => "correct them; nothing was stored",
            Self::NotStored(why) => super::store::next_step(why),
            Self::HeldElse => {
                "`ovn-peerctl confirm` lists what is held now, with the word that names it"
            }
            Self::NoForeignLink { .. } => {
                "`ovn-peerctl list --state failed` shows the halves that are foreign-link"
            }
            Self::UnderWay(_) => "wait; `ovn-peerctl show` says what became of it",
            Self::Standby => {
                "ask the daemon of the host that holds the lock: `ovn-peerctl status` says so there"
            }
            Self::NewerVersion => {
                "ask the daemon of a host that has the newer version, or upgrade this one"
            }
            Self::NoSuchRoute { .. } => {
                "the routes are /v1/halves, /v1/store, /v1/requests, /v1/networks, /v1/projects, /v1/whoami, /v1/attention, /v1/diagnostics, /v1/events, /v1/status, /v1/tokens, /v1/plan, /v1/hosts, /v1/withdrawals, /v1/withdrawals/confirm, /v1/take-over and /v1/reload"
            }
            Self::WrongMethod { .. } => "the answer's `Allow` header names the methods it takes",
            Self::BadRequest(_) => "correct the request",
            Self::TooLarge => "plan fewer files at once",
            Self::TooLate => {
                "the daemon is busy: look at `systemctl status ovn-peerd`, then ask again"
            }
            Self::TooManyConnections => "ask again in a moment, on fewer connections",
            Self::TooManyStreams => "end other event streams first, such as `ovn-peerctl monitor`",
            Self::Busy => "ask again in a moment; if that does not help, look at the file system",
            Self::NotSynced => {
                "`ovn-peerctl status` shows why the northbound is out of reach; ask again once it is read"
            }
            Self::Leaving => "ask again once it has started",
        }
    }
}

/// An account in words.
fn shown(account: &Owner) -> String {
    match &account.name {
        Some(name) => format!("{name} (uid {})", account.uid),
        None => format!("uid {}", account.uid),
    }
}

impl From<Refusal> for ErrorDetail {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code().to_owned(),
            message: refusal.to_string(),
            next_step: refusal.next_step().to_owned(),
            diagnostics: if let Refusal::BadDeclarations(found) = refusal {
                found
            } else {
                Vec::new()
            },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, early) = (self.status(), self.early());
        let mut response = (status, Json(ErrorBody { error: self.into() })).into_response();
        if let Some(early) = early {
            response.extensions_mut().insert(early);
        }
        response
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::TooLarge
        } else {
            Self::BadRequest(rejection.body_text())
        }
    }
}
