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
//! | `GET /v1/diagnostics` | an array of texts: what is wrong with the files |
//! | `GET /v1/status` | [`StatusView`](crate::view::StatusView) |
//! | `GET /v1/plan` | [`PlanView`](crate::view::PlanView) of the daemon's files as they are on disk |
//! | `POST /v1/plan` | [`PlanView`](crate::view::PlanView) of the [`Candidate`] in the body |
//! | `GET /v1/withdrawals[?project=]` | [`HeldView`](crate::view::HeldView): the withdrawals that are held, and their word |
//! | `POST /v1/withdrawals/confirm` | [`Confirmed`]: those that the [`Confirmation`] in the body names are released |
//! | `POST /v1/reload` | [`Reloaded`]: after every file was read again and applied |
//!
//! A refusal is `{"error": {"code", "message", "next_step"}}` with a 4xx or 5xx status.
//!
//! Who asks is what the kernel says of the other end (`SO_PEERCRED`). *Operators* (root, the
//! daemon's own user, the socket's group, `[control] operators`) see and do all of this. A *tenant*
//! (the Unix account that a `[[project]]` names as its owner) has the first three routes, for the
//! halves of its projects and the files of its own. A half of somebody else's is, to it, no half.
//!
//! Invariants: whoever is neither gets a 403 and reaches no handler; a tenant reaches the handlers
//! of the first three routes alone; what it is answered depends on its own halves and files alone; no client
//! holds a connection, a queue place or memory beyond the limits below, and neither a tenant nor a
//! stranger keeps an operator out; a live daemon's socket is never taken over.

mod access;
mod candidate;
mod crowd;
mod question;
mod refusal;
mod routes;
mod server;
mod socket;
mod wire;

use std::time::Duration;

pub use access::{Access, Actor};
pub use candidate::{Candidate, CandidateContent, CandidateDirectory, CandidateFile};
pub use question::Question;
pub use refusal::Refusal;
pub use server::serve;
pub use socket::{Socket, SocketError};
pub use wire::{
    Confirmation, Confirmed, ERRORS_HEADER, ErrorBody, ErrorDetail, Filter, HeldFilter, Reloaded,
};

/// Connections served at once: so many of operators, of whom more wait, and so many of tenants, of
/// whom more are refused. Strangers have no place among them: they are refused as soon as they ask.
pub const MAX_CONNECTIONS: usize = 64;
/// Of the tenants', so many of one user.
pub const MAX_CONNECTIONS_PER_USER: usize = 16;
/// Questions waiting for the event loop; each connection has at most one.
pub const MAX_QUESTIONS: usize = 2 * MAX_CONNECTIONS;
/// Largest request body, in bytes: a candidate of some 50,000 halves and their networks.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// How long a client may take to send a request's head, and to stay idle between requests.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long one request may take, from its head to its answer; a plan of a whole deployment is
/// the longest. A connection is closed once it has lived for as long and answers nothing, and when
/// it has lived for twice as long.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);
