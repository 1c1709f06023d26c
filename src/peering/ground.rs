//! What the rules are applied to, from outside of them.

use jiff::Timestamp;

use crate::declare::{Declarations, PolicySettings};
use crate::northbound::Northbound;

/// What the rules are applied to, and when.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What all hosts declare.
    pub declarations: &'a Declarations,
    /// What is there.
    pub northbound: &'a Northbound,
    /// The operator's policy.
    pub policy: &'a PolicySettings,
    /// The moment.
    pub now: Timestamp,
}
