//! The control socket: HTTP/1.1 and JSON over a Unix socket.
//!
//! Owns the routes under `/v1`, the answers' JSON on the wire, who may ask, and every limit on
//! what a client can make the daemon hold. Tells nothing of itself: a [`Question`] goes over a
//! bounded queue to the event loop, which answers with views. May not touch the engine's inside,
//! declarations' rules, or any OVN table.
//!
//! | route | answer |
//! |---|---|
//! | `GET /v1/halves[?project=&network=&state=]` | an array of [`HalfView`](crate::view::HalfView) |
//! | `GET /v1/halves/{project}/{network}/{name}` | [`HalfDetail`](crate::view::HalfDetail), or 404 |
//! | `GET /v1/status` | [`StatusView`](crate::view::StatusView) |
//! | `GET /v1/plan` | [`PlanView`](crate::view::PlanView) of the daemon's files as they are on disk |
//! | `POST /v1/plan` | [`PlanView`](crate::view::PlanView) of the [`Candidate`] in the body |
//! | `POST /v1/withdrawals/confirm` | [`Confirmed`]: held withdrawals are released |
//! | `POST /v1/reload` | [`Reloaded`]: after every file was read again and folded in |
//!
//! A refusal is `{"error": {"code", "message", "next_step"}}` with a 4xx or 5xx status.
//!
//! Invariants: a client that is not root, the daemon's own user or a member of the socket's group
//! gets a 403 and reaches no handler; no client holds a connection, a queue place or memory beyond
//! the limits below; a live daemon's socket is never taken over.

mod access;
mod candidate;
mod question;
mod refusal;
mod routes;
mod server;
mod socket;
mod wire;

use std::time::Duration;

pub use access::Operators;
pub use candidate::{Candidate, CandidateContent, CandidateDirectory, CandidateFile};
pub use question::Question;
pub use refusal::Refusal;
pub use server::serve;
pub use socket::{Socket, SocketError};
pub use wire::{Confirmed, ErrorBody, ErrorDetail, Filter, Reloaded};

/// Connections served at once; more wait in the socket's backlog. An operator's tools are few.
pub const MAX_CONNECTIONS: usize = 64;
/// Questions waiting for the event loop; each connection has at most one.
pub const MAX_QUESTIONS: usize = MAX_CONNECTIONS;
/// Largest request body, in bytes: a candidate of some 50,000 halves and their networks.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// How long a client may take to send a request's head, and to stay idle between requests.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long one request may take, from its head to its answer; a plan of a whole deployment is
/// the longest.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);
