//! The last accepted contribution of each file, and the declarations that are in effect by these.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quota::RejectionQuota;
use crate::declare::changed::Changed;
use crate::declare::claims::{Before, Claims, Clashes};
use crate::declare::contribution::{Contribution, Entries, Outcomes};
use crate::declare::model::{
    Half, HalfKey, Network, NetworkKey, Rejection, RejectionKey, RouterRef,
};
use crate::declare::pins::Pins;
use crate::declare::source::{FileId, Origin, Owner};

/// All claims, and whose they are.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    files: BTreeMap<FileId, Given>,
    pub(super) networks: Claims<Arc<Network>>,
    pub(super) halves: Claims<Half>,
    pub(super) rejections: Claims<Rejection>,
    pub(super) clashes: Clashes,
    quota: RejectionQuota,
}

/// What a file has contributed. A text without declarations is a contribution, too.
#[derive(Clone, Debug)]
pub(super) struct Given {
    origin: Arc<Origin>,
    pub(super) networks: Vec<NetworkKey>,
    pub(super) halves: Vec<HalfKey>,
    pub(super) rejections: Vec<RejectionKey>,
}

impl Accepted {
    /// No claims yet; so many rejections of a project count.
    pub(super) fn new(max_rejections: Option<u32>) -> Self {
        Self {
            files: BTreeMap::new(),
            networks: Claims::default(),
            halves: Claims::default(),
            rejections: Claims::default(),
            clashes: Clashes::default(),
            quota: RejectionQuota::new(max_rejections),
        }
    }

    /// Sets how many rejections of a project count, from the next outcomes on.
    pub(super) fn configure(&mut self, max_rejections: Option<u32>) {
        self.quota.configure(max_rejections);
    }

    /// What a file has contributed.
    pub(super) fn of(&self, file: &FileId) -> Option<&Given> {
        self.files.get(file)
    }

    /// The halves in effect of one network, by name.
    pub(super) fn halves_of(&self, network: &NetworkKey) -> impl Iterator<Item = &Half> {
        self.halves
            .from(HalfKey::new(network.clone(), ""))
            .map(|claim| &claim.value)
            .take_while(move |half| half.key.network == *network)
    }

    /// The halves in effect of one project, by network and name.
    pub(super) fn halves_of_project(&self, project: &str) -> impl Iterator<Item = &Half> {
        self.halves
            .from(HalfKey::new(NetworkKey::new(project, ""), ""))
            .map(|claim| &claim.value)
            .take_while(move |half| *half.key.network.project == *project)
    }

    /// The rejection in effect under this key.
    pub(super) fn rejection(&self, key: &RejectionKey) -> Option<&Rejection> {
        let standing = self.rejections.standing(key).filter(|_| !self.quota.is_over(key));
        standing.map(|claim| &claim.value)
    }

    /// The rejections in effect of one network, by the rejected network.
    pub(super) fn rejections_of(&self, network: &NetworkKey) -> impl Iterator<Item = &Rejection> {
        let from = NetworkKey::new("", "");
        self.rejections
            .from(RejectionKey { network: network.clone(), from })
            .map(|claim| &claim.value)
            .take_while(move |rejection| rejection.key.network == *network)
            .filter(|rejection| !self.quota.is_over(&rejection.key))
    }

    /// All rejections in effect, by key.
    pub(super) fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        let standing = self.rejections.all().map(|claim| &claim.value);
        standing.filter(|rejection| !self.quota.is_over(&rejection.key))
    }

    /// Accepts outcomes. Returns what is in effect differently now.
    pub(super) fn put(&mut self, outcomes: Outcomes) -> Changed {
        let mut networks = Before::<Arc<Network>>::new();
        let mut halves = Before::<Half>::new();
        let mut rejections = Before::<Rejection>::new();
        let read: Vec<FileId> = outcomes.keys().cloned().collect();
        for (id, outcome) in outcomes {
            let old = self.files.remove(&id);
            let old = old.as_ref();
            let Some(Contribution { origin, entries }) = outcome else {
                let Some(old) = old else { continue };
                self.networks.withdraw(&id, &old.networks, &mut networks);
                self.halves.withdraw(&id, &old.halves, &mut halves);
                self.rejections.withdraw(&id, &old.rejections, &mut rejections);
                continue;
            };
            let keys = old.map_or(&[][..], |old| &old.networks);
            let kept = |network| keeping(network, &self.networks);
            let new = entries.networks.into_iter().map(|(at, network)| (at, kept(network)));
            let new: Vec<_> = new.collect();
            let new = new.into_iter();
            let of_networks = self.networks.replace(&origin, keys, new, &mut networks);
            // Files of networks come first, so that halves can share the keys of networks.
            let known = |key: &NetworkKey| self.networks.known(key).unwrap_or(key).clone();
            let new = entries.halves.into_iter().map(|(position, mut half)| {
                half.key = HalfKey::new(known(&half.key.network), Arc::clone(&half.key.name));
                half.target = known(&half.target);
                (position, half)
            });
            let keys = old.map_or(&[][..], |old| &old.halves);
            let of_halves = self.halves.replace(&origin, keys, new, &mut halves);
            let keys = old.map_or(&[][..], |old| &old.rejections);
            let new = entries.rejections.into_iter();
            let of_rejections = self.rejections.replace(&origin, keys, new, &mut rejections);
            let given = Given {
                origin,
                networks: of_networks,
                halves: of_halves,
                rejections: of_rejections,
            };
            self.files.insert(id, given);
        }
        let mut changed = Changed {
            networks: self.networks.finish(networks, &mut self.clashes),
            halves: self.halves.finish(halves, &mut self.clashes),
            rejections: self.rejections.finish(rejections, &mut self.clashes),
        };
        let read = read.iter().filter_map(|id| self.files.get(id));
        let read = read.flat_map(|given| &given.rejections);
        self.quota.update(&mut changed.rejections, read, &self.rejections, &mut self.clashes);
        changed
    }

    /// Removes and returns the contributions of all files.
    pub(super) fn take(&mut self) -> Outcomes {
        self.quota.clear(&mut self.clashes);
        let empty =
            |given: Given| Contribution { origin: given.origin, entries: Entries::default() };
        let files = std::mem::take(&mut self.files).into_iter();
        let mut taken: Outcomes = files.map(|(id, given)| (id, Some(empty(given)))).collect();
        for claim in self.networks.take(&mut self.clashes) {
            if let Some(entries) = entries_of(&mut taken, &claim.origin) {
                entries.networks.push((claim.position, claim.value));
            }
        }
        for claim in self.halves.take(&mut self.clashes) {
            if let Some(entries) = entries_of(&mut taken, &claim.origin) {
                entries.halves.push((claim.position, claim.value));
            }
        }
        for claim in self.rejections.take(&mut self.clashes) {
            if let Some(entries) = entries_of(&mut taken, &claim.origin) {
                entries.rejections.push((claim.position, claim.value));
            }
        }
        taken
    }

    /// Whether a file's owner is another account than at its last contribution. Root does not count:
    /// no tenant can give a file to root, and an operator's slip must not withdraw anything.
    pub(super) fn has_new_owner(&self, file: &FileId, owner: Option<&Owner>, pins: &Pins) -> bool {
        let Some(owner) = owner.filter(|owner| owner.uid != 0) else { return false };
        let Some(given) = self.files.get(file) else { return false };
        match given.origin.giver.owner {
            Some(uid) => uid != owner.uid,
            // An older version did not record it: then it was the account that owns the project.
            None => {
                let halves = given.halves.iter().map(|half| &half.network);
                let mut projects = halves.chain(given.rejections.iter().map(|it| &it.network));
                projects.any(|network| {
                    pins.owner(&network.project).is_some_and(|pinned| !owner.is(pinned))
                })
            }
        }
    }
}

/// A network whose router a tool has not told yet keeps the one that it has: neither a tool that does not
/// answer nor a start ends a peering. What is bound to another network of a tool has another router.
fn keeping(network: Arc<Network>, claims: &Claims<Arc<Network>>) -> Arc<Network> {
    let RouterRef::Tool(of) = &network.router else { return network };
    let known = claims.standing(&network.key).map(|claim| &claim.value);
    let same = known.filter(|known| known.of.as_ref().is_none_or(|it| it == of));
    match same.map(|known| &known.router) {
        Some(router @ (RouterRef::Name(_) | RouterRef::Uuid(_))) => {
            Arc::new(Network { router: router.clone(), ..Network::clone(&network) })
        }
        Some(RouterRef::Tool(_)) | None => network,
    }
}

fn entries_of<'o>(outcomes: &'o mut Outcomes, origin: &Origin) -> Option<&'o mut Entries> {
    outcomes.get_mut(&origin.giver.file)?.as_mut().map(|contribution| &mut contribution.entries)
}
