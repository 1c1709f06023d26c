//! The input of the rules from other rooms.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::declare::{Declarations, PeeringKey, PolicySettings};
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
    /// Peerings that are to take the place of a link of others, by an operator's command.
    pub replacing: &'a BTreeSet<PeeringKey>,
}
