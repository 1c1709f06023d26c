//! What other hosts have registered, by what it is of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::changed::Changed;
use super::model::{Half, HalfKey, Host, Network, NetworkKey, RejectionKey};
use super::rules::RulesDigest;
use super::stored::Source;

/// What another host declares, or the store contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHost<T> {
    /// The host.
    pub host: Host,
    /// Where it has it from: whoever restores a registration that was deleted restores that, too.
    pub source: Source,
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
    /// What hosts say their rules are.
    pub rules: BTreeMap<Host, RulesDigest>,
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

    /// Adds what further hosts say; to be sorted.
    pub(super) fn extend(&mut self, more: Self) {
        self.networks.extend(more.networks);
        for (key, hosts) in more.halves {
            self.halves.entry(key).or_default().extend(hosts);
        }
        for (key, hosts) in more.rejections {
            self.rejections.entry(key).or_default().extend(hosts);
        }
    }

    /// Drops the declarations of the hosts that do not stay.
    pub(super) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.rules.retain(|host, _| stays(host));
        self.split_off(stays);
    }

    /// Takes out what these hosts do not say, host by host.
    pub(super) fn split_off(&mut self, stays: impl Fn(&str) -> bool) -> BTreeMap<Host, Self> {
        let mut parts: BTreeMap<Host, Self> = BTreeMap::new();
        for it in self.networks.extract_if(.., |it| !stays(&it.host)) {
            parts.entry(Arc::clone(&it.host)).or_default().networks.push(it);
        }
        for (key, hosts) in &mut self.halves {
            for it in hosts.extract_if(.., |it| !stays(&it.host)) {
                let part = parts.entry(Arc::clone(&it.host)).or_default();
                part.halves.entry(key.clone()).or_default().push(it);
            }
        }
        for (key, hosts) in &mut self.rejections {
            for it in hosts.extract_if(.., |it| !stays(&it.host)) {
                let part = parts.entry(Arc::clone(&it.host)).or_default();
                part.rejections.entry(key.clone()).or_default().push(it);
            }
        }
        self.halves.retain(|_, hosts| !hosts.is_empty());
        self.rejections.retain(|_, hosts| !hosts.is_empty());
        parts
    }
}

/// The registered declarations of some hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Registered {
    pub(super) networks: BTreeMap<NetworkKey, Vec<ByHost<Arc<Network>>>>,
    pub(super) halves: BTreeMap<HalfKey, Vec<ByHost<Half>>>,
    pub(super) rejections: BTreeMap<RejectionKey, Vec<ByHost<()>>>,
}

impl Registered {
    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.halves.is_empty() && self.rejections.is_empty()
    }

    /// All halves of one project.
    pub(super) fn halves_of_project(&self, project: &str) -> impl Iterator<Item = &HalfKey> {
        let first = HalfKey::new(NetworkKey::new(project, ""), "");
        let halves = self.halves.range(first..).map(|(key, _)| key);
        halves.take_while(move |key| *key.network.project == *project)
    }

    /// All halves of one network.
    pub(super) fn halves_of_network<'a>(
        &'a self,
        network: &'a NetworkKey,
    ) -> impl Iterator<Item = &'a HalfKey> {
        let halves = self.halves.range(HalfKey::new(network.clone(), "")..).map(|(key, _)| key);
        halves.take_while(move |key| key.network == *network)
    }

    /// All rejections by networks of one project.
    pub(super) fn rejections_of_project(
        &self,
        project: &str,
    ) -> impl Iterator<Item = &RejectionKey> {
        let none = NetworkKey::new("", "");
        let first = RejectionKey { network: NetworkKey::new(project, ""), from: none };
        let rejections = self.rejections.range(first..).map(|(key, _)| key);
        rejections.take_while(move |key| *key.network.project == *project)
    }

    /// The networks of one project that are bound.
    pub(super) fn bound_of_project(&self, project: &str) -> impl Iterator<Item = &NetworkKey> {
        let networks = self.networks.range(NetworkKey::new(project, "")..).map(|(key, _)| key);
        networks.take_while(move |key| *key.project == *project)
    }

    /// The networks of one project of which something is declared.
    pub(super) fn networks_of_project(&self, project: &str) -> BTreeSet<NetworkKey> {
        let networks = self.bound_of_project(project);
        let rejections = self.rejections_of_project(project).map(|key| &key.network);
        let halves = self.halves_of_project(project).map(|half| &half.network);
        networks.chain(halves).chain(rejections).cloned().collect()
    }

    /// Adds to each host how many halves and networks it declares.
    pub(super) fn count(&self, hosts: &mut BTreeMap<Host, (usize, usize)>) {
        for by_host in self.halves.values().flatten() {
            hosts.entry(Arc::clone(&by_host.host)).or_default().0 += 1;
        }
        for by_host in self.networks.values().flatten() {
            hosts.entry(Arc::clone(&by_host.host)).or_default().1 += 1;
        }
        for by_host in self.rejections.values().flatten() {
            hosts.entry(Arc::clone(&by_host.host)).or_default();
        }
    }

    /// What is said of a network.
    pub(super) fn of(&self, network: &NetworkKey) -> Others {
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
            rules: BTreeMap::new(),
        }
    }

    /// Takes over what is said of a network now; tells what differs.
    pub(super) fn replace(&mut self, network: &NetworkKey, others: Others) -> Changed {
        let before = self.of(network);
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

/// Puts what one host declares in the place of its former one, in the order of hosts. Whether it
/// differs is returned.
pub(super) fn set<K: Ord + Clone, T: PartialEq>(
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
