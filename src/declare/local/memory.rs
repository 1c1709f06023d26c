//! What outlived the daemon: each file's last good declarations, as the northbound remembers them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::intake::withdrawn;
use super::{FileEntry, LocalDeclarations, Outcomes};
use crate::declare::contribution::Contribution;
use crate::declare::model::{Half, Network, Rejection};
use crate::declare::source::{Directory, FileId, Giver};

/// What each file gave when it was last accepted, by who owned it then.
pub type Remembered = BTreeMap<Giver, LastGood>;

/// What one file gave then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastGood {
    /// Its networks.
    pub networks: Vec<Network>,
    /// Its halves.
    pub halves: Vec<Half>,
    /// Its rejections.
    pub rejections: Vec<Rejection>,
}

impl LocalDeclarations {
    /// Puts what is remembered before all that files have said so far, and judges that anew: so a
    /// typo made while the daemon was down takes no peering down, and a mass removal is held as if
    /// the daemon had seen it. Meant for start-up, once.
    pub fn remember(&mut self, remembered: Remembered) {
        let mut said = self.take_back();
        let mut outcomes = Outcomes::new();
        for (Giver { file, owner }, good) in remembered {
            if !self.files.contains_key(&file) {
                self.files.insert(file.clone(), FileEntry::new(self.path_of(&file)));
                if self.listed.contains(&file.directory) {
                    said.insert(file.clone(), None);
                }
            }
            let mut contribution = Contribution {
                owner,
                networks: good.networks.into_iter().map(|it| (None, Arc::new(it))).collect(),
                halves: good.halves.into_iter().map(|half| (None, half)).collect(),
                rejections: good.rejections.into_iter().map(|it| (None, it)).collect(),
            };
            // One that changed hands when the daemon was stopped has something of either owner.
            if let Some(Some(other)) = outcomes.remove(&file) {
                contribution.join(other);
            }
            outcomes.insert(file, Some(contribution));
        }
        let files: Vec<FileId> = outcomes.keys().cloned().collect();
        self.put(outcomes);
        for file in files.iter().filter(|file| file.directory == Directory::Peerings) {
            self.part_with(file, &mut said);
        }
        self.admit(said);
        self.release();
        self.show_faults();
    }

    /// A file that became another account's while nobody looked, and says nothing good, gives nothing any more.
    fn part_with(&mut self, file: &FileId, said: &mut Outcomes) {
        let Some(entry) = self.files.get(file).filter(|_| !said.contains_key(file)) else { return };
        if !entry.is_passed_on(entry.owner.as_ref(), &self.pins) {
            return;
        }
        let (owner, mut faults) = (entry.owner.clone(), entry.faults.clone());
        faults.push(withdrawn(&entry.path, owner.as_ref()));
        let owner = owner.map(|owner| owner.uid);
        said.insert(file.clone(), Some(Contribution::of(owner)));
        self.note(file, faults);
    }

    /// What files have said so far; nothing is left declared, as if they had not.
    fn take_back(&mut self) -> Outcomes {
        let accepted = self.files.iter().filter(|(_, entry)| entry.accepted);
        let mut said: Outcomes =
            accepted.map(|(id, entry)| (id.clone(), Some(Contribution::of(entry.giver)))).collect();
        for claim in self.networks.take(&mut self.clashes) {
            if let Some(Some(contribution)) = said.get_mut(&claim.origin.giver.file) {
                contribution.networks.push((claim.position, claim.value));
            }
        }
        for claim in self.halves.take(&mut self.clashes) {
            if let Some(Some(contribution)) = said.get_mut(&claim.origin.giver.file) {
                contribution.halves.push((claim.position, claim.value));
            }
        }
        for claim in self.rejections.take(&mut self.clashes) {
            if let Some(Some(contribution)) = said.get_mut(&claim.origin.giver.file) {
                contribution.rejections.push((claim.position, claim.value));
            }
        }
        for entry in self.files.values_mut() {
            entry.networks.clear();
            entry.halves.clear();
            entry.rejections.clear();
        }
        said.append(&mut self.take_held(None));
        said
    }

    fn path_of(&self, file: &FileId) -> Arc<str> {
        match self.paths.get(&file.directory) {
            Some(directory) => format!("{directory}/{}", file.name).into(),
            None => Arc::clone(&file.name),
        }
    }
}
