//! The lab itself, and the rows of a peering written by hand: what the daemon will write is right on this OVN.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod cost;
mod databases;
mod driven;
mod forged;
mod guests;
mod leftovers;
mod peered;
mod rows;
