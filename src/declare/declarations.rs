//! What all hosts declare: this host's files, and what the others have registered.
//!
//! Hosts may say the same thing: then it stands as long as one of them does. Where they differ, what
//! stands already goes on; else nobody is believed until they agree. What comes out depends on what is
//! said, not on which host asks.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::local::{Changed, LocalDeclarations};
use super::model::{Half, HalfKey, Network, NetworkKey, RejectionKey, RouterRef};
use super::source::Giver;

/// The name of a host, as its settings or its system give it.
pub type Host = Arc<str>;

/// What another host declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHost<T> {
    /// The host.
    pub host: Host,
    /// Its file, and whose that is: whoever puts back a registration that was deleted puts that back, too.
    pub giver: Giver,
    /// What it declares.
    pub value: T,
}

/// What the other hosts say of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Bindings, in the order of hosts.
    pub networks: Vec<ByHost<Arc<Network>>>,
    /// Halves, in the order of names and then hosts.
    pub halves: BTreeMap<HalfKey, Vec<ByHost<Half>>>,
    /// Rejections, in the order of who is rejected and then hosts.
    pub rejections: BTreeMap<RejectionKey, Vec<ByHost<()>>>,
}

impl Others {
    /// Puts what several hosts say of one thing in the order of hosts.
    pub fn sort(&mut self) {
        self.networks.sort_by(|one, other| one.host.cmp(&other.host));
        for hosts in self.halves.values_mut() {
            hosts.sort_by(|one, other| one.host.cmp(&other.host));
        }
        for hosts in self.rejections.values_mut() {
            hosts.sort_by(|one, other| one.host.cmp(&other.host));
        }
    }
}

/// All declarations.
#[derive(Clone, Debug)]
pub struct Declarations {
    host: Host,
    /// What this host declares.
    pub local: LocalDeclarations,
    networks: BTreeMap<NetworkKey, Vec<ByHost<Arc<Network>>>>,
    halves: BTreeMap<HalfKey, Vec<ByHost<Half>>>,
    rejections: BTreeMap<RejectionKey, Vec<ByHost<()>>>,
}

/// What hosts say of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a, T> {
    /// What counts.
    pub value: &'a T,
    /// The hosts that differ, if any do.
    pub dispute: Option<Dispute>,
}

/// Hosts that say different things of one half or network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// All hosts that speak of it.
    pub hosts: Vec<Host>,
    /// Whether what one of them says stands already, and so goes on.
    pub stands: bool,
}

impl<T> Said<'_, T> {
    /// Whether it counts: nobody differs, or what is said stands already.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.dispute.as_ref().is_none_or(|dispute| dispute.stands)
    }
}

/// Something that several hosts may declare.
trait Shared {
    /// Whether both mean the same; words for people may differ.
    fn agrees(&self, other: &Self) -> bool;

    /// Which of those that agree counts: the greatest; of equal ones the first host's.
    fn weight(&self) -> Option<Timestamp>;
}

impl Shared for Arc<Network> {
    fn agrees(&self, other: &Self) -> bool {
        self == other
    }

    fn weight(&self) -> Option<Timestamp> {
        None
    }
}

impl Shared for Half {
    fn agrees(&self, other: &Self) -> bool {
        self.target == other.target
            && self.configured_status == other.configured_status
            && self.terms == other.terms
    }

    /// Who asks again last counts: a host whose files are older takes no renewal back.
    fn weight(&self) -> Option<Timestamp> {
        self.requested
    }
}

fn weightiest<'a, T: Shared>(values: impl Iterator<Item = &'a T>) -> Option<&'a T> {
    values.reduce(|best, next| if next.weight() > best.weight() { next } else { best })
}

impl Declarations {
    /// Of a host with these declarations, before it knows of others.
    #[must_use]
    pub fn new(local: LocalDeclarations, host: Host) -> Self {
        let (networks, halves, rejections) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { host, local, networks, halves, rejections }
    }

    /// This host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The binding of a network; of several that differ, the one to the router `standing`, which is
    /// asked for only then.
    #[must_use]
    pub fn network(
        &self,
        key: &NetworkKey,
        standing: impl FnOnce() -> Option<String>,
    ) -> Option<Said<'_, Arc<Network>>> {
        let others = self.networks.get(key).map(Vec::as_slice).unwrap_or_default();
        let standing = LazyCell::new(standing);
        let stands = |network: &Arc<Network>| match (&network.router, &*standing) {
            (RouterRef::Name(name), Some(standing)) => **name == **standing,
            (RouterRef::Uuid(uuid), Some(standing)) => uuid.to_string() == *standing,
            (_, None) => false,
        };
        self.choose(self.local.network(key), others, stands)
    }

    /// A half; of several that differ, one with the target that is linked, if possible under the
    /// terms that stand; of several that agree, the one that was asked for last.
    #[must_use]
    pub fn half(
        &self,
        key: &HalfKey,
        is_linked: impl Fn(&Half) -> bool,
        is_same: impl Fn(&Half) -> bool,
    ) -> Option<Said<'_, Half>> {
        let others = self.halves.get(key).map(Vec::as_slice).unwrap_or_default();
        let stands = |half: &Half| half.is_up() && is_linked(half);
        let exactly = |half: &Half| stands(half) && is_same(half);
        let said = self.choose(self.local.half(key), others, exactly)?;
        match &said.dispute {
            Some(dispute) if !dispute.stands => self.choose(self.local.half(key), others, stands),
            Some(_) | None => Some(said),
        }
    }

    fn choose<'a, T: Shared>(
        &'a self,
        own: Option<&'a T>,
        others: &'a [ByHost<T>],
        stands: impl Fn(&T) -> bool,
    ) -> Option<Said<'a, T>> {
        if others.is_empty() {
            return own.map(|value| Said { value, dispute: None });
        }
        let mut all: Vec<(&Host, &T)> =
            others.iter().map(|by_host| (&by_host.host, &by_host.value)).collect();
        all.extend(own.map(|own| (&self.host, own)));
        all.sort_by_key(|(host, _)| *host);
        let (_, first) = *all.first()?;
        let values = || all.iter().map(|(_, value)| *value);
        if values().all(|value| value.agrees(first)) {
            return Some(Said { value: weightiest(values()).unwrap_or(first), dispute: None });
        }
        let standing = weightiest(values().filter(|value| stands(value)));
        let hosts = all.iter().map(|(host, _)| Arc::clone(host)).collect();
        let dispute = Some(Dispute { hosts, stands: standing.is_some() });
        Some(Said { value: standing.unwrap_or(first), dispute })
    }

    /// The hosts that declare a half, in order.
    #[must_use]
    pub fn hosts_of_half(&self, key: &HalfKey) -> Vec<Host> {
        let others = self.halves.get(key).into_iter().flatten();
        let others = others.map(|by_host| Arc::clone(&by_host.host));
        let own = self.local.half(key).map(|_| Arc::clone(&self.host));
        let mut hosts: Vec<Host> = others.chain(own).collect();
        hosts.sort();
        hosts
    }

    /// All halves that any host declares.
    #[must_use]
    pub fn halves(&self) -> BTreeSet<HalfKey> {
        let own = self.local.halves().map(|half| half.key.clone());
        own.chain(self.halves.keys().cloned()).collect()
    }

    /// All halves of one project that any host declares.
    #[must_use]
    pub fn halves_of_project(&self, project: &str) -> BTreeSet<HalfKey> {
        let first = HalfKey::new(NetworkKey::new(project, ""), "");
        let others = self.halves.range(first..).map(|(key, _)| key);
        let others = others.take_while(|key| *key.network.project == *project);
        let own = self.local.halves_of_project(project).map(|half| half.key.clone());
        own.chain(others.cloned()).collect()
    }

    /// All networks that any host binds.
    #[must_use]
    pub fn networks(&self) -> BTreeSet<NetworkKey> {
        let own = self.local.networks().map(|network| network.key.clone());
        own.chain(self.networks.keys().cloned()).collect()
    }

    /// Whether any host binds a network.
    #[must_use]
    pub fn is_bound(&self, key: &NetworkKey) -> bool {
        self.local.network(key).is_some() || self.networks.contains_key(key)
    }

    /// Whether any host declares a half.
    #[must_use]
    pub fn declares(&self, key: &HalfKey) -> bool {
        self.local.half(key).is_some() || self.halves.contains_key(key)
    }

    /// Whether any host declares a rejection.
    #[must_use]
    pub fn rejects(&self, key: &RejectionKey) -> bool {
        self.local.rejection(key).is_some() || self.rejections.contains_key(key)
    }

    /// All rejections that any host declares.
    #[must_use]
    pub fn rejections(&self) -> BTreeSet<RejectionKey> {
        let own = self.local.rejections().map(|rejection| rejection.key.clone());
        own.chain(self.rejections.keys().cloned()).collect()
    }

    /// How many halves and networks each host declares.
    #[must_use]
    pub fn hosts(&self) -> BTreeMap<Host, (usize, usize)> {
        let mut hosts: BTreeMap<Host, (usize, usize)> = BTreeMap::new();
        hosts.insert(Arc::clone(&self.host), (self.local.count(), self.local.networks().count()));
        for by_host in self.halves.values().flatten() {
            hosts.entry(Arc::clone(&by_host.host)).or_default().0 += 1;
        }
        for by_host in self.networks.values().flatten() {
            hosts.entry(Arc::clone(&by_host.host)).or_default().1 += 1;
        }
        for by_host in self.rejections.values().flatten() {
            hosts.entry(Arc::clone(&by_host.host)).or_default();
        }
        hosts
    }

    /// Notes another host's binding of a network, or that it gives none. Whether that differs from before is returned.
    pub fn set_network(
        &mut self,
        key: &NetworkKey,
        host: &str,
        by_host: Option<ByHost<Arc<Network>>>,
    ) -> bool {
        set(&mut self.networks, key, host, by_host)
    }

    /// The same of a half.
    pub fn set_half(&mut self, key: &HalfKey, host: &str, by_host: Option<ByHost<Half>>) -> bool {
        set(&mut self.halves, key, host, by_host)
    }

    /// The same of a rejection.
    pub fn set_rejection(
        &mut self,
        key: &RejectionKey,
        host: &str,
        by_host: Option<ByHost<()>>,
    ) -> bool {
        set(&mut self.rejections, key, host, by_host)
    }

    /// What the other hosts say of a network.
    #[must_use]
    pub fn others(&self, network: &NetworkKey) -> Others {
        let first = HalfKey::new(network.clone(), "");
        let halves = self.halves.range(first..).take_while(|(key, _)| key.network == *network);
        let none = NetworkKey::new("", "");
        let first = RejectionKey { network: network.clone(), from: none };
        let rejections =
            self.rejections.range(first..).take_while(|(key, _)| key.network == *network);
        Others {
            networks: self.networks.get(network).cloned().unwrap_or_default(),
            halves: halves.map(|(key, said)| (key.clone(), said.clone())).collect(),
            rejections: rejections.map(|(key, hosts)| (key.clone(), hosts.clone())).collect(),
        }
    }

    /// Takes over what the other hosts say of a network now; tells what differs.
    pub fn set_others(&mut self, network: &NetworkKey, others: Others) -> Changed {
        let before = self.others(network);
        let mut changed = Changed::default();
        if before.networks != others.networks {
            changed.networks.insert(network.clone());
            if others.networks.is_empty() {
                self.networks.remove(network);
            } else {
                self.networks.insert(network.clone(), others.networks);
            }
        }
        for key in before.halves.keys().filter(|key| !others.halves.contains_key(key)) {
            self.halves.remove(key);
            changed.halves.insert(key.clone());
        }
        for key in before.rejections.keys().filter(|key| !others.rejections.contains_key(key)) {
            self.rejections.remove(key);
            changed.rejections.insert(key.clone());
        }
        for (key, hosts) in others.rejections {
            if before.rejections.get(&key) != Some(&hosts) {
                self.rejections.insert(key.clone(), hosts);
                changed.rejections.insert(key);
            }
        }
        for (key, said) in others.halves {
            if before.halves.get(&key) != Some(&said) {
                self.halves.insert(key.clone(), said);
                changed.halves.insert(key);
            }
        }
        changed
    }
}

/// Puts what one host declares in the place of its former one, in the order of hosts.
fn set<K: Ord + Clone, T: PartialEq>(
    all: &mut BTreeMap<K, Vec<ByHost<T>>>,
    key: &K,
    host: &str,
    by_host: Option<ByHost<T>>,
) -> bool {
    let Some(by_host) = by_host else {
        let Some(hosts) = all.get_mut(key) else { return false };
        let before = hosts.len();
        hosts.retain(|known| *known.host != *host);
        let differs = hosts.len() != before;
        if hosts.is_empty() {
            all.remove(key);
        }
        return differs;
    };
    let hosts = all.entry(key.clone()).or_default();
    let at = hosts.partition_point(|known| *known.host < *host);
    match hosts.get_mut(at).filter(|known| *known.host == *host) {
        Some(known) if *known == by_host => return false,
        Some(known) => *known = by_host,
        None => hosts.insert(at, by_host),
    }
    true
}
