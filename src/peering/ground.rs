//! The input of the rules from other rooms.

use jiff::Timestamp;

use crate::declare::{Declarations, PolicySettings};
use crate::northbound::Northbound;

/// The input of the rules, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The declarations of all hosts.
    pub declarations: &'a Declarations,
    /// What is there.
    pub northbound: &'a Northbound,
    /// The operator's policy.
    pub policy: &'a PolicySettings,
    /// The moment.
    pub now: Timestamp,
}
