//! What is kept of one pair of networks between two passes of the rules.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{Dispute, HalfKey, NetworkKey, PeeringKey};
use crate::northbound::members::Members;
use crate::northbound::{End, Id, Northbound};

use super::inputs::Rank;
use super::outcome::{Link, Resolution};
use super::prefix::Prefixes;

/// A pair of networks of which one at least has declared.
#[derive(Debug)]
pub(super) struct PairState {
    pub(super) id: Id,
    pub(super) rank: Rank,
    pub(super) halves: Members<HalfKey>,
    /// The half of each end that counts.
    pub(super) counting: [Option<HalfKey>; 2],
    /// Halves of which hosts say different things; nearly always none.
    pub(super) disputes: Vec<(HalfKey, Dispute)>,
    /// At each end, what the other end's network would have routed there.
    pub(super) wanted: [Prefixes; 2],
    /// At each end, what is routed already of a link that stands: nobody else gets that.
    pub(super) held: [Prefixes; 2],
    /// While the rules are applied to it: the link that was to stand when they last came to rest.
    pub(super) rested: Option<Box<Link>>,
    pub(super) resolution: Resolution,
}

/// All pairs. Boxed: an eighth of the places at least is free.
pub(super) type Pairs = HashMap<PeeringKey, Box<PairState>>;

/// One of a pair's two.
pub(super) fn of_end<T>([a, b]: &[T; 2], end: End) -> &T {
    match end {
        End::A => a,
        End::B => b,
    }
}

impl PairState {
    /// At each end, what was admitted of what is wanted there.
    pub(super) fn claims(&self) -> [Prefixes; 2] {
        match &self.resolution.link {
            Some(link) => [&link.b, &link.a].map(|remote| Prefixes::clone(&remote.prefixes)),
            None => Default::default(),
        }
    }

    pub(super) fn new(id: Id, key: &PeeringKey) -> Self {
        Self {
            id,
            rank: Rank { new: true, since: None, key: key.clone() },
            halves: Members::default(),
            counting: [None, None],
            disputes: Vec::new(),
            wanted: Default::default(),
            held: Default::default(),
            rested: None,
            resolution: Resolution { verdicts: [None, None], link: None, due: None },
        }
    }
}

/// What one end's router routes over the link, or should: a route that somebody deleted counts, and
/// where the owner makes the routes, all that is taken.
pub(super) fn routed(
    state: &PairState,
    end: End,
    router: Uuid,
    manual: bool,
    northbound: &Northbound,
) -> BTreeSet<IpNet> {
    let mut routed = northbound.link_routes(state.id, router);
    if manual {
        routed.extend(northbound.link_sources(state.id, router));
    }
    if let Some(link) = state.rested.as_deref().filter(|link| link.end(end).router == router) {
        let by_hand = link.end(end).routes.iter().flatten().map(|(_, prefix)| prefix);
        routed.extend(link.end(end.other()).prefixes.iter().chain(by_hand));
    }
    routed
}

/// The end at which a network is.
#[must_use]
pub fn end_of(key: &PeeringKey, network: &NetworkKey) -> End {
    if key.a() == network { End::A } else { End::B }
}

/// The network at an end.
#[must_use]
pub fn key_of_end(key: &PeeringKey, end: End) -> &NetworkKey {
    match end {
        End::A => key.a(),
        End::B => key.b(),
    }
}
