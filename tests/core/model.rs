//! The rules once more: small, slow, obvious. Everything is decided from nothing at each step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use ovn_peerd::declare::AddressSpace;
use ovn_peerd::peering::mesh::Mesh;
use ovn_peerd::view::{Reason, State};
use uuid::Uuid;

use crate::terms::{Terms, covered, named, passed};
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

/// What one project's file says.
#[derive(Clone, Debug, Default)]
struct File {
    halves: Halves,
    requested: BTreeMap<usize, i64>,
    terms: BTreeMap<usize, Terms>,
}

#[derive(Debug, Default)]
pub struct Model {
    memory: BTreeMap<(usize, usize), Memory>,
    /// At (network, peer): the peer's prefixes that are routed, and on which router.
    pub routed: BTreeMap<(usize, usize), (Uuid, BTreeSet<IpNet>)>,
    /// What each project's file gave last when it was good.
    good: BTreeMap<usize, File>,
    /// The same with what is stored; what a file declares counts before it.
    said: BTreeMap<usize, File>,
    /// At (network, peer): the manual routes that stand, and on which router.
    by_hand: BTreeMap<(usize, usize), (Uuid, BTreeSet<IpNet>)>,
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
                let terms = world.terms.get(&network).cloned().unwrap_or_default();
                self.good.insert(network, File { halves, requested, terms });
            }
        }
        self.said.clone_from(&self.good);
        for (network, stored) in &world.stored {
            let file = self.said.entry(*network).or_default();
            for (target, enabled) in stored {
                if !file.halves.contains_key(target) {
                    file.halves.insert(*target, *enabled);
                    file.requested.remove(target);
                    file.terms.remove(target);
                }
            }
        }
        let halves: BTreeSet<(usize, usize)> = self
            .said
            .iter()
            .flat_map(|(from, file)| file.halves.keys().map(move |to| (*from, *to)))
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
            let rejected = [&world.rejects, &world.stored_rejects]
                .into_iter()
                .any(|rejects| rejects.get(to).is_some_and(|rejects| rejects.contains(from)));
            let shown = if self.enabled((*from, *to)) == Some(false) {
                (State::Disabled, Some(Reason::AdministrativelyDown))
            } else if memory.expired.is_some() {
                (State::Expired, Some(Reason::RequestExpired))
            } else if over.contains(&(*from, *to)) {
                (State::Failed, Some(Reason::Quota))
            } else if let Err(reason) = space(world, *from, &halves) {
                (State::Failed, Some(reason))
            } else if self.lacks_ownership(world, (*from, *to), &halves) {
                (State::Failed, Some(Reason::ExportNotOwned))
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
                        Ok(_) if self.lacks_ownership(world, (*to, *from), &halves) => {
                            (State::Failed, Some(Reason::ExportNotOwned))
                        }
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
        let placed: BTreeMap<(usize, usize), BTreeSet<IpNet>> = accepted
            .iter()
            .map(|(half, taken)| (*half, self.placed(world, *half, taken)))
            .collect();
        self.routed = accepted.iter().map(on_router).collect();
        let by_hand = placed.iter().filter(|(half, _)| self.terms(**half).manual.is_some());
        self.by_hand = by_hand.map(on_router).collect();
        (expected, placed)
    }

    pub fn terms(&self, (from, to): (usize, usize)) -> Terms {
        let terms = self.said.get(&from).and_then(|good| good.terms.get(&to));
        terms.cloned().unwrap_or_default()
    }

    fn stands(&self, (from, to): (usize, usize)) -> bool {
        let linked = |half| self.memory.get(&half).is_some_and(|it| it.linked_since.is_some());
        linked((from, to)) && linked((to, from))
    }

    /// Whether a half names what its network does not own, and does not stand anyway.
    fn lacks_ownership(
        &self,
        world: &World,
        half: (usize, usize),
        halves: &BTreeSet<(usize, usize)>,
    ) -> bool {
        let mut owned = space(world, half.0, halves).unwrap_or_default();
        owned.extend(world.may_export.get(&half.0).into_iter().flatten().map(|at| prefix(*at)));
        let named = named(self.terms(half).export.as_ref());
        named.iter().any(|net| !covered(net, &owned)) && !self.stands(half)
    }

    /// The routes that stand at a network for what it takes of a peer. One that stood stays.
    fn placed(
        &self,
        world: &World,
        half: (usize, usize),
        taken: &BTreeSet<IpNet>,
    ) -> BTreeSet<IpNet> {
        let Some(manual) = self.terms(half).manual else { return taken.clone() };
        let router = router(world, half.0).unwrap();
        let stood = |net: &IpNet| {
            [&self.routed, &self.by_hand].into_iter().any(|routes| {
                let routes = routes.get(&half).filter(|(on, _)| *on == router.uuid);
                routes.is_some_and(|(_, routes)| routes.contains(net))
            })
        };
        let manual = manual.iter().map(|destination| prefix(*destination));
        let covered = manual.filter(|net| covered(net, taken));
        covered.filter(|net| stood(net) || !is_routed(router, net)).collect()
    }

    fn enabled(&self, (from, to): (usize, usize)) -> Option<bool> {
        self.said.get(&from)?.halves.get(&to).copied()
    }

    fn requested(&self, (from, to): (usize, usize)) -> Option<i64> {
        self.said.get(&from)?.requested.get(&to).copied()
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
                } else if at > now + 60 {
                    // The clock was ahead.
                    memory.expired = None;
                    memory.pending_since = expiry.map(|expiry| at - expiry);
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
        let all = match world.settings.policy.address_space {
            AddressSpace::Follow => space(world, half.0, halves).unwrap(),
            AddressSpace::Freeze => self.frozen(world, half, halves).1,
        };
        let (local, remote) = (self.terms(half), self.terms((half.1, half.0)));
        passed(&passed(&all, local.export.as_ref()), remote.import.as_ref())
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
            .filter(|(a, b)| {
                let lacks = |half| self.lacks_ownership(world, half, halves);
                !lacks((*a, *b)) && !lacks((*b, *a))
            })
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
            let most = |half| self.terms(half).most.unwrap_or(usize::MAX);
            let over = of_b.len() > most((a, b)) || of_a.len() > most((b, a));
            let clash = over || at_a.len() < of_b.len() || at_b.len() < of_a.len();
            let deep =
                depth(world, (a, b), &accepted) > world.settings.policy.max_mesh_depth as usize;
            let conflict = new && (deep || clash || world.is_hindered((a, b)));
            let families = |set: &BTreeSet<IpNet>| -> BTreeSet<bool> {
                set.iter().map(|net| matches!(net, IpNet::V4(_))).collect()
            };
            let common: BTreeSet<bool> =
                families(&at_a).intersection(&families(&at_b)).copied().collect();
            let present = |network| families(&space(world, network, halves).unwrap());
            let (of_a, of_b) = (present(a), present(b));
            let common: BTreeSet<bool> =
                common.into_iter().filter(|it| of_a.contains(it) && of_b.contains(it)).collect();
            let filtered = self.terms((a, b)).is_filtered() || self.terms((b, a)).is_filtered();
            let common: BTreeSet<bool> = common
                .into_iter()
                .filter(|v4| {
                    !filtered
                        || (has_address(world, a, b, &at_b, *v4)
                            && has_address(world, b, a, &at_a, *v4))
                })
                .collect();
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
        // Who makes the routes, and makes none, has no table in which one could be in the way.
        let no_table = self.terms((at, peer)).manual.is_some_and(|routes| routes.is_empty());
        let free = |net: &IpNet| {
            let own = router.ports.keys().any(|own| overlap(&prefix(*own), net))
                || guests(world, at).iter().any(|own| overlap(own, net));
            let route = !no_table && is_routed(router, net);
            let claimed = accepted
                .iter()
                .chain(held)
                .filter(|((network, other), _)| *network == at && *other != peer)
                .any(|(_, claims)| claims.iter().any(|claim| overlap(claim, net)));
            !own && !route && !claimed
        };
        let routed = |net: &IpNet| held.get(&(at, peer)).is_some_and(|held| held.contains(net));
        let most = self.terms((at, peer)).most.filter(|most| offered.len() > *most);
        let kept: BTreeSet<IpNet> = offered.iter().filter(|net| routed(net)).copied().collect();
        let room = most.map_or(usize::MAX, |most| most.saturating_sub(kept.len()));
        let others = offered.iter().filter(|net| free(net) && !routed(net)).take(room);
        others.copied().chain(kept.iter().copied()).collect()
    }
}

/// How deep the mesh around two networks is with those that come before them, and them.
fn depth(
    world: &World,
    (a, b): (usize, usize),
    accepted: &BTreeMap<(usize, usize), BTreeSet<IpNet>>,
) -> usize {
    let mut links: BTreeSet<(usize, usize)> = accepted.keys().copied().collect();
    links.extend([(a, b), (b, a)]);
    let mut reached = vec![a];
    while let Some(other) =
        links.iter().find(|(one, other)| reached.contains(one) && !reached.contains(other))
    {
        reached.push(other.1);
    }
    let mut mesh = Mesh::default();
    for network in &reached {
        mesh.add(world.is_gateway(world.bindings[network]));
    }
    let number = |network| reached.iter().position(|it| *it == network);
    for (one, other) in links.iter().filter(|(one, other)| one < other) {
        if let (Some(one), Some(other)) = (number(*one), number(*other)) {
            mesh.link(one, other);
        }
    }
    mesh.depth()
}

pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// Whether somebody routes just this prefix on a router.
fn is_routed(router: &Router, net: &IpNet) -> bool {
    router.routes.keys().chain(router.guests.keys()).any(|route| prefix(*route) == *net)
}

/// Prefixes that are routed to guests of a network, and that it may announce.
fn guests(world: &World, network: usize) -> BTreeSet<IpNet> {
    let Some(router) = router(world, network) else { return BTreeSet::new() };
    let ports: BTreeSet<IpNet> = router.ports.keys().map(|port| prefix(*port)).collect();
    let bounds: BTreeSet<IpNet> =
        world.may_export.get(&network).into_iter().flatten().map(|at| prefix(*at)).collect();
    let local = |address: &IpAddr| ports.iter().any(|port| port.contains(address));
    let guests = router.guests.iter().filter(|(_, (_, nexthop))| local(nexthop));
    let nets = guests.map(|(at, _)| prefix(*at));
    nets.filter(|net| !covered(net, &ports) && covered(net, &bounds)).collect()
}

/// Whether a router has an address of a family that the other one cannot have, too.
fn has_address(
    world: &World,
    network: usize,
    peer: usize,
    announced: &BTreeSet<IpNet>,
    v4: bool,
) -> bool {
    let (own, theirs) = (router(world, network).unwrap(), router(world, peer).unwrap());
    let ports = own.ports.keys().map(|port| prefix(*port));
    let mut of_family = ports.filter(|net| matches!(net, IpNet::V4(_)) == v4);
    of_family.any(|net| {
        let address = net.hosts().next().unwrap();
        let told = announced.iter().any(|it| it.contains(&address));
        told || !theirs.ports.keys().any(|port| prefix(*port).contains(&address))
    })
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
    let ports = router.ports.keys().map(|subnet| prefix(*subnet));
    Ok(ports.chain(guests(world, network)).collect())
}
