//! The control socket: HTTP/1.1 and JSON over a Unix socket.
//!
//! Owns the routes under `/v1`, the JSON on the wire, who may ask, and every limit on the daemon's
//! resources that a client can use. Answers nothing by itself: it sends a [`Question`] over a
//! bounded queue to the event loop, which answers with views. May not touch the engine's inside,
//! the rules of declarations, or any OVN table.
//!
//! | route | answer |
//! |---|---|
//! | `GET /v1/halves[?project=&network=&target=&state=&degraded=]` | an array of [`HalfView`](crate::view::HalfView) |
//! | `GET /v1/halves/{project}/{network}/{name}` | [`HalfDetail`](crate::view::HalfDetail), or 404 |
//! | `GET /v1/diagnostics` | [`DiagnosticsView`](crate::view::DiagnosticsView): what is wrong with the files |
//! | `GET /v1/attention` | [`AttentionView`](crate::view::AttentionView): held withdrawals, errors in files, an absent northbound |
//! | `GET /v1/events` | server-sent events: an [`EventView`](crate::view::EventView) each; goes on behind `Last-Event-ID` |
//! | `GET /v1/why?from_project=&from_network=&to_project=&to_network=[&from_address=&to_address=&opens=]` | [`WhyView`](crate::view::WhyView): whether packets pass, and why |
//! | `GET /v1/verify[?sample=]` | [`VerifyView`](crate::view::VerifyView): what should not be |
//! | `GET /v1/tokens` | an array of [`TokenView`](crate::view::TokenView): the tokens of the network API |
//! | `GET /v1/status` | [`StatusView`](crate::view::StatusView) |
//! | `GET /metrics` | the series of [`metrics`](crate::metrics), in the format that `Accept` asks for |
//! | `GET /v1/plan` | [`PlanView`](crate::view::PlanView) of the daemon's files as they are on disk |
//! | `POST /v1/plan` | [`PlanView`](crate::view::PlanView) of the [`Candidate`] in the body |
//! | `GET /v1/withdrawals[?project=]` | [`HeldView`](crate::view::HeldView): the withdrawals that are held, and their word |
//! | `POST /v1/withdrawals/confirm` | [`Confirmed`]: those that the [`Confirmation`] in the body names are released |
//! | `POST /v1/take-over` | [`TakeOverView`](crate::view::TakeOverView): what became of the links of other tools that the [`TakeOver`] in the body names |
//! | `POST /v1/reload` | [`Reloaded`]: after every file was read again and applied |
//!
//! A refusal is `{"error": {"code", "message", "next_step"}}` with a 4xx or 5xx status; of
//! declarations with errors it has `diagnostics`, too.
//!
//! The kernel says who is at the other end (`SO_PEERCRED`). *Operators* (root, the daemon's own
//! user, the socket's group, `[control] operators`) may use all routes. A *tenant* (the Unix
//! account that a `[[project]]` names as its owner) may use the first six, for the halves of its
//! projects and for its own files, and `POST /v1/store` for its projects. For a tenant, somebody
//! else's half does not exist.
//!
//! Invariants: all others get a 403 and reach no handler; a tenant reaches only the handlers of the
//! first six routes and of the store; its answers depend only on its own halves and files; no
//! client uses connections, queue slots or memory beyond the limits below; a request to change something
//! is reported with its actor and result, whether it reaches the event loop or is refused before; neither a tenant nor a
//! stranger can lock an operator out; a live daemon's socket is never replaced.

mod access;
mod audit;
mod candidate;
mod events;
mod metrics;
mod question;
mod refusal;
mod routes;
mod server;
mod socket;
mod store;
mod strangers;
mod stream;
mod wire;

use std::time::Duration;

pub use access::{Access, Actor};
pub use audit::Refused;
pub(crate) use audit::{Audit, shown};
pub use candidate::{Candidate, CandidateContent, CandidateDirectory, CandidateFile};
pub use events::Events;
pub(crate) use metrics::counted;
pub use metrics::{Authorized, metrics_router};
pub use question::Question;
pub(crate) use question::QuestionSender;
pub use refusal::Refusal;
pub use server::serve;
pub use socket::{Socket, SocketError};
pub use store::{StoreAnswer, StoreRequest, command};
pub use stream::KEEP_ALIVE;
pub use wire::{
    Confirmation, Confirmed, ErrorBody, ErrorDetail, Filter, HeldFilter, Reloaded, TakeOver,
    Verify, Why, state_of,
};

/// Connections served at once: this many of operators, whose further connections wait, and this
/// many of tenants, whose further connections are refused. Strangers have no share: they are
/// refused at once.
pub const MAX_CONNECTIONS: usize = 64;
/// The share of one user in the tenants' connections.
pub const MAX_CONNECTIONS_PER_USER: usize = 16;
/// Event streams at once: this many of operators, and this many of tenants. They do not count as
/// connections.
pub const MAX_STREAMS: usize = 1024;
/// The share of one user in the tenants' event streams.
pub const MAX_STREAMS_PER_USER: usize = 64;
/// Questions waiting for the event loop; each connection has at most one.
pub const MAX_QUESTIONS: usize = 2 * MAX_CONNECTIONS;
/// Largest request body, in bytes: a candidate of some 50,000 halves and their networks.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// How long a client may take to send a request's head, and to stay idle between requests.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long one request may take, from its head to its answer; a plan of a whole deployment takes
/// longest. A connection closes after this time once no request is under way, and after twice this
/// time in any case.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);
