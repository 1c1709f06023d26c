//! Session after session, until the user drops the client.
//!
//! Owns the choice of the remote, the patience with it, the wait between attempts, and the answers
//! to transactions while there is no session. Invariant: a transaction that is submitted without a
//! session ends at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::replica::Store;
use super::Wishes;
use super::backlog::Backlog;
use super::backoff::Backoff;
use super::config::{ASK_INTERVAL, Config};
use super::error::{SessionError, chain};
use super::event::{Delivery, Event, TransactError};
use super::keys::{Keys, Material};
use super::opening::{self, Resume};
use super::remote::Remote;
use super::session::{self, Setting, Submission};
use super::socket::OpenError;
use super::transport::Heard;

/// Runs until the client or its events are dropped.
pub(super) async fn supervise<S: Store>(
    config: Config,
    events: mpsc::Sender<Delivery<S>>,
    mut submissions: mpsc::Receiver<Submission>,
    wishes: Arc<Wishes>,
    heard: Heard,
) {
    let backlog = Backlog::new(config.backlog);
    let (mut silences, mut read_only) = (Silences::default(), ReadOnly::default());
    let mut resume = Resume::default();
    let mut keys = config.tls.clone().map(Keys::new);
    let mut backoff = Backoff::new(config.remotes.len());
    let mut round: Vec<Remote> = Vec::new();
    loop {
        // Otherwise each session could fill a backlog of its own.
        if disconnected_while(backlog.emptied(), &events, &mut submissions).await.is_none() {
            return;
        }
        if round.is_empty() {
            round = silences.round(&config.remotes);
        }
        let remote = round.pop();
        let name = remote.as_ref().map_or_else(String::new, Remote::to_string);
        let (calm, config) = (&config, config.patient(silences.of(&name)));
        let tried = Instant::now();
        let attempt = async {
            let Some(remote) = &remote else { return Err(SessionError::NoRemote) };
            let material = material(remote, keys.as_ref())?;
            let (material_of, wishes) = (material.as_ref(), &*wishes);
            let signs = (&heard, &backlog);
            let opening = opening::open(&config, remote, &resume, material_of, signs, wishes);
            opening.await.map(|opening| (opening, material))
        };
        let Some(opened) = disconnected_while(attempt, &events, &mut submissions).await else {
            return;
        };
        let (mut healthy, mut answered) = (false, false);
        let error = match opened {
            Err(error) => {
                if let (Some(keys), true) = (&mut keys, error.may_be_the_certificates()) {
                    keys.failed();
                }
                error
            }
            Ok((opening, material)) => {
                let began = Instant::now();
                let resume = &mut resume;
                let mut keys = keys.as_mut().filter(|_| material.is_some());
                let server = opening.server_until;
                let of_session = keys.as_mut().zip(material);
                let certificates = of_session.map(|(keys, material)| keys.begun(material, server));
                let Some(remote) = &remote else { continue };
                let opening_took = began - tried;
                let setting = Setting { calm, opening: opening_took, remote, keys, certificates };
                let run = session::run(
                    &config,
                    opening,
                    resume,
                    &events,
                    &mut submissions,
                    &wishes,
                    setting,
                );
                let ended = run.await;
                healthy = !matches!(ended.error, SessionError::ReadOnly(_))
                    && backoff.session_ended(opening_took, began.elapsed());
                answered = ended.answered;
                ended.error
            }
        };
        if matches!(error, SessionError::Abandoned) {
            return;
        }
        // The server lives but does not answer one transaction: it has lost it, or needs more time
        // for its size.
        let slow = error.is_slow_transaction() && heard.ago() < ASK_INTERVAL * 3 / 2;
        if answered || (healthy && !slow) {
            silences.end();
        }
        if error.is_silence() {
            // A server that has served us for a while hangs; one that never did may be busy with
            // our dump.
            if !healthy || slow {
                silences.note(&name);
            }
            // All others first: a server that hangs accepts connections, and the next attempt would
            // wait again.
            round = silences.round(&config.remotes);
            round.sort_by_key(|other| Some(other) != remote.as_ref());
        }
        if matches!(error, SessionError::Renewed) {
            round.extend(remote.clone());
        }
        let error = read_only.judge(&name, error, config.remotes.len());
        resume.whole = error.is_inconsistent();
        if error.spoils_replica() {
            resume = Resume { last_id: uuid::Uuid::nil(), ..resume };
        }
        let retry_in = backoff.next(chance());
        let writes_nothing = error.is_read_only();
        let error =
            if name.is_empty() { chain(&error) } else { format!("{name}: {}", chain(&error)) };
        if events
            .send(Event::Disconnected { error, read_only: writes_nothing, retry_in }.into())
            .await
            .is_err()
        {
            return;
        }
        let wait = disconnected_while(tokio::time::sleep(retry_in), &events, &mut submissions);
        // A resync without a session: the next session must read everything.
        tokio::select! {
            ended = wait => if ended.is_none() { return },
            () = wishes.resync.notified() => resume = Resume { last_id: uuid::Uuid::nil(), ..resume },
        }
    }
}

/// The remotes that were read-only in a row; a remote leaves the set when an attempt at it ends for
/// another reason.
#[derive(Debug, Default)]
struct ReadOnly(BTreeSet<String>);

impl ReadOnly {
    /// Turns the error of a remote into [`SessionError::AllReadOnly`] if all remotes are read-only.
    fn judge(&mut self, remote: &str, error: SessionError, remotes: usize) -> SessionError {
        let SessionError::ReadOnly(refusal) = error else {
            self.0.remove(remote);
            return error;
        };
        self.0.insert(remote.to_owned());
        if remotes > 1 && self.0.len() == remotes {
            return SessionError::AllReadOnly { remotes, refusal };
        }
        SessionError::ReadOnly(refusal)
    }
}

/// How often in a row each server was silent since any of them has served us. So a server that
/// hangs costs no more time than before, and a busy one gets in the end as much time as it needs.
#[derive(Debug, Default)]
struct Silences(BTreeMap<String, u32>);

impl Silences {
    fn of(&self, remote: &str) -> u32 {
        self.0.get(remote).copied().unwrap_or(0)
    }

    fn note(&mut self, remote: &str) {
        let silences = self.0.entry(remote.to_owned()).or_default();
        *silences = silences.saturating_add(1);
    }

    /// Forgets all silences: an old one means nothing, so the next search treats all servers alike.
    fn end(&mut self) {
        self.0.clear();
    }

    /// All remotes in random order, the silent ones last. The list is reversed: the last entry is
    /// tried first.
    fn round(&self, remotes: &[Remote]) -> Vec<Remote> {
        let mut round = shuffled(remotes);
        round.sort_by_key(|remote| Reverse(self.of(&remote.to_string())));
        round
    }
}

/// The certificates for a connection, if it needs any.
fn material(remote: &Remote, keys: Option<&Keys>) -> Result<Option<Material>, SessionError> {
    match (remote, keys) {
        (Remote::Ssl(_), Some(keys)) => Ok(Some(keys.for_connection().map_err(OpenError::from)?)),
        (Remote::Ssl(_) | Remote::Tcp(_) | Remote::Unix(_), _) => Ok(None),
    }
}

/// Awaits `future`; meanwhile ends each submitted transaction as not connected. `None` once the
/// user is gone.
async fn disconnected_while<S, F: Future>(
    future: F,
    events: &mpsc::Sender<Delivery<S>>,
    submissions: &mut mpsc::Receiver<Submission>,
) -> Option<F::Output> {
    tokio::pin!(future);
    loop {
        tokio::select! {
            output = &mut future => return Some(output),
            submission = submissions.recv() => {
                let result = Err(TransactError::NotConnected);
                events.send(Event::Transacted { id: submission?.id, result }.into()).await.ok()?;
            }
            () = events.closed() => return None,
        }
    }
}

/// A uniform value of `u64`: the standard library seeds its hashers at random.
fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// In random order, so that the clients of a cluster spread over its members.
fn shuffled(remotes: &[Remote]) -> Vec<Remote> {
    let mut keyed: Vec<_> = remotes.iter().map(|remote| (chance(), remote.clone())).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, remote)| remote).collect()
}
