//! The rules once more: small, slow, obvious. Everything is decided from nothing at each step.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ovn_peerd::view::{Reason, State};
use uuid::Uuid;

use crate::world::{Halves, NETWORKS, Router, World, prefix};

/// What the model remembers of a half: the step at which it was linked, and whether it ever was.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    linked_since: Option<i64>,
    was_linked: bool,
}

#[derive(Debug, Default)]
pub struct Model {
    memory: BTreeMap<(usize, usize), Memory>,
    /// At (network, peer): the peer's prefixes that are routed, and on which router.
    routed: BTreeMap<(usize, usize), (Uuid, BTreeSet<IpNet>)>,
    /// What each project's file gave last when it was good.
    good: BTreeMap<usize, Halves>,
}

pub type Expected = BTreeMap<(usize, usize), (State, Option<Reason>)>;

impl Model {
    /// What every half must show, and what must be routed where.
    pub fn step(&mut self, world: &World) -> (Expected, BTreeMap<(usize, usize), BTreeSet<IpNet>>) {
        for network in 0..NETWORKS {
            if !world.broken.contains(&network) {
                self.good.insert(network, world.halves.get(&network).cloned().unwrap_or_default());
            }
        }
        let halves: BTreeSet<(usize, usize)> = self
            .good
            .iter()
            .flat_map(|(from, halves)| halves.keys().map(move |to| (*from, *to)))
            .collect();
        self.memory.retain(|half, _| halves.contains(half));
        let accepted = self.accept(world, &halves);
        let mut expected = Expected::new();
        let mut refused = BTreeSet::new();
        for (from, to) in &halves {
            let memory = self.memory.entry((*from, *to)).or_default();
            let enabled = |from: usize, to: usize| self.good.get(&from)?.get(&to).copied();
            let shown = if !self.good[from][to] {
                (State::Disabled, Some(Reason::AdministrativelyDown))
            } else if let Err(reason) = space(world, *from, &halves) {
                (State::Failed, Some(reason))
            } else {
                match enabled(*to, *from) {
                    None if memory.was_linked => (State::Disconnected, Some(Reason::PeerWithdrew)),
                    None => (State::PendingPeer, Some(Reason::AwaitingPeer)),
                    Some(false) => (State::PeerDisabled, Some(Reason::PeerAdministrativelyDown)),
                    Some(true) => match space(world, *to, &halves) {
                        Err(Reason::MissingLocalRouter) => {
                            (State::Failed, Some(Reason::MissingPeerRouter))
                        }
                        Err(reason) => (State::Failed, Some(reason)),
                        Ok(_) if accepted.contains_key(&(*from, *to)) => (State::Active, None),
                        Ok(_) => {
                            refused.insert((*from, *to));
                            (State::Failed, None)
                        }
                    },
                }
            };
            if shown.0 == State::Active {
                memory.linked_since.get_or_insert(world.seconds);
                memory.was_linked = true;
            } else {
                memory.linked_since = None;
            }
            expected.insert((*from, *to), shown);
        }
        let on_router = |((at, peer), prefixes): (&(usize, usize), &BTreeSet<IpNet>)| {
            ((*at, *peer), (router(world, *at).unwrap().uuid, prefixes.clone()))
        };
        self.routed = accepted.iter().map(on_router).collect();
        (expected, accepted)
    }

    /// The links that stand, by rank: for each, what is routed at which network.
    fn accept(
        &self,
        world: &World,
        halves: &BTreeSet<(usize, usize)>,
    ) -> BTreeMap<(usize, usize), BTreeSet<IpNet>> {
        let mut candidates: Vec<(bool, Option<i64>, usize, usize)> = halves
            .iter()
            .filter(|(a, b)| a < b && halves.contains(&(*b, *a)))
            .filter(|(a, b)| self.good[a][b] && self.good[b][a])
            .filter(|(a, b)| space(world, *a, halves).is_ok() && space(world, *b, halves).is_ok())
            .map(|(a, b)| {
                let since = |from, to| self.memory.get(&(from, to)).and_then(|m| m.linked_since);
                let since = since(*a, *b).zip(since(*b, *a)).map(|(a, b)| a.max(b));
                (since.is_none(), since, *a, *b)
            })
            .collect();
        candidates.sort();
        let mut accepted: BTreeMap<(usize, usize), BTreeSet<IpNet>> = BTreeMap::new();
        // What is routed already nobody else gets, whoever comes first.
        let mut held: BTreeMap<(usize, usize), BTreeSet<IpNet>> = BTreeMap::new();
        for (_, _, a, b) in candidates.iter().filter(|(new, ..)| !new) {
            for (at, peer) in [(*a, *b), (*b, *a)] {
                let on = router(world, at).unwrap().uuid;
                let routed = self.routed.get(&(at, peer)).filter(|(uuid, _)| *uuid == on);
                let offered = space(world, peer, halves).unwrap();
                let kept = routed.map(|(_, nets)| nets & &offered).unwrap_or_default();
                held.insert((at, peer), kept);
            }
        }
        for (new, _, a, b) in candidates {
            let (of_a, of_b) = (space(world, a, halves).unwrap(), space(world, b, halves).unwrap());
            let at_a = self.admit(world, a, b, &of_b, &held, &accepted);
            let at_b = self.admit(world, b, a, &of_a, &held, &accepted);
            let clash = at_a.len() < of_b.len() || at_b.len() < of_a.len();
            let conflict = new && clash;
            let families = |set: &BTreeSet<IpNet>| -> BTreeSet<bool> {
                set.iter().map(|net| matches!(net, IpNet::V4(_))).collect()
            };
            let common: BTreeSet<bool> =
                families(&at_a).intersection(&families(&at_b)).copied().collect();
            if conflict || common.is_empty() {
                continue;
            }
            let keep = |set: BTreeSet<IpNet>| -> BTreeSet<IpNet> {
                set.into_iter()
                    .filter(|net| common.contains(&matches!(net, IpNet::V4(_))))
                    .collect()
            };
            accepted.insert((a, b), keep(at_a));
            accepted.insert((b, a), keep(at_b));
        }
        accepted
    }

    fn admit(
        &self,
        world: &World,
        at: usize,
        peer: usize,
        offered: &BTreeSet<IpNet>,
        held: &BTreeMap<(usize, usize), BTreeSet<IpNet>>,
        accepted: &BTreeMap<(usize, usize), BTreeSet<IpNet>>,
    ) -> BTreeSet<IpNet> {
        let router = router(world, at).unwrap();
        let free = |net: &IpNet| {
            let own = router.ports.keys().any(|own| overlap(&prefix(*own), net));
            let route = router.routes.keys().any(|route| prefix(*route) == *net);
            let claimed = accepted
                .iter()
                .chain(held)
                .filter(|((network, other), _)| *network == at && *other != peer)
                .any(|(_, claims)| claims.iter().any(|claim| overlap(claim, net)));
            !own && !route && !claimed
        };
        let routed = |net: &IpNet| held.get(&(at, peer)).is_some_and(|held| held.contains(net));
        offered.iter().filter(|net| free(net) || routed(net)).copied().collect()
    }
}

pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

fn router(world: &World, network: usize) -> Option<&Router> {
    world.routers.get(world.bindings.get(&network)?)
}

/// A network's address space, or why it cannot peer.
fn space(
    world: &World,
    network: usize,
    halves: &BTreeSet<(usize, usize)>,
) -> Result<BTreeSet<IpNet>, Reason> {
    let router = router(world, network).ok_or(Reason::MissingLocalRouter)?;
    let shared = (0..network).any(|other| {
        world.bindings.get(&other) == world.bindings.get(&network)
            && halves.iter().any(|(from, _)| *from == other)
    });
    if shared {
        return Err(Reason::UnsupportedRouter);
    }
    if router.ports.is_empty() {
        return Err(Reason::NoSubnet);
    }
    Ok(router.ports.keys().map(|subnet| prefix(*subnet)).collect())
}
