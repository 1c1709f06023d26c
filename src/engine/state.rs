//! What is in effect, and which units are to be compared with the northbound.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::declare::{Changed, Declarations, HalfKey, Host, NetworkKey, PolicySettings, Settings};
use crate::northbound::{Differing, Id, Northbound, UnitId};
use crate::peering::{Ground, Node, Resolved, Resolver};

use super::guests::Guests;
use super::history::History;
use super::queue::{Queue, Sources};
use super::recency::Recency;
use super::registrations::{self, Believed};
use super::replacing::Replacing;
use super::unbound::Unbound;

/// Declarations, rules and what is dirty.
#[derive(Debug)]
pub(super) struct State {
    pub(super) declarations: Declarations,
    pub(super) resolver: Resolver,
    pub(super) dirty: Queue,
    /// Whether the northbound has been read once; before, the rules know of no declaration.
    pub(super) begun: bool,
    /// The operator's policy.
    policy: PolicySettings,
    /// Halves that ended a short while ago.
    pub(super) history: History,
    /// The routes that guests get.
    pub(super) guests: Guests,
    /// Networks that nobody binds.
    pub(super) unbound: Unbound,
    /// Whether the northbound is as recent as known.
    pub(super) recency: Recency,
    /// Links of others that peerings are to replace.
    pub(super) replacing: Replacing,
    /// Entries of other hosts that were read.
    pub(super) entries_read: u64,
}

impl State {
    pub(super) fn new(settings: &Settings, host: Host) -> Self {
        Self::with(Declarations::new(settings, host), settings.policy.clone())
    }

    pub(super) fn with(declarations: Declarations, policy: PolicySettings) -> Self {
        let (resolver, dirty) = (Resolver::default(), Queue::default());
        let (history, guests) = (History::default(), Guests::default());
        Self {
            declarations,
            resolver,
            dirty,
            begun: false,
            policy,
            history,
            guests,
            unbound: Unbound::default(),
            recency: Recency::default(),
            replacing: Replacing::default(),
            entries_read: 0,
        }
    }

    /// The policy in effect.
    pub(super) fn policy(&self) -> &PolicySettings {
        &self.policy
    }

    /// Applies another policy, and which hosts count. Returns the declarations that changed, and
    /// whether the rules did.
    pub(super) fn configure(
        &mut self,
        settings: &Settings,
        northbound: Option<&Northbound>,
    ) -> (Changed, bool) {
        let (changed, rules_changed) = self.declarations.configure(settings);
        self.declared(&changed, northbound);
        if rules_changed {
            // Each entry of this host says them.
            let networks = self.declarations.local.declared_networks();
            let units = networks.iter().map(|key| UnitId::Network(Id::of_network(key)));
            self.mark_dirty(units, northbound);
        }
        if self.policy != settings.policy {
            self.policy = settings.policy.clone();
            if let Some(northbound) = northbound.filter(|_| self.begun) {
                self.resolver.configure(&self.policy, northbound);
            }
        }
        (changed, rules_changed)
    }

    /// Lets time have its effect; `went_back` says that the clock was put back.
    pub(super) fn wake(
        &mut self,
        now: Timestamp,
        went_back: bool,
        northbound: Option<&Northbound>,
    ) {
        self.resolver.wake(now, went_back);
        let forgotten = self.history.forget(now);
        for key in &forgotten {
            if !self.is_registered(Id::of_network(key), key) {
                self.guests.forget(key);
            }
        }
        self.mark_dirty(forgotten.iter().map(|key| UnitId::Network(Id::of_network(key))), None);
        self.review_unbound(forgotten.iter(), northbound);
    }

    /// When time alone changes something next.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.resolver.due().into_iter().chain(self.history.due()).min()
    }

    pub(super) fn declared(&mut self, changed: &Changed, northbound: Option<&Northbound>) {
        let Some(northbound) = northbound.filter(|_| self.begun) else { return };
        self.resolver.declared(&self.declarations, changed, &self.policy, northbound);
    }

    /// Applies all declarations to the rules, and from here on what changes of them.
    pub(super) fn declare_all(&mut self, northbound: &Northbound) {
        self.begun = true;
        let changed = Changed {
            networks: self.declarations.networks(),
            halves: self.declarations.halves(),
            rejections: self.declarations.rejections(),
        };
        self.declared(&changed, Some(northbound));
    }

    /// Notes what the northbound remembers of this host's files and what the other hosts declare;
    /// then applies all of it to the rules. Until then these know of nothing, as there is nothing
    /// that they could be applied to.
    pub(super) fn begin(&mut self, northbound: &Northbound) {
        let remembered = registrations::remembered(self.declarations.host(), northbound);
        self.declarations.local.remember(remembered);
        self.register_all(northbound);
        self.declare_all(northbound);
        self.resolver.mark_all(northbound);
    }

    /// Notes what other hosts declare in all registrations. What differs by that is returned.
    pub(super) fn register_all(&mut self, northbound: &Northbound) -> (Changed, Vec<UnitId>) {
        let all = registrations::registered(northbound).map(|id| (id, Differing::All));
        self.register(&all.collect(), true, northbound)
    }

    /// Notes what other hosts declare now of these networks, unless it is older than known.
    /// `counted` says that counters may have changed. Returns the declarations that changed, and the
    /// units that these were and are written with.
    pub(super) fn register(
        &mut self,
        networks: &BTreeMap<Id, Differing>,
        counted: bool,
        northbound: &Northbound,
    ) -> (Changed, Vec<UnitId>) {
        let (believed, unread) = if counted || self.recency.older().is_some() {
            let host = self.declarations.host();
            self.recency.review(&northbound.counters(), host, networks)
        } else {
            (Believed::All, None)
        };
        let mut changed = self.note_others(networks, northbound, &believed);
        if let Some((unread, believed)) = unread {
            changed.extend(self.note_others(&unread, northbound, &believed));
        }
        let mut units = self.units_declared(&changed);
        self.declared(&changed, Some(northbound));
        units.extend(self.units_declared(&changed));
        (changed, units)
    }

    /// The units that these halves are written with. What is read at the start is no change.
    pub(super) fn units_declared(&self, changed: &Changed) -> Vec<UnitId> {
        let halves = || changed.halves.iter().filter(|_| self.begun);
        // They are of few networks, and an identity is a digest.
        let networks: BTreeSet<&NetworkKey> = halves().map(|half| &half.network).collect();
        let networks = networks.into_iter().map(|key| UnitId::Network(Id::of_network(key)));
        let pairs = halves().filter_map(|half| self.resolver.id(self.resolver.pair_of(half)?));
        networks.chain(pairs.map(UnitId::Peering)).collect()
    }

    fn note_others(
        &mut self,
        networks: &BTreeMap<Id, Differing>,
        northbound: &Northbound,
        believed: &Believed,
    ) -> Changed {
        let (changed, entries_read) =
            registrations::note_others(&mut self.declarations, networks, northbound, believed);
        self.entries_read += entries_read;
        changed
    }

    /// Applies the rules to what is dirty there, so many pairs at the most; what they touched is
    /// then dirty here.
    pub(super) fn resolve(
        &mut self,
        northbound: &Northbound,
        now: Timestamp,
        most: usize,
    ) -> Resolved {
        let (declarations, policy) = (&self.declarations, &self.policy);
        let replacing = &self.replacing.marked();
        let ground = Ground { declarations, northbound, policy, now, replacing };
        let resolved = self.resolver.resolve(&ground, most);
        let orphans = resolved.orphans.iter().filter_map(|unit| match unit {
            UnitId::Network(id) => Some(*id),
            UnitId::Peering(_) => None,
        });
        let networks = resolved.networks.iter().map(|key| (Id::of_network(key), Some(key)));
        for (id, key) in orphans.map(|id| (id, None)).chain(networks) {
            self.history.review(id, key, &self.declarations, northbound, self.policy.history, now);
        }
        self.review_unbound(resolved.networks.iter(), Some(northbound));
        let networks = resolved.networks.iter();
        let networks = networks.map(|key| (key, self.is_registered(Id::of_network(key), key)));
        let networks: Vec<(&NetworkKey, bool)> = networks.collect();
        self.guests.review(&networks, &self.resolver, northbound, now);
        self.guests.review_orphans(resolved.orphans.iter(), northbound);
        let pairs = resolved.pairs.iter().filter_map(|pair| self.resolver.id(pair));
        let pairs: Vec<UnitId> = pairs.map(UnitId::Peering).collect();
        let networks = resolved.networks.iter().map(|key| UnitId::Network(Id::of_network(key)));
        let units = pairs.into_iter().chain(resolved.orphans.iter().copied()).chain(networks);
        self.mark_dirty(units, Some(northbound));
        resolved
    }

    /// Which networks that nobody binds have a registration; what that changes is dirty.
    fn review_unbound<'a>(
        &mut self,
        networks: impl Iterator<Item = &'a NetworkKey>,
        northbound: Option<&Northbound>,
    ) {
        for key in networks {
            let id = Id::of_network(key);
            let is_unbound = !self.declarations.is_bound(key) && self.is_declared(id, key);
            let has_registration =
                is_unbound && northbound.is_some_and(|it| it.registration(id).is_some());
            for moved in self.unbound.review(key, is_unbound, has_registration) {
                let node = self.resolver.networks().node(&moved);
                let pairs = node.map(Node::pairs).unwrap_or_default();
                let pairs = pairs.iter().filter_map(|pair| self.resolver.id(pair));
                let units: Vec<UnitId> = pairs.map(UnitId::Peering).collect();
                let network = UnitId::Network(Id::of_network(&moved));
                self.mark_dirty(units.into_iter().chain([network]), northbound);
            }
        }
    }

    /// Makes units dirty: all of their rows are to be compared.
    pub(super) fn mark_dirty(
        &mut self,
        units: impl IntoIterator<Item = UnitId>,
        northbound: Option<&Northbound>,
    ) {
        let sources = Sources {
            local: &self.declarations.local,
            resolver: &self.resolver,
            history: &self.history,
            northbound,
        };
        for unit in units {
            self.dirty.add(unit, &sources);
        }
    }

    /// Whether a unit is to take the place of a link of others.
    pub(super) fn replaces(&self, unit: UnitId) -> bool {
        let UnitId::Peering(id) = unit else { return false };
        let link = self.resolver.pair_with(id).and_then(|pair| self.resolver.link(pair));
        link.is_some_and(|link| !link.replaces.is_empty())
    }

    /// Since when a half stands where it stands.
    pub(super) fn since(&self, half: &HalfKey) -> Option<Timestamp> {
        let noted = self.resolver.noted(half).map(|noted| noted.since);
        noted.or_else(|| self.recorded_since(half))
    }

    /// Since when it stands where the northbound says that it does.
    pub(super) fn recorded_since(&self, half: &HalfKey) -> Option<Timestamp> {
        self.resolver.record(half).map(|record| record.since)
    }

    /// The network of this identity, as far as anybody declares something of it, or did.
    pub(super) fn network_of(&self, id: Id) -> Option<&NetworkKey> {
        self.resolver.networks().key_of(id).or_else(|| self.history.key_of(id))
    }

    /// Whether a network shall have a registration: something is declared of it, or was a short
    /// while ago, and it does not wait for a place.
    pub(super) fn is_registered(&self, id: Id, key: &NetworkKey) -> bool {
        if !self.declarations.is_bound(key) {
            return self.is_declared(id, key) && !self.unbound.waits(key);
        }
        let node = self.resolver.networks().node(key);
        node.is_some_and(Node::is_registered) || self.history.key_of(id).is_some()
    }

    /// Whether anything is declared of a network itself, or was a short while ago.
    fn is_declared(&self, id: Id, key: &NetworkKey) -> bool {
        let node = self.resolver.networks().node(key);
        node.is_some_and(Node::is_declared) || self.history.key_of(id).is_some()
    }
}
