//! Watches the drop-in directories and delivers their changes.
//!
//! Owns one thread that waits for the kernel's notices, reads files and calls `declare` to parse
//! them. The thread decides when to read; `declare` owns the meaning of a text. Because one thread
//! parses and delivers, readings come in their order, and nobody else waits for them.
//!
//! Invariants:
//! - a file that a reading leaves out is unchanged or comes in a later reading;
//! - a half-written file is not read before its writer closes it or stops writing;
//! - a directory that is missing never shows as the removal of its files;
//! - every queue is bounded; if one overflows, everything is read instead.

mod dependencies;
mod dirty;
mod file_events;
mod watcher;
mod watches;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Instant;

use notify::{INotifyWatcher, Watcher};
use tokio::sync::{Notify, mpsc};

pub use self::dirty::Pace;
use self::file_events::{Delivery, Line, Message};
use self::watcher::FileWatcher;
use self::watches::Watches;
use super::files::Files;
use crate::declare::{ParsedFile, PathSettings, Reading};

/// Notices that may wait for the thread. If there are more, everything is read instead.
const MAX_NOTICES: usize = 4096;

/// Readings that may wait for the receiver. Meanwhile notices collect.
const MAX_READINGS: usize = 4;

/// The watched drop-in directories. Dropping it ends the thread.
#[derive(Debug)]
pub struct Watch {
    readings: mpsc::Receiver<Delivery>,
    answered: u64,
    changed: Instant,
    line: Line,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching. The first reading is complete and comes at once. Directories that are
    /// missing are read when they appear.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(paths: &PathSettings, pace: Pace) -> io::Result<Self> {
        Self::start_with(paths, &[], pace, true)
    }

    /// The same, and also watches single files outside of the directories; for these it only
    /// reports that they have changed.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_with_extra(
        paths: &PathSettings,
        extra: &[PathBuf],
        pace: Pace,
    ) -> io::Result<Self> {
        Self::start_with(paths, extra, pace, true)
    }

    /// As [`Watch::start`], without the kernel's notices: it finds changes by comparing signatures
    /// every [`Pace::blind`].
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_blind(paths: &PathSettings, pace: Pace) -> io::Result<Self> {
        Self::start_with(paths, &[], pace, false)
    }

    fn start_with(
        paths: &PathSettings,
        extra: &[PathBuf],
        pace: Pace,
        notices: bool,
    ) -> io::Result<Self> {
        let (sender, messages) = sync_channel(MAX_NOTICES);
        let (deliver, readings) = mpsc::channel(MAX_READINGS);
        let line = Line {
            sender,
            lost: Arc::new(AtomicBool::new(false)),
            stop: Arc::new(AtomicBool::new(false)),
            asked: Arc::new(AtomicU64::new(0)),
            extra: Arc::default(),
        };
        let kernel = notices.then(|| kernel(&line)).flatten();
        let watches = Watches::new(kernel, extra.to_vec());
        let watcher = FileWatcher::new(Files::new(paths), watches, pace, line.clone(), deliver);
        let thread = std::thread::Builder::new()
            .name("declarations".to_owned())
            .spawn(move || watcher.run(&messages))?;
        Ok(Self { readings, answered: 0, changed: Instant::now(), line, thread: Some(thread) })
    }

    /// The next reading; `None` only if the thread has died. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Reading<ParsedFile>> {
        let delivery = self.readings.recv().await?;
        self.answered = delivery.answered;
        self.changed = delivery.changed;
        Some(delivery.reading)
    }

    /// Notified when the files outside of the directories have changed and nobody writes to them
    /// any more.
    #[must_use]
    pub fn extra_notify(&self) -> Arc<Notify> {
        Arc::clone(&self.line.extra)
    }

    /// Requests a reading of everything, as SIGHUP does. Returns the request's number.
    pub fn reread(&self) -> u64 {
        let number = self.line.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.line.send(Message::Reread);
        number
    }

    /// The last request that a reading from [`next`](Self::next) satisfies: the reading began after
    /// the request. It satisfies all earlier requests, too.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// When the first file of the last reading from [`next`](Self::next) was seen to change.
    #[must_use]
    pub fn changed(&self) -> Instant {
        self.changed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.line.stop.store(true, Ordering::Release);
        self.line.send(Message::Wake);
        // This wakes a thread that waits for room in the queue.
        self.readings.close();
        while self.readings.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // A panic of the thread does not matter to the caller that drops this.
            let _ = thread.join();
        }
    }
}

fn kernel(line: &Line) -> Option<INotifyWatcher> {
    let line = line.clone();
    let config = notify::Config::default();
    match INotifyWatcher::new(move |notice| line.notice(notice), config) {
        Ok(kernel) => Some(kernel),
        Err(error) => {
            tracing::warn!(
                %error,
                "the kernel cannot watch files; looking for changes every few seconds instead \
                 (fs.inotify.max_user_instances may be too low)"
            );
            None
        }
    }
}
