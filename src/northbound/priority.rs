//! The priorities of our router policies, all in one place, so that rows of different kinds keep
//! their order.
//!
//! OVN applies the highest that matches, so a policy of another tool above ours takes effect
//! instead of ours. OVN accepts 0 to 32767. Kube-OVN writes `31000 ip4.dst == <subnet> allow`. The
//! offsets leave room below and above each kind of row.

use std::ops::RangeInclusive;

/// The offsets start here.
const BASE: i64 = 32_000;

/// Sends what passes an appliance there, in IPv6: a row is of one family.
pub const TO_APPLIANCE_IP6: i64 = BASE + 321;
/// The same in IPv4.
pub const TO_APPLIANCE_IP4: i64 = BASE + 320;
/// Allows what comes through an appliance of the other side.
pub const THROUGH: i64 = BASE + 315;
/// Allows what comes from listed prefixes by the gateway of the other side.
pub const GATEWAY_LISTED: i64 = BASE + 310;
/// Allows the other side to leave by an uplink of this router.
pub const GATEWAY_OUT: i64 = BASE + 300;
/// Allows ICMP errors, if traffic filters allow anything and their first rank drops something.
pub const ERRORS: i64 = BASE + 290;
/// What the other side may open, and what it may not: the first rank of policies; each further
/// rank is one below.
pub const FORWARD: i64 = BASE + 280;
/// Drops what is shaped like an opening, before replies pass.
pub const OPENINGS: i64 = BASE + 250;
/// Replies to what this side has opened, and echo replies of the router itself, which no packet is
/// both: the first rank.
pub const REPLIES: i64 = BASE + 249;
/// Allows packets between the two networks of a link, if no traffic filter does it instead.
pub const ALLOW: i64 = BASE + 200;
/// Drops all other packets from the link: the peering is not transitive.
pub const DROP: i64 = BASE + 100;
/// Allows what an appliance has let pass, which `SPOOF` would drop.
pub const FROM_APPLIANCE: i64 = BASE + 97;
/// Allows replies of the router itself to what comes by the gateway of the other side.
pub const GATEWAY_REPLIES: i64 = BASE + 96;
/// Allows legitimate packets that `SPOOF` would drop.
pub const PASS: i64 = BASE + 95;
/// Drops sources of the two networks that `GATEWAY_IN` would allow.
pub const GATEWAY_OWN: i64 = BASE + 94;
/// Drops packets with a source that cannot come from there.
pub const SPOOF: i64 = BASE + 90;
/// Allows what comes by the gateway of the other side, from anywhere. It is below `SPOOF`, so that
/// nothing comes in the name of another peer.
pub const GATEWAY_IN: i64 = BASE + 85;
/// The place of `DROP` below `GATEWAY_IN`.
pub const GATEWAY_DROP: i64 = BASE + 80;

/// Of ACLs, which have priorities of their own: drops what is no reply. It is above what other tools
/// write, and leaves room for an exception of an operator.
pub const GUARD: i64 = BASE;

/// Whether a policy decides on what the other side opens.
#[must_use]
pub fn is_forward(priority: i64) -> bool {
    (OPENINGS + 1..=FORWARD).contains(&priority)
}

/// Whether it decides on replies of the other side, and on echo replies of the router.
#[must_use]
pub fn is_reply(priority: i64) -> bool {
    (ALLOW + 1..=REPLIES).contains(&priority)
}

/// The range of our policies.
pub const OURS: RangeInclusive<i64> = GATEWAY_DROP..=TO_APPLIANCE_IP6;
