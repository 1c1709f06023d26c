//! What has to be read again, and when.
//!
//! Owns the waiting: bursts are gathered, a file that is being written is left alone until it is
//! closed or quiet, and a removal is believed only after a while, because many editors and tools
//! replace a file by removing it first. Reads no clock: instants come in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::declare::FileId;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A burst of changes ends when nothing came for this long.
    pub gap: Duration,
    /// A burst that does not end is read after this long.
    pub burst: Duration,
    /// A file that is written to but not closed is read when nothing came for this long. The
    /// same calm is waited for in a directory that has just appeared.
    pub settle: Duration,
    /// A removal counts when the file did not return, and no other went, for this long. This
    /// makes one reading of a mass removal, so that the guard against it sees all of it.
    pub removal: Duration,
    /// Removals that do not end, or a directory that does not calm down, are read after this long.
    pub patience: Duration,
    /// All files are compared with what was read (by signature: nothing is read that did not
    /// change) at this interval, for file systems that tell the kernel nothing.
    pub safety: Duration,
    /// The same where the kernel cannot watch at all.
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

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Read every directory.
    Everything,
    /// Read these; some may be gone.
    Files(BTreeSet<FileId>),
}

/// What has to be read.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    ready: Burst,
    gone: Burst,
    /// Being written to, with the time of the last write.
    writing: BTreeMap<FileId, Instant>,
    everything: Option<Everything>,
}

#[derive(Debug, Default)]
struct Burst {
    files: BTreeSet<FileId>,
    /// Of the first and the last change.
    span: Option<(Instant, Instant)>,
}

#[derive(Debug)]
struct Everything {
    first: Instant,
    last: Instant,
    calm: Duration,
}

impl Dirty {
    /// A file is whole and has changed.
    pub(super) fn ready(&mut self, id: FileId, now: Instant) {
        self.forget(&id);
        self.ready.add(id, now);
        self.stir(now);
    }

    /// A file is being written to.
    pub(super) fn writing(&mut self, id: FileId, now: Instant) {
        self.forget(&id);
        self.writing.insert(id, now);
        self.stir(now);
    }

    /// A file went away, perhaps to be replaced.
    pub(super) fn gone(&mut self, id: FileId, now: Instant) {
        self.forget(&id);
        self.gone.add(id, now);
        self.stir(now);
    }

    /// A file's owner or mode changed; if it is in the middle of something else, that goes on.
    pub(super) fn touched(&mut self, id: FileId, now: Instant) {
        if !self.writing.contains_key(&id) && !self.gone.files.contains(&id) {
            self.ready(id, now);
        }
    }

    /// Whether a change of this file is being waited for already.
    pub(super) fn awaits(&self, id: &FileId) -> bool {
        self.everything.is_some()
            || self.writing.contains_key(id)
            || self.ready.files.contains(id)
            || self.gone.files.contains(id)
    }

    /// Whether a reading of everything is being waited for already.
    pub(super) fn awaits_everything(&self) -> bool {
        self.everything.is_some()
    }

    /// Everything has to be read, once nothing happened for `calm`.
    pub(super) fn everything(&mut self, calm: Duration, now: Instant) {
        let everything = self.everything.get_or_insert(Everything { first: now, last: now, calm });
        everything.last = now;
        everything.calm = everything.calm.max(calm);
    }

    /// When [`Dirty::take`] will next give something.
    pub(super) fn next(&self, pace: &Pace) -> Option<Instant> {
        // What is whole is read at once, whatever else is waited for.
        self.ready.due(pace.gap, pace.burst).into_iter().chain(self.next_unsure(pace)).min()
    }

    fn next_unsure(&self, pace: &Pace) -> Option<Instant> {
        let written = self.writing.values().map(|last| *last + pace.settle);
        let waiting = written.chain(self.gone.due(pace.removal, pace.patience));
        let Some(everything) = &self.everything else { return waiting.min() };
        // What a file or a removal waits for, a reading of everything waits for too.
        let due = waiting.max().into_iter().chain([everything.last + everything.calm]).max();
        due.map(|due| due.min(everything.first + pace.patience))
    }

    /// What is due now.
    pub(super) fn take(&mut self, pace: &Pace, now: Instant) -> Option<Due> {
        if self.next(pace).is_none_or(|due| due > now) {
            return None;
        }
        let unsure = self.next_unsure(pace).is_some_and(|due| due <= now);
        if unsure && self.everything.take().is_some() {
            self.ready = Burst::default();
            self.gone = Burst::default();
            // Those that are still being written are read again when they are whole.
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

    fn stir(&mut self, now: Instant) {
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
