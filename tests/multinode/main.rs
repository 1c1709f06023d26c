//! Several hosts: a daemon on each chassis, halves declared on one or the other of them, guests on different chassis; and
//! what becomes of it all when a host or a database fails.
//!
//! `tests/multinode/run` runs these, and those of other targets that take a lab, on ovn-fake-multinode.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, measures time, and prints what it measures"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod consent;
mod failover;
mod hosts;
mod leader;
