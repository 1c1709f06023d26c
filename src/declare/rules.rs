//! What decides which peerings stand, as hosts compare it with each other: `[policy]`, and the hosts
//! that may declare for projects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::model::{Host, NetworkKey};
use super::settings::{PolicySettings, Settings};

/// As much as two settings do not have in common by chance.
const BYTES: usize = 8;

/// Stands for the rules of a host; none for those of an empty file.
pub type RulesDigest = Option<Arc<str>>;

/// This host's rules, and which other hosts say that they have other ones.
#[derive(Clone, Debug)]
pub struct Rules {
    own: RulesDigest,
    /// With the networks in whose registrations they say so.
    others: BTreeMap<Host, BTreeMap<NetworkKey, RulesDigest>>,
}

impl Rules {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { own: digest(settings), others: BTreeMap::new() }
    }

    /// Applies new settings. Returns whether they are other rules.
    pub(super) fn configure(&mut self, settings: &Settings) -> bool {
        let former = std::mem::replace(&mut self.own, digest(settings));
        former != self.own
    }

    /// This host's.
    #[must_use]
    pub fn own(&self) -> &RulesDigest {
        &self.own
    }

    /// Whether no other host is known to have other ones.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.others.is_empty()
    }

    /// Notes what another host says in the registration of a network, or that it says nothing there.
    pub fn note(&mut self, host: &Host, network: &NetworkKey, said: Option<RulesDigest>) {
        if let Some(said) = said.filter(|said| *said != self.own) {
            let networks = self.others.entry(Arc::clone(host)).or_default();
            networks.insert(network.clone(), said);
        } else if let Some(networks) = self.others.get_mut(host) {
            networks.remove(network);
            if networks.is_empty() {
                self.others.remove(host);
            }
        }
    }

    /// Notes what all other hosts say there.
    pub(super) fn replace(&mut self, network: &NetworkKey, said: BTreeMap<Host, RulesDigest>) {
        let silent = self.others.keys().filter(|host| !said.contains_key(*host));
        for host in silent.cloned().collect::<Vec<_>>() {
            self.note(&host, network, None);
        }
        for (host, said) in said {
            self.note(&host, network, Some(said));
        }
    }

    /// What those that have other ones say there.
    pub(super) fn of(&self, network: &NetworkKey) -> BTreeMap<Host, RulesDigest> {
        let said = self.others.iter();
        let said = said.filter_map(|(host, said)| Some((Arc::clone(host), said.get(network)?)));
        said.map(|(host, said)| (host, said.clone())).collect()
    }

    /// Those that have other ones.
    pub(super) fn others(&self) -> impl Iterator<Item = &Host> {
        self.others.keys()
    }

    pub(super) fn differ(&self, host: &str) -> bool {
        self.others.contains_key(host)
    }
}

/// Stands for what hosts should have in common. A key with its default leaves no trace, so that a
/// later version may have more keys.
fn digest(settings: &Settings) -> RulesDigest {
    let own = keys(&settings.policy).into_iter().zip(keys(&PolicySettings::default()));
    let own = own.filter(|(own, default)| own != default);
    let mut lines: Vec<String> = own.map(|((key, value), _)| format!("{key} = {value}")).collect();
    let named = settings.projects.iter().filter(|pin| !pin.hosts.is_empty());
    lines.extend(named.map(|pin| {
        let hosts: BTreeSet<&String> = pin.hosts.iter().collect();
        format!("{:?} = {hosts:?}", pin.name)
    }));
    if lines.is_empty() {
        return None;
    }
    lines.sort();
    let digest = Sha256::digest(lines.join("\n"));
    let text: String = digest.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
    Some(text.into())
}

/// The keys of `[policy]` with their values. How much may be withdrawn at once, and what is shown to
/// whom, is each host's own.
fn keys(policy: &PolicySettings) -> [(&'static str, String); 10] {
    let PolicySettings {
        max_withdrawals: _,
        auto_accept,
        request_expiry,
        history,
        address_space,
        require_workload,
        max_mesh_depth,
        quotas,
        show_requests: _,
        filters,
    } = policy;
    [
        ("auto_accept", format!("{auto_accept:?}")),
        ("request_expiry", format!("{:?}", request_expiry.map(|it| it.as_secs()))),
        ("history", history.as_secs().to_string()),
        ("address_space", format!("{address_space:?}")),
        ("require_workload", require_workload.to_string()),
        ("max_mesh_depth", max_mesh_depth.to_string()),
        ("max_halves_per_network", format!("{:?}", quotas.per_network)),
        ("max_halves_per_project", format!("{:?}", quotas.per_project)),
        ("max_rejections_per_project", format!("{:?}", quotas.rejections_per_project)),
        ("filters", format!("{filters:?}")),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str) -> RulesDigest {
        let (settings, diagnostics) = Settings::parse(Path::new("/etc/ovn-peerd.toml"), text);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        digest(&settings)
    }

    #[test]
    fn hosts_agree_whose_settings_mean_the_same_rules() {
        assert_eq!(of(""), None);
        assert_eq!(of("[policy]\nhistory = \"60m\"\nmax_mesh_depth = 89\n"), None);
        // What is each host's own.
        let own = "[policy]\nmax_withdrawals = { halves = 1 }\nshow_requests = \"operators\"\n[daemon]\nhost = \"hv1\"\n\
                   [[project]]\nname = \"blue\"\nowner = \"alice\"\nfiles = [\"blue.toml\"]\n";
        assert_eq!(of(own), None);
        let hosts = |hosts: &str| {
            of(&format!("[[project]]\nname = \"blue\"\nowner = \"alice\"\nhosts = {hosts}\n"))
        };
        assert_eq!(hosts("[\"hv1\", \"hv2\"]"), hosts("[\"hv2\", \"hv1\"]"));
        let mut all: Vec<RulesDigest> = [
            "auto_accept = \"same-project\"",
            "request_expiry = \"never\"",
            "history = 0",
            "address_space = \"freeze\"",
            "require_workload = true",
            "max_mesh_depth = 88",
            "max_halves_per_network = 1000",
            "max_halves_per_project = 999",
            "max_rejections_per_project = 999",
            "filters = \"closed\"",
        ]
        .map(|key| of(&format!("[policy]\n{key}\n")))
        .into_iter()
        .chain([None, hosts("[\"hv1\"]"), hosts("[\"hv2\"]")])
        .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
    }
}
