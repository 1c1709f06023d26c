//! Attacks by one party on all others: a tenant writes what it may, and reaches neither another tenant's consent nor the
//! time and the memory of the daemon.
//!
//! Real accounts, the real daemon as a user of its own, a real northbound, in the layout of systemd/service.md.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and prints what it measures"
)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the host and the lab are shared with other test crates, each of which uses its part"
)]

#[path = "../service/api_site.rs"]
mod api_site;
#[path = "../service/http.rs"]
mod http;
#[path = "../lab/mod.rs"]
mod lab;
#[path = "../service/pki.rs"]
mod pki;
#[path = "../service/running.rs"]
mod running;
#[path = "../service/served.rs"]
mod served;
#[path = "../privacy/site.rs"]
mod site;

mod api;
mod connections;
mod ground;
mod large;
mod links;
mod manager;
mod nasty;
mod registrations;
mod smoke;
mod starvation;
