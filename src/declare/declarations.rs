//! The declarations of all hosts: this host's files, and what the other hosts have registered.
//!
//! Several hosts may declare the same thing. Then it is declared as long as one of them does so. If
//! they differ, the declaration that an existing link uses stays in effect; without one, none
//! counts until they agree. The result depends on the declarations, and not on the host that asks.
//! Settings may name the hosts that may declare for a project. Then declarations of other hosts for
//! it count for no rule; only views show them.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::changed::Changed;
use super::local::LocalDeclarations;
use super::model::{Half, HalfKey, Host, Network, NetworkKey, Rejection, RejectionKey, RouterRef};
use super::registered::{ByHost, Others, Registered, set};
use super::rules::Rules;
use super::said::{Said, choose, hosts_in_effect, stored};
use super::settings::Settings;
use super::stored::STORE;
use super::trust::{HostProblem, Trust, Unbelieved};

/// All declarations.
#[derive(Clone, Debug)]
pub struct Declarations {
    host: Host,
    /// The declarations of this host.
    pub local: LocalDeclarations,
    /// The declarations of other hosts for projects that they may declare for.
    registered: Registered,
    /// The declarations of other hosts for projects that they may not declare for.
    unbelieved: Unbelieved,
    trust: Trust,
    /// This host's rules, and the hosts with other ones.
    pub rules: Rules,
}

impl Declarations {
    /// The declarations of a host with these settings, before it has read its files and the
    /// registrations.
    #[must_use]
    pub fn new(settings: &Settings, host: Host) -> Self {
        Self {
            host,
            local: LocalDeclarations::new(settings),
            registered: Registered::default(),
            unbelieved: Unbelieved::default(),
            trust: Trust::new(&settings.projects),
            rules: Rules::new(settings),
        }
    }

    /// Applies new settings. Which hosts may declare changes at once. Returns the declarations that
    /// changed, and whether the rules did: then the caller has to read all registrations again.
    pub fn configure(&mut self, settings: &Settings) -> (Changed, bool) {
        self.local.configure(settings);
        let rules_changed = self.rules.configure(settings);
        let former = std::mem::replace(&mut self.trust, Trust::new(&settings.projects));
        let mut changed = Changed::default();
        for project in former.differing(&self.trust) {
            let registered = self.unbelieved.of_project(&project).chain([&self.registered]);
            let networks: BTreeSet<NetworkKey> =
                registered.flat_map(|it| it.networks_of_project(&project)).collect();
            for network in networks {
                let others = self.others(&network);
                changed.extend(self.set_others(&network, others));
            }
            if former.believes(&project, &self.host) != self.trust.believes(&project, &self.host) {
                changed.extend(self.local.declared_of_project(&project));
            }
        }
        (changed, rules_changed)
    }

    /// This host's name.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Whether this host may declare for a project.
    fn may_declare(&self, project: &str) -> bool {
        self.trust.believes(project, &self.host)
    }

    /// This host's declaration of a network, if it may declare for the project.
    #[must_use]
    pub fn own_network(&self, key: &NetworkKey) -> Option<&Arc<Network>> {
        self.local.network(key).filter(|_| self.may_declare(&key.project))
    }

    /// The same of a half.
    #[must_use]
    pub fn own_half(&self, key: &HalfKey) -> Option<&Half> {
        self.local.half(key).filter(|_| self.may_declare(&key.network.project))
    }

    /// The same of a rejection.
    #[must_use]
    pub fn own_rejection(&self, key: &RejectionKey) -> Option<&Rejection> {
        self.local.rejection(key).filter(|_| self.may_declare(&key.network.project))
    }

    /// The binding of a network. If hosts differ, it is the one to the router `standing`, which is
    /// computed only then.
    #[must_use]
    pub fn network(
        &self,
        key: &NetworkKey,
        standing: impl FnOnce() -> Option<String>,
    ) -> Option<Said<'_, Arc<Network>>> {
        let others = self.registered.networks.get(key).map(Vec::as_slice).unwrap_or_default();
        let standing = LazyCell::new(standing);
        let stands = |network: &Arc<Network>| match (&network.router, &*standing) {
            (RouterRef::Name(name), Some(standing)) => **name == **standing,
            (RouterRef::Uuid(uuid), Some(standing)) => uuid.to_string() == *standing,
            (RouterRef::Tool(_), _) | (_, None) => false,
        };
        // What this host cannot say, others may.
        let own = self.own_network(key).filter(|own| others.is_empty() || own.is_known());
        choose(&self.host, own, others, stands)
    }

    /// The declaration of a half. If hosts differ, it is one with the linked target, with the terms
    /// of the existing link if possible. If several agree, it is the latest request.
    #[must_use]
    pub fn half(
        &self,
        key: &HalfKey,
        is_linked: impl Fn(&Half) -> bool,
        is_same: impl Fn(&Half) -> bool,
    ) -> Option<Said<'_, Half>> {
        let others = self.registered.halves.get(key).map(Vec::as_slice).unwrap_or_default();
        let stands = |half: &Half| half.is_up() && is_linked(half);
        let exactly = |half: &Half| stands(half) && is_same(half);
        let said = choose(&self.host, self.own_half(key), others, exactly)?;
        match &said.dispute {
            Some(dispute) if !dispute.stands => {
                choose(&self.host, self.own_half(key), others, stands)
            }
            Some(_) | None => Some(said),
        }
    }

    /// The hosts that declare a half, in order.
    #[must_use]
    pub fn hosts_of_half(&self, key: &HalfKey) -> Vec<Host> {
        hosts_in_effect(&self.host, self.own_half(key), self.registered.halves.get(key))
    }

    /// The hosts that bind a network, in order.
    #[must_use]
    pub fn hosts_of_network(&self, key: &NetworkKey) -> Vec<Host> {
        hosts_in_effect(&self.host, self.own_network(key), self.registered.networks.get(key))
    }

    /// The stored declaration of a half, if the store may declare for the project; a file may count
    /// before it.
    #[must_use]
    pub fn stored_half(&self, key: &HalfKey) -> Option<&ByHost<Half>> {
        stored(self.registered.halves.get(key))
    }

    /// The same of a rejection.
    #[must_use]
    pub fn stored_rejection(&self, key: &RejectionKey) -> Option<&ByHost<()>> {
        stored(self.registered.rejections.get(key))
    }

    /// All stored declarations of a project, if the store may declare for it.
    #[must_use]
    pub fn stored_of_project(&self, project: &str) -> (Vec<&ByHost<Half>>, Vec<RejectionKey>) {
        let halves = self.registered.halves_of_project(project);
        let halves = halves.filter_map(|key| self.stored_half(key)).collect();
        let rejections = self.registered.rejections_of_project(project);
        let rejections = rejections.filter(|key| self.stored_rejection(key).is_some());
        (halves, rejections.cloned().collect())
    }

    /// Whether the store may declare for a project.
    #[must_use]
    pub fn may_store(&self, project: &str) -> bool {
        self.trust.believes(project, STORE)
    }

    /// All halves that any host declares.
    #[must_use]
    pub fn halves(&self) -> BTreeSet<HalfKey> {
        let own = self.local.halves().map(|half| &half.key);
        let own = own.filter(|half| self.may_declare(&half.network.project));
        own.chain(self.registered.halves.keys()).cloned().collect()
    }

    /// All halves of one project that any host declares.
    #[must_use]
    pub fn halves_of_project(&self, project: &str) -> BTreeSet<HalfKey> {
        let own = self.local.halves_of_project(project).map(|half| &half.key);
        let own = own.filter(|_| self.may_declare(project));
        own.chain(self.registered.halves_of_project(project)).cloned().collect()
    }

    /// All halves of one network that any host declares.
    #[must_use]
    pub fn halves_of_network(&self, network: &NetworkKey) -> BTreeSet<HalfKey> {
        let own = self.local.halves_of(network).map(|half| &half.key);
        let own = own.filter(|_| self.may_declare(&network.project));
        own.chain(self.registered.halves_of_network(network)).cloned().collect()
    }

    /// Halves, of one project or of all, that are declared only by hosts that may not declare for
    /// the project.
    #[must_use]
    pub fn unbelieved_halves(&self, project: Option<&str>) -> BTreeSet<HalfKey> {
        let (others, own): (Vec<&Registered>, Vec<&str>) = match project {
            Some(project) => (
                self.unbelieved.of_project(project).collect(),
                (!self.may_declare(project)).then_some(project).into_iter().collect(),
            ),
            None => (self.unbelieved.all().collect(), self.trust.forbidden(&self.host).collect()),
        };
        let own = own.into_iter().flat_map(|project| self.local.halves_of_project(project));
        let others = others.into_iter().flat_map(|registered| registered.halves.keys());
        let halves = own.map(|half| &half.key).chain(others);
        halves.filter(|half| !self.declares(half)).cloned().collect()
    }

    /// Such a half as the first of its hosts declares it, and all of these hosts, in order.
    #[must_use]
    pub fn unbelieved_half(&self, key: &HalfKey) -> Option<(&Half, Vec<Host>)> {
        if self.declares(key) {
            return None;
        }
        let others = self.unbelieved.half(key).map(|it| (&it.host, &it.value));
        let own = self.local.half(key).map(|half| (&self.host, half));
        let mut all: Vec<(&Host, &Half)> = others.chain(own).collect();
        all.sort_by_key(|(host, _)| *host);
        let (_, first) = *all.first()?;
        Some((first, all.into_iter().map(|(host, _)| Arc::clone(host)).collect()))
    }

    /// The problems of other hosts to report.
    pub fn host_problems(&self) -> impl Iterator<Item = HostProblem> {
        let other = self.rules.others();
        let other = other.map(|host| HostProblem::OtherRules { host: Arc::clone(host) });
        other.chain(self.unbelieved.hosts().map(|(project, host)| HostProblem::NotNamed {
            host: Arc::clone(host),
            project: Arc::clone(project),
        }))
    }

    /// Whether a host still has this problem.
    #[must_use]
    pub fn has_problem(&self, problem: &HostProblem) -> bool {
        match problem {
            HostProblem::OtherRules { host } => self.rules.differ(host),
            HostProblem::NotNamed { host, project } => self.unbelieved.speaks(project, host),
        }
    }

    /// All networks that any host binds.
    #[must_use]
    pub fn networks(&self) -> BTreeSet<NetworkKey> {
        let own = self.local.networks().map(|network| &network.key);
        let own = own.filter(|network| self.may_declare(&network.project));
        own.chain(self.registered.networks.keys()).cloned().collect()
    }

    /// How many networks any host binds.
    #[must_use]
    pub fn count_networks(&self) -> usize {
        let own = self.local.networks().map(|network| &network.key);
        let own = own.filter(|key| self.may_declare(&key.project));
        let alone = own.filter(|key| !self.registered.networks.contains_key(key)).count();
        alone + self.registered.networks.len()
    }

    /// The networks of one project that any host binds.
    #[must_use]
    pub fn networks_of_project(&self, project: &str) -> BTreeSet<NetworkKey> {
        let own = self.local.networks_of_project(project).map(|network| &network.key);
        let own = own.filter(|_| self.may_declare(project));
        own.chain(self.registered.bound_of_project(project)).cloned().collect()
    }

    /// Whether any host binds a network.
    #[must_use]
    pub fn is_bound(&self, key: &NetworkKey) -> bool {
        self.own_network(key).is_some() || self.registered.networks.contains_key(key)
    }

    /// Whether any host declares a half.
    #[must_use]
    pub fn declares(&self, key: &HalfKey) -> bool {
        self.own_half(key).is_some() || self.registered.halves.contains_key(key)
    }

    /// Whether any host declares a rejection.
    #[must_use]
    pub fn rejects(&self, key: &RejectionKey) -> bool {
        self.own_rejection(key).is_some() || self.registered.rejections.contains_key(key)
    }

    /// All rejections that any host declares.
    #[must_use]
    pub fn rejections(&self) -> BTreeSet<RejectionKey> {
        let own = self.local.rejections().map(|rejection| &rejection.key);
        let own = own.filter(|rejection| self.may_declare(&rejection.network.project));
        own.chain(self.registered.rejections.keys()).cloned().collect()
    }

    /// The number of halves and networks that each host declares, whether it may or not.
    #[must_use]
    pub fn hosts(&self) -> BTreeMap<Host, (usize, usize)> {
        let own = (self.local.count(), self.local.networks().count());
        let mut hosts = BTreeMap::from([(Arc::clone(&self.host), own)]);
        self.registered.count(&mut hosts);
        self.unbelieved.all().for_each(|registered| registered.count(&mut hosts));
        hosts
    }

    /// Notes another host's binding of a network; none removes it. Returns whether the binding that
    /// counts may have changed.
    pub fn set_network(
        &mut self,
        key: &NetworkKey,
        host: &str,
        by_host: Option<ByHost<Arc<Network>>>,
    ) -> bool {
        self.note(&key.project, host, |all| set(&mut all.networks, key, host, by_host))
    }

    /// The same of a half.
    pub fn set_half(&mut self, key: &HalfKey, host: &str, by_host: Option<ByHost<Half>>) -> bool {
        self.note(&key.network.project, host, |all| set(&mut all.halves, key, host, by_host))
    }

    /// The same of a rejection.
    pub fn set_rejection(
        &mut self,
        key: &RejectionKey,
        host: &str,
        by_host: Option<ByHost<()>>,
    ) -> bool {
        self.note(&key.network.project, host, |all| set(&mut all.rejections, key, host, by_host))
    }

    fn note(
        &mut self,
        project: &str,
        host: &str,
        set: impl FnOnce(&mut Registered) -> bool,
    ) -> bool {
        if self.trust.believes(project, host) {
            return set(&mut self.registered);
        }
        self.unbelieved.change(project, host, |registered| {
            set(registered);
        });
        false
    }

    /// The declarations of the other hosts for a network, whether they may declare or not; and
    /// their rules, if they differ from ours.
    #[must_use]
    pub fn others(&self, network: &NetworkKey) -> Others {
        let mut others = self.registered.of(network);
        others.rules = self.rules.of(network);
        let mut unbelieved = self.unbelieved.of_project(&network.project).peekable();
        if unbelieved.peek().is_some() {
            unbelieved.for_each(|registered| others.extend(registered.of(network)));
            others.sort();
        }
        others
    }

    /// Replaces the declarations of some other hosts for a network. Returns the changes of those
    /// that count.
    pub fn set_some(
        &mut self,
        network: &NetworkKey,
        mut others: Others,
        replaces: impl Fn(&str) -> bool,
    ) -> Changed {
        let mut kept = self.others(network);
        kept.retain(|host| !replaces(host));
        others.retain(replaces);
        others.rules.append(&mut kept.rules);
        others.extend(kept);
        others.sort();
        self.set_others(network, others)
    }

    /// Replaces the declarations of the other hosts for a network. Returns the changes of those
    /// that count.
    pub fn set_others(&mut self, network: &NetworkKey, mut others: Others) -> Changed {
        self.rules.replace(network, std::mem::take(&mut others.rules));
        let project = &network.project;
        let parts = if self.trust.restricts(project) {
            others.split_off(|host| self.trust.believes(project, host))
        } else {
            BTreeMap::new()
        };
        self.unbelieved.replace(network, parts);
        self.registered.replace(network, others)
    }
}
