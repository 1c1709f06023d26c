//! Declarations: formats, the local, the offline check, and files on a real file system.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should say so at once"
)]

mod bounds;
mod formats;
mod golden;
mod ground;
mod lifecycle;
mod local;
mod owners;
mod properties;
mod texts;
mod watch;
mod withdrawals;
