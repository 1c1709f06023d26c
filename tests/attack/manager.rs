//! The service manager's end of the notify socket: it hears how often the event loop comes round.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long one wait for a message lasts: so soon the thread ends with its test.
const ROUND: Duration = Duration::from_millis(50);

/// A socket that somebody listens at.
#[derive(Debug)]
pub(crate) struct Manager {
    directory: TempDir,
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The messages of the watchdog.
#[derive(Debug, Default)]
struct Heard {
    last: Option<Instant>,
    longest: Duration,
}

impl Heard {
    fn beat(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
    }
}

impl Manager {
    /// Listens, at a place that every user may write to.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("peerd").tempdir_in("/tmp").unwrap();
        let open = |path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(directory.path().to_owned(), 0o755);
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        open(path, 0o777);
        socket.set_read_timeout(Some(ROUND)).unwrap();
        let (heard, stop) = (Arc::<Mutex<Heard>>::default(), Arc::<AtomicBool>::default());
        let (all, end) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Acquire) {
                let Ok(length) = socket.recv(&mut buffer) else { continue };
                let message = String::from_utf8_lossy(&buffer[..length]);
                if message.lines().any(|line| line == "WATCHDOG=1") {
                    lock(&all).beat(Instant::now());
                }
            }
        });
        Self { directory, heard, stop, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    /// Counts from here on.
    pub(crate) fn begin(&self) {
        *lock(&self.heard) = Heard::default();
    }

    /// The longest time without a message since then, the present silence too.
    pub(crate) fn longest_silence(&self) -> Duration {
        let mut heard = lock(&self.heard);
        assert!(heard.last.is_some(), "the watchdog was fed");
        heard.beat(Instant::now());
        heard.longest
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // What it panicked with, if it did, is in the test's output.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
