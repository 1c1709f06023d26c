//! The priorities of our router policies, all in one place, so that rows of different kinds keep
//! their order.
//!
//! OVN applies the highest that matches, so a policy of another tool above ours takes effect
//! instead of ours. OVN accepts 0 to 32767. Kube-OVN writes `31000 ip4.dst == <subnet> allow`. The
//! offsets leave room below and above each kind of row.

use std::ops::RangeInclusive;

/// The offsets start here.
const BASE: i64 = 32_000;

/// Allows packets between the two networks of a link.
pub const ALLOW: i64 = BASE + 200;
/// Drops all other packets from the link: the peering is not transitive.
pub const DROP: i64 = BASE + 100;
/// Allows legitimate packets that `SPOOF` would drop.
pub const PASS: i64 = BASE + 95;
/// Drops packets with a source that cannot come from there.
pub const SPOOF: i64 = BASE + 90;

/// The range of our policies.
pub const OURS: RangeInclusive<i64> = SPOOF..=ALLOW;
