//! The network API: peerings over HTTP, in the shape of UpCloud's API, so that its clients work here.
//!
//! Owns the tokens and their rates, the endpoints under `/1.3` with their JSON and error codes, and the
//! description of all that (OpenAPI). `listen` has the sockets, TLS and connections; `control` the
//! questions to the event loop, and the audit of what is refused. Writes through the store alone, as
//! `ovn-peerctl` does, and any host's daemon serves the same.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /1.3/account` | the token's name, and how many peerings it may have |
//! | `GET /1.3/network`, `/1.3/network/{uuid}` | own networks |
//! | `GET /1.3/network-peering`, `/1.3/network-peering/{uuid}` | own peerings |
//! | `POST /1.3/network-peering` | a new one |
//! | `PATCH`, `DELETE /1.3/network-peering/{uuid}` | another name, status or labels; the end |
//! | `GET /openapi.json`, `/readyz` | without login, without data |
//!
//! From below: `error`; `tokens`, `failures`, `rate` (who may ask, and how often); `wire`, `body`,
//! `query` (JSON and queries); `shown` (views as JSON); `service` (questions); the endpoints; `login`
//! and `router` around them.
//!
//! Invariants: a request is checked in the order token, rate, shape, own network, own conflicts, quota,
//! write, and nothing of the other network is looked at before the answer; of what is not the
//! token's own, the answer is the same as of what does not exist; operators of the control socket and
//! the event loop wait for few questions of this room at a time.

mod account;
mod body;
mod error;
mod failures;
mod login;
mod networks;
mod openapi;
mod peerings;
mod query;
mod rate;
mod router;
pub mod secret;
mod service;
mod shown;
mod tokens;
mod wire;
mod write;

use std::time::Duration;

pub use openapi::openapi;
pub use router::router;
pub use tokens::Tokens;

/// Largest request body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a client may take to send it.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long one request may take, from its head to its answer.
const REQUEST_TIME: Duration = Duration::from_secs(55);
/// Logins that fail, of one address in a minute; further ones are not told whether they fail.
const MOST_FAILURES: u32 = 5;
/// Questions of this room that wait for the event loop at a time.
const MOST_QUESTIONS: usize = 4;
/// Changes that wait for the northbound at a time.
const MOST_CHANGES: usize = 32;
