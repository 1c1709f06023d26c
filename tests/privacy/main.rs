//! Who sees what (S0.10, S0.11, S3.23): a target that does not exist, one in a project that does not exist and one that is
//! silent are the same to whoever names them, in every byte, in the work done, and in what somebody may overhear; after
//! consent each side sees the other's prefixes and nothing of a third; tenants do not see one another.
//!
//! Real OVN, the real daemon as a user of its own, real clients of real users; and the core by itself, in random worlds.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and prints what it measures"
)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the world and the lab are shared with other test crates, each of which uses its part"
)]

#[path = "../service/api_site.rs"]
mod api_site;
#[path = "../core/by_hand.rs"]
mod by_hand;
#[path = "../core/database.rs"]
mod database;
#[path = "../core/guests.rs"]
mod guests;
#[path = "../service/http.rs"]
mod http;
#[path = "../lab/mod.rs"]
mod lab;
#[path = "../core/late.rs"]
mod late;
#[path = "../core/lists.rs"]
mod lists;
#[path = "../core/meddling.rs"]
mod meddling;
#[path = "../core/packets.rs"]
mod packets;
#[path = "../service/pki.rs"]
mod pki;
#[path = "../service/running.rs"]
mod running;
#[path = "../service/served.rs"]
mod served;
#[path = "../core/terms.rs"]
mod terms;
#[path = "../core/texts.rs"]
mod texts;
#[path = "../core/world.rs"]
mod world;

mod allowed;
mod api;
mod commands;
mod consented;
mod files;
mod greed;
mod mesh;
mod named;
mod site;
mod targets;
mod tenants;
mod timing;
mod why;
mod work;
mod worlds;
