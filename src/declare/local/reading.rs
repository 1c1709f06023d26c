//! Checks a reading, file by file.

use std::sync::Arc;

use super::{FileEntry, LocalDeclarations, Outcomes};
use crate::declare::contribution::Contribution;
use crate::declare::diagnostic::Diagnostic;
use crate::declare::source::{Directory, FileId, Owner, ParsedFile, Reading};

impl LocalDeclarations {
    /// Notes the faults of the reading, and returns the good contributions.
    pub(super) fn check_reading(&mut self, reading: Reading<ParsedFile>) -> Outcomes {
        let mut outcomes: Outcomes = reading.removed.into_iter().map(|id| (id, None)).collect();
        if reading.complete {
            let listed = |id: &FileId| {
                reading.directories.iter().any(|(at, found)| *at == id.directory && found.is_ok())
            };
            let known = self.files.keys().filter(|id| listed(id));
            outcomes.extend(known.map(|id| (id.clone(), None)));
        }
        for (directory, found) in reading.directories {
            if found.is_ok() && reading.complete {
                self.listed.insert(directory);
            }
            self.note_directory(directory, found);
        }
        for file in reading.files {
            let id = file.id.clone();
            outcomes.remove(&id);
            if let Some(contribution) = self.read(file) {
                outcomes.insert(id, Some(contribution));
            } else {
                // The file was removed and is back with errors: that withdraws nothing.
                self.holdings.iter_mut().for_each(|holding| holding.returned(&id));
            }
        }
        let gone = |(id, outcome): &(&FileId, &Option<Contribution>)| {
            outcome.is_none() && self.files.contains_key(*id)
        };
        let gone: Vec<_> = outcomes.iter().filter(gone).map(|(id, _)| id.clone()).collect();
        for id in &gone {
            self.note(id, Vec::new());
        }
        outcomes.retain(|id, outcome| outcome.is_some() || self.files.contains_key(id));
        outcomes
    }

    fn read(&mut self, file: ParsedFile) -> Option<Contribution> {
        let refusal = self.pins.refusal(&file);
        let ParsedFile { id, path, owner, parsed } = file;
        let (mut contribution, mut faults) = (parsed.contribution, parsed.diagnostics);
        if let Some(refusal) = refusal {
            contribution = None;
            faults.push(refusal);
        }
        let entry = self.files.entry(id.clone());
        let entry = entry.or_insert_with(|| FileEntry::new(Arc::clone(&path)));
        // The files of networks.d belong to the operators, whichever operator owns one.
        let owned = owner.as_ref().filter(|_| id.directory == Directory::Peerings);
        let new_owner = entry.has_new_owner(owned, &self.pins);
        if contribution.is_none() && new_owner {
            faults.push(withdrawn(&path, owner.as_ref()));
            contribution = Some(Contribution::default());
        }
        let uid = owned.map(|owner| owner.uid);
        let contribution = contribution.map(|it| Contribution { owner: uid, ..it });
        entry.path = path;
        entry.owner = owner;
        self.note(&id, faults);
        contribution
    }
}

/// The diagnostic of a file whose contribution ends, because it has another owner and its new text
/// does not count.
pub(super) fn withdrawn(path: &Arc<str>, owner: Option<&Owner>) -> Diagnostic {
    let now = owner.map_or_else(|| "somebody".to_owned(), Owner::to_string);
    Diagnostic::whole(
        path,
        format!("the file now belongs to {now}: its former owner's declarations are withdrawn"),
        "only its owner may consent: let that account declare it in a file of its own",
    )
}
