//! Collects the facts of a pair for the decision: declarations, records, routed prefixes, and
//! peerings with a higher rank.

use std::net::IpAddr;

use hashbrown::HashMap;
use ipnet::IpNet;

use crate::declare::{
    AutoAccept, Half, HalfKey, NetworkKey, PeeringKey, PolicySettings, RejectionKey, Said,
};
use crate::northbound::{End, Id, RecordedState};

use super::conflict::RivalPrefix;
use super::depth::Depths;
use super::facts::{EndFacts, PairFacts, Partner};
use super::ground::Ground;
use super::inputs::{Declared, EndInputs, Inputs, Rank};
use super::lent_index::LentIndex;
use super::network::{Networks, Node};
use super::pair::{
    PairState, Pairs, end_of, hold_reached, holds_gateway, key_of_end, of_end, routed,
};
use super::prefix::overlap;
use super::quota::Places;
use super::records::Records;
use super::request::{Request, Waiting};

/// The state of all pairs and networks.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) networks: &'a Networks,
    pub(super) pairs: &'a Pairs,
    pub(super) records: &'a Records,
    pub(super) places: &'a Places,
    pub(super) depths: &'a Depths,
    pub(super) lent: &'a LentIndex,
    pub(super) pair_of_half: &'a HashMap<HalfKey, PeeringKey>,
}

impl Known<'_> {
    /// Reads a pair.
    pub(super) fn inputs<'a>(
        &self,
        key: &PeeringKey,
        state: &PairState,
        ground: &Ground<'a>,
    ) -> Inputs<'a> {
        let Ground { declarations, northbound, policy, now, .. } = *ground;
        let auto = is_auto(key, policy);
        let read = |end: End| {
            let network = key_of_end(key, end);
            let target = key_of_end(key, end.other());
            let network_id = Id::of_network(network);
            let rejects = declarations
                .rejects(&RejectionKey { network: network.clone(), from: target.clone() });
            let halves = state.halves.iter().filter(|half| half.network == *network);
            let silent = halves.clone().next().is_none();
            let said = halves.filter_map(|half| self.records.said(half, declarations));
            let declared = said.filter(Said::counts).map(|said| {
                let half = said.value;
                let record = self.records.get(&half.key);
                let record = record.filter(|record| record.targets(&half.target)).cloned();
                let past = self.records.latest(&half.key, &half.target);
                let pending = past.filter(|past| past.state == RecordedState::Pending);
                let waiting = Waiting {
                    pending: pending.map(|past| past.since),
                    expired: past.and_then(|past| past.persisted.expired),
                };
                let request = Request::judge(half.requested, waiting, policy.request_expiry, now);
                let frozen = past.map(|past| past.persisted.clone()).unwrap_or_default();
                Declared { half, over: self.places.over(&half.key), record, request, frozen }
            });
            let counting = declared.min_by_key(Declared::rank);
            let router = self.networks.router_of(network);
            let manual =
                counting.as_ref().is_some_and(|declared| declared.half.has_manual_routes());
            let asks = |half: &Half| half.terms().use_gateway.destinations.is_some();
            let asks = counting.as_ref().is_some_and(|declared| asks(declared.half));
            let holds_gateway =
                asks && router.is_some_and(|router| holds_gateway(state, end, router, northbound));
            let mut routed = router
                .map(|router| routed(state, end, router, manual, northbound))
                .unwrap_or_default();
            if let (Some(declared), Some(router)) = (&counting, router) {
                let reach = &declared.half.terms().reach_through.prefixes;
                hold_reached(&mut routed, state, (end, router), reach);
            }
            EndInputs {
                network_id,
                request: counting
                    .as_ref()
                    .map_or(Request::Open { until: None }, |declared| declared.request),
                over: counting.as_ref().and_then(|declared| declared.over),
                rejects,
                implied: auto && silent && !rejects,
                half: counting.as_ref().map(|declared| declared.half),
                frozen: counting.as_ref().and_then(|declared| declared.frozen.frozen.clone()),
                frozen_remote: counting
                    .as_ref()
                    .and_then(|declared| declared.frozen.frozen_remote.clone()),
                record: counting.and_then(|declared| declared.record),
                routed,
                port: northbound.link_facts(state.id, end),
                holds_gateway,
            }
        };
        Inputs {
            auto,
            replaces: ground.replacing.contains(key),
            collisions: northbound.name_collisions(state.id),
            a: read(End::A),
            b: read(End::B),
        }
    }

    /// The facts for the decision on a pair.
    pub(super) fn facts<'a>(
        &'a self,
        key: &'a PeeringKey,
        state: &PairState,
        inputs: &'a Inputs<'a>,
        ground: &Ground<'a>,
    ) -> PairFacts<'a> {
        let rank = state.rank.clone();
        let (of_vips, of_names) = (rank.clone(), rank.clone());
        let read = |end: End| {
            let input = inputs.end(end);
            let network = key_of_end(key, end);
            EndFacts {
                network,
                network_id: input.network_id,
                half: input.half,
                local: self.networks.node(network).and_then(Node::local),
                request: input.request,
                over: input.over,
                rejects: input.rejects,
                implied: input.implied,
                frozen: if input.implied {
                    inputs.end(end.other()).frozen_remote.as_deref()
                } else {
                    input.frozen.as_deref()
                },
                was_linked: input.record.as_ref().is_some_and(|record| record.was_linked),
                routed: &input.routed,
                port: &input.port,
                holds_gateway: input.holds_gateway,
                pairs: self.networks.node(network).map_or(0, |node| node.pairs().len()),
            }
        };
        PairFacts {
            key,
            id: state.id,
            a: read(End::A),
            b: read(End::B),
            stands: !rank.new,
            replaces: inputs.replaces,
            collisions: &inputs.collisions,
            address_space: ground.policy.address_space,
            require_workload: ground.policy.require_workload,
            filters: ground.policy.filters,
            now: ground.now,
            too_deep: {
                let (rank, most) = (rank.clone(), ground.policy.max_mesh_depth);
                let rank_of = |pair: &PeeringKey| self.pairs.get(pair).map(|other| &other.rank);
                Box::new(move || self.depths.too_deep(key, &rank, most, self.networks, &rank_of))
            },
            rival_gateway: {
                let rank = rank.clone();
                Box::new(move |end, holds| self.rival_gateway(key, &rank, end, holds))
            },
            claimed: Box::new(move |end, prefix| self.claimant(key, None, end, prefix)),
            partner: Box::new(move |end, name| self.partner(key, end, name)),
            rival: Box::new(move |end, prefix| self.claimant(key, Some(&rank), end, prefix)),
            northbound: ground.northbound,
            vip_rival: Box::new(move |end, address| self.vip_rival(key, &of_vips, end, address)),
            name_rival: Box::new(move |end, name| {
                let mut pairs = self.lent.naming.claiming(key_of_end(key, end), name);
                let rank = |pair: &PeeringKey| self.pairs.get(pair).map(|other| &other.rank);
                pairs.any(|pair| pair != key && rank(pair).is_some_and(|rank| *rank < of_names))
            }),
        }
    }

    /// The network of another pair that comes first in using a gateway at one end: one that does so
    /// already, else one with a higher rank.
    fn rival_gateway(
        &self,
        key: &PeeringKey,
        rank: &Rank,
        end: End,
        holds: bool,
    ) -> Option<NetworkKey> {
        let network = key_of_end(key, end);
        let users = self.networks.gateway_users(network).iter().filter(|other| *other != key);
        let first = users.filter_map(|other| {
            let pair = self.pairs.get(other)?;
            let (end, before) = (end_of(other, network), pair.rank < *rank);
            let held = pair.user.is_some_and(|user| user.end == end && user.holds);
            let claimed = before && !holds && pair.uses_gateway() == Some(end);
            (held && (before || !holds) || claimed).then_some((!held, &pair.rank, other))
        });
        let (.., other) = first.min()?;
        Some(key_of_end(other, end_of(other, network).other()).clone())
    }

    /// The link of another half of one end's network.
    fn partner(&self, key: &PeeringKey, end: End, name: &str) -> Option<Partner<'_>> {
        let network = key_of_end(key, end);
        let half = HalfKey::new(network.clone(), name);
        let other = self.pair_of_half.get(&half).filter(|other| *other != key)?;
        let state = self.pairs.get(other)?;
        let hub = end_of(other, network);
        let counts = of_end(&state.counting, hub).as_ref() == Some(&half);
        let link = state.resolution.link.as_deref().filter(|_| counts)?;
        Some(Partner { link, hub })
    }

    /// The claim of a peering to a prefix that this one would route at one end: one of a higher rank
    /// than this, or any.
    fn claimant(
        &self,
        key: &PeeringKey,
        rank: Option<&Rank>,
        end: End,
        prefix: &IpNet,
    ) -> Option<RivalPrefix> {
        let network = key_of_end(key, end);
        let mut rivals: Vec<(&Rank, &PeeringKey, &PairState)> = self
            .networks
            .wanting(network, prefix)
            .filter(|rival| *rival != key)
            .filter_map(|rival| {
                self.pairs.get(rival).map(|pair| (&pair.rank, rival, pair.as_ref()))
            })
            .collect();
        rivals.sort_by_key(|(rank, _, _)| *rank);
        rivals.into_iter().find_map(|(other, rival, pair)| {
            let end = end_of(rival, network);
            let claims = pair.claims();
            let before = rank.is_none_or(|rank| other < rank);
            let claims = of_end(&claims, end).iter().filter(|_| before);
            let held = of_end(&pair.held, end).iter();
            let claimed = claims.chain(held).find(|it| overlap(it, prefix))?;
            Some(RivalPrefix { network: key_of_end(rival, end.other()).clone(), prefix: *claimed })
        })
    }

    /// The peer to which a virtual address belongs before this pair: one that routes it, whatever
    /// its rank, or one of a higher rank that has it as a virtual address, too.
    fn vip_rival(
        &self,
        key: &PeeringKey,
        rank: &Rank,
        end: End,
        address: IpAddr,
    ) -> Option<&NetworkKey> {
        let (network, prefix) = (key_of_end(key, end), IpNet::from(address));
        let routes = |rival: &&PeeringKey| {
            let claims = self.pairs.get(*rival).map(|pair| pair.claims());
            let claims = claims.map(|claims| of_end(&claims, end_of(rival, network)).clone());
            claims.iter().flat_map(|claims| claims.iter()).any(|it| it.contains(&address))
        };
        let before =
            |rival: &&PeeringKey| self.pairs.get(*rival).is_some_and(|pair| pair.rank < *rank);
        let routing = self.networks.wanting(network, &prefix).filter(routes);
        let claiming = self.lent.balancing.claiming(network, &prefix).filter(before);
        let mut rivals = routing.chain(claiming).filter(|rival| *rival != key);
        rivals.next().map(|rival| key_of_end(rival, end_of(rival, network).other()))
    }
}

/// Whether one half is enough for both sides of a pair.
pub(super) fn is_auto(pair: &PeeringKey, policy: &PolicySettings) -> bool {
    match policy.auto_accept {
        AutoAccept::Never => false,
        AutoAccept::SameProject => pair.a().project == pair.b().project,
    }
}
