//! Everything declared on this host: what every file last gave, joined in drop-in order.
//!
//! Invariants:
//! - what is in effect depends on what each file last gave, not on the order in which files came;
//! - the work of a fold follows the files in the reading, not the files known;
//! - a file that is bad, and a directory that cannot be read, withdraw nothing;
//! - a reading that would withdraw more than the policy allows changes nothing until confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::claims::{Claims, Origin, Touched};
use super::contribution::Contribution;
use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, HalfKey, Network, NetworkKey, Rejection, RejectionKey};
use super::pins::Pins;
use super::settings::{MaxWithdrawals, Settings};
use super::source::{Directory, FileId, Owner, Reading};

mod guard;
mod intake;
mod memory;

pub use guard::Held;
pub use memory::{LastGood, Remembered};

/// The declarations in effect, and what is wrong with those that are not.
#[derive(Clone, Debug)]
pub struct Book {
    /// The directories, as diagnostics show them.
    paths: BTreeMap<Directory, Arc<str>>,
    pins: Pins,
    limit: MaxWithdrawals,
    files: BTreeMap<FileId, FileEntry>,
    networks: Claims<Arc<Network>>,
    halves: Claims<Half>,
    rejections: Claims<Rejection>,
    diagnostics: BTreeSet<Diagnostic>,
    directory_faults: BTreeMap<Directory, Diagnostic>,
    /// Directories that were listed at least once.
    listed: BTreeSet<Directory>,
    /// What files of held readings last gave; `None` for a file that is gone.
    pending: Outcomes,
    held: Option<Held>,
}

/// What is known of one file.
#[derive(Clone, Debug)]
struct FileEntry {
    path: Arc<str>,
    /// Of its latest text, where it is known.
    owner: Option<Owner>,
    /// What its last good text, once accepted, declares.
    networks: Vec<NetworkKey>,
    halves: Vec<HalfKey>,
    rejections: Vec<RejectionKey>,
    /// Whether any text of it was accepted; one that declares nothing is a declaration too.
    accepted: bool,
    /// Of its latest text.
    diagnostics: Vec<Diagnostic>,
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
}

impl Book {
    /// An empty book under the operator's policy and pins.
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
            diagnostics: BTreeSet::new(),
            directory_faults: BTreeMap::new(),
            listed: BTreeSet::new(),
            pending: Outcomes::new(),
            held: None,
        }
    }

    /// Takes in what was read. Parses the files in the reading and no others.
    pub fn fold(&mut self, reading: Reading) -> Changed {
        let outcomes = self.take_in(reading);
        let fresh: BTreeSet<FileId> =
            outcomes.keys().filter(|id| !self.pending.contains_key(id)).cloned().collect();
        let held_before = !self.pending.is_empty();
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend(outcomes);
        if !self.is_too_much(&pending) {
            self.held = None;
            return self.apply(pending);
        }
        // A held reading must not stop the others: what came since, in other files, is judged by
        // itself.
        let mut changed = Changed::default();
        if held_before {
            let (separate, held) = pending.into_iter().partition(|(id, _)| fresh.contains(id));
            pending = held;
            if self.is_too_much(&separate) {
                pending.extend(separate);
            } else {
                changed = self.apply(separate);
            }
        }
        self.hold(pending);
        changed
    }

    /// Lets a held reading take effect: the operator says that it is meant.
    pub fn confirm(&mut self) -> Changed {
        self.held = None;
        let pending = std::mem::take(&mut self.pending);
        self.apply(pending)
    }

    /// Takes over another policy and other pins. They hold from the next reading on: follow up
    /// with a complete one.
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

    /// The rejection in effect under this key.
    #[must_use]
    pub fn rejection(&self, key: &RejectionKey) -> Option<&Rejection> {
        self.rejections.standing(key).map(|claim| &claim.value)
    }

    /// The rejections in effect of one network, by who is rejected.
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

    /// The file that gives a rejection.
    #[must_use]
    pub fn origin_of_rejection(&self, key: &RejectionKey) -> Option<&FileId> {
        self.rejections.standing(key).map(|claim| &claim.origin.file)
    }

    /// The file that gives a network.
    #[must_use]
    pub fn origin_of_network(&self, key: &NetworkKey) -> Option<&FileId> {
        self.networks.standing(key).map(|claim| &claim.origin.file)
    }

    /// The file that gives a half.
    #[must_use]
    pub fn origin_of_half(&self, key: &HalfKey) -> Option<&FileId> {
        self.halves.standing(key).map(|claim| &claim.origin.file)
    }

    /// Everything wrong with the files as they are now, in the order of files, lines and columns.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter()
    }

    /// What is wrong with the text of `peerings.d` files, as it is now, of the accounts that these projects are pinned to:
    /// what it says is what such an account has written, or knows.
    pub fn diagnostics_of<'a>(
        &'a self,
        projects: &'a BTreeSet<Arc<str>>,
    ) -> impl Iterator<Item = &'a Diagnostic> {
        let own = |entry: &&FileEntry| {
            entry.owner.as_ref().is_some_and(|owner| self.pins.is_owner_of_any(projects, owner))
        };
        let files = self.files.iter().filter(|(id, _)| id.directory == Directory::Peerings);
        files.map(|(_, entry)| entry).filter(own).flat_map(|entry| &entry.diagnostics)
    }

    /// The reading that waits for [`Book::confirm`], if one does.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Where a half is written: its file as shown, line and column.
    pub(super) fn place_of_half(&self, key: &HalfKey) -> Option<(&Arc<str>, Option<Position>)> {
        self.halves.standing(key).map(|claim| (&claim.origin.path, claim.position))
    }

    fn apply(&mut self, outcomes: Outcomes) -> Changed {
        let mut networks = Touched::<Arc<Network>>::new();
        let mut halves = Touched::<Half>::new();
        let mut rejections = Touched::<Rejection>::new();
        for (id, outcome) in outcomes {
            let Some(entry) = self.files.get_mut(&id) else { continue };
            let gone = outcome.is_none();
            let new = outcome.unwrap_or_default();
            let origin = Arc::new(Origin { file: id.clone(), path: Arc::clone(&entry.path) });
            let old = &entry.networks;
            entry.networks =
                self.networks.replace(&origin, old, new.networks.into_iter(), &mut networks);
            // Files of networks come first: halves name networks that are known by now.
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
            networks: self.networks.settle(networks, &mut self.diagnostics),
            halves: self.halves.settle(halves, &mut self.diagnostics),
            rejections: self.rejections.settle(rejections, &mut self.diagnostics),
        }
    }
}

impl FileEntry {
    fn new(path: Arc<str>) -> Self {
        Self {
            path,
            owner: None,
            networks: Vec::new(),
            halves: Vec::new(),
            rejections: Vec::new(),
            accepted: false,
            diagnostics: Vec::new(),
        }
    }
}
