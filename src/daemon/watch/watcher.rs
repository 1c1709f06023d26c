//! The watching thread: notices in, readings out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::Sender;

use super::dirty::{Dirty, Due, Pace};
use super::happening::{Happening, Line, Message};
use super::watches::{Subject, Watches};
use crate::daemon::files::{Files, Found, Signature};
use crate::declare::{Directory, FileId, ParsedFile, Reading};

/// All that the thread knows.
pub(super) struct FileWatcher {
    files: Files,
    watches: Watches,
    dirty: Dirty,
    pace: Pace,
    /// What was read of each file, as far as it could be.
    known: BTreeMap<FileId, Option<Signature>>,
    /// Directories that could not be listed last time.
    faulty: BTreeSet<Directory>,
    line: Line,
    /// The last request for a reading of everything that what is delivered now satisfies.
    answered: u64,
    deliver: Sender<(Reading<ParsedFile>, u64)>,
    /// The files beside as they were told of last, and when to look at them again.
    beside: Vec<Option<Signature>>,
    beside_at: Option<Instant>,
}

/// The receiver is gone, or asked to stop.
struct Stopped;

impl FileWatcher {
    pub(super) fn new(
        files: Files,
        watches: Watches,
        pace: Pace,
        line: Line,
        deliver: Sender<(Reading<ParsedFile>, u64)>,
    ) -> Self {
        Self {
            files,
            watches,
            dirty: Dirty::default(),
            pace,
            known: BTreeMap::new(),
            faulty: BTreeSet::new(),
            line,
            answered: 0,
            deliver,
            beside: Vec::new(),
            beside_at: None,
        }
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let first = self.read_everything();
        self.beside = self.watches.beside();
        let mut running = self.send(first);
        let mut compare_at = Instant::now() + self.interval();
        while running.is_ok() {
            let next = self.dirty.next(&self.pace).into_iter().chain(self.beside_at);
            let next = next.chain([compare_at]).min().unwrap_or(compare_at);
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(message) => {
                    self.hear(message);
                    while let Ok(message) = messages.try_recv() {
                        self.hear(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.line.lost.swap(false, Ordering::AcqRel) {
                self.watches.lose_all();
                self.dirty.everything(self.pace.gap, Instant::now());
            }
            if Instant::now() >= compare_at {
                self.compare();
                compare_at = Instant::now() + self.interval();
            }
            if self.beside_at.is_some_and(|at| Instant::now() >= at) {
                self.look_beside();
            }
            running = self.deliver_due();
        }
    }

    /// Tells that files beside have changed, once nobody writes to them any more.
    fn look_beside(&mut self) {
        self.beside_at = None;
        let found = self.watches.beside();
        if found != self.beside {
            self.beside = found;
            // A link may lead elsewhere now.
            self.watches.arm(&self.files);
            self.line.beside.notify_one();
        }
    }

    fn interval(&self) -> Duration {
        if self.watches.is_blind() { self.pace.blind } else { self.pace.safety }
    }

    fn hear(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Happened(Happening::Renamed(from, to)) => self.renamed(&from, &to, now),
            Message::Happened(happening) => self.happened(&happening, now),
            Message::Reread => self.dirty.everything(self.pace.gap, now),
            Message::Wake => {}
        }
    }

    fn happened(&mut self, happening: &Happening, now: Instant) {
        let (Happening::Whole(path)
        | Happening::Created(path)
        | Happening::Written(path)
        | Happening::Gone(path)
        | Happening::Touched(path)
        | Happening::Renamed(path, _)) = happening;
        let gone = matches!(happening, Happening::Gone(_));
        if gone && self.watches.lose(path) {
            self.dirty.everything(self.pace.settle, now);
        }
        for subject in self.watches.subjects(path) {
            let id = match subject {
                Subject::Directory => {
                    self.dirty.everything(self.pace.settle, now);
                    continue;
                }
                Subject::Beside => {
                    self.beside_at = Some(now + self.pace.settle);
                    continue;
                }
                Subject::File(id) => id,
            };
            match happening {
                Happening::Whole(_) => self.dirty.ready(id, now),
                Happening::Created(_) if is_whole(path) => self.dirty.ready(id, now),
                Happening::Created(_) | Happening::Written(_) => self.dirty.writing(id, now),
                Happening::Gone(_) => self.dirty.gone(id, now),
                Happening::Touched(_) => self.dirty.touched(id, now),
                // Both names were noticed before.
                Happening::Renamed(..) => {}
            }
        }
    }

    /// A file renamed to another name that counts did not go away to be replaced, as it does when
    /// an editor makes a backup of it: its old name is gone for good.
    fn renamed(&mut self, from: &Path, to: &Path, now: Instant) {
        let counts = self.watches.subjects(to).iter().any(|it| matches!(it, Subject::File(_)));
        for subject in self.watches.subjects(from) {
            if let (Subject::File(id), true) = (subject, counts) {
                self.dirty.ready(id, now);
            }
        }
    }

    /// Looks for changes that nobody told of.
    fn compare(&mut self) {
        if self.watches.beside() != self.beside {
            self.beside_at.get_or_insert(Instant::now() + self.pace.settle);
        }
        if self.dirty.awaits_everything() {
            return;
        }
        let now = Instant::now();
        let mut listed = BTreeSet::new();
        let mut faulty = BTreeSet::new();
        for directory in Directory::ALL {
            match self.files.list(directory) {
                Ok(ids) => listed.extend(ids),
                Err(_) => {
                    faulty.insert(directory);
                }
            }
        }
        if self.watches.is_stale() || faulty != self.faulty {
            return self.dirty.everything(self.pace.settle, now);
        }
        for id in &listed {
            let same = self.known.get(id) == Some(&self.files.signature(id));
            if !same && !self.dirty.awaits(id) {
                // Nobody told, so nobody will tell when it is whole either.
                self.dirty.writing(id.clone(), now);
            }
        }
        let gone = |id: &&FileId| !listed.contains(*id) && !faulty.contains(&id.directory);
        for id in self.known.keys().filter(gone) {
            if !self.dirty.awaits(id) {
                self.dirty.gone(id.clone(), now);
            }
        }
    }

    fn deliver_due(&mut self) -> Result<(), Stopped> {
        while let Some(due) = self.dirty.take(&self.pace, Instant::now()) {
            let reading = match due {
                Due::Everything => Some(self.read_everything()),
                Due::Files(ids) => self.read_some(ids),
            };
            if let Some(reading) = reading {
                self.send(reading)?;
            }
        }
        if self.line.stop.load(Ordering::Acquire) { Err(Stopped) } else { Ok(()) }
    }

    fn send(&self, reading: Reading<ParsedFile>) -> Result<(), Stopped> {
        tracing::debug!(
            complete = reading.complete,
            files = reading.files.len(),
            removed = reading.removed.len(),
            "read declarations"
        );
        self.deliver.blocking_send((reading, self.answered)).map_err(|_| Stopped)
    }

    fn read_everything(&mut self) -> Reading<ParsedFile> {
        // Before the first file is read: a request that comes meanwhile wants another reading.
        self.answered = self.line.asked.load(Ordering::Acquire);
        self.watches.arm(&self.files);
        self.known.clear();
        let now = Instant::now();
        let (known, dirty) = (&mut self.known, &mut self.dirty);
        let reading = self.files.read_all(|found| {
            known.insert(found.source.id.clone(), found.signature);
            if found.in_flux {
                dirty.writing(found.source.id.clone(), now);
            }
            found.source.parse()
        });
        let faults = reading.directories.iter().filter(|(_, found)| found.is_err());
        self.faulty = faults.map(|(directory, _)| *directory).collect();
        reading
    }

    /// Whether a file may still be being written, where only its times can tell.
    fn is_fresh(&self, found: &Found) -> bool {
        let modified = found.signature.map(|signature| signature.modified());
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        self.watches.is_blind() && age.is_some_and(|age| age < self.pace.settle)
    }

    /// Reads these files. `None` if there is nothing to tell.
    fn read_some(&mut self, ids: BTreeSet<FileId>) -> Option<Reading<ParsedFile>> {
        let mut reading = Reading::default();
        for id in ids {
            self.watches.follow(&self.files, &id);
            match self.files.read(&id) {
                Some(found) if found.in_flux || self.is_fresh(&found) => {
                    self.dirty.writing(id, Instant::now());
                }
                Some(found) => {
                    self.known.insert(id, found.signature);
                    reading.files.push(found.source.parse());
                }
                None if self.known.contains_key(&id) => reading.removed.push(id),
                None => {}
            }
        }
        // Checked after the files were found missing: what is missing from a missing directory
        // was not removed.
        let missing: BTreeSet<Directory> = reading
            .removed
            .iter()
            .map(|id| id.directory)
            .filter(|directory| fs::read_dir(self.files.directory(*directory)).is_err())
            .collect();
        if !missing.is_empty() {
            reading.removed.retain(|id| !missing.contains(&id.directory));
            self.dirty.everything(self.pace.settle, Instant::now());
        }
        for id in &reading.removed {
            self.known.remove(id);
        }
        (!reading.files.is_empty() || !reading.removed.is_empty()).then_some(reading)
    }
}

/// Whether an entry that was just made is not going to be written: a link of either kind.
fn is_whole(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() || found.nlink() > 1)
}
