//! The service as systemd and the operator meet it: the control socket, the notify socket, the
//! journal, the command line, the unit and the package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's failure is its report; clippy exempts only the test functions themselves"
)]

mod access;
mod alerts;
mod api;
mod api_clients;
mod api_errors;
mod api_site;
mod api_tokens;
mod bridge;
mod completion;
mod control;
mod daemon;
mod edit;
mod events;
mod http;
mod listen;
mod listener;
mod log;
mod machine;
mod metrics;
mod package;
mod pki;
mod prometheus;
mod running;
mod sandbox;
mod series;
mod served;
mod shown;
mod tool;
mod unit;
mod wait;
