//! Everything declared on this host: the last good contribution of every file, joined in drop-in
//! order.
//!
//! Invariants:
//! - the declarations in effect depend on each file's last contribution, not on the order in which
//!   files came;
//! - the work of an `apply` follows the files in the reading, not the files known;
//! - a file with errors, and a directory that cannot be read, withdraw nothing;
//! - a contribution belongs to the owner that the file had then: if the file gets another owner,
//!   the contribution ends unless the new owner declares it again. A change to root is the
//!   exception: it is an operator's slip;
//! - a change that would withdraw more than the policy allows waits for confirmation, and nothing
//!   else waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::claims::{Before, Claims, Origin};
use super::contribution::Contribution;
use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, HalfKey, Network, NetworkKey, Rejection, RejectionKey};
use super::pins::Pins;
use super::settings::{MaxWithdrawals, Settings};
use super::source::{Directory, FileId, Giver, Owner, ParsedFile, Reading};

mod faults;
mod guard;
mod memory;
mod reading;

pub(super) use faults::Clashes;
use guard::Holding;
pub use guard::{Held, HeldPart};
pub use memory::{LastGood, Remembered};

/// The declarations in effect, and the faults of those that are not.
#[derive(Clone, Debug)]
pub struct LocalDeclarations {
    /// The directories, as diagnostics show them.
    paths: BTreeMap<Directory, Arc<str>>,
    pins: Pins,
    limit: MaxWithdrawals,
    files: BTreeMap<FileId, FileEntry>,
    networks: Claims<Arc<Network>>,
    halves: Claims<Half>,
    rejections: Claims<Rejection>,
    clashes: Clashes,
    directory_faults: BTreeMap<Directory, Diagnostic>,
    /// Directories that were listed at least once.
    listed: BTreeSet<Directory>,
    /// The changes that wait for the operator, each by itself.
    holdings: Vec<Holding>,
    /// All of it, in words.
    held: Option<Held>,
}

/// The state of one file.
#[derive(Clone, Debug)]
struct FileEntry {
    path: Arc<str>,
    /// The owner of its latest text, if it is known.
    owner: Option<Owner>,
    /// The uid of its owner at its last contribution, if it is known.
    giver: Option<u32>,
    /// The keys that its last accepted text declares.
    networks: Vec<NetworkKey>,
    halves: Vec<HalfKey>,
    rejections: Vec<RejectionKey>,
    /// Whether any text of it was accepted; a text without declarations counts, too.
    accepted: bool,
    /// Of its latest text.
    faults: Vec<Diagnostic>,
    /// The faults to report: some of these, and duplicates of other files' declarations.
    shown: Vec<Diagnostic>,
}

/// New contributions by file; `None` for a file that is gone.
type Outcomes = BTreeMap<FileId, Option<Contribution>>;

/// The keys whose declaration in effect was added, altered, removed or moved to another file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Networks.
    pub networks: BTreeSet<NetworkKey>,
    /// Halves.
    pub halves: BTreeSet<HalfKey>,
    /// Rejections.
    pub rejections: BTreeSet<RejectionKey>,
}

impl Changed {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.halves.is_empty() && self.rejections.is_empty()
    }

    /// Adds what another one says.
    pub fn extend(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.halves.extend(other.halves);
        self.rejections.extend(other.rejections);
    }
}

impl LocalDeclarations {
    /// No declarations yet, with the operator's policy and pins.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            paths: BTreeMap::from([
                (Directory::Networks, settings.paths.networks.display().to_string().into()),
                (Directory::Peerings, settings.paths.peerings.display().to_string().into()),
            ]),
            pins: Pins::new(&settings.projects),
            limit: settings.policy.max_withdrawals,
            files: BTreeMap::new(),
            networks: Claims::default(),
            halves: Claims::default(),
            rejections: Claims::default(),
            clashes: Clashes::default(),
            directory_faults: BTreeMap::new(),
            listed: BTreeSet::new(),
            holdings: Vec::new(),
            held: None,
        }
    }

    /// Applies a reading. The work follows the files in the reading.
    pub fn apply(&mut self, reading: impl Into<Reading<ParsedFile>>) -> Changed {
        let changed = self.judge(reading.into());
        self.show_faults();
        changed
    }

    fn judge(&mut self, reading: Reading<ParsedFile>) -> Changed {
        let mut fresh = self.check_reading(reading);
        for holding in &mut self.holdings {
            holding.renew(&mut fresh);
        }
        let mut changed = self.admit(fresh);
        changed.extend(self.release());
        changed
    }

    /// Applies the held changes, all or those of a project: the operator has confirmed them.
    pub fn confirm(&mut self, project: Option<&str>) -> Changed {
        let confirmed = self.take_held(project);
        let mut changed = self.put(confirmed);
        changed.extend(self.release());
        self.show_faults();
        changed
    }

    /// Sets another policy and other pins. They apply from the next reading on; a complete one must
    /// follow.
    pub fn configure(&mut self, settings: &Settings) {
        self.pins = Pins::new(&settings.projects);
        self.limit = settings.policy.max_withdrawals;
    }

    /// The network in effect under this key.
    #[must_use]
    pub fn network(&self, key: &NetworkKey) -> Option<&Arc<Network>> {
        self.networks.standing(key).map(|claim| &claim.value)
    }

    /// All networks in effect, by key.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.all().map(|claim| claim.value.as_ref())
    }

    /// The half in effect under this key.
    #[must_use]
    pub fn half(&self, key: &HalfKey) -> Option<&Half> {
        self.halves.standing(key).map(|claim| &claim.value)
    }

    /// All halves in effect, by key.
    pub fn halves(&self) -> impl Iterator<Item = &Half> {
        self.halves.all().map(|claim| &claim.value)
    }

    /// How many halves are in effect.
    #[must_use]
    pub fn count(&self) -> usize {
        self.halves.len()
    }

    /// The halves in effect of one network, by name.
    pub fn halves_of(&self, network: &NetworkKey) -> impl Iterator<Item = &Half> {
        self.halves
            .from(HalfKey::new(network.clone(), ""))
            .map(|claim| &claim.value)
            .take_while(move |half| half.key.network == *network)
    }

    /// The halves in effect of one project, by network and name.
    pub fn halves_of_project(&self, project: &str) -> impl Iterator<Item = &Half> {
        self.halves
            .from(HalfKey::new(NetworkKey::new(project, ""), ""))
            .map(|claim| &claim.value)
            .take_while(move |half| *half.key.network.project == *project)
    }

    /// The networks of which something is in effect.
    #[must_use]
    pub fn declared_networks(&self) -> BTreeSet<NetworkKey> {
        let networks = self.networks().map(|network| &network.key);
        let halves = self.halves().map(|half| &half.key.network);
        let rejections = self.rejections().map(|rejection| &rejection.key.network);
        networks.chain(halves).chain(rejections).cloned().collect()
    }

    /// All in effect of one project, as if it had changed.
    pub(super) fn declared_of_project(&self, project: &str) -> Changed {
        let of = |key: &NetworkKey| *key.project == *project;
        let networks = self.networks().map(|network| &network.key).filter(|key| of(key));
        let rejections = self.rejections().map(|it| &it.key).filter(|key| of(&key.network));
        Changed {
            networks: networks.cloned().collect(),
            halves: self.halves_of_project(project).map(|half| half.key.clone()).collect(),
            rejections: rejections.cloned().collect(),
        }
    }

    /// The rejection in effect under this key.
    #[must_use]
    pub fn rejection(&self, key: &RejectionKey) -> Option<&Rejection> {
        self.rejections.standing(key).map(|claim| &claim.value)
    }

    /// The rejections in effect of one network, by the rejected network.
    pub fn rejections_of(&self, network: &NetworkKey) -> impl Iterator<Item = &Rejection> {
        let from = NetworkKey::new("", "");
        self.rejections
            .from(RejectionKey { network: network.clone(), from })
            .map(|claim| &claim.value)
            .take_while(move |rejection| rejection.key.network == *network)
    }

    /// All rejections in effect, by key.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.rejections.all().map(|claim| &claim.value)
    }

    /// The giver of a rejection.
    #[must_use]
    pub fn origin_of_rejection(&self, key: &RejectionKey) -> Option<&Giver> {
        self.rejections.standing(key).map(|claim| &claim.origin.giver)
    }

    /// The file that gives a network.
    #[must_use]
    pub fn origin_of_network(&self, key: &NetworkKey) -> Option<&FileId> {
        self.networks.standing(key).map(|claim| &claim.origin.giver.file)
    }

    /// The giver of a half.
    #[must_use]
    pub fn origin_of_half(&self, key: &HalfKey) -> Option<&Giver> {
        self.halves.standing(key).map(|claim| &claim.origin.giver)
    }

    /// The changes that wait for [`LocalDeclarations::confirm`], if there are any.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Where a network is bound: its file as shown, line and column.
    pub(super) fn position_of_network(
        &self,
        key: &NetworkKey,
    ) -> Option<(&Arc<str>, Option<Position>)> {
        self.networks.standing(key).map(|claim| (&claim.origin.path, claim.position))
    }

    /// Where a half is declared: its file as shown, line and column.
    pub(super) fn position_of_half(&self, key: &HalfKey) -> Option<(&Arc<str>, Option<Position>)> {
        self.halves.standing(key).map(|claim| (&claim.origin.path, claim.position))
    }

    fn put(&mut self, outcomes: Outcomes) -> Changed {
        let mut networks = Before::<Arc<Network>>::new();
        let mut halves = Before::<Half>::new();
        let mut rejections = Before::<Rejection>::new();
        for (id, outcome) in outcomes {
            let Some(entry) = self.files.get_mut(&id) else { continue };
            let gone = outcome.is_none();
            let new = outcome.unwrap_or_default();
            let giver = Giver { file: id.clone(), owner: new.owner };
            let origin = Arc::new(Origin { giver, path: Arc::clone(&entry.path) });
            entry.giver = new.owner;
            let old = &entry.networks;
            entry.networks =
                self.networks.replace(&origin, old, new.networks.into_iter(), &mut networks);
            // Files of networks come first, so that halves can share the keys of networks.
            let known = |key: &NetworkKey| self.networks.known(key).unwrap_or(key).clone();
            let sharing = new.halves.into_iter().map(|(position, mut half)| {
                half.key = HalfKey::new(known(&half.key.network), Arc::clone(&half.key.name));
                half.target = known(&half.target);
                (position, half)
            });
            let old = &entry.halves;
            entry.halves = self.halves.replace(&origin, old, sharing, &mut halves);
            let (old, new) = (&entry.rejections, new.rejections.into_iter());
            entry.rejections = self.rejections.replace(&origin, old, new, &mut rejections);
            entry.accepted = true;
            if gone {
                self.files.remove(&id);
            }
        }
        Changed {
            networks: self.networks.finish(networks, &mut self.clashes),
            halves: self.halves.finish(halves, &mut self.clashes),
            rejections: self.rejections.finish(rejections, &mut self.clashes),
        }
    }
}

impl FileEntry {
    fn new(path: Arc<str>) -> Self {
        Self {
            path,
            owner: None,
            giver: None,
            networks: Vec::new(),
            halves: Vec::new(),
            rejections: Vec::new(),
            accepted: false,
            faults: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Whether its owner is another account than at its last contribution. Root does not count: no
    /// tenant can give a file to root, and an operator's slip must not withdraw anything.
    fn has_new_owner(&self, owner: Option<&Owner>, pins: &Pins) -> bool {
        let Some(owner) = owner.filter(|owner| owner.uid != 0) else { return false };
        match self.giver {
            Some(giver) => giver != owner.uid,
            // An older version did not record it: then it was the account that owns the project.
            None => {
                let halves = self.halves.iter().map(|half| &half.network);
                let mut projects = halves.chain(self.rejections.iter().map(|it| &it.network));
                projects.any(|network| {
                    pins.owner(&network.project).is_some_and(|pinned| !owner.is(pinned))
                })
            }
        }
    }
}
