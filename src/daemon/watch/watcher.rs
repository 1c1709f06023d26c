//! The watcher's thread: it gets notices and sends readings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::Sender;

use super::dirty::{Dirty, Due, Pace};
use super::file_events::{Delivery, FileEvent, Line, Message};
use super::watches::{Dependent, Watches};
use crate::daemon::files::{Files, Found, Signature};
use crate::declare::{Directory, FileId, ParsedFile, Reading};

/// The state of the watcher's thread.
pub(super) struct FileWatcher {
    files: Files,
    watches: Watches,
    dirty: Dirty,
    pace: Pace,
    /// The signature of each file at its last reading, if it could be opened.
    known: BTreeMap<FileId, Option<Signature>>,
    /// Directories that could not be listed last time.
    faulty: BTreeSet<Directory>,
    line: Line,
    /// The last request for a reading of everything that the next delivery satisfies.
    answered: u64,
    /// When the first change was seen that no delivery contains.
    changed: Option<Instant>,
    deliver: Sender<Delivery>,
    /// The signatures of the files outside of the directories at the last report, and when to
    /// compare them again.
    extra: Vec<Option<Signature>>,
    extra_at: Option<Instant>,
}

/// The receiver is gone, or requested a stop.
struct Stopped;

impl FileWatcher {
    pub(super) fn new(
        files: Files,
        watches: Watches,
        pace: Pace,
        line: Line,
        deliver: Sender<Delivery>,
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
            changed: None,
            deliver,
            extra: Vec::new(),
            extra_at: None,
        }
    }

    /// Runs until it is requested to stop.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let first = self.read_everything();
        self.extra = self.watches.extra();
        let mut running = self.send(first);
        let mut compare_at = Instant::now() + self.interval();
        while running.is_ok() {
            let next = self.dirty.next(&self.pace).into_iter().chain(self.extra_at);
            let next = next.chain([compare_at]).min().unwrap_or(compare_at);
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(message) => {
                    self.receive(message);
                    while let Ok(message) = messages.try_recv() {
                        self.receive(message);
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
            if self.extra_at.is_some_and(|at| Instant::now() >= at) {
                self.check_extra();
            }
            running = self.deliver_due();
        }
    }

    /// Reports that files outside of the directories have changed, once nobody writes to them any
    /// more.
    fn check_extra(&mut self) {
        self.extra_at = None;
        let found = self.watches.extra();
        if found != self.extra {
            self.extra = found;
            // A link may lead elsewhere now.
            self.watches.arm(&self.files);
            self.line.extra.notify_one();
        }
    }

    fn interval(&self) -> Duration {
        if self.watches.is_blind() { self.pace.blind } else { self.pace.safety }
    }

    fn receive(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::FileEvent(FileEvent::Renamed(from, to)) => self.renamed(&from, &to, now),
            Message::FileEvent(event) => self.file_event(&event, now),
            Message::Reread => self.dirty.everything(self.pace.gap, now),
            Message::Wake => {}
        }
    }

    fn file_event(&mut self, event: &FileEvent, now: Instant) {
        let (FileEvent::Whole(path)
        | FileEvent::Created(path)
        | FileEvent::Written(path)
        | FileEvent::Gone(path)
        | FileEvent::Touched(path)
        | FileEvent::Renamed(path, _)) = event;
        let gone = matches!(event, FileEvent::Gone(_));
        if gone && self.watches.lose(path) {
            self.dirty.everything(self.pace.settle, now);
        }
        for dependent in self.watches.dependents(path) {
            let id = match dependent {
                Dependent::Directory => {
                    self.dirty.everything(self.pace.settle, now);
                    continue;
                }
                Dependent::Extra => {
                    self.extra_at = Some(now + self.pace.settle);
                    continue;
                }
                Dependent::File(id) => id,
            };
            self.changed.get_or_insert(now);
            match event {
                FileEvent::Whole(_) => self.dirty.ready(id, now),
                FileEvent::Created(_) if is_whole(path) => self.dirty.ready(id, now),
                FileEvent::Created(_) | FileEvent::Written(_) => self.dirty.writing(id, now),
                FileEvent::Gone(_) => self.dirty.gone(id, now),
                FileEvent::Touched(_) => self.dirty.touched(id, now),
                // There were notices of both names before.
                FileEvent::Renamed(..) => {}
            }
        }
    }

    /// A file that is renamed to another name that counts will not be replaced, unlike one that an
    /// editor renames to a backup: its old name is gone for good.
    fn renamed(&mut self, from: &Path, to: &Path, now: Instant) {
        let counts = self.watches.dependents(to).iter().any(|it| matches!(it, Dependent::File(_)));
        for dependent in self.watches.dependents(from) {
            if let (Dependent::File(id), true) = (dependent, counts) {
                self.dirty.ready(id, now);
            }
        }
    }

    /// Searches for changes without a notice.
    fn compare(&mut self) {
        if self.watches.extra() != self.extra {
            self.extra_at.get_or_insert(Instant::now() + self.pace.settle);
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
                // There was no notice, so there will be none when the file is complete, either.
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

    fn send(&mut self, reading: Reading<ParsedFile>) -> Result<(), Stopped> {
        tracing::debug!(
            complete = reading.complete,
            files = reading.files.len(),
            removed = reading.removed.len(),
            "read declarations"
        );
        let changed = self.changed.take().unwrap_or_else(Instant::now);
        let delivery = Delivery { reading, answered: self.answered, changed };
        self.deliver.blocking_send(delivery).map_err(|_| Stopped)
    }

    fn read_everything(&mut self) -> Reading<ParsedFile> {
        // Before the first file is read: a request that comes during the reading needs another one.
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

    /// Whether a file may still be being written, judged by its times.
    fn is_fresh(&self, found: &Found) -> bool {
        let modified = found.signature.map(|signature| signature.modified());
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        self.watches.is_blind() && age.is_some_and(|age| age < self.pace.settle)
    }

    /// Reads these files. `None` if there is nothing to report.
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
        // Checked after a file was found missing: a missing directory is no removal of its files.
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

/// Whether a new entry is complete at once: a link of either kind.
fn is_whole(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() || found.nlink() > 1)
}
