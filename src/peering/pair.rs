//! What is kept of one pair of networks between two passes of the rules.

use std::collections::BTreeSet;

use ipnet::IpNet;
use sorted_vec::SortedSet;
use uuid::Uuid;

use crate::declare::{Dispute, HalfKey, NetworkKey, PeeringKey};
use crate::northbound::{End, Id, Northbound};

use super::inputs::Rank;
use super::outcome::{LinkEnd, Resolution};

/// A pair of networks of which one at least has declared.
#[derive(Debug)]
pub(super) struct PairState {
    pub(super) id: Id,
    pub(super) rank: Rank,
    pub(super) halves: SortedSet<HalfKey>,
    /// The half of each end that counts.
    pub(super) counting: [Option<HalfKey>; 2],
    /// Halves of which hosts say different things; nearly always none.
    pub(super) disputes: Vec<(HalfKey, Dispute)>,
    /// At each end, what the other end's network would have routed there.
    pub(super) wanted: [Vec<IpNet>; 2],
    /// At each end, what was admitted of it.
    pub(super) claims: [Vec<IpNet>; 2],
    /// At each end, what is routed already of a link that stands: nobody else gets that.
    pub(super) held: [Vec<IpNet>; 2],
    /// At each end, the router and what it was to route when the rules last came to rest.
    pub(super) rested: [Option<(Uuid, Vec<IpNet>)>; 2],
    pub(super) resolution: Resolution,
}

/// One of a pair's two.
pub(super) fn of_end<T>([a, b]: &[T; 2], end: End) -> &T {
    match end {
        End::A => a,
        End::B => b,
    }
}

impl PairState {
    /// The rules came to rest: what is routed now counts as routed.
    pub(super) fn rest(&mut self) {
        self.rested = match &self.resolution.link {
            Some(link) => {
                let at = |local: &LinkEnd, remote: &LinkEnd| {
                    let by_hand = local.routes.iter().flatten().map(|(_, prefix)| *prefix);
                    Some((local.router, remote.prefixes.iter().copied().chain(by_hand).collect()))
                };
                [at(&link.a, &link.b), at(&link.b, &link.a)]
            }
            None => [None, None],
        };
    }

    pub(super) fn new(id: Id, key: &PeeringKey) -> Self {
        Self {
            id,
            rank: Rank { new: true, since: None, key: key.clone() },
            halves: SortedSet::new(),
            counting: [None, None],
            disputes: Vec::new(),
            wanted: [Vec::new(), Vec::new()],
            claims: [Vec::new(), Vec::new()],
            held: [Vec::new(), Vec::new()],
            rested: [None, None],
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
    if let Some((on, prefixes)) = of_end(&state.rested, end)
        && *on == router
    {
        routed.extend(prefixes);
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
