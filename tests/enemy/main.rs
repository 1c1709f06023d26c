//! The northbound as a cluster, and as an enemy: real `ovsdb-server`s that hand over, lose each other, hang, forget, go
//! back in time, change their schema or refuse; the daemon has to end where a full recompute ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measured"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod cluster;
mod ground;
mod hand;
mod random;
mod server;

mod frozen;
mod leader;
mod members;
mod refusals;
mod resume;
mod roles;
mod schema;
mod soak;
mod standing;
mod store;
mod tls;
mod unwritable;
mod versions;
