//! The kernel's notices, in the few words that matter here.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::sync::Notify;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

/// What happened to a directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// Closed after writing, or renamed to this name: whole.
    Whole(PathBuf),
    /// Made; a link is whole, a file is yet to be written.
    Created(PathBuf),
    /// Written to, not closed.
    Written(PathBuf),
    /// Removed, or renamed away.
    Gone(PathBuf),
    /// Renamed where the kernel saw both names.
    Renamed(PathBuf, PathBuf),
    /// Its owner, mode or times changed.
    Touched(PathBuf),
}

/// What the watching thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Happened(Happening),
    /// Read everything: the operator asks, see [`Line::asked`].
    Reread,
    /// Look at the flags.
    Wake,
}

/// The way into the watching thread. It never blocks: notices that do not fit are replaced by one
/// flag, upon which everything is read.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) sender: SyncSender<Message>,
    pub(super) lost: Arc<AtomicBool>,
    pub(super) stop: Arc<AtomicBool>,
    /// How many readings of everything have been asked for. Not part of the message, which may
    /// be among those that do not fit.
    pub(super) asked: Arc<AtomicU64>,
    /// The way back for what is no reading: files beside have changed.
    pub(super) beside: Arc<Notify>,
}

impl Line {
    /// Tells the thread, or that it was not told.
    pub(super) fn tell(&self, message: Message) {
        match self.sender.try_send(message) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            // The queue is full, so the thread is awake and will see the flag.
            Err(TrySendError::Full(_)) => self.lost.store(true, Ordering::Release),
        }
    }

    /// Passes on a notice of the kernel.
    pub(super) fn notice(&self, notice: notify::Result<notify::Event>) {
        let event = match notice {
            Ok(event) if !event.need_rescan() => event,
            Ok(_) | Err(_) => {
                self.lost.store(true, Ordering::Release);
                return self.tell(Message::Wake);
            }
        };
        if let Some(happening) = translate(event) {
            self.tell(Message::Happened(happening));
        }
    }
}

fn translate(event: notify::Event) -> Option<Happening> {
    let mut paths = event.paths.into_iter();
    let path = paths.next()?;
    match event.kind {
        EventKind::Create(_) => Some(Happening::Created(path)),
        EventKind::Remove(_) => Some(Happening::Gone(path)),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Happening::Whole(path)),
        EventKind::Modify(ModifyKind::Name(mode)) => match mode {
            RenameMode::From => Some(Happening::Gone(path)),
            RenameMode::To => Some(Happening::Whole(path)),
            RenameMode::Both => Some(Happening::Renamed(path, paths.next()?)),
            RenameMode::Any | RenameMode::Other => None,
        },
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Happening::Touched(path)),
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Other) => {
            Some(Happening::Written(path))
        }
        // Opened or closed after reading, as by ourselves.
        EventKind::Access(_) | EventKind::Any | EventKind::Other => None,
    }
}
