//! The state of one pair of networks between two passes of the rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::IpNet;
use sorted_vec::SortedSet;
use uuid::Uuid;

use crate::declare::{Dispute, HalfKey, NetworkKey, PeeringKey, PlacedRoute};
use crate::northbound::members::Members;
use crate::northbound::{End, Id, Northbound};

use super::inputs::{Rank, User};
use super::network::{Networks, Node};
use super::outcome::{Link, Resolution, Verdict};
use super::prefix::Prefixes;
use super::through::Offer;

/// A pair of networks of which at least one has declared a half.
#[derive(Debug)]
pub(super) struct PairState {
    pub(super) id: Id,
    pub(super) rank: Rank,
    pub(super) halves: Members<HalfKey>,
    /// The half of each end that counts.
    pub(super) counting: [Option<HalfKey>; 2],
    /// Halves that hosts declare differently; nearly always none.
    pub(super) disputes: Vec<(HalfKey, Dispute)>,
    /// At each end, the prefixes that the other end's network wants routed there.
    pub(super) wanted: [Prefixes; 2],
    /// At each end, prefixes that it does not claim, and that no claim of another pair may overlap.
    pub(super) watched: [Prefixes; 2],
    /// At each end, the prefixes that a present link routes already: no other pair gets these.
    pub(super) held: [Prefixes; 2],
    /// The end that may use the other end's gateway, if any.
    pub(super) user: Option<User>,
    /// During a pass of the rules: the desired link at the end of the last pass.
    pub(super) rested: Option<Box<Link>>,
    pub(super) resolution: Resolution,
}

/// What the chains of other pairs depend on.
#[derive(PartialEq, Eq)]
pub(super) struct Offered {
    network: NetworkKey,
    offer: Offer,
    spoke: Prefixes,
    reach: Prefixes,
    routes: Option<Box<[PlacedRoute]>>,
    tables: Arc<SortedSet<Arc<str>>>,
}

impl Offered {
    /// The other halves of these chains.
    pub(super) fn partners(&self) -> impl Iterator<Item = HalfKey> {
        let Offer { half, terms } = &self.offer;
        let appliances = terms.appliances.list.iter();
        let names = appliances.flat_map(move |appliance| appliance.others(half));
        names.map(|name| HalfKey::new(self.network.clone(), name))
    }
}

/// All pairs. Boxed, because at least an eighth of the map's slots is empty.
pub(super) type Pairs = HashMap<PeeringKey, Box<PairState>>;

/// One of a pair's two.
pub(super) fn of_end<T>([a, b]: &[T; 2], end: End) -> &T {
    match end {
        End::A => a,
        End::B => b,
    }
}

impl PairState {
    /// At each end, the wanted prefixes that were admitted.
    pub(super) fn claims(&self) -> [Prefixes; 2] {
        let Some(link) = &self.resolution.link else { return Default::default() };
        End::BOTH.map(|end| {
            let remote = &link.end(end.other()).prefixes;
            match (link.listed(end), link.reach(end)) {
                ([], []) => Prefixes::clone(remote),
                (listed, reach) => remote.iter().chain(listed).chain(reach).copied().collect(),
            }
        })
    }

    /// At each end, what the chains through appliances of its network depend on; nearly always none.
    pub(super) fn offered(&self) -> [Option<Offered>; 2] {
        let link = self.resolution.link.as_deref();
        let through = link.and_then(|link| Some((link, link.through.as_deref()?)));
        let Some((link, through)) = through else { return [None, None] };
        End::BOTH.map(|hub| {
            Some(Offered {
                network: link.end(hub).network.clone(),
                offer: through.end(hub).offer.clone()?,
                spoke: Prefixes::clone(&link.end(hub.other()).prefixes),
                reach: Prefixes::clone(&through.end(hub.other()).reach),
                routes: link.end(hub).routes.clone(),
                tables: Arc::clone(&link.end(hub).tables),
            })
        })
    }

    /// Sets the prefixes that it wants and watches. Gives for each end those whose claims by other
    /// pairs concerned it, and those whose do now, if they differ.
    pub(super) fn want(
        &mut self,
        (wanted, watched): ([Prefixes; 2], [Prefixes; 2]),
    ) -> Vec<(End, [Vec<IpNet>; 2])> {
        if (&self.wanted, &self.watched) == (&wanted, &watched) {
            return Vec::new();
        }
        let all = |state: &Self, end| {
            [&**of_end(&state.wanted, end), &**of_end(&state.watched, end)].concat()
        };
        let old = End::BOTH.map(|end| all(self, end));
        (self.wanted, self.watched) = (wanted, watched);
        let both = End::BOTH.into_iter().zip(old);
        both.map(|(end, old)| (end, [old, all(self, end)])).collect()
    }

    /// Whether a change of the claims of a pair of this rank concerns it.
    pub(super) fn comes_after(&self, rank: &Rank) -> bool {
        self.rank > *rank || self.watched.iter().any(|prefixes| !prefixes.is_empty())
    }

    /// What it claims of its networks: prefixes at each end, a gateway, and what else it reaches.
    pub(super) fn seen(&self) -> ([Prefixes; 2], Option<End>, [Vec<IpNet>; 2]) {
        let link = self.resolution.link.as_deref();
        let reached = |end: End| {
            let of = |link: &'_ Link| -> Vec<IpNet> {
                let beyond = link.end(end).beyond(link.end(end.other()));
                link.reached(end).chain(beyond).collect()
            };
            link.map(of).unwrap_or_default()
        };
        (self.claims(), self.uses_gateway(), End::BOTH.map(reached))
    }

    /// The end that uses the other end's gateway.
    pub(super) fn uses_gateway(&self) -> Option<End> {
        self.resolution.link.as_ref()?.gateway.as_ref().map(|gateway| gateway.user)
    }

    pub(super) fn new(id: Id, key: &PeeringKey) -> Self {
        Self {
            id,
            rank: Rank { new: true, since: None, key: key.clone() },
            halves: Members::default(),
            counting: [None, None],
            disputes: Vec::new(),
            wanted: Default::default(),
            watched: Default::default(),
            held: Default::default(),
            user: None,
            rested: None,
            resolution: Resolution::default(),
        }
    }
}

/// The prefixes that one end's router routes over the link, or should: it includes routes that
/// somebody deleted, and for manual routes all accepted prefixes.
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
        let listed = link.listed(end);
        routed.extend(link.end(end.other()).prefixes.iter().chain(listed).chain(by_hand));
    }
    routed
}

/// Adds what an end reaches through the other end to what it routes: the prefixes of its list in
/// which a route leads there.
pub(super) fn hold_reached(
    routed: &mut BTreeSet<IpNet>,
    state: &PairState,
    (end, router): (End, Uuid),
    reach: &[IpNet],
) {
    if reach.is_empty() {
        return;
    }
    let rested = state.rested.as_deref().filter(|link| link.end(end).router == router);
    let rested = rested.into_iter().flat_map(|link| link.reached(end));
    let present: Vec<IpNet> = routed.iter().copied().chain(rested).collect();
    let holds = |prefix: &&IpNet| present.iter().any(|route| prefix.contains(route));
    routed.extend(reach.iter().filter(holds));
}

/// Whether one end's router uses the other end's gateway, or should.
pub(super) fn holds_gateway(
    state: &PairState,
    end: End,
    router: Uuid,
    northbound: &Northbound,
) -> bool {
    let rested = state.rested.as_deref().filter(|link| link.end(end).router == router);
    let rested = rested.and_then(|link| link.gateway.as_ref());
    rested.is_some_and(|gateway| gateway.user == end)
        || northbound.link_uses_gateway(state.id, router)
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

/// The verdict on a half of a pair; a surplus one conflicts.
pub(super) fn verdict(
    half: &HalfKey,
    key: &PeeringKey,
    pair: &PairState,
    networks: &Networks,
) -> Option<Verdict> {
    let end = end_of(key, &half.network);
    let dispute = pair.disputes.iter().find(|(disputed, _)| disputed == half);
    let dispute = dispute.map(|(_, dispute)| dispute);
    if let Some(dispute) = dispute.filter(|dispute| !dispute.stands) {
        return Some(super::messages::disputed(half, &dispute.hosts));
    }
    let counting = of_end(&pair.counting, end).as_ref()?;
    if counting != half {
        return Some(super::messages::surplus(&counting.name, key_of_end(key, end.other())));
    }
    let mut verdict = pair.resolution.verdict(end)?;
    let of_network = networks.node(&half.network).and_then(Node::dispute);
    let is_linked = verdict.is_linked();
    let disputes = dispute.map(|it| (half.to_string(), it)).into_iter();
    let disputes = disputes.chain(of_network.map(|it| (half.network.to_string(), it)));
    for (what, dispute) in disputes.filter(|_| is_linked) {
        verdict.degraded.push(super::messages::differ(&what, &dispute.hosts));
    }
    Some(verdict)
}
