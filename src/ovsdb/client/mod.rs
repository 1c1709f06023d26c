//! The client: sessions with a database server, whichever remote it is at, for as long as it is used.
//!
//! Owns all IO of this room. From below: `remote` and `tls` name and secure a server, `socket` opens it, `inbox` reads,
//! `frame` and `envelope` (pure) cut and classify messages, `transport` joins them to the JSON-RPC engine, `keys` has the
//! certificates in use, `x509` (pure) their dates, `link` is one connection, `contact` what the handle shares with it,
//! `opening`, `session` and `transaction` one session, `supervisor` session after session with `backoff` (pure) between them.
//! May not touch any table's name. Runs on one thread as on several.

mod backoff;
mod config;
mod contact;
mod envelope;
mod error;
mod event;
pub mod frame;
mod inbox;
mod keys;
mod link;
mod opening;
mod remote;
mod session;
mod socket;
mod supervisor;
mod tls;
mod transaction;
mod transport;
mod x509;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, mpsc};

pub use config::{
    ASK_INTERVAL, CLUSTER_ANSWER_TIMEOUT, CLUSTER_CONNECT_TIMEOUT, CLUSTER_PROBE_INTERVAL,
    CLUSTER_TRANSACT_TIMEOUT, COMMAND_QUEUE, CONNECT_TIMEOUT, Config, EVENT_QUEUE,
    HANDSHAKE_TIMEOUT, LARGEST_FRAME, MOST_PATIENCE, PROBE_INTERVAL, TRANSACT_TIMEOUT,
};
pub use event::{Certificates, Event, TransactError};
pub use remote::{HostPort, Remote, RemoteError};
pub use tls::TlsFiles;

use super::operation::Operation;
use contact::Contact;
use session::Submission;

/// A handle to the client; it ends when all handles, or the receiver of its events, are dropped.
#[derive(Clone, Debug)]
pub struct Client {
    submissions: mpsc::Sender<Submission>,
    wishes: Arc<Wishes>,
    contact: Contact,
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
    written: Notify,
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

    /// Waits until the server has taken all that was submitted: what comes now finds it busy. Cancelling it loses
    /// nothing.
    pub async fn written(&self) {
        self.wishes.written.notified().await;
    }

    /// Does some work that takes a while. Where the server would soon have to wait until what it has sent is taken, that is
    /// taken in meanwhile, so that the server goes on to what it was asked next.
    pub fn busy<T>(&self, work: impl FnOnce() -> T) -> T {
        self.contact.during(work)
    }

    /// How long ago the server of the last connection was heard; it is asked every [`ASK_INTERVAL`] when it says nothing
    /// by itself.
    pub fn heard_ago(&self) -> std::time::Duration {
        self.contact.heard_ago()
    }
}

/// Starts a client. Its events must be taken, or the server has to wait.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn connect(config: Config) -> (Client, mpsc::Receiver<Event>) {
    let (submissions, queue) = mpsc::channel(COMMAND_QUEUE);
    let (events, receiver) = mpsc::channel(EVENT_QUEUE);
    let (wishes, contact) = (Arc::new(Wishes::default()), Contact::new());
    let run = supervisor::supervise(config, events, queue, Arc::clone(&wishes), contact.clone());
    tokio::spawn(run);
    (Client { submissions, wishes, contact }, receiver)
}
