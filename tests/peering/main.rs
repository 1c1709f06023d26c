//! Two declarations become packets, on real OVN, and stay true: the promises of the sources. Which test proves which stands
//! in tests/README.md.
//!
//! The real daemon runs against a real northbound; nothing here knows the daemon's inside. That packets do *not* pass is
//! asserted beside some that do.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measures"
)]

#[path = "../lab/mod.rs"]
mod lab;
// What the lists of traffic filters mean: the same model that judges the pure core.
#[allow(dead_code, unreachable_pub, reason = "packets need less of it than the core")]
#[path = "../core/lists.rs"]
mod lists;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../core/packets.rs"]
mod packets;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../core/verdict.rs"]
mod verdict;

mod acls;
mod balancer_rows;
mod balancers;
mod chain;
mod chain_rows;
mod chain_together;
mod changes;
mod chassis;
mod conflicts;
mod consent;
mod contested;
mod cost;
mod crash;
mod discover;
mod dns;
mod drift;
mod files;
mod filters;
mod flows;
mod gateway;
mod guests;
mod hosts;
mod inward;
mod isolation;
mod learn;
mod lifecycle;
mod manual;
mod mtu;
mod names;
mod others;
mod owned;
mod progress;
mod quiet;
mod restored;
mod routes;
mod small;
mod stateful;
mod store;
mod subnets;
mod take_over;
mod take_over_faults;
mod tenants;
mod together;
mod traffic;
mod traffic_cost;
mod traffic_edits;
mod transit;
mod transit_rows;
mod upgrade;
mod uplinks;
mod uuids;
mod why_agreement;
mod why_trace;
mod why_verify;
