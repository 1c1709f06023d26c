//! A session: from the first dump to the end of the connection.
//!
//! Owns the order of the user's events. Invariants: a transaction's end follows every update that
//! the server sent before it; each submitted transaction ends exactly once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Wishes;
use super::backlog::Share;
use super::config::Config;
use super::connection::{Connection, Limit};
use super::error::{SessionError, chain};
use super::event::{Certificates, Delivery, Event, TransactError};
use super::keys::{Keys, Look};
use super::opening::{self, First, Locks, Opening, Resume};
use super::remote::Remote;
use super::rpc::{Message, Wire};
use super::transaction::{End, Finished, Outcome, transact};

use crate::ovsdb::layout::Layout;
use crate::ovsdb::operation::Operation;
use crate::ovsdb::outcome::TransactionError;
use crate::ovsdb::replica::{Replica, Store};
use crate::ovsdb::update::{MonitorMethod, UpdateParams};

/// A server that was slow at the opening keeps the longer limits for this many times the length of
/// the opening: until then it is still busy with other clients.
const CALM: u32 = 4;

/// Time for replies that had arrived when the connection ended.
const LAST_REPLIES: Duration = Duration::from_millis(100);

/// A transaction to be sent.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) id: u64,
    pub(super) operations: Vec<Operation>,
}

type Pending = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// A session.
pub(super) struct Session<'a, S> {
    config: &'a Config,
    /// The configuration without extra patience, and when it applies again.
    calm: Option<(&'a Config, Instant)>,
    events: &'a mpsc::Sender<Delivery<S>>,
    resume: &'a mut Resume,
    connection: Connection,
    server: Option<Replica>,
    layout: Arc<Layout>,
    data_id: String,
    server_id: String,
    pending: FuturesUnordered<Pending>,
    /// Ids of transactions that have not ended.
    unfinished: Vec<u64>,
    /// Ended, but not reported yet: updates before them are still to come.
    finished: Vec<Finished>,
    answered: bool,
    remote: &'a Remote,
    /// Whether this session has asked for the configured lock: it holds the lock or waits for it.
    contends: bool,
    /// Of an `ssl:` remote.
    keys: Option<&'a mut Keys>,
    /// A reading of the certificates on disk that is under way.
    look: Option<Pin<Box<dyn Future<Output = Look> + Send>>>,
    /// When to read them again, and since when they are unusable.
    look_at: Option<Instant>,
    looking_since: Option<Instant>,
}

/// The surroundings of a session.
pub(super) struct Setting<'a> {
    /// The configuration without the extra patience that the opening needed.
    pub(super) calm: &'a Config,
    /// How long the opening took.
    pub(super) opening: Duration,
    pub(super) remote: &'a Remote,
    /// Of an `ssl:` remote.
    pub(super) keys: Option<&'a mut Keys>,
    /// What to report of its certificates.
    pub(super) certificates: Option<Certificates>,
}

/// How a session has ended.
pub(super) struct Ended {
    /// Why.
    pub(super) error: SessionError,
    /// Whether the server has answered any transaction.
    pub(super) answered: bool,
}

/// Runs a session to its end, and returns the reason.
pub(super) async fn run<S: Store>(
    config: &Config,
    opening: Opening<S>,
    resume: &mut Resume,
    events: &mpsc::Sender<Delivery<S>>,
    submissions: &mut mpsc::Receiver<Submission>,
    wishes: &Wishes,
    setting: Setting<'_>,
) -> Ended {
    let Setting { calm, opening: opened_in, remote, keys, certificates } = setting;
    let mut session = Session {
        config,
        calm: Some((calm, Instant::now() + opened_in * CALM)),
        events,
        resume,
        connection: opening.connection,
        server: opening.server,
        layout: Arc::clone(&opening.layout),
        data_id: opening::monitor_id(config.database),
        server_id: opening::monitor_id(opening::SERVER),
        pending: FuturesUnordered::new(),
        unfinished: Vec::new(),
        finished: Vec::new(),
        answered: false,
        remote,
        contends: opening.locks.lock.is_some(),
        keys,
        look: None,
        look_at: None,
        looking_since: None,
    };
    let remote = remote.to_string();
    let connected = Event::Connected { remote, schema: opening.schema, layout: opening.layout };
    let error = match session.begin(connected, certificates, opening.first, opening.locks).await {
        Ok(()) => session.steady(submissions, wishes).await,
        Err(error) => error,
    };
    session.end(&error).await;
    Ended { error, answered: session.answered }
}

impl<S: Store> Session<'_, S> {
    async fn begin(
        &mut self,
        connected: Event<S>,
        certificates: Option<Certificates>,
        first: First<S>,
        locks: Locks,
    ) -> Result<(), SessionError> {
        self.report(connected).await?;
        if let Some(certificates) = certificates {
            self.look_at = certificates.problem.is_some().then(Instant::now);
            self.report(Event::Certificates(certificates)).await?;
        }
        self.resume.layout = Some(Arc::clone(&self.layout));
        match first {
            First::Missed(reply) => {
                self.report(Event::Resumed).await?;
                self.update(reply.updates, reply.last_id, None).await?;
            }
            First::Everything { rows, last_id } => {
                self.resume.last_id = last_id;
                self.report(Event::Snapshot { rows: Box::new(rows), last_id }).await?;
            }
        }
        if let Some(held) = locks.identity {
            self.report(Event::Identity { held }).await?;
        }
        match locks.lock {
            Some(held) => self.report(Event::Lock { held }).await,
            None => Ok(()),
        }
    }

    async fn steady(
        &mut self,
        submissions: &mut mpsc::Receiver<Submission>,
        wishes: &Wishes,
    ) -> SessionError {
        loop {
            let step = tokio::select! {
                wire = self.connection.next() => match wire {
                    Ok(wire) => self.wire(wire).await,
                    Err(error) => Err(error),
                },
                Some(finished) = self.pending.next() => {
                    self.finished.push(finished);
                    Ok(())
                }
                submission = submissions.recv() => match submission {
                    Some(submission) => self.submit(submission).await,
                    None => Err(SessionError::Abandoned),
                },
                () = wishes.resync.notified() => Err(SessionError::Resync),
                () = wishes.steal.notified() => self.steal().await,
                () = wishes.claim.notified() => self.claim().await,
                () = wishes.contend.notified() => self.contend(wishes.contends()).await,
                () = wishes.renew.notified() => {
                    self.looking_since = None;
                    self.begin_look();
                    Ok(())
                }
                () = until(self.look_at) => {
                    self.begin_look();
                    Ok(())
                }
                look = under_way(&mut self.look) => self.looked(look).await,
                () = until(self.calm.map(|(_, at)| at)) => {
                    if let Some((calm, _)) = self.calm.take() {
                        self.config = calm;
                        self.connection.silence.set(calm);
                    }
                    Ok(())
                }
                () = self.events.closed() => Err(SessionError::Abandoned),
            };
            if let Err(error) = step {
                return error;
            }
            if let Err(error) = self.report_finished().await {
                return error;
            }
        }
    }

    /// Ends every transaction that has not ended.
    async fn end(&mut self, error: &SessionError) {
        if matches!(error, SessionError::Transport(_) | SessionError::Engine(_)) {
            // Their replies may have come before the end; the engine wakes all waiting requests.
            while let Ok(Some(finished)) =
                tokio::time::timeout(LAST_REPLIES, self.pending.next()).await
            {
                self.finished.push(finished);
            }
        }
        let seen = self.connection.seen;
        for Finished { id, stamp, end } in std::mem::take(&mut self.finished) {
            // A reply without its own update is useless.
            if let (End::Answered(outcome), true) = (end, stamp <= seen) {
                let _ = self.transacted(id, outcome).await;
            }
        }
        let why = chain(error);
        for id in std::mem::take(&mut self.unfinished) {
            // The user may be gone; the supervisor finds that out as well.
            let _ = self.transacted(id, Err(TransactError::Unknown(why.clone()))).await;
        }
    }

    async fn report(&mut self, event: impl Into<Delivery<S>>) -> Result<(), SessionError> {
        self.events.send(event.into()).await.map_err(|_| SessionError::Abandoned)
    }

    async fn transacted(&mut self, id: u64, result: Outcome) -> Result<(), SessionError> {
        self.unfinished.retain(|unfinished| *unfinished != id);
        self.report(Event::Transacted { id, result }).await
    }

    async fn update(
        &mut self,
        updates: crate::ovsdb::Updates,
        last_id: uuid::Uuid,
        share: Option<Share>,
    ) -> Result<(), SessionError> {
        self.resume.last_id = last_id;
        if updates.is_empty() {
            return Ok(());
        }
        self.report(Delivery { event: Event::Update { updates, last_id }, share }).await
    }

    async fn wire(&mut self, wire: Wire) -> Result<(), SessionError> {
        match wire {
            Wire::Ended(error) => Err(error.into()),
            // The opening has handled the replies to all monitor requests.
            Wire::MonitorReply(_) => Ok(()),
            Wire::Notification { method, message } => {
                match MonitorMethod::of_notification(&method) {
                    Some(monitor) => self.updated(monitor, message).await,
                    None => self.notified(&method, &message.frame).await,
                }
            }
        }
    }

    async fn updated(
        &mut self,
        method: MonitorMethod,
        message: Message,
    ) -> Result<(), SessionError> {
        let Message { frame, share } = message;
        let server_layout = self.server.as_ref().map(|server| &**server.layout());
        let layout_of = |id: &str| {
            if id == self.data_id {
                Some(&*self.layout)
            } else {
                server_layout.filter(|_| id == self.server_id)
            }
        };
        let params = UpdateParams::decode_message(&layout_of, method, &frame)?;
        // Only the decoded updates wait for the user.
        drop(frame);
        if *params.monitor_id == *self.data_id {
            return self.update(params.updates, params.last_id, share).await;
        }
        let Some(server) = &mut self.server else { return Ok(()) };
        // The server's own rows are few: if an update contradicts them, another session reads them
        // again.
        server.apply(params.updates)?;
        opening::check_server(server, self.config)
    }

    /// Notifications other than updates (RFC 7047 section 4.1.9, 4.1.10; ovsdb-server(7) 4.1.21).
    async fn notified(&mut self, method: &str, frame: &[u8]) -> Result<(), SessionError> {
        #[derive(Deserialize)]
        struct Message<'a> {
            #[serde(borrow)]
            params: Vec<&'a RawValue>,
        }
        if !matches!(method, "locked" | "stolen" | "monitor_canceled") {
            return Ok(());
        }
        let message: Message<'_> = serde_json::from_slice(frame).map_err(|source| {
            SessionError::Reply { method: "a request for notifications", source }
        })?;
        let subject = message.params.first().map_or("", |first| first.get());
        if method == "monitor_canceled" {
            let ours = subject == self.data_id || subject == self.server_id;
            return if ours { Err(SessionError::MonitorCanceled) } else { Ok(()) };
        }
        let held = method == "locked";
        if let Some(identity) = &self.config.identity
            && subject == opening::monitor_id(identity)
        {
            return self.report(Event::Identity { held }).await;
        }
        match &self.config.lock {
            // A notification that was under way when this client gave the lock up is stale.
            Some(lock) if self.contends && subject == opening::monitor_id(lock) => {
                self.report(Event::Lock { held }).await
            }
            _ => Ok(()),
        }
    }

    async fn submit(&mut self, submission: Submission) -> Result<(), SessionError> {
        let Submission { id, operations } = submission;
        if operations.iter().any(Operation::contains_nul) {
            return self.transacted(id, Err(TransactError::Nul)).await;
        }
        self.unfinished.push(id);
        let rpc = Arc::clone(&self.connection.rpc);
        let kind = if self.config.is_alone() { Limit::Overtaken } else { Limit::Fixed };
        let limit = kind(self.config.transact_timeout);
        self.pending.push(Box::pin(transact(rpc, self.config.database, limit, id, operations)));
        Ok(())
    }

    /// Starts to read the certificates on disk, in place of a reading under way.
    fn begin_look(&mut self) {
        self.look_at = None;
        if let Some(keys) = &self.keys {
            self.looking_since.get_or_insert_with(Instant::now);
            self.look = Some(Box::pin(keys.look(self.config, self.remote)));
        }
    }

    async fn looked(&mut self, look: Look) -> Result<(), SessionError> {
        self.look = None;
        let since = self.looking_since.map(|since| since.elapsed()).unwrap_or_default();
        self.look_at = look.again(since).map(|wait| Instant::now() + wait);
        if self.look_at.is_none() {
            self.looking_since = None;
        }
        let news = self.keys.as_mut().and_then(|keys| keys.looked(&look, since));
        if let Some(news) = news {
            self.report(Event::Certificates(news)).await?;
        }
        match look {
            Look::Good => Err(SessionError::Renewed),
            Look::Same | Look::Bad(_) | Look::Refused(..) => Ok(()),
        }
    }

    /// A server accepts a request for a lock only from a session that does not wait for it already,
    /// so `unlock` comes first.
    async fn steal(&mut self) -> Result<(), SessionError> {
        let Some(name) = self.config.lock.as_ref().filter(|_| self.contends) else { return Ok(()) };
        match self.take(name).await? {
            Some(held) => self.report(Event::Lock { held }).await,
            None => Ok(()),
        }
    }

    /// The same for the lock that identifies this client.
    async fn claim(&mut self) -> Result<(), SessionError> {
        let Some(name) = &self.config.identity else { return Ok(()) };
        match self.take(name).await? {
            Some(held) => self.report(Event::Identity { held }).await,
            None => Ok(()),
        }
    }

    async fn take(&mut self, name: &String) -> Result<Option<bool>, SessionError> {
        // A server that is busy with somebody's dump may need time; probes check whether it lives.
        let _: IgnoredAny = self.connection.call("unlock", [name], None).await?;
        opening::lock(&mut self.connection, Some(name), "steal").await
    }

    /// Asks for the lock, or gives it up.
    async fn contend(&mut self, contends: bool) -> Result<(), SessionError> {
        let Some(name) = &self.config.lock else { return Ok(()) };
        if contends == self.contends {
            return Ok(());
        }
        self.contends = contends;
        let held = if contends {
            opening::lock(&mut self.connection, Some(name), "lock").await?
        } else {
            let _: IgnoredAny = self.connection.call("unlock", [name], None).await?;
            Some(false)
        };
        match held {
            Some(held) => self.report(Event::Lock { held }).await,
            None => Ok(()),
        }
    }

    /// Reports the transactions whose updates have been reported.
    async fn report_finished(&mut self) -> Result<(), SessionError> {
        let seen = self.connection.seen;
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.finished).into_iter().partition(|end| end.stamp <= seen);
        self.finished = waiting;
        for Finished { id, end, .. } in ready {
            match end {
                End::Answered(outcome) => {
                    self.answered = true;
                    let read_only = refused_as_read_only(&outcome);
                    self.transacted(id, outcome).await?;
                    // A server that was made a backup keeps its sessions (OVS 3.3 and later).
                    read_only.map_or(Ok(()), |refusal| Err(SessionError::ReadOnly(refusal)))?;
                }
                End::Lost => {}
                End::Fatal(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The server's words, if it refuses all writes.
fn refused_as_read_only(outcome: &Outcome) -> Option<TransactionError> {
    match outcome {
        Err(TransactError::Rejected(refusal)) if refusal.is_read_only() => Some(refusal.clone()),
        Ok(_) | Err(_) => None,
    }
}

/// Waits until a moment; forever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits for the future; forever if there is none.
async fn under_way<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
