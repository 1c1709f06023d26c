//! Which files to read again, and when.
//!
//! Owns the waiting: it collects bursts, leaves a file alone until its writer closes it or stops
//! writing, and believes a removal only after a while, because many editors and tools remove a file
//! to replace it. Reads no clock: instants are parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::declare::FileId;

/// How long to wait for each kind of change.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A burst of changes ends after this long without a change.
    pub gap: Duration,
    /// The longest wait for a burst that does not end.
    pub burst: Duration,
    /// A file that is written to but not closed is read after this long without a write. A
    /// directory that has just appeared is read after the same time without a change.
    pub settle: Duration,
    /// A removal counts after this long without the file's return and without another removal. This
    /// makes one reading of a mass removal, so that the withdrawal guard sees all of it.
    pub removal: Duration,
    /// The longest wait for removals that do not end, or for a directory that keeps changing.
    pub patience: Duration,
    /// The interval at which the signatures of all files are compared with the last reading, for
    /// file systems that send no notices. Only changed files are read.
    pub safety: Duration,
    /// The same if the kernel cannot watch at all.
    pub blind: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gap: Duration::from_millis(1),
            burst: Duration::from_millis(100),
            settle: Duration::from_millis(250),
            removal: Duration::from_millis(100),
            patience: Duration::from_secs(2),
            safety: Duration::from_secs(30),
            blind: Duration::from_secs(2),
        }
    }
}

/// The reading that is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Read every directory.
    Everything,
    /// Read these files; some may be gone.
    Files(BTreeSet<FileId>),
}

/// The files that must be read.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    ready: Burst,
    gone: Burst,
    /// It is being written to; with the time of the last write.
    writing: BTreeMap<FileId, Instant>,
    everything: Option<Everything>,
}

#[derive(Debug, Default)]
struct Burst {
    files: BTreeSet<FileId>,
    /// The times of the first and the last change.
    span: Option<(Instant, Instant)>,
}

#[derive(Debug)]
struct Everything {
    first: Instant,
    last: Instant,
    calm: Duration,
}

impl Dirty {
    /// A file is complete and has changed.
    pub(super) fn ready(&mut self, id: FileId, now: Instant) {
        self.forget(&id);
        self.ready.add(id, now);
        self.postpone_everything(now);
    }

    /// A file is being written to.
    pub(super) fn writing(&mut self, id: FileId, now: Instant) {
        self.forget(&id);
        self.writing.insert(id, now);
        self.postpone_everything(now);
    }

    /// A file was removed, perhaps to be replaced.
    pub(super) fn gone(&mut self, id: FileId, now: Instant) {
        self.forget(&id);
        self.gone.add(id, now);
        self.postpone_everything(now);
    }

    /// A file's owner or mode changed; another wait for the file continues.
    pub(super) fn touched(&mut self, id: FileId, now: Instant) {
        if !self.writing.contains_key(&id) && !self.gone.files.contains(&id) {
            self.ready(id, now);
        }
    }

    /// Whether a change of this file waits already.
    pub(super) fn awaits(&self, id: &FileId) -> bool {
        self.everything.is_some()
            || self.writing.contains_key(id)
            || self.ready.files.contains(id)
            || self.gone.files.contains(id)
    }

    /// Whether a reading of everything waits already.
    pub(super) fn awaits_everything(&self) -> bool {
        self.everything.is_some()
    }

    /// Everything must be read, after `calm` without an event.
    pub(super) fn everything(&mut self, calm: Duration, now: Instant) {
        let everything = self.everything.get_or_insert(Everything { first: now, last: now, calm });
        everything.last = now;
        everything.calm = everything.calm.max(calm);
    }

    /// When [`Dirty::take`] next returns something.
    pub(super) fn next(&self, pace: &Pace) -> Option<Instant> {
        // Complete files are read at once, even if others wait.
        self.ready.due(pace.gap, pace.burst).into_iter().chain(self.next_unsure(pace)).min()
    }

    fn next_unsure(&self, pace: &Pace) -> Option<Instant> {
        let written = self.writing.values().map(|last| *last + pace.settle);
        let waiting = written.chain(self.gone.due(pace.removal, pace.patience));
        let Some(everything) = &self.everything else { return waiting.min() };
        // A reading of everything also waits for files and removals that wait.
        let due = waiting.max().into_iter().chain([everything.last + everything.calm]).max();
        due.map(|due| due.min(everything.first + pace.patience))
    }

    /// The reading that is due now.
    pub(super) fn take(&mut self, pace: &Pace, now: Instant) -> Option<Due> {
        if self.next(pace).is_none_or(|due| due > now) {
            return None;
        }
        let unsure = self.next_unsure(pace).is_some_and(|due| due <= now);
        if unsure && self.everything.take().is_some() {
            self.ready = Burst::default();
            self.gone = Burst::default();
            // Files that are still being written are read again when they are complete.
            self.writing.retain(|_, last| *last + pace.settle > now);
            return Some(Due::Everything);
        }
        let mut files = self.ready.take(pace.gap, pace.burst, now);
        if unsure {
            files.extend(self.gone.take(pace.removal, pace.patience, now));
            let settled = self.writing.iter().filter(|(_, last)| **last + pace.settle <= now);
            files.extend(settled.map(|(id, _)| id.clone()));
            self.writing.retain(|id, _| !files.contains(id));
        }
        Some(Due::Files(files))
    }

    fn forget(&mut self, id: &FileId) {
        self.ready.files.remove(id);
        self.gone.files.remove(id);
        self.writing.remove(id);
    }

    fn postpone_everything(&mut self, now: Instant) {
        if let Some(everything) = &mut self.everything {
            everything.last = now;
        }
    }
}

impl Burst {
    fn add(&mut self, id: FileId, now: Instant) {
        self.files.insert(id);
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
    }

    fn due(&self, gap: Duration, bound: Duration) -> Option<Instant> {
        let (first, last) = self.span.filter(|_| !self.files.is_empty())?;
        Some((last + gap).min(first + bound))
    }

    fn take(&mut self, gap: Duration, bound: Duration, now: Instant) -> BTreeSet<FileId> {
        if self.due(gap, bound).is_some_and(|due| due > now) {
            return BTreeSet::new();
        }
        self.span = None;
        std::mem::take(&mut self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn file(name: &str) -> FileId {
        FileId::peerings(name)
    }

    fn files(names: &[&str]) -> Option<Due> {
        Some(Due::Files(names.iter().map(|name| file(name)).collect()))
    }

    #[test]
    fn a_burst_is_one_reading_and_is_bounded() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut dirty = Dirty::default();
        assert_eq!(dirty.next(&pace), None);
        dirty.ready(file("a"), start);
        dirty.ready(file("b"), start + MS / 2);
        assert_eq!(dirty.take(&pace, start + MS), None);
        assert_eq!(dirty.take(&pace, start + MS * 2), files(&["a", "b"]));
        assert_eq!(dirty.next(&pace), None);
        for step in 0..200 {
            dirty.ready(file("a"), start + MS / 2 * step);
        }
        assert_eq!(dirty.next(&pace), Some(start + MS * 100), "endless, but read");
    }

    #[test]
    fn a_file_being_written_waits_for_its_close_or_for_calm() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut dirty = Dirty::default();
        dirty.writing(file("a"), start);
        dirty.writing(file("b"), start + MS * 10);
        dirty.ready(file("a"), start + MS * 20);
        assert_eq!(dirty.take(&pace, start + MS * 21), files(&["a"]));
        assert_eq!(dirty.take(&pace, start + MS * 259), None);
        assert_eq!(dirty.take(&pace, start + MS * 260), files(&["b"]));
    }

    #[test]
    fn a_removal_waits_for_the_file_to_return() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut dirty = Dirty::default();
        dirty.gone(file("a"), start);
        dirty.touched(file("a"), start + MS);
        dirty.writing(file("a"), start + MS * 50);
        dirty.touched(file("a"), start + MS * 55);
        dirty.ready(file("a"), start + MS * 60);
        assert_eq!(dirty.take(&pace, start + MS * 61), files(&["a"]));
        for step in 0..100 {
            dirty.gone(file(&step.to_string()), start + MS * step * 50);
        }
        assert_eq!(dirty.next(&pace), Some(start + pace.patience), "bounded");
    }

    #[test]
    fn everything_waits_for_writers_and_calm_but_not_for_ever() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut dirty = Dirty::default();
        dirty.writing(file("a"), start);
        dirty.ready(file("b"), start);
        dirty.everything(pace.gap, start);
        assert_eq!(dirty.take(&pace, start + pace.gap), files(&["b"]));
        assert_eq!(dirty.next(&pace), Some(start + pace.settle));
        assert_eq!(dirty.take(&pace, start + pace.settle), Some(Due::Everything));
        assert_eq!(dirty.next(&pace), None);
        dirty.everything(pace.settle, start);
        for step in 0..3000 {
            dirty.writing(file("a"), start + MS * step);
        }
        assert_eq!(dirty.next(&pace), Some(start + pace.patience));
        assert_eq!(dirty.take(&pace, start + pace.patience), Some(Due::Everything));
        assert_eq!(dirty.next(&pace), Some(start + MS * 2999 + pace.settle), "read when whole");
    }
}
