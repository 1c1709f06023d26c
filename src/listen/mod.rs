//! Listening on the network: TCP, TLS, and HTTP/1.1 with any router above it.
//!
//! Owns sockets and their thread, the certificates in use, and every limit on what a client can use
//! before a request is read. Knows no route: a service gives its router, and finds who asks in the
//! request's [`Client`]. May not touch the event loop: whatever clients do here costs that nothing.
//!
//! From below: `connections` counts connections, `http` serves one, `keys` has the certificates in
//! use, `listener` binds and serves.
//!
//! Invariants: without a certificate, only loopback is listened on (the settings see to it); no client
//! holds a connection longer than [`Limits`] allow; a certificate that is not usable replaces none.

mod connections;
mod http;
mod keys;
mod listener;

pub(crate) use connections::{ConnectionLimits, Permit};
pub(crate) use http::{HttpTimes, serve_http};
pub use listener::{Client, Limits, ListenError, Listener, Serving};
