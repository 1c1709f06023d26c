//! Checks a reading, file by file.

use super::accepted::Accepted;
use super::files::{FileState, Files};
use crate::declare::contribution::{Contribution, Entries, Outcomes, ParsedFile};
use crate::declare::pins::Pins;
use crate::declare::source::{FileId, Reading};

/// The files that are gone according to a reading.
pub(super) fn gone(reading: &Reading<ParsedFile>, files: &Files) -> Outcomes {
    let is_listed = |id: &FileId| {
        let mut directories = reading.directories.iter();
        directories.any(|(directory, found)| *directory == id.directory && found.is_ok())
    };
    let known = reading.complete.then(|| files.known()).into_iter().flatten();
    let absent = known.filter(|id| is_listed(id));
    reading.removed.iter().chain(absent).map(|id| (id.clone(), None)).collect()
}

/// Checks who may speak in a file. Returns its state, and its contribution if it counts.
pub(super) fn check(
    file: ParsedFile,
    accepted: &Accepted,
    pins: &Pins,
) -> (FileState, Option<Contribution>) {
    let refusal = pins.refusal(&file);
    let ParsedFile { id, path, owner, mut entries, project: _, diagnostics: mut faults } = file;
    if let Some(refusal) = refusal {
        entries = None;
        faults.push(refusal);
    }
    let mut state = FileState::new(path, owner, faults);
    if entries.is_none() && accepted.has_new_owner(&id, state.giver(&id), pins) {
        state.end_contribution();
        entries = Some(Entries::default());
    }
    let contribution = entries.map(|entries| state.contribution(&id, entries));
    (state, contribution)
}
