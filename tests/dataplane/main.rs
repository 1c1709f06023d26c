//! What the daemon promises of packets, proved with packets on real OVN, each with its negative.

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

mod consent;
mod ground;
mod outside;
mod seamless;
mod transit;
