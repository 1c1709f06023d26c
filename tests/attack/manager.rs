//! The service manager's end of the notify socket: it hears how often the event loop comes round, and what the loop's thread
//! has computed meanwhile. The latter says how long one event keeps all others waiting, however busy the machine is.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    process: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The messages of the watchdog.
#[derive(Debug, Default)]
struct Heard {
    last: Option<(Instant, Duration)>,
    silence: Duration,
    work: Duration,
}

impl Heard {
    fn beat(&mut self, process: u32) {
        let (now, computed) = (Instant::now(), computed(process));
        if let Some((last, before)) = self.last.replace((now, computed)) {
            self.silence = self.silence.max(now - last);
            self.work = self.work.max(computed.saturating_sub(before));
        }
    }
}

/// How long a process' first thread has computed.
pub(crate) fn computed(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/schedstat"));
    let nanoseconds = text.ok().and_then(|text| text.split(' ').next()?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
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
        let process = Arc::<AtomicU32>::default();
        let (all, end, of) = (Arc::clone(&heard), Arc::clone(&stop), Arc::clone(&process));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Acquire) {
                let Ok(length) = socket.recv(&mut buffer) else { continue };
                let message = String::from_utf8_lossy(&buffer[..length]);
                if message.lines().any(|line| line == "WATCHDOG=1") {
                    lock(&all).beat(of.load(Ordering::Acquire));
                }
            }
        });
        Self { directory, heard, process, stop, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    /// Counts from here on, what this process does.
    pub(crate) fn begin(&self, process: u32) {
        self.process.store(process, Ordering::Release);
        *lock(&self.heard) =
            Heard { last: Some((Instant::now(), computed(process))), ..Heard::default() };
    }

    /// The longest time without a message since then, and the most that was computed between two; up to now.
    pub(crate) fn longest(&self) -> (Duration, Duration) {
        let mut heard = lock(&self.heard);
        heard.beat(self.process.load(Ordering::Acquire));
        (heard.silence, heard.work)
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
