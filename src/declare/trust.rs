//! Which hosts may declare for which project, as this host's settings say.
//!
//! Every host writes what it declares into the northbound itself. Of a project whose hosts are named,
//! nothing counts that another host has registered. It is kept apart, as it is that host's to withdraw.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::model::{Half, HalfKey, Host, NetworkKey};
use super::registered::{ByHost, Others, Registered};
use super::settings::ProjectPin;

/// The hosts of each project of which any are named.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust(BTreeMap<Arc<str>, BTreeSet<Host>>);

impl Trust {
    pub(super) fn new(pins: &[ProjectPin]) -> Self {
        let named = |pin: &ProjectPin| {
            let hosts = pin.hosts.iter().map(|host| Host::from(host.as_str()));
            (Arc::from(pin.name.as_str()), hosts.collect())
        };
        Self(pins.iter().filter(|pin| !pin.hosts.is_empty()).map(named).collect())
    }

    /// Whether a host may declare for a project: any may, unless some are named.
    pub(super) fn believes(&self, project: &str, host: &str) -> bool {
        self.0.get(project).is_none_or(|hosts| hosts.contains(host))
    }

    /// Whether hosts of a project are named.
    pub(super) fn restricts(&self, project: &str) -> bool {
        self.0.contains_key(project)
    }

    /// The projects that a host may not declare for.
    pub(super) fn forbidden<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a str> {
        let forbidden = self.0.iter().filter(move |(_, hosts)| !hosts.contains(host));
        forbidden.map(|(project, _)| &**project)
    }

    /// The projects of which two settings name different hosts.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<Arc<str>> {
        let projects = self.0.keys().chain(other.0.keys());
        projects.filter(|it| self.0.get(*it) != other.0.get(*it)).cloned().collect()
    }
}

/// What hosts have registered that may not declare for the project, by project and host.
#[derive(Clone, Debug, Default)]
pub(super) struct Unbelieved(BTreeMap<Arc<str>, BTreeMap<Host, Registered>>);

impl Unbelieved {
    /// Each project with each such host.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&Arc<str>, &Host)> {
        let projects = self.0.iter();
        projects.flat_map(|(project, hosts)| hosts.keys().map(move |host| (project, host)))
    }

    /// What each such host has registered, in the order of projects and hosts.
    pub(super) fn all(&self) -> impl Iterator<Item = &Registered> {
        self.0.values().flat_map(BTreeMap::values)
    }

    /// The same of one project.
    pub(super) fn of_project(&self, project: &str) -> impl Iterator<Item = &Registered> {
        self.0.get(project).into_iter().flat_map(BTreeMap::values)
    }

    /// Changes what a host has registered of a project.
    pub(super) fn change(&mut self, project: &str, host: &str, by: impl FnOnce(&mut Registered)) {
        let hosts = self.0.entry(project.into()).or_default();
        let registered = hosts.entry(host.into()).or_default();
        by(registered);
        if registered.is_empty() {
            hosts.remove(host);
        }
        if hosts.is_empty() {
            self.0.remove(project);
        }
    }

    /// Takes over all that such hosts say of a network now.
    pub(super) fn replace(&mut self, network: &NetworkKey, mut parts: BTreeMap<Host, Others>) {
        for host in self.0.get(&*network.project).into_iter().flat_map(BTreeMap::keys) {
            parts.entry(Arc::clone(host)).or_default();
        }
        for (host, part) in parts {
            self.change(&network.project, &host, |registered| {
                registered.replace(network, part);
            });
        }
    }

    /// A half, as such hosts declare it.
    pub(super) fn half(&self, key: &HalfKey) -> impl Iterator<Item = &ByHost<Half>> {
        let hosts = self.of_project(&key.network.project);
        hosts.filter_map(|registered| registered.halves.get(key)).flatten()
    }

    /// Whether a host is one of those, and declares for the project.
    pub(super) fn speaks(&self, project: &str, host: &str) -> bool {
        self.0.get(project).is_some_and(|hosts| hosts.contains_key(host))
    }
}

/// Why a host is reported to operators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostProblem {
    /// Its `[policy]`, or the hosts that it names for projects, are other ones than this host's.
    OtherRules {
        /// The host.
        host: Host,
    },
    /// It declares for this project and may not.
    NotNamed {
        /// The host.
        host: Host,
        /// The project.
        project: Arc<str>,
    },
}

impl HostProblem {
    /// The host that it is about.
    #[must_use]
    pub fn host(&self) -> &Host {
        match self {
            Self::OtherRules { host } | Self::NotNamed { host, .. } => host,
        }
    }

    /// That it is over, in words.
    #[must_use]
    pub fn end(&self) -> String {
        match self {
            Self::OtherRules { host } => {
                format!("host {host} has no other [policy] and `hosts` than this host any more")
            }
            Self::NotNamed { host, project } => {
                format!("host {host} declares nothing for project {project} any more, or may do so")
            }
        }
    }
}

impl fmt::Display for HostProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRules { host } => write!(
                f,
                "host {host} has another [policy], or other `hosts` of a [[project]], than this host: \
                 those of the host that holds the lock count; make them the same on all hosts"
            ),
            Self::NotNamed { host, project } => write!(
                f,
                "host {host} declares for project {project} and is not among its `hosts`: nothing of \
                 that counts; withdraw it there, or add {host} to `hosts` of [[project]] {project} on \
                 all hosts"
            ),
        }
    }
}
