//! What is in effect, what it asks for, and which units are to be compared with the northbound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{
    Changed, Declarations, HalfKey, Host, NetworkKey, PeeringKey, PolicySettings, RejectionKey,
    Settings,
};
use crate::northbound::declared::{self, Entry};
use crate::northbound::others;
use crate::northbound::registration::{half_key, half_names};
use crate::northbound::{Id, NetworkRecord, Northbound, UnitId};
use crate::peering::{Ground, Node, Resolved, Resolver};
use crate::program::{self, Base, BorrowedDiff, Entries, RegistrationDiff, RowDiff, Unit, Wants};

use super::guests::Guests;
use super::history::History;
use super::queue::{Place, Queue};
use super::unbound::Unbound;

/// A registration as a unit wants it changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    pub(super) base: Option<Base>,
    pub(super) entries: Entries,
    pub(super) removed: bool,
}

/// What a unit wants changed.
#[derive(Debug, Default)]
pub(super) struct UnitChanges {
    pub(super) rows: Vec<RowDiff>,
    pub(super) borrowed: Vec<BorrowedDiff>,
    pub(super) patches: BTreeMap<Id, Patch>,
}

impl Patch {
    pub(super) fn merge(&mut self, other: Self) {
        self.base = self.base.take().or(other.base);
        self.entries.extend(other.entries);
        self.removed |= other.removed;
    }

    pub(super) fn diff(&self, network: Id, northbound: &Northbound) -> Vec<RegistrationDiff> {
        if self.removed {
            return program::registration_removal(network, northbound);
        }
        program::registration_diff(network, self.base.as_ref(), &self.entries, northbound)
    }
}

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
            entries_read: 0,
        }
    }

    /// The policy in effect.
    pub(super) fn policy(&self) -> &PolicySettings {
        &self.policy
    }

    /// Takes over another policy, and which hosts count. What differs by the latter is returned.
    pub(super) fn configure(
        &mut self,
        settings: &Settings,
        northbound: Option<&Northbound>,
    ) -> Changed {
        let rules = self.declarations.rules.own().clone();
        let changed = self.declarations.configure(settings);
        self.declared(&changed, northbound);
        if rules != *self.declarations.rules.own() {
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
        changed
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

    /// Applies the rules to what is dirty there, so many pairs at the most; what they touched is then dirty here.
    pub(super) fn resolve(
        &mut self,
        northbound: &Northbound,
        now: Timestamp,
        most: usize,
    ) -> Resolved {
        let ground =
            Ground { declarations: &self.declarations, northbound, policy: &self.policy, now };
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
        self.note_guests(&resolved, northbound, now);
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
        for unit in units {
            let place = Place::of(unit, self, northbound);
            self.dirty.insert(unit, place);
        }
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
        let node = self.resolver.networks().node(key);
        let says = node.is_some_and(Node::is_registered) || self.history.key_of(id).is_some();
        says && (self.declarations.is_bound(key)
            || self.is_declared(id, key) && !self.unbound.waits(key))
    }

    /// Whether anything is declared of a network itself, or was a short while ago.
    fn is_declared(&self, id: Id, key: &NetworkKey) -> bool {
        let node = self.resolver.networks().node(key);
        node.is_some_and(Node::is_declared) || self.history.key_of(id).is_some()
    }

    /// What a unit wants changed in the northbound.
    pub(super) fn changes(&self, unit: UnitId, northbound: &Northbound) -> UnitChanges {
        match unit {
            UnitId::Peering(id) => match self.resolver.pair_with(id) {
                Some(key) => self.pair_changes(id, key, northbound),
                None => self.orphan_changes(unit, northbound),
            },
            UnitId::Network(id) => match self.network_of(id) {
                Some(key) => self.network_changes(id, key, northbound),
                None => self.orphan_changes(unit, northbound),
            },
        }
    }

    /// Link rows, and the records of the pair's halves.
    fn pair_changes(&self, id: Id, key: &PeeringKey, northbound: &Northbound) -> UnitChanges {
        let mut changes = UnitChanges::default();
        let link = self.resolver.link(key);
        let desired = link.map(|link| program::wants(&Unit::Link(link)).rows).unwrap_or_default();
        changes.rows = program::diff(UnitId::Peering(id), desired, northbound);
        for half in self.resolver.halves_of(key) {
            let network = Id::of_network(&half.network);
            if !self.is_registered(network, &half.network) {
                continue;
            }
            let registration = northbound.registration(network);
            for (key, text) in self.half_entries(half) {
                if !registration.is_some_and(|tags| tags.holds(&key, &text)) {
                    let patch = changes.patches.entry(network).or_default();
                    patch.entries.insert(key, Some(text));
                }
            }
        }
        changes
    }

    /// Where a half stands, and what this host declares of it.
    fn half_entries(&self, key: &HalfKey) -> impl Iterator<Item = (String, String)> {
        let own = self.declarations.own_half(key);
        let own = own.zip(self.declarations.local.origin_of_half(key));
        let own =
            own.map(|(half, file)| declared::half_entry(self.declarations.host(), half, file));
        let record = self.resolver.noted(key).map(|record| (half_key(&key.name), record.to_text()));
        own.into_iter().chain(record)
    }

    /// A registration, and what stands for the network itself.
    fn network_changes(&self, id: Id, key: &NetworkKey, northbound: &Northbound) -> UnitChanges {
        if !self.is_registered(id, key) {
            return self.orphan_changes(UnitId::Network(id), northbound);
        }
        let node = self.resolver.networks().node(key);
        let node = node.filter(|node| node.is_registered());
        let ready = node.and_then(Node::ready);
        let routes = self.guest_routes(key, northbound);
        let network = program::Network {
            id,
            linked: ready.filter(|_| node.is_some_and(Node::is_linked)),
            remote: &|| self.remote_prefixes(key, node),
            guests: &routes,
        };
        let Wants { rows: desired, borrowed, .. } = program::wants(&Unit::Network(network));
        let rows = program::diff(UnitId::Network(id), desired, northbound);
        let records = self.guests.borrowed(id, northbound);
        let (borrowed, borrowed_entries) =
            program::borrowed_changes(id, borrowed, records, northbound);
        let router = ready.map(|ready| ready.network.router.to_string());
        let recorded = || northbound.network_record(id).and_then(|record| record.router);
        let base = Base {
            label: key.to_string(),
            prefixes: ready.map(|ready| ready.prefixes.to_vec()).unwrap_or_default(),
            // A router that is missed for a while is still the one.
            record: NetworkRecord::new(key, router.or_else(recorded)).to_text(),
        };
        let mut entries = self.network_entries(key, node, northbound);
        entries.extend(borrowed_entries);
        entries.extend(self.guests.entry(key));
        let patch = Patch { base: Some(base), entries, removed: false };
        UnitChanges { rows, borrowed, patches: BTreeMap::from([(id, patch)]) }
    }

    /// What a network's router reaches over links of ours.
    fn remote_prefixes(&self, key: &NetworkKey, node: Option<&Node>) -> BTreeSet<IpNet> {
        let pairs = node.map(Node::linked).unwrap_or_default();
        let links = pairs.iter().filter_map(|pair| self.resolver.link(pair));
        links.flat_map(|link| link.remote_of(key).prefixes.iter().copied()).collect()
    }

    /// What this host says of a network itself, what it says no more, and what is left of halves
    /// that nobody declares. Where the registration is gone, what others said is put back with it.
    fn network_entries(
        &self,
        key: &NetworkKey,
        node: Option<&Node>,
        northbound: &Northbound,
    ) -> Entries {
        let declarations = &self.declarations;
        let (local, host) = (&declarations.local, declarations.host());
        let binding = declarations.own_network(key).map(Arc::as_ref);
        let binding = binding.zip(local.origin_of_network(key));
        let rejections = local.rejections_of(key).filter_map(|rejection| {
            let rejection = declarations.own_rejection(&rejection.key)?;
            let file = local.origin_of_rejection(&rejection.key)?;
            Some(declared::rejection_entry(host, &rejection.key, file))
        });
        let mut own: Vec<(String, String)> = rejections.collect();
        let mut halves =
            local.halves_of(key).filter(|half| declarations.own_half(&half.key).is_some());
        let speaks = binding.is_some() || !own.is_empty() || halves.next().is_some();
        let rules = declarations.rules.own();
        let host_entry = || declared::host_entry(host, key, binding, rules);
        own.extend((node.is_some() && speaks).then(host_entry));
        let mut entries: Entries =
            own.into_iter().map(|(entry, text)| (entry, Some(text))).collect();
        let ended = self.history.of(key);
        let ended = ended.map(|(half, record)| (half_key(&half.name), Some(record.to_text())));
        entries.extend(ended);
        let Some(tags) = northbound.registration(Id::of_network(key)) else {
            let others = others::entries_of_others(key, &declarations.others(key), rules);
            entries.extend(others.into_iter().map(|(entry, text)| (entry, Some(text))));
            return entries;
        };
        let half = |name: &str| HalfKey::new(key.clone(), name);
        let stale = declared::keys_of(tags, host).filter(|entry| match Entry::parse(entry) {
            Some(Entry::Half(_, name)) => declarations.own_half(&half(name)).is_none(),
            Some(Entry::Rejection(_, from)) => {
                let rejection = RejectionKey { network: key.clone(), from };
                declarations.own_rejection(&rejection).is_none()
            }
            Some(Entry::Host(_)) | None => !entries.contains_key(*entry),
        });
        let stale: Vec<String> = stale.map(str::to_owned).collect();
        let halves = node.map(Node::halves).unwrap_or_default();
        let over = half_names(tags).filter(|name| {
            let half = half(name);
            halves.binary_search(&half).is_err() && self.history.get(&half).is_none()
        });
        let over: Vec<String> = over.map(half_key).collect();
        entries.extend(stale.into_iter().chain(over).map(|key| (key, None)));
        entries
    }

    /// What nobody declares goes: of a registration first what this host wrote, so that nobody takes
    /// its end for damage; then the rest, unless some other host is still on it.
    fn orphan_changes(&self, unit: UnitId, northbound: &Northbound) -> UnitChanges {
        let rows = program::diff(unit, Vec::new(), northbound);
        let UnitId::Network(id) = unit else {
            return UnitChanges { rows, ..UnitChanges::default() };
        };
        let tags = northbound.registration(id);
        let own =
            tags.into_iter().flat_map(|tags| declared::keys_of(tags, self.declarations.host()));
        let mut entries: Entries = own.map(|key| (key.to_owned(), None)).collect();
        let removed = entries.is_empty() && !tags.is_some_and(declared::is_declared);
        let records = self.guests.borrowed(id, northbound);
        let (borrowed, borrowed_entries) =
            program::borrowed_changes(id, Vec::new(), records, northbound);
        entries.extend(borrowed_entries);
        let patch = Patch { base: None, entries, removed };
        UnitChanges { rows, borrowed, patches: BTreeMap::from([(id, patch)]) }
    }
}
