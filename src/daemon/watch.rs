//! Watches the drop-in directories and delivers what changed in them.
//!
//! Owns one thread, which reads files, has `declare` parse them and waits for the kernel's notices;
//! to it belong all questions of when. What a text means is `declare`'s. As one thread parses and
//! delivers, what is parsed comes in the order in which it was read, and nobody else waits for it.
//!
//! Invariants:
//! - what a reading leaves out is either unchanged or will come in a later reading;
//! - a file that is half written is not read before its writer closes it or falls silent;
//! - a directory that is missing never shows as the removal of its files;
//! - every queue is bounded; where one overflows, everything is read instead.

mod dependencies;
mod dirty;
mod happening;
mod watcher;
mod watches;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use notify::{INotifyWatcher, Watcher};
use tokio::sync::{Notify, mpsc};

pub use self::dirty::Pace;
use self::happening::{Line, Message};
use self::watcher::FileWatcher;
use self::watches::Watches;
use super::files::Files;
use crate::declare::{ParsedFile, PathSettings, Reading};

/// Notices that may wait for the thread. More of them become one reading of everything.
const MAX_NOTICES: usize = 4096;

/// Readings that may wait for the receiver. Meanwhile notices gather.
const MAX_READINGS: usize = 4;

/// The watched drop-in directories. Dropping it ends the thread.
#[derive(Debug)]
pub struct Watch {
    readings: mpsc::Receiver<(Reading<ParsedFile>, u64)>,
    answered: u64,
    line: Line,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching. The first reading is complete and comes at once; directories that are
    /// not there are watched for.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(paths: &PathSettings, pace: Pace) -> io::Result<Self> {
        Self::start_with(paths, &[], pace, true)
    }

    /// The same, and watches files beside the directories, of which only is told that they have changed.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_beside(paths: &PathSettings, beside: &[PathBuf], pace: Pace) -> io::Result<Self> {
        Self::start_with(paths, beside, pace, true)
    }

    /// As [`Watch::start`], without the kernel's notices: changes are found by comparing
    /// signatures every [`Pace::blind`].
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_blind(paths: &PathSettings, pace: Pace) -> io::Result<Self> {
        Self::start_with(paths, &[], pace, false)
    }

    fn start_with(
        paths: &PathSettings,
        beside: &[PathBuf],
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
            beside: Arc::default(),
        };
        let kernel = notices.then(|| kernel(&line)).flatten();
        let watches = Watches::new(kernel, beside.to_vec());
        let watcher = FileWatcher::new(Files::new(paths), watches, pace, line.clone(), deliver);
        let thread = std::thread::Builder::new()
            .name("declarations".to_owned())
            .spawn(move || watcher.run(&messages))?;
        Ok(Self { readings, answered: 0, line, thread: Some(thread) })
    }

    /// The next reading; `None` only if the thread has died. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Reading<ParsedFile>> {
        let (reading, answered) = self.readings.recv().await?;
        self.answered = answered;
        Some(reading)
    }

    /// Notified when files beside the directories have changed, and nobody writes to them any more.
    #[must_use]
    pub fn beside_notify(&self) -> Arc<Notify> {
        Arc::clone(&self.line.beside)
    }

    /// Asks for a reading of everything, as SIGHUP does. Returns the request's number.
    pub fn reread(&self) -> u64 {
        let number = self.line.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.line.tell(Message::Reread);
        number
    }

    /// The last request whose reading, begun after it was made, [`next`](Self::next) has
    /// returned; it answers all before it too.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.line.stop.store(true, Ordering::Release);
        self.line.tell(Message::Wake);
        // A thread that waits for room to deliver learns from this that there is nobody left.
        self.readings.close();
        while self.readings.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked with anything that matters to whoever drops this.
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
