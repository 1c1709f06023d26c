//! Declarations from before a restart: each file's last good ones, as the northbound has recorded
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reading::withdrawn;
use super::{FileEntry, LocalDeclarations, Outcomes};
use crate::declare::contribution::Contribution;
use crate::declare::model::{Half, Network, Rejection};
use crate::declare::source::{Directory, FileId, Giver};

/// The last accepted contribution of each file, with its owner of then.
pub type Remembered = BTreeMap<Giver, LastGood>;

/// The contribution of one file then.
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
    /// Applies the recorded declarations as if they had come before all readings so far, and
    /// applies these again. So an error made in a file while the daemon was stopped takes no
    /// peering down, and a mass removal is held as if the daemon had seen it. For the start, once.
    pub fn remember(&mut self, remembered: Remembered) {
        let mut readings = self.withdraw_all();
        let mut outcomes = Outcomes::new();
        for (Giver { file, owner }, good) in remembered {
            if !self.files.contains_key(&file) {
                self.files.insert(file.clone(), FileEntry::new(self.path_of(&file)));
                if self.listed.contains(&file.directory) {
                    readings.insert(file.clone(), None);
                }
            }
            let mut contribution = Contribution {
                owner,
                networks: good.networks.into_iter().map(|it| (None, Arc::new(it))).collect(),
                halves: good.halves.into_iter().map(|half| (None, half)).collect(),
                rejections: good.rejections.into_iter().map(|it| (None, it)).collect(),
            };
            // A file that got another owner while the daemon was stopping may have recorded
            // contributions of both.
            if let Some(Some(other)) = outcomes.remove(&file) {
                contribution.join(other);
            }
            outcomes.insert(file, Some(contribution));
        }
        let files: Vec<FileId> = outcomes.keys().cloned().collect();
        self.put(outcomes);
        for file in files.iter().filter(|file| file.directory == Directory::Peerings) {
            self.end_contribution(file, &mut readings);
        }
        self.admit(readings);
        self.release();
        self.show_faults();
    }

    /// Ends the contribution of a file that got another owner while the daemon was stopped, and
    /// that has errors now.
    fn end_contribution(&mut self, file: &FileId, readings: &mut Outcomes) {
        let Some(entry) = self.files.get(file).filter(|_| !readings.contains_key(file)) else {
            return;
        };
        if !entry.has_new_owner(entry.owner.as_ref(), &self.pins) {
            return;
        }
        let (owner, mut faults) = (entry.owner.clone(), entry.faults.clone());
        faults.push(withdrawn(&entry.path, owner.as_ref()));
        let owner = owner.map(|owner| owner.uid);
        readings.insert(file.clone(), Some(Contribution::of(owner)));
        self.note(file, faults);
    }

    /// Removes and returns the contributions of all files so far.
    fn withdraw_all(&mut self) -> Outcomes {
        let accepted = self.files.iter().filter(|(_, entry)| entry.accepted);
        let mut readings: Outcomes =
            accepted.map(|(id, entry)| (id.clone(), Some(Contribution::of(entry.giver)))).collect();
        for claim in self.networks.take(&mut self.clashes) {
            if let Some(Some(contribution)) = readings.get_mut(&claim.origin.giver.file) {
                contribution.networks.push((claim.position, claim.value));
            }
        }
        for claim in self.halves.take(&mut self.clashes) {
            if let Some(Some(contribution)) = readings.get_mut(&claim.origin.giver.file) {
                contribution.halves.push((claim.position, claim.value));
            }
        }
        for claim in self.rejections.take(&mut self.clashes) {
            if let Some(Some(contribution)) = readings.get_mut(&claim.origin.giver.file) {
                contribution.rejections.push((claim.position, claim.value));
            }
        }
        for entry in self.files.values_mut() {
            entry.networks.clear();
            entry.halves.clear();
            entry.rejections.clear();
        }
        readings.append(&mut self.take_held(None));
        readings
    }

    fn path_of(&self, file: &FileId) -> Arc<str> {
        match self.paths.get(&file.directory) {
            Some(directory) => format!("{directory}/{}", file.name).into(),
            None => Arc::clone(&file.name),
        }
    }
}
