//! The server: accepts connections, finds each a place, serves HTTP/1.1 on it within the limits.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::access::{Access, Accounts, Privileged};
use super::crowd::{Crowd, Place, Strangers};
use super::question::Door;
use super::{HEAD_TIME, MAX_CONNECTIONS, Question, REQUEST_TIME, Refusal, Socket, routes};
use crate::view::Viewer;

/// Pause after `accept` failed, as it does while the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Read buffer of one connection, in bytes; bodies are read through it piece by piece.
const BUFFER_BYTES: usize = 64 * 1024;
/// Clients being identified at one time, of all users and of each: the user database answers within
/// milliseconds, and where it does not, nobody waits for it but who needs it.
const MOST_IDENTIFIED: usize = 256;
const MOST_IDENTIFIED_OF_USER: usize = 32;
/// Strangers and clients without a place that are told so at one time, of all users and of each; more
/// are closed without a word.
const MOST_TURNED_AWAY: usize = 64;
const MOST_TURNED_AWAY_OF_USER: usize = 8;
/// How long telling them may take, and half of how long one that does not listen is borne.
const TURNING_AWAY_TIME: Duration = Duration::from_millis(500);
/// Operators that wait for a place; they wait for nobody but one another.
const MOST_WAITING: usize = 64;

/// Serves until it is dropped, which also drops every connection. `access` is read anew for each
/// request.
pub async fn serve(
    socket: Socket,
    questions: mpsc::Sender<Question>,
    access: watch::Receiver<Access>,
) {
    let reception = Reception {
        router: routes::router(Door::new(questions)),
        privileged: socket.privileged(),
        access,
        accounts: Accounts::default(),
        strangers: Strangers::default(),
        operators: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        tenants: Crowd::new(),
        identified: Crowd::of(MOST_IDENTIFIED, MOST_IDENTIFIED_OF_USER),
        turned_away: Crowd::of(MOST_TURNED_AWAY, MOST_TURNED_AWAY_OF_USER),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = socket.accept().await.and_then(|stream| Ok((stream.peer_cred()?, stream)));
        let (peer, stream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("the control socket cannot accept a connection: {error}");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let lobby = reception.identified.enter(peer.uid());
        if lobby.is_some() || reception.privileged.includes(peer) {
            connections.spawn(reception.clone().receive(stream, peer, lobby));
        } else if let Some(place) = reception.turned_away.enter(peer.uid()) {
            connections.spawn(turn_away(stream, Refusal::Crowded, place));
        }
    }
}

/// What each connection is received with.
#[derive(Clone)]
struct Reception {
    router: Router,
    privileged: Privileged,
    access: watch::Receiver<Access>,
    accounts: Accounts,
    strangers: Strangers,
    operators: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    tenants: Crowd,
    identified: Crowd,
    turned_away: Crowd,
}

/// What a connection holds while it is served.
enum Served {
    Operator { _place: OwnedSemaphorePermit },
    Tenant { _place: Place },
}

impl Reception {
    /// Finds out who it is, and only then which place it gets.
    async fn receive(self, stream: UnixStream, peer: UCred, lobby: Option<Place>) {
        let client = Arc::new(self.accounts.identify(peer, self.privileged).await);
        drop(lobby);
        let viewer = self.access.borrow().admit(&client);
        let refusal = match self.place(viewer, peer.uid()).await {
            Ok(place) => {
                let router = routes::for_client(self.router, client, self.access);
                converse(stream, router, REQUEST_TIME).await;
                return drop(place);
            }
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::Stranger(_)) && self.strangers.is_new(peer.uid()) {
            warn!("refused on the control socket: {refusal}");
        }
        if let Some(place) = self.turned_away.enter(peer.uid()) {
            turn_away(stream, refusal, place).await;
        }
    }

    async fn place(&self, viewer: Result<Viewer, Refusal>, uid: u32) -> Result<Served, Refusal> {
        match viewer? {
            Viewer::Operator => {
                let _waiting = self.waiting.try_acquire().map_err(|_| Refusal::Crowded)?;
                let place = Arc::clone(&self.operators).acquire_owned().await;
                place.map(|place| Served::Operator { _place: place }).map_err(|_| Refusal::Leaving)
            }
            Viewer::Tenant(_) => {
                let place = self.tenants.enter(uid).ok_or(Refusal::Crowded)?;
                Ok(Served::Tenant { _place: place })
            }
        }
    }
}

/// Says no to whatever is asked. Whoever does not listen in time is not told.
async fn turn_away(stream: UnixStream, refusal: Refusal, place: Place) {
    converse(stream, routes::refuse_all(refusal), TURNING_AWAY_TIME).await;
    drop(place);
}

/// Serves a connection to its end, which comes when `most` has passed and the request of that
/// moment is answered; and when twice that has passed, as with a client that does not read.
async fn converse(stream: UnixStream, router: Router, most: Duration) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let served = match time::timeout(most, connection.as_mut()).await {
        Ok(served) => served,
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            time::timeout(most, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        debug!(%error, "a control connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::runtime::Builder;
    use tokio::time;

    use super::converse;

    /// What a client reads of an answer beyond any buffer, after it asked and did so much.
    fn read_of(most: Duration, client: impl AsyncFnOnce(&mut UnixStream)) -> usize {
        const ANSWER: usize = 8 << 20;
        let router = Router::new().route("/", get(|| async { vec![b'x'; ANSWER] }));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut stream, served) = UnixStream::pair().unwrap();
            let serving = tokio::spawn(converse(served, router, most));
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            client(&mut stream).await;
            let mut answer = Vec::new();
            // Cut off or closed, it ends.
            let _ = stream.read_to_end(&mut answer).await;
            time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
            answer.len().min(ANSWER)
        })
    }

    #[test]
    fn a_client_that_does_not_read_is_hung_up_on() {
        let most = Duration::from_millis(50);
        let read = read_of(most, async |_| time::sleep(most * 20).await);
        assert!(read < 8 << 20, "{read} bytes");
    }

    #[test]
    fn a_request_that_is_being_answered_is_answered() {
        // Nothing more is asked on it, so that it ends when its time is over.
        assert_eq!(read_of(Duration::from_secs(1), async |_| ()), 8 << 20);
    }
}
