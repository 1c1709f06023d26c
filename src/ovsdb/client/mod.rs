//! The client: one session after another with a database server, at any of its remotes.
//!
//! Owns all IO of this room, and a thread of its own: there it reads, decodes and answers the
//! server's probes, even while its user is busy. From below: `remote` and `tls` name and secure a
//! server, `socket` opens it, `frame` and `envelope` (pure) split and classify messages,
//! `transport` reads and writes them, `rpc` is the JSON-RPC engine, `backlog` bounds what waits,
//! `keys` has the certificates in use, `connection` is one connection, `opening`, `session` and `transaction` are one session, `supervisor` runs session
//! after session with `backoff` (pure) between them. May not touch any table's name.

mod backlog;
mod backoff;
mod config;
mod connection;
mod envelope;
mod error;
mod event;
pub mod frame;
mod keys;
mod opening;
mod remote;
mod rpc;
mod session;
mod socket;
mod supervisor;
mod tls;
mod transaction;
mod transport;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

pub use config::{
    ASK_INTERVAL, BACKLOG, CLUSTER_ANSWER_TIMEOUT, CLUSTER_CONNECT_TIMEOUT, CLUSTER_PROBE_INTERVAL,
    CLUSTER_TRANSACT_TIMEOUT, COMMAND_QUEUE, CONNECT_TIMEOUT, Config, EVENT_QUEUE,
    HANDSHAKE_TIMEOUT, LARGEST_FRAME, MOST_PATIENCE, PROBE_INTERVAL, TRANSACT_TIMEOUT,
};
pub use event::{Certificates, Event, TransactError};
pub use remote::{HostPort, Remote, RemoteError};
pub use tls::TlsFiles;

use super::operation::Operation;
use super::replica::{Replica, Store};
use event::Delivery;
use session::Submission;
use transport::Heard;

/// The handle to a client. Dropping it ends the client, without waiting for the end.
#[derive(Debug)]
pub struct Client<S = Replica> {
    submissions: mpsc::Sender<Submission>,
    deliveries: mpsc::Receiver<Delivery<S>>,
    wishes: Arc<Wishes>,
    heard: Heard,
    thread: JoinHandle<()>,
}

/// What a user requests of the session besides transactions, and reads of it besides events.
#[derive(Debug, Default)]
struct Wishes {
    /// Whether the user has given the configured lock up, and a notice when this changes.
    shuns: AtomicBool,
    contend: Notify,
    resync: Notify,
    steal: Notify,
    claim: Notify,
    renew: Notify,
}

impl Wishes {
    /// Whether the user wants the configured lock.
    fn contends(&self) -> bool {
        !self.shuns.load(Ordering::Relaxed)
    }
}

/// Too many transactions wait, or the client has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {COMMAND_QUEUE} transactions wait to be sent: wait for some to end")]
pub struct QueueFull;

impl<S: Store> Client<S> {
    /// The next event; `None` once the client has ended, which it never does by itself.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Event<S>> {
        self.deliveries.recv().await.map(Delivery::into_event)
    }

    /// The next event, if it is there.
    pub fn try_next(&mut self) -> Option<Event<S>> {
        self.deliveries.try_recv().ok().map(Delivery::into_event)
    }

    /// Submits a transaction (RFC 7047 section 4.1.3). The client sends it at once, in the order of
    /// submission. It ends with exactly one [`Event::Transacted`] of the same `id`. It must be
    /// idempotent or guarded by [`Operation::Wait`]: after [`TransactError::Unknown`] it may have
    /// been done.
    ///
    /// # Errors
    /// If too many wait; then no event follows.
    pub fn submit(&self, id: u64, operations: Vec<Operation>) -> Result<(), QueueFull> {
        self.submissions.try_send(Submission { id, operations }).map_err(|_| QueueFull)
    }

    /// Reads everything again, in a new session, because an update contradicts the replica. Updates
    /// that were under way may still come before that [`Event::Snapshot`]; ignore them.
    pub fn resync(&self) {
        self.wishes.resync.notify_one();
    }

    /// Steals the configured lock from its holder (RFC 7047 section 4.1.8): for a holder that is
    /// dead while the server still keeps its session. [`Event::Lock`] reports when this client
    /// holds it. Without a session, the next one does it after it has asked for the lock as always.
    pub fn steal(&self) {
        self.wishes.steal.notify_one();
    }

    /// Sets whether this client holds the configured lock or waits for it, from now on and in all
    /// later sessions. By default it does.
    pub fn contend(&self, contends: bool) {
        if self.wishes.shuns.swap(!contends, Ordering::Relaxed) == contends {
            self.wishes.contend.notify_one();
        }
    }

    /// Steals the lock that identifies this client from its holder; [`Event::Identity`] reports
    /// when this client holds it.
    pub fn claim(&self) {
        self.wishes.claim.notify_one();
    }

    /// Reads the certificates on disk again: they may have been replaced. If a trial accepts them,
    /// a new session uses them and continues where this one ended. Otherwise this session
    /// continues, and [`Event::Certificates`] says why.
    pub fn renew(&self) {
        self.wishes.renew.notify_one();
    }

    /// How long ago the server of the last connection sent something; the client probes it every
    /// [`ASK_INTERVAL`] while it sends nothing.
    pub fn heard_ago(&self) -> Duration {
        self.heard.ago()
    }

    /// Ends the client: closes its connection and drops what was not sent. Returns whether it has
    /// ended within this time; if not, its thread is left behind, because it may hang in a file
    /// system.
    pub async fn close(self, limit: Duration) -> bool {
        let Self { submissions, mut deliveries, thread, .. } = self;
        drop(submissions);
        // Events that nobody reads must not block it.
        deliveries.close();
        let ended = async { while deliveries.recv().await.is_some() {} };
        let in_time = tokio::time::timeout(limit, ended).await.is_ok();
        if in_time {
            // The thread has nothing left to do. A panic was printed already.
            let _ = thread.join();
        }
        in_time
    }
}

/// Starts a client, on a thread of its own. The user must read its events: beyond [`BACKLOG`] the
/// client stops reading.
///
/// # Errors
/// If the system gives no thread, or no means to wait for sockets.
pub fn connect<S: Store>(config: Config) -> io::Result<Client<S>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (submissions, queue) = mpsc::channel(COMMAND_QUEUE);
    let (events, deliveries) = mpsc::channel(EVENT_QUEUE);
    let (wishes, heard) = (Arc::new(Wishes::default()), Heard::new());
    let run = supervisor::supervise(config, events, queue, Arc::clone(&wishes), heard.clone());
    let thread = std::thread::Builder::new().name("ovsdb".to_owned()).spawn(move || {
        runtime.block_on(run);
        // A name look-up or a file that hangs must not block the end.
        runtime.shutdown_background();
    })?;
    Ok(Client { submissions, deliveries, wishes, heard, thread })
}
