//! The kernel's notices, reduced to the few kinds that matter here.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Instant;

use tokio::sync::Notify;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use crate::declare::{ParsedFile, Reading};

/// A reading on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) reading: Reading<ParsedFile>,
    /// The last request for a reading of everything that it satisfies.
    pub(super) answered: u64,
    /// When the first of its files was seen to change.
    pub(super) changed: Instant,
}

/// A change of a directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileEvent {
    /// Closed after writing, or renamed to this name: it is complete.
    Whole(PathBuf),
    /// Made: a link is complete, a file is yet to be written.
    Created(PathBuf),
    /// Written to, not closed.
    Written(PathBuf),
    /// Removed, or renamed away.
    Gone(PathBuf),
    /// Renamed, and the kernel saw both names.
    Renamed(PathBuf, PathBuf),
    /// Its owner, mode or times changed.
    Touched(PathBuf),
}

/// A message to the watcher's thread.
#[derive(Debug)]
pub(super) enum Message {
    FileEvent(FileEvent),
    /// Read everything: the operator asks, see [`Line::asked`].
    Reread,
    /// Check the flags.
    Wake,
}

/// The queue to the watcher's thread. Sending never blocks: if a notice does not fit, a flag
/// requests a reading of everything.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) sender: SyncSender<Message>,
    pub(super) lost: Arc<AtomicBool>,
    pub(super) stop: Arc<AtomicBool>,
    /// How many readings of everything were requested. Not part of the message, because the message
    /// may not fit.
    pub(super) asked: Arc<AtomicU64>,
    /// Notified when files outside of the directories have changed.
    pub(super) extra: Arc<Notify>,
}

impl Line {
    /// Sends a message to the thread, or sets the flag if it does not fit.
    pub(super) fn send(&self, message: Message) {
        match self.sender.try_send(message) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            // If the queue is full, the thread is awake and will see the flag.
            Err(TrySendError::Full(_)) => self.lost.store(true, Ordering::Release),
        }
    }

    /// Passes a notice of the kernel on.
    pub(super) fn notice(&self, notice: notify::Result<notify::Event>) {
        let event = match notice {
            Ok(event) if !event.need_rescan() => event,
            Ok(_) | Err(_) => {
                self.lost.store(true, Ordering::Release);
                return self.send(Message::Wake);
            }
        };
        if let Some(event) = translate(event) {
            self.send(Message::FileEvent(event));
        }
    }
}

fn translate(event: notify::Event) -> Option<FileEvent> {
    let mut paths = event.paths.into_iter();
    let path = paths.next()?;
    match event.kind {
        EventKind::Create(_) => Some(FileEvent::Created(path)),
        EventKind::Remove(_) => Some(FileEvent::Gone(path)),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(FileEvent::Whole(path)),
        EventKind::Modify(ModifyKind::Name(mode)) => match mode {
            RenameMode::From => Some(FileEvent::Gone(path)),
            RenameMode::To => Some(FileEvent::Whole(path)),
            RenameMode::Both => Some(FileEvent::Renamed(path, paths.next()?)),
            RenameMode::Any | RenameMode::Other => None,
        },
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(FileEvent::Touched(path)),
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Other) => {
            Some(FileEvent::Written(path))
        }
        // Opened, or closed after reading, as this daemon does.
        EventKind::Access(_) | EventKind::Any | EventKind::Other => None,
    }
}
