//! The OVSDB client against real `ovsdb-server` processes: everything that issue 2, section 2 promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a test that fails should say so at once"
)]

mod follower;
mod proxy;
mod rows;
mod server;

mod broken;
mod busy;
mod cluster;
mod framing;
mod large;
mod locks;
mod patience;
mod random;
mod restart;
mod schema;
mod session;
mod stages;
mod tls;
mod transact;
