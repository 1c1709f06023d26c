//! What metrics are made from.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::StatusView;
use crate::declare::HalfKey;
use crate::peering::{Reason, State};

pub use crate::declare::PerHalf;

/// The numbers of all halves, and of the daemon, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsView {
    /// The moment.
    pub at: Timestamp,
    /// The daemon's own state.
    pub status: StatusView,
    /// How many halves have failed for each reason.
    pub failed: BTreeMap<Reason, usize>,
    /// How many halves are degraded.
    pub degraded: usize,
    /// How many peerings and networks somebody else writes again and again.
    pub contested_units: usize,
    /// How long ovn-northd has not acted on what it was asked for; zero if it owes nothing.
    pub northd_lag: Duration,
    /// How many hosts declare something.
    pub hosts: usize,
    /// How many networks some host binds.
    pub networks: usize,
    /// Datapaths on the deepest path over linked routers; zero if there is no deep one.
    pub mesh_depth: usize,
    /// How many the policy allows.
    pub mesh_depth_limit: u32,
    /// When the certificates expire by which the daemon listens on the network, each with what listens.
    pub certificates: Vec<(&'static str, Timestamp)>,
    /// Which halves have series of their own, by the settings.
    pub per_half: PerHalf,
}

/// One half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfSample {
    /// Which.
    pub half: HalfKey,
    /// Its state.
    pub state: State,
    /// Why it is not active.
    pub reason: Option<Reason>,
    /// Whether something about it is not as it should be.
    pub degraded: bool,
    /// Since when it is in its state.
    pub since: Option<Timestamp>,
    /// When its request expires, if it asks and nobody answers.
    pub expires: Option<Timestamp>,
    /// How many prefixes cross its link: out, in.
    pub prefixes: Option<(usize, usize)>,
}

/// A part of the halves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HalfSamples {
    /// Those of the part.
    pub samples: Vec<HalfSample>,
    /// The last half that was looked at.
    pub last: Option<HalfKey>,
    /// Whether others are behind it.
    pub more: bool,
}
