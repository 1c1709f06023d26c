//! The client: sessions with a database server, whichever remote it is at, for as long as it is used.
//!
//! Owns all IO of this room, and a thread of its own: there it reads, decodes and answers the server's probes, however busy its
//! user is. From below: `remote` and `tls` name and secure a server, `socket` opens it, `frame` and `envelope` (pure) cut and
//! classify messages, `transport` reads and writes them, `rpc` is the JSON-RPC engine, `backlog` bounds what waits, `keys` has the certificates in
//! use, `x509` (pure) their dates, `link` is one connection, `opening`, `session` and `transaction` one session, `supervisor`
//! session after session with `backoff` (pure) between them. May not touch any table's name.

mod backlog;
mod backoff;
mod config;
mod envelope;
mod error;
mod event;
pub mod frame;
mod keys;
mod link;
mod opening;
mod remote;
mod rpc;
mod session;
mod socket;
mod supervisor;
mod tls;
mod transaction;
mod transport;
mod x509;

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
use event::Delivery;
use session::Submission;
use transport::Heard;

/// The handle to a client. Dropping it ends the client, in its own time.
#[derive(Debug)]
pub struct Client {
    submissions: mpsc::Sender<Submission>,
    deliveries: mpsc::Receiver<Delivery>,
    wishes: Arc<Wishes>,
    heard: Heard,
    thread: JoinHandle<()>,
}

/// What a user asks of the session besides transactions, and what it is told besides events.
#[derive(Debug, Default)]
struct Wishes {
    /// Whether the configured lock is not wanted, and that this has changed.
    shuns: AtomicBool,
    contend: Notify,
    resync: Notify,
    steal: Notify,
    claim: Notify,
    renew: Notify,
}

impl Wishes {
    /// Whether the configured lock is wanted.
    fn contends(&self) -> bool {
        !self.shuns.load(Ordering::Relaxed)
    }
}

/// More transactions wait than any user has reason to submit, or the client has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {COMMAND_QUEUE} transactions wait to be sent: wait for some to end")]
pub struct QueueFull;

impl Client {
    /// The next event; none once the client has ended, which it never does by itself. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.deliveries.recv().await.map(Delivery::taken)
    }

    /// The next event, if it is there.
    pub fn try_next(&mut self) -> Option<Event> {
        self.deliveries.try_recv().ok().map(Delivery::taken)
    }

    /// Submits a transaction (RFC 7047 section 4.1.3). It is sent at once, in the order of submission,
    /// and ends with exactly one [`Event::Transacted`] of the same `id`. It must be idempotent or guarded
    /// by [`Operation::Wait`]: after [`TransactError::Unknown`] it may have been done.
    ///
    /// # Errors
    /// If too many wait; there will be no event.
    pub fn submit(&self, id: u64, operations: Vec<Operation>) -> Result<(), QueueFull> {
        self.submissions.try_send(Submission { id, operations }).map_err(|_| QueueFull)
    }

    /// Reads everything afresh, in a new session: an update did not follow from the replica. Updates
    /// that were under way may still come before that [`Event::Snapshot`]; they are to be ignored.
    pub fn resync(&self) {
        self.wishes.resync.notify_one();
    }

    /// Takes the configured lock from whoever holds it (RFC 7047 section 4.1.8): for a holder that is
    /// silent, though the server does not know it. [`Event::Lock`] reports when it is held. Without a
    /// session it is done in the next one, which asks for the lock anyway.
    pub fn steal(&self) {
        self.wishes.steal.notify_one();
    }

    /// Whether this client is to hold the configured lock or to wait for it, from now on and in all later sessions. It is,
    /// unless told otherwise.
    pub fn contend(&self, contends: bool) {
        if self.wishes.shuns.swap(!contends, Ordering::Relaxed) == contends {
            self.wishes.contend.notify_one();
        }
    }

    /// Takes the lock that says who this client is from whoever holds it; [`Event::Identity`] tells when it is held.
    pub fn claim(&self) {
        self.wishes.claim.notify_one();
    }

    /// Looks at the certificates on disk: they may have been replaced. Those that a trial shows to be good are taken into
    /// use by another session, which goes on where the last one ended; else the session goes on, and
    /// [`Event::Certificates`] tells why.
    pub fn renew(&self) {
        self.wishes.renew.notify_one();
    }

    /// How long ago the server of the last connection was heard; it is asked every [`ASK_INTERVAL`] when it says nothing
    /// by itself.
    pub fn heard_ago(&self) -> Duration {
        self.heard.ago()
    }

    /// Ends the client: its connection is closed, and what was not sent is not sent any more. Whether it has ended within this
    /// time: else its thread is left to itself, as it may hang in a file system.
    pub async fn close(self, limit: Duration) -> bool {
        let Self { submissions, mut deliveries, thread, .. } = self;
        drop(submissions);
        // What it still has to tell does not keep it.
        deliveries.close();
        let ended = async { while deliveries.recv().await.is_some() {} };
        let in_time = tokio::time::timeout(limit, ended).await.is_ok();
        if in_time {
            // It has nothing left to do. If it panicked, that was told.
            let _ = thread.join();
        }
        in_time
    }
}

/// Starts a client, on a thread of its own. Its events must be taken: else the server has to wait at [`BACKLOG`].
///
/// # Errors
/// If the system gives no thread, or nothing to wait for sockets with.
pub fn connect(config: Config) -> io::Result<Client> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (submissions, queue) = mpsc::channel(COMMAND_QUEUE);
    let (events, deliveries) = mpsc::channel(EVENT_QUEUE);
    let (wishes, heard) = (Arc::new(Wishes::default()), Heard::new());
    let run = supervisor::supervise(config, events, queue, Arc::clone(&wishes), heard.clone());
    let thread = std::thread::Builder::new().name("ovsdb".to_owned()).spawn(move || {
        runtime.block_on(run);
        // A look at a name or a file that hangs does not keep it.
        runtime.shutdown_background();
    })?;
    Ok(Client { submissions, deliveries, wishes, heard, thread })
}
