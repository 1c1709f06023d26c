//! The networks that take part: their halves, their own state, and what is wanted there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ipnet::IpNet;
use sorted_vec::SortedSet;
use uuid::Uuid;

use crate::declare::{
    Dispute, HalfKey, Network, NetworkKey, PeeringKey, RejectionKey, Roll, RouterRef, Said,
    TellGuests,
};
use crate::northbound::{Id, Northbound, Touched};

use super::local::{Local, Ready};
use super::prefix::PrefixIndex;

/// A network that has halves, rejects some, or is the target of some.
#[derive(Debug, Default)]
pub struct Node {
    halves: SortedSet<HalfKey>,
    /// Whom it rejects.
    rejects: SortedSet<NetworkKey>,
    /// Pairs in which one half stands for both.
    implied: SortedSet<PeeringKey>,
    pairs: SortedSet<PeeringKey>,
    linked: SortedSet<PeeringKey>,
    local: Option<Local>,
    /// Whether hosts bind it differently.
    dispute: Option<Dispute>,
}

impl Node {
    /// The network on its own; none unless it has declared a half, or one of its project stands for
    /// it: until then nobody looks.
    #[must_use]
    pub fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    /// What is known of it, if it can peer.
    #[must_use]
    pub fn ready(&self) -> Option<&Ready> {
        match self.local()? {
            Local::Ready(ready) => Some(ready),
            Local::Fault(_) => None,
        }
    }

    /// The hosts that bind it differently, if any do.
    #[must_use]
    pub fn dispute(&self) -> Option<&Dispute> {
        self.dispute.as_ref()
    }

    /// The halves that it declares, in order.
    #[must_use]
    pub fn halves(&self) -> &[HalfKey] {
        &self.halves
    }

    /// The pairs that it is part of, in order.
    #[must_use]
    pub fn pairs(&self) -> &[PeeringKey] {
        &self.pairs
    }

    /// The pairs of which a link stands on it, in order.
    #[must_use]
    pub fn linked(&self) -> &[PeeringKey] {
        &self.linked
    }

    /// Whether it peers, or would.
    fn takes_part(&self) -> bool {
        !self.halves.is_empty() || !self.implied.is_empty()
    }

    /// Whether it says, or is said to say, anything at all: it has a registration then.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.takes_part() || !self.rejects.is_empty()
    }

    /// Whether a link stands on it.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        !self.linked.is_empty()
    }
}

/// How a network's router was found.
#[derive(Debug, PartialEq, Eq)]
struct Watch {
    reference: RouterRef,
    /// In order.
    routers: Vec<Uuid>,
}

/// All networks that take part.
#[derive(Debug, Default)]
pub struct Networks {
    nodes: BTreeMap<NetworkKey, Node>,
    keys: HashMap<Id, NetworkKey>,
    /// Who wants what routed at which network.
    wanted: PrefixIndex<NetworkKey, PeeringKey>,
    watches: BTreeMap<NetworkKey, Watch>,
    by_router: HashMap<Uuid, SortedSet<NetworkKey>>,
    by_reference: BTreeMap<RouterRef, SortedSet<NetworkKey>>,
    dirty: BTreeSet<NetworkKey>,
}

impl Networks {
    /// Whether a link of this pair stands.
    pub(super) fn is_linked(&self, pair: &PeeringKey) -> bool {
        self.nodes.get(pair.a()).is_some_and(|node| node.linked.binary_search(pair).is_ok())
    }

    /// What is known of a network.
    #[must_use]
    pub fn node(&self, key: &NetworkKey) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// The network with this identity.
    #[must_use]
    pub fn key_of(&self, id: Id) -> Option<&NetworkKey> {
        self.keys.get(&id)
    }

    /// What is known of a network, if it can peer.
    #[must_use]
    pub fn ready(&self, key: &NetworkKey) -> Option<&Ready> {
        self.node(key)?.ready()
    }

    /// The router of a network that can peer.
    #[must_use]
    pub fn router_of(&self, key: &NetworkKey) -> Option<Uuid> {
        self.ready(key).map(|ready| ready.router.uuid)
    }

    /// Whether rows of others depend on what a network's router reaches over links: it translates
    /// what it sends to peers, unless it is told not to, or its guests are told of routes.
    pub(super) fn borrows(&self, key: &NetworkKey) -> bool {
        self.ready(key).is_some_and(|ready| {
            !ready.router.translations.is_empty()
                || ready.network.tell_guests != TellGuests::default()
        })
    }

    /// All networks that are to have a registration.
    pub fn registered(&self) -> impl Iterator<Item = &NetworkKey> {
        self.nodes.iter().filter(|(_, node)| node.is_registered()).map(|(key, _)| key)
    }

    /// Candidates that want something routed at a network that overlaps this prefix.
    pub(super) fn wanting(
        &self,
        network: &NetworkKey,
        prefix: &IpNet,
    ) -> impl Iterator<Item = &PeeringKey> {
        self.wanted.overlapping(network, prefix)
    }

    pub(super) fn pairs_of(&self, key: &NetworkKey) -> Vec<PeeringKey> {
        self.nodes.get(key).map(|node| node.pairs.to_vec()).unwrap_or_default()
    }

    pub(super) fn mark(&mut self, key: &NetworkKey) {
        if self.nodes.contains_key(key) {
            self.dirty.insert(key.clone());
        }
    }

    pub(super) fn mark_all(&mut self) {
        self.dirty.extend(self.nodes.keys().cloned());
    }

    pub(super) fn touched(&mut self, touched: &Touched) {
        for router in &touched.routers {
            let sharing = self.by_router.get(router).into_iter().flat_map(|keys| keys.iter());
            self.dirty.extend(sharing.cloned());
            self.mark_reference(&RouterRef::Uuid(*router));
        }
        for name in &touched.router_names {
            self.mark_reference(&RouterRef::Name(name.as_ref().into()));
        }
    }

    fn mark_reference(&mut self, reference: &RouterRef) {
        let bound = self.by_reference.get(reference).into_iter().flat_map(|keys| keys.iter());
        self.dirty.extend(bound.cloned());
    }

    pub(super) fn declare(&mut self, half: &HalfKey) {
        let node = self.enlist(&half.network);
        let first = node.halves.is_empty();
        node.halves.find_or_insert(half.clone());
        if first {
            self.dirty.insert(half.network.clone());
        }
    }

    fn enlist(&mut self, key: &NetworkKey) -> &mut Node {
        self.keys.entry(Id::of_network(key)).or_insert_with(|| key.clone());
        self.nodes.entry(key.clone()).or_default()
    }

    /// Notes whether a network rejects another one.
    pub(super) fn reject(&mut self, key: &RejectionKey, rejects: bool) {
        if rejects {
            self.enlist(&key.network).rejects.find_or_insert(key.from.clone());
        } else if let Some(node) = self.nodes.get_mut(&key.network) {
            node.rejects.remove_item(&key.from);
            self.dismiss(&key.network);
        }
    }

    /// Notes whether one half may stand for both sides of a pair.
    pub(super) fn imply(&mut self, pair: &PeeringKey, implied: bool) {
        for key in [pair.a(), pair.b()] {
            if implied {
                let node = self.enlist(key);
                let first = node.implied.is_empty();
                node.implied.find_or_insert(pair.clone());
                if first {
                    self.dirty.insert(key.clone());
                }
            } else if let Some(node) = self.nodes.get_mut(key)
                && node.implied.remove_item(pair).is_some()
                && node.implied.is_empty()
            {
                self.dirty.insert(key.clone());
            }
        }
    }

    /// Forgets a network of which nothing is said any more.
    fn dismiss(&mut self, key: &NetworkKey) {
        let idle = |node: &Node| node.pairs.is_empty() && !node.is_registered();
        if self.nodes.get(key).is_some_and(idle) {
            self.nodes.remove(key);
            self.keys.remove(&Id::of_network(key));
            self.unwatch(key);
        }
    }

    pub(super) fn withdraw(&mut self, half: &HalfKey) {
        let Some(node) = self.nodes.get_mut(&half.network) else { return };
        node.halves.remove_item(half);
        if node.halves.is_empty() {
            self.dirty.insert(half.network.clone());
        }
    }

    pub(super) fn join(&mut self, pair: &PeeringKey) {
        for key in [pair.a(), pair.b()] {
            self.nodes.entry(key.clone()).or_default().pairs.find_or_insert(pair.clone());
        }
    }

    pub(super) fn leave(&mut self, pair: &PeeringKey) {
        self.imply(pair, false);
        for key in [pair.a(), pair.b()] {
            let Some(node) = self.nodes.get_mut(key) else { continue };
            node.pairs.remove_item(pair);
            node.linked.remove_item(pair);
            self.dismiss(key);
        }
    }

    pub(super) fn set_wanted(
        &mut self,
        network: &NetworkKey,
        pair: &PeeringKey,
        old: &[IpNet],
        new: &[IpNet],
    ) {
        for prefix in old {
            self.wanted.remove(network, prefix, pair);
        }
        for prefix in new {
            self.wanted.insert(network, prefix, pair.clone());
        }
    }

    /// Notes whether a link stands; a network's first and last one bring and take its own guard.
    pub(super) fn set_linked(
        &mut self,
        pair: &PeeringKey,
        linked: bool,
        changed: &mut BTreeSet<NetworkKey>,
    ) {
        for key in [pair.a(), pair.b()] {
            let Some(node) = self.nodes.get_mut(key) else { continue };
            let before = node.is_linked();
            if linked {
                node.linked.find_or_insert(pair.clone());
            } else {
                node.linked.remove_item(pair);
            }
            if node.is_linked() != before {
                changed.insert(key.clone());
            }
        }
    }

    /// Reads dirty networks anew; returns those whose own state differs.
    pub(super) fn refresh(
        &mut self,
        roll: &Roll,
        northbound: &Northbound,
        changed: &mut BTreeSet<NetworkKey>,
    ) -> Vec<NetworkKey> {
        let mut dirty = std::mem::take(&mut self.dirty);
        // Watches first: whether a network has its router for itself depends on the others'.
        let mut siblings = BTreeSet::new();
        for key in &dirty {
            let declares = self.nodes.get(key).is_some_and(Node::takes_part);
            let said = said(key, roll, northbound).filter(|_| declares);
            let watch = said.map(|said| Watch {
                reference: said.value.router.clone(),
                routers: {
                    let mut routers: Vec<Uuid> = northbound.routers(&said.value.router).collect();
                    routers.sort_unstable();
                    routers
                },
            });
            self.watch(key, watch, &mut siblings);
        }
        dirty.append(&mut siblings);
        let mut differing = Vec::new();
        for key in dirty {
            let said = said(&key, roll, northbound);
            let local = self.read(&key, said.as_ref(), northbound);
            if let Some(node) = self.nodes.get_mut(&key) {
                let dispute = said.and_then(|said| said.dispute);
                if node.local != local || node.dispute != dispute {
                    node.local = local;
                    node.dispute = dispute;
                    differing.push(key.clone());
                }
            }
            changed.insert(key);
        }
        differing
    }

    fn read(
        &self,
        key: &NetworkKey,
        said: Option<&Said<'_, Network>>,
        northbound: &Northbound,
    ) -> Option<Local> {
        let node = self.nodes.get(key)?;
        if !node.takes_part() {
            return None;
        }
        let routers = self.watches.get(key).into_iter().flat_map(|watch| &watch.routers);
        let shared = routers
            .filter_map(|router| self.by_router.get(router)?.first())
            .any(|first| first < key);
        Some(Local::read(said, shared, northbound))
    }

    /// Watches other routers than before; names the networks that share an old or a new one.
    fn watch(
        &mut self,
        key: &NetworkKey,
        watch: Option<Watch>,
        siblings: &mut BTreeSet<NetworkKey>,
    ) {
        let old = self.watches.get(key);
        if old == watch.as_ref() {
            return;
        }
        let routers = old.into_iter().chain(&watch).flat_map(|watch| &watch.routers);
        let sharing = routers.filter_map(|router| self.by_router.get(router));
        siblings.extend(sharing.flat_map(|keys| keys.iter()).cloned());
        self.unwatch(key);
        let Some(watch) = watch else { return };
        for router in &watch.routers {
            self.by_router.entry(*router).or_default().find_or_insert(key.clone());
        }
        self.by_reference.entry(watch.reference.clone()).or_default().find_or_insert(key.clone());
        self.watches.insert(key.clone(), watch);
    }

    fn unwatch(&mut self, key: &NetworkKey) {
        let Some(watch) = self.watches.remove(key) else { return };
        for router in &watch.routers {
            if let Some(keys) = self.by_router.get_mut(router) {
                keys.remove_item(key);
                if keys.is_empty() {
                    self.by_router.remove(router);
                }
            }
        }
        if let Some(keys) = self.by_reference.get_mut(&watch.reference) {
            keys.remove_item(key);
            if keys.is_empty() {
                self.by_reference.remove(&watch.reference);
            }
        }
    }
}

/// A network's binding as its hosts give it; where they differ, the one in effect goes on.
fn said<'a>(
    key: &NetworkKey,
    roll: &'a Roll,
    northbound: &Northbound,
) -> Option<Said<'a, Network>> {
    let record = northbound.network_record(Id::of_network(key));
    roll.network(key, record.and_then(|record| record.router).as_deref())
}
