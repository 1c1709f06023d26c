//! A reading comes in: its files are parsed and judged, one by one.

use std::sync::Arc;

use super::{Book, FileEntry, Outcomes};
use crate::declare::contribution::{Contribution, Parsed};
use crate::declare::diagnostic::Diagnostic;
use crate::declare::source::{Directory, FileId, Reading, SourceFile};
use crate::declare::{networks, peerings};

impl Book {
    /// Parses the reading and notes what is wrong with it; what is good comes back.
    pub(super) fn take_in(&mut self, reading: Reading) -> Outcomes {
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
            } else if self.pending.get(&id).is_some_and(Option::is_none) {
                // It was gone and is back, if broken: that withdraws nothing.
                self.pending.remove(&id);
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

    fn read(&mut self, file: SourceFile) -> Option<Contribution> {
        let entry = self.files.entry(file.id.clone());
        let entry = entry.or_insert_with(|| FileEntry::new(Arc::clone(&file.path)));
        entry.path = Arc::clone(&file.path);
        entry.owner.clone_from(&file.owner);
        let mut parsed = parse(&file);
        if let Some(refusal) = self.pins.refusal(&file, &parsed) {
            parsed.contribution = None;
            parsed.diagnostics.push(refusal);
        }
        self.note(&file.id, parsed.diagnostics);
        parsed.contribution
    }

    /// Puts a file's diagnostics in the place of its former ones.
    fn note(&mut self, id: &FileId, diagnostics: Vec<Diagnostic>) {
        let Some(entry) = self.files.get_mut(id) else { return };
        for stale in &entry.diagnostics {
            self.diagnostics.remove(stale);
        }
        self.diagnostics.extend(diagnostics.iter().cloned());
        entry.diagnostics = diagnostics;
    }

    fn note_directory(&mut self, directory: Directory, found: Result<(), String>) {
        if let Some(stale) = self.directory_faults.remove(&directory) {
            self.diagnostics.remove(&stale);
        }
        let (Err(why), Some(path)) = (found, self.paths.get(&directory)) else { return };
        let fault = Diagnostic::whole(
            path,
            format!("the directory cannot be read: {why}"),
            "what its files last declared stays in effect; bring the directory back, or leave it \
             there empty to withdraw everything",
        );
        self.diagnostics.insert(fault.clone());
        self.directory_faults.insert(directory, fault);
    }
}

fn parse(file: &SourceFile) -> Parsed {
    let fault = |message: String, hint: &str| Parsed {
        contribution: None,
        project: None,
        diagnostics: vec![Diagnostic::whole(&file.path, message, hint)],
    };
    match &file.text {
        Err(why) => fault(
            format!("the file cannot be read: {why}"),
            "what it last declared stays in effect; remove it to withdraw that",
        ),
        // As a crash or a full disk leaves behind: nobody withdraws by truncating.
        Ok(text) if text.trim().is_empty() => fault(
            "the file is empty".to_owned(),
            "what it last declared stays in effect; remove it to withdraw that",
        ),
        Ok(text) => match file.id.directory {
            Directory::Networks => networks::parse(&file.path, text),
            Directory::Peerings => peerings::parse(&file.path, text),
        },
    }
}
