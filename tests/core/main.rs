//! The pure core, proved without OVN: invariants of the house, and random runs of declarations,
//! northbound changes, faults and restarts, compared after each step with a full recompute, with a
//! fresh engine, and with a small, slow, obvious reference model.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails where it is wrong, and is nobody's library"
)]

mod agreement;
mod attention;
mod balancers;
mod by_hand;
mod chain;
mod changes;
mod clients;
mod database;
mod depth;
mod dns;
mod doors;
mod filtered;
mod fit;
mod fleet;
mod golden;
mod greed;
mod guests;
mod hosts;
mod house;
mod late;
mod lifecycle;
mod lists;
mod matches;
mod matches_read;
mod meddling;
mod metrics;
mod model;
mod once;
mod packets;
mod policies;
mod random;
mod random_store;
mod refusal;
mod restored;
mod store;
mod take_over;
mod terms;
mod texts;
mod traffic;
mod transit;
mod trusted_hosts;
mod under_way;
mod uuids;
mod verdict;
mod versions;
mod why_drops;
mod why_matches;
mod why_reasons;
mod why_scene;
mod world;
