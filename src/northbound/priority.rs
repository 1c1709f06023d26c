//! The priorities of our router policies: one map, so that rows of different kinds keep their
//! order.
//!
//! The highest that matches applies, so what other tools write above ours decides instead of ours.
//! OVN takes 0 to 32767; Kube-OVN writes `31000 ip4.dst == <subnet> allow`. The offsets leave room
//! below and above each kind of row.

use std::ops::RangeInclusive;

/// What all of them are counted from.
const BASE: i64 = 32_000;

/// Allows what the two networks of a link say to each other.
pub const ALLOW: i64 = BASE + 200;
/// Drops whatever else comes over the link: the peering is not transitive.
pub const DROP: i64 = BASE + 100;
/// Allows what has such a source for a good reason.
pub const PASS: i64 = BASE + 95;
/// Drops a source that comes from where it cannot belong.
pub const SPOOF: i64 = BASE + 90;

/// All that policies of ours have.
pub const OURS: RangeInclusive<i64> = SPOOF..=ALLOW;
