//! The rules once more: small, slow, obvious. Everything is decided from nothing at each step.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ovn_peerd::declare::AddressSpace;
use ovn_peerd::view::{Reason, State};
use uuid::Uuid;

use crate::world::{Halves, NETWORKS, Router, World, prefix};

/// What the model remembers of a half: since when it was linked, and whether it ever was; since
/// when it waits, and when it expired; its network's space as it was frozen, and when.
#[derive(Clone, Debug, Default)]
struct Memory {
    linked_since: Option<i64>,
    was_linked: bool,
    pending_since: Option<i64>,
    expired: Option<i64>,
    frozen: Option<(i64, BTreeSet<IpNet>)>,
}

#[derive(Debug, Default)]
pub struct Model {
    memory: BTreeMap<(usize, usize), Memory>,
    /// At (network, peer): the peer's prefixes that are routed, and on which router.
    routed: BTreeMap<(usize, usize), (Uuid, BTreeSet<IpNet>)>,
    /// What each project's file gave last when it was good.
    good: BTreeMap<usize, (Halves, BTreeMap<usize, i64>)>,
    /// Halves that nobody declares any more, since when.
    ended: BTreeMap<(usize, usize), i64>,
}

pub type Expected = BTreeMap<(usize, usize), (State, Option<Reason>)>;

impl Model {
    /// What every half must show, and what must be routed where.
    pub fn step(&mut self, world: &World) -> (Expected, BTreeMap<(usize, usize), BTreeSet<IpNet>>) {
        for network in 0..NETWORKS {
            if !world.broken.contains(&network) {
                let halves = world.halves.get(&network).cloned().unwrap_or_default();
                let requested = world.requested.get(&network).cloned().unwrap_or_default();
                self.good.insert(network, (halves, requested));
            }
        }
        let halves: BTreeSet<(usize, usize)> = self
            .good
            .iter()
            .flat_map(|(from, (halves, _))| halves.keys().map(move |to| (*from, *to)))
            .collect();
        let history = world.settings.policy.history.as_secs();
        for half in self.memory.keys().filter(|half| !halves.contains(*half)) {
            self.ended.insert(*half, world.seconds);
        }
        self.ended.retain(|half, since| !halves.contains(half) && *since + history > world.seconds);
        self.memory.retain(|half, _| halves.contains(half));
        for half in &halves {
            self.memory.entry(*half).or_default();
        }
        self.expire(world);
        let over = self.over_quota(world);
        let accepted = self.accept(world, &halves, &over);
        let mut expected = Expected::new();
        let mut refused = BTreeSet::new();
        for (from, to) in &halves {
            let memory = self.memory[&(*from, *to)].clone();
            let enabled = |from: usize, to: usize| {
                let counts = self.counts(&over, (from, to));
                self.enabled((from, to)).filter(|_| counts)
            };
            let rejected = world.rejects.get(to).is_some_and(|rejects| rejects.contains(from));
            let shown = if self.enabled((*from, *to)) == Some(false) {
                (State::Disabled, Some(Reason::AdministrativelyDown))
            } else if memory.expired.is_some() {
                (State::Expired, Some(Reason::RequestExpired))
            } else if over.contains(&(*from, *to)) {
                (State::Failed, Some(Reason::Quota))
            } else if let Err(reason) = space(world, *from, &halves) {
                (State::Failed, Some(reason))
            } else {
                match enabled(*to, *from) {
                    None if rejected => (State::Rejected, Some(Reason::PeerRejected)),
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
            let freezes = world.settings.policy.address_space == AddressSpace::Freeze;
            let frozen = freezes.then(|| self.frozen(world, (*from, *to), &halves));
            let memory = self.memory.get_mut(&(*from, *to)).unwrap();
            if shown.0 == State::Active {
                memory.linked_since.get_or_insert(world.seconds);
                memory.was_linked = true;
                memory.frozen = frozen;
            } else {
                memory.linked_since = None;
                memory.frozen = None;
            }
            if shown.0 == State::PendingPeer {
                memory.pending_since.get_or_insert(world.seconds);
            } else {
                memory.pending_since = None;
            }
            expected.insert((*from, *to), shown);
        }
        for half in self.ended.keys() {
            expected.insert(*half, (State::Deleted, Some(Reason::Withdrawn)));
        }
        let on_router = |((at, peer), prefixes): (&(usize, usize), &BTreeSet<IpNet>)| {
            ((*at, *peer), (router(world, *at).unwrap().uuid, prefixes.clone()))
        };
        self.routed = accepted.iter().map(on_router).collect();
        (expected, accepted)
    }

    fn enabled(&self, (from, to): (usize, usize)) -> Option<bool> {
        self.good.get(&from)?.0.get(&to).copied()
    }

    fn requested(&self, (from, to): (usize, usize)) -> Option<i64> {
        self.good.get(&from)?.1.get(&to).copied()
    }

    /// Whether the other side may see a half.
    fn counts(&self, over: &BTreeSet<(usize, usize)>, half: (usize, usize)) -> bool {
        !over.contains(&half) && self.memory.get(&half).is_some_and(|it| it.expired.is_none())
    }

    /// Time comes before everything else.
    fn expire(&mut self, world: &World) {
        let now = world.seconds;
        let expiry = world.settings.policy.request_expiry.map(|expiry| expiry.as_secs());
        let halves: Vec<_> = self.memory.keys().copied().collect();
        for half in halves {
            let requested = self.requested(half).filter(|at| *at <= now);
            let memory = self.memory.get_mut(&half).unwrap();
            if let Some(at) = memory.expired {
                if requested.is_some_and(|requested| requested > at) {
                    memory.expired = None;
                }
                continue;
            }
            let (Some(expiry), Some(pending)) = (expiry, memory.pending_since) else { continue };
            let until = requested.map_or(pending, |requested| requested.max(pending)) + expiry;
            if until <= now {
                memory.expired = Some(until);
            }
        }
    }

    /// Those that stand have a place, then it goes by name.
    fn over_quota(&self, world: &World) -> BTreeSet<(usize, usize)> {
        let Some(limit) = world.settings.policy.quotas.per_network else { return BTreeSet::new() };
        let mut over = BTreeSet::new();
        for network in 0..NETWORKS {
            let halves = || self.memory.iter().filter(|((from, _), _)| *from == network);
            let standing = halves().filter(|(_, it)| it.linked_since.is_some()).count();
            let room = (limit as usize).saturating_sub(standing);
            let others = halves().filter(|(_, it)| it.linked_since.is_none());
            over.extend(others.skip(room).map(|(half, _)| *half));
        }
        over
    }

    /// The space of a half's network as its peer is to see it, and since when that is so.
    fn frozen(
        &self,
        world: &World,
        (from, to): (usize, usize),
        halves: &BTreeSet<(usize, usize)>,
    ) -> (i64, BTreeSet<IpNet>) {
        let stands = |half| self.memory.get(&half).is_some_and(|it| it.linked_since.is_some());
        let present = space(world, from, halves).unwrap_or_default();
        let past = self.memory.get(&(from, to)).and_then(|memory| memory.frozen.clone());
        let Some((at, prefixes)) = past.filter(|_| stands((from, to)) && stands((to, from))) else {
            return (world.seconds, present);
        };
        match self.requested((from, to)) {
            Some(requested) if requested > at && requested <= world.seconds => (requested, present),
            _ => (at, prefixes),
        }
    }

    /// A network's space as one peer routes it.
    fn offered(
        &self,
        world: &World,
        half: (usize, usize),
        halves: &BTreeSet<(usize, usize)>,
    ) -> BTreeSet<IpNet> {
        match world.settings.policy.address_space {
            AddressSpace::Follow => space(world, half.0, halves).unwrap(),
            AddressSpace::Freeze => self.frozen(world, half, halves).1,
        }
    }

    /// The links that stand, by rank: for each, what is routed at which network.
    fn accept(
        &self,
        world: &World,
        halves: &BTreeSet<(usize, usize)>,
        over: &BTreeSet<(usize, usize)>,
    ) -> BTreeMap<(usize, usize), BTreeSet<IpNet>> {
        let mut candidates: Vec<(bool, Option<i64>, usize, usize)> = halves
            .iter()
            .filter(|(a, b)| a < b && halves.contains(&(*b, *a)))
            .filter(|(a, b)| {
                [(*a, *b), (*b, *a)]
                    .into_iter()
                    .all(|half| self.enabled(half) == Some(true) && self.counts(over, half))
            })
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
                let offered = self.offered(world, (peer, at), halves);
                let kept = routed.map(|(_, nets)| nets & &offered).unwrap_or_default();
                held.insert((at, peer), kept);
            }
        }
        for (new, _, a, b) in candidates {
            let of_a = self.offered(world, (a, b), halves);
            let of_b = self.offered(world, (b, a), halves);
            let at_a = self.admit(world, a, b, &of_b, &held, &accepted);
            let at_b = self.admit(world, b, a, &of_a, &held, &accepted);
            let clash = at_a.len() < of_b.len() || at_b.len() < of_a.len();
            let conflict = new && clash;
            let families = |set: &BTreeSet<IpNet>| -> BTreeSet<bool> {
                set.iter().map(|net| matches!(net, IpNet::V4(_))).collect()
            };
            let common: BTreeSet<bool> =
                families(&at_a).intersection(&families(&at_b)).copied().collect();
            let present = |network| families(&space(world, network, halves).unwrap());
            let (of_a, of_b) = (present(a), present(b));
            let common: BTreeSet<bool> =
                common.into_iter().filter(|it| of_a.contains(it) && of_b.contains(it)).collect();
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
