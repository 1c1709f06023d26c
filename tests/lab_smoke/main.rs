//! The lab itself: that it gives what tests rely on, and leaves nothing behind.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../lab/mod.rs"]
mod lab;

mod databases;
mod guests;
mod leftovers;
mod traffic;
