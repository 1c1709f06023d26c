//! What the daemon wrote stays right whatever happens to it.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and prints what it measured"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod conflicts;
mod crash;
mod drift;
mod subnets;
