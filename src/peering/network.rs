//! The networks of peerings: their halves, their own state, and the wanted prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{
    Declarations, Dispute, HalfKey, Network, NetworkKey, PeeringKey, RejectionKey, RouterRef, Said,
    TellGuests,
};
use crate::northbound::members::Members;
use crate::northbound::{End, Family, Id, Northbound, Touched};

use super::local::{Local, Ready};
use super::outcome::Link;
use super::prefix::{PrefixIndex, Prefixes};

/// A network that has halves or rejections, or is the target of one.
#[derive(Debug, Default)]
pub struct Node {
    halves: Members<HalfKey>,
    /// Whom it rejects.
    rejects: Members<NetworkKey>,
    /// Pairs in which one half is enough for both sides.
    implied: Members<PeeringKey>,
    pairs: Members<PeeringKey>,
    linked: Members<PeeringKey>,
    /// Its pairs that may use the other side's gateway: one of these does.
    users: Members<PeeringKey>,
    local: Option<Local>,
    /// Whether hosts bind it differently; nearly always false.
    dispute: Option<Box<Dispute>>,
    /// The reference to its router; `None` unless it takes part in a peering.
    reference: Option<RouterRef>,
}

impl Node {
    /// Its own state; `None` unless it has declared a half, or a half of its project is enough for
    /// it. Until then nothing of it is read.
    #[must_use]
    pub fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    /// Its facts, if it can peer.
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
        self.dispute.as_deref()
    }

    /// The halves that it declares, in order.
    #[must_use]
    pub fn halves(&self) -> &[HalfKey] {
        &self.halves
    }

    /// Its pairs, in order.
    #[must_use]
    pub fn pairs(&self) -> &[PeeringKey] {
        &self.pairs
    }

    /// Its pairs with a link, in order.
    #[must_use]
    pub fn linked(&self) -> &[PeeringKey] {
        &self.linked
    }

    /// Whether it peers, or requests a peering.
    fn takes_part(&self) -> bool {
        !self.halves.is_empty() || !self.implied.is_empty()
    }

    /// Whether any declaration is about it.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        !self.halves.is_empty() || !self.rejects.is_empty()
    }

    /// Whether any declaration is about it, or a half of a peer is enough for both sides.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.is_declared() || !self.implied.is_empty()
    }

    /// Whether it has a link.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        !self.linked.is_empty()
    }
}

/// All networks of peerings.
#[derive(Debug, Default)]
pub struct Networks {
    /// Boxed, because at least an eighth of the map's slots is empty.
    nodes: HashMap<NetworkKey, Box<Node>>,
    keys: HashMap<Id, NetworkKey>,
    /// Which pairs want which prefixes at which network.
    wanted: PrefixIndex<NetworkKey, PeeringKey>,
    /// Which network is bound by which reference. `None` sorts first, as the bound of ranges.
    bound: BTreeSet<(RouterRef, Option<NetworkKey>)>,
    dirty: BTreeSet<NetworkKey>,
    /// The routes that each network lacks to what lies behind its appliances, by the pair that is led
    /// there; nearly always none.
    behind: BTreeMap<NetworkKey, BTreeMap<PeeringKey, BTreeMap<IpNet, IpAddr>>>,
}

impl Networks {
    /// Whether this pair has a link.
    pub(super) fn is_linked(&self, pair: &PeeringKey) -> bool {
        self.nodes.get(pair.a()).is_some_and(|node| node.linked.binary_search(pair).is_ok())
    }

    /// The state of a network.
    #[must_use]
    pub fn node(&self, key: &NetworkKey) -> Option<&Node> {
        self.nodes.get(key).map(Box::as_ref)
    }

    /// The network with this identity.
    #[must_use]
    pub fn key_of(&self, id: Id) -> Option<&NetworkKey> {
        self.keys.get(&id)
    }

    /// The facts of a network, if it can peer.
    #[must_use]
    pub fn ready(&self, key: &NetworkKey) -> Option<&Ready> {
        self.node(key)?.ready()
    }

    /// The router of a network that can peer.
    #[must_use]
    pub fn router_of(&self, key: &NetworkKey) -> Option<Uuid> {
        self.ready(key).map(|ready| ready.router.uuid)
    }

    /// Whether rows of others depend on the prefixes that a network's router reaches over links: it
    /// has NAT rows that need an exemption, or its guests get routes.
    pub(super) fn borrows(&self, key: &NetworkKey) -> bool {
        self.ready(key).is_some_and(|ready| {
            !ready.router.translations.is_empty()
                || ready.network.tell_guests != TellGuests::default()
        })
    }

    /// Candidates that want a prefix at a network that overlaps this one.
    pub(super) fn wanting(
        &self,
        network: &NetworkKey,
        prefix: &IpNet,
    ) -> impl Iterator<Item = &PeeringKey> {
        self.wanted.overlapping(network, prefix)
    }

    /// The other pairs that compete with a pair at each of its ends: those that want prefixes there
    /// which overlap its own, old and new, and those that may use a gateway.
    pub(super) fn rivals(
        &self,
        key: &PeeringKey,
        old: &[Prefixes; 2],
        new: &[Prefixes; 2],
    ) -> BTreeSet<PeeringKey> {
        let mut rivals = BTreeSet::new();
        for (network, (old, new)) in [key.a(), key.b()].into_iter().zip(old.iter().zip(new)) {
            let users = self.gateway_users(network).iter();
            rivals.extend(users.filter(|it| *it != key).cloned());
            for prefix in old.iter().chain(new.iter()) {
                rivals.extend(self.wanting(network, prefix).filter(|it| *it != key).cloned());
            }
        }
        rivals
    }

    /// The pairs of a network that may use the other side's gateway.
    pub(super) fn gateway_users(&self, key: &NetworkKey) -> &[PeeringKey] {
        self.node(key).map(|node| &*node.users).unwrap_or_default()
    }

    /// Notes which network of a pair may use the other side's gateway, if one may.
    pub(super) fn set_user(&mut self, pair: &PeeringKey, user: Option<&NetworkKey>) {
        for key in [pair.a(), pair.b()] {
            let Some(node) = self.nodes.get_mut(key) else { continue };
            if user == Some(key) {
                node.users.insert(pair.clone());
            } else {
                node.users.remove(pair);
            }
        }
    }

    /// The routes that a network lacks to what lies behind its appliances.
    #[must_use]
    pub fn behind(&self, key: &NetworkKey) -> BTreeMap<IpNet, IpAddr> {
        let routes = self.behind.get(key).into_iter().flat_map(BTreeMap::values);
        // Of two appliances in front of one prefix the route needs either: policies say which.
        routes.rev().flatten().map(|(prefix, hop)| (*prefix, *hop)).collect()
    }

    /// Notes these routes of a pair's link.
    pub(super) fn set_behind(
        &mut self,
        pair: &PeeringKey,
        link: Option<&Link>,
        changed: &mut BTreeSet<NetworkKey>,
    ) {
        for (end, key) in [(End::A, pair.a()), (End::B, pair.b())] {
            let chains = link.map(|link| link.chains_from(end.other())).unwrap_or_default();
            let routes = chains.iter().flat_map(|chain| {
                let hop = |prefix| chain.hop(Family::of(prefix)).map(|hop| hop.address);
                chain.unrouted.iter().filter_map(move |prefix| Some((*prefix, hop(prefix)?)))
            });
            let routes: BTreeMap<IpNet, IpAddr> = routes.collect();
            let before = self.behind.get(key).and_then(|pairs| pairs.get(pair));
            if before.map_or(routes.is_empty(), |before| *before == routes) {
                continue;
            }
            changed.insert(key.clone());
            let pairs = self.behind.entry(key.clone()).or_default();
            if routes.is_empty() {
                pairs.remove(pair);
            } else {
                pairs.insert(pair.clone(), routes);
            }
            if pairs.is_empty() {
                self.behind.remove(key);
            }
        }
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

    pub(super) fn touched(&mut self, touched: &Touched, northbound: &Northbound) {
        let routers = touched.routers.iter().flat_map(|router| self.sharing(*router, northbound));
        let names = touched.router_names.iter();
        let names = names.flat_map(|name| self.bound_to(RouterRef::Name(name.as_ref().into())));
        let touched: Vec<NetworkKey> = routers.chain(names).cloned().collect();
        self.dirty.extend(touched);
    }

    /// The networks that are bound to a router, by its UUID or by its name.
    pub fn sharing(
        &self,
        router: Uuid,
        northbound: &Northbound,
    ) -> impl Iterator<Item = &NetworkKey> {
        let name = northbound.router_name(router).map(|name| RouterRef::Name(name.into()));
        let references = [RouterRef::Uuid(router)].into_iter().chain(name);
        references.flat_map(|reference| self.bound_to(reference))
    }

    fn bound_to(&self, reference: RouterRef) -> impl Iterator<Item = &NetworkKey> {
        let from = self.bound.range((reference.clone(), None)..);
        from.take_while(move |(of, _)| *of == reference).filter_map(|(_, key)| key.as_ref())
    }

    pub(super) fn declare(&mut self, half: &HalfKey) {
        let node = self.enlist(&half.network);
        let first = node.halves.is_empty();
        node.halves.insert(half.clone());
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
            self.enlist(&key.network).rejects.insert(key.from.clone());
        } else if let Some(node) = self.nodes.get_mut(&key.network) {
            node.rejects.remove(&key.from);
            self.dismiss(&key.network);
        }
    }

    /// Notes whether one half is enough for both sides of a pair.
    pub(super) fn imply(&mut self, pair: &PeeringKey, implied: bool) {
        for key in [pair.a(), pair.b()] {
            if implied {
                let node = self.enlist(key);
                let first = node.implied.is_empty();
                node.implied.insert(pair.clone());
                if first {
                    self.dirty.insert(key.clone());
                }
            } else if let Some(node) = self.nodes.get_mut(key)
                && node.implied.remove(pair)
                && node.implied.is_empty()
            {
                self.dirty.insert(key.clone());
            }
        }
    }

    /// Forgets a network without declarations.
    fn dismiss(&mut self, key: &NetworkKey) {
        let idle = |node: &Node| node.pairs.is_empty() && !node.is_registered();
        if self.node(key).is_some_and(idle) {
            self.bind(key, None);
            self.nodes.remove(key);
            self.keys.remove(&Id::of_network(key));
        }
    }

    pub(super) fn withdraw(&mut self, half: &HalfKey) {
        let Some(node) = self.nodes.get_mut(&half.network) else { return };
        node.halves.remove(half);
        if node.halves.is_empty() {
            self.dirty.insert(half.network.clone());
        }
    }

    pub(super) fn join(&mut self, pair: &PeeringKey) {
        for key in [pair.a(), pair.b()] {
            self.nodes.entry(key.clone()).or_default().pairs.insert(pair.clone());
        }
    }

    pub(super) fn leave(&mut self, pair: &PeeringKey) {
        self.imply(pair, false);
        for key in [pair.a(), pair.b()] {
            let Some(node) = self.nodes.get_mut(key) else { continue };
            node.pairs.remove(pair);
            node.linked.remove(pair);
            node.users.remove(pair);
            self.dismiss(key);
        }
    }

    /// Notes for some ends of a pair which prefixes concerned it there, and which do now.
    pub(super) fn set_wanted(&mut self, pair: &PeeringKey, ends: Vec<(End, [Vec<IpNet>; 2])>) {
        for (end, [old, new]) in ends {
            let network = if end == End::A { pair.a() } else { pair.b() };
            for prefix in &old {
                self.wanted.remove(network, prefix, pair.clone());
            }
            for prefix in &new {
                self.wanted.insert(network, prefix, pair.clone());
            }
        }
    }

    /// Notes whether a pair has a link. The first link of a network adds its uplink anti-spoof, and
    /// the last one removes it.
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
                node.linked.insert(pair.clone());
            } else {
                node.linked.remove(pair);
            }
            if node.is_linked() != before {
                changed.insert(key.clone());
            }
        }
    }

    /// Reads dirty networks again; returns those whose own state has changed.
    pub(super) fn refresh(
        &mut self,
        declarations: &Declarations,
        northbound: &Northbound,
        changed: &mut BTreeSet<NetworkKey>,
    ) -> Vec<NetworkKey> {
        let mut dirty = std::mem::take(&mut self.dirty);
        // Bindings first, because a network's state depends on whether others have the same router.
        let mut siblings = BTreeSet::new();
        for key in &dirty {
            let declares = self.node(key).is_some_and(Node::takes_part);
            let said = said(key, declarations, northbound).filter(|_| declares);
            let new = said.map(|said| said.value.router.clone());
            let Some((old, new)) = self.bind(key, new) else { continue };
            // If a network's router changes, all networks that share the old or new router are
            // dirty, too.
            for router in [old, new].iter().flatten().flat_map(|it| northbound.routers(it)) {
                siblings.extend(self.sharing(router, northbound).cloned());
            }
        }
        dirty.append(&mut siblings);
        let mut differing = Vec::new();
        for key in dirty {
            let said = said(&key, declarations, northbound);
            let local = self.read(&key, said.as_ref(), northbound);
            if let Some(node) = self.nodes.get_mut(&key) {
                let dispute = said.and_then(|said| said.dispute).map(Box::new);
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
        said: Option<&Said<'_, Arc<Network>>>,
        northbound: &Northbound,
    ) -> Option<Local> {
        let node = self.nodes.get(key)?;
        if !node.takes_part() {
            return None;
        }
        let mut routers = node.reference.iter().flat_map(|it| northbound.routers(it));
        let shared =
            routers.any(|router| self.sharing(router, northbound).any(|other| other < key));
        Some(Local::read(said, shared, northbound))
    }

    /// Sets the reference to a network's router; returns the old and the new one if they differ.
    fn bind(
        &mut self,
        key: &NetworkKey,
        new: Option<RouterRef>,
    ) -> Option<(Option<RouterRef>, Option<RouterRef>)> {
        let node = self.nodes.get_mut(key).filter(|node| node.reference != new)?;
        let old = std::mem::replace(&mut node.reference, new.clone());
        if let Some(old) = &old {
            self.bound.remove(&(old.clone(), Some(key.clone())));
        }
        if let Some(new) = &new {
            self.bound.insert((new.clone(), Some(key.clone())));
        }
        Some((old, new))
    }
}

/// A network's binding by its hosts; if they differ, the one in effect stays.
fn said<'a>(
    key: &NetworkKey,
    declarations: &'a Declarations,
    northbound: &Northbound,
) -> Option<Said<'a, Arc<Network>>> {
    let record = || northbound.network_record(Id::of_network(key));
    declarations.network(key, || record().and_then(|record| record.router))
}
