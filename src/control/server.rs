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
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::access::{Access, Client, Privileged};
use super::crowd::{Crowd, Strangers};
use super::question::Door;
use super::{HEAD_TIME, MAX_CONNECTIONS, Question, REQUEST_TIME, Refusal, Socket, routes};

/// Pause after `accept` failed, as it does while the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Read buffer of one connection, in bytes; bodies are read through it piece by piece.
const BUFFER_BYTES: usize = 64 * 1024;
/// Connections without a place that are told so at one time; more are closed without a word.
const MOST_TURNED_AWAY: usize = 16;
/// How long telling them may take, and half of how long one that does not listen is borne.
const TURNING_AWAY_TIME: Duration = Duration::from_millis(500);

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
        strangers: Strangers::default(),
    };
    let privileged_places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let turning_away = Arc::new(Semaphore::new(MOST_TURNED_AWAY));
    let mut crowd = Crowd::new();
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
        let reception = reception.clone();
        if reception.privileged.includes(peer) {
            // Only the privileged wait for one another.
            let places = Arc::clone(&privileged_places);
            let Ok(place) = places.acquire_owned().await else { return };
            connections.spawn(async move {
                reception.receive(stream, peer).await;
                drop(place);
            });
        } else if let Some(place) = crowd.enter(peer.uid()) {
            connections.spawn(async move {
                reception.receive(stream, peer).await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&turning_away).try_acquire_owned() {
            connections.spawn(async move {
                let router = routes::refuse_all(Refusal::Crowded);
                // Whoever does not listen in time is not told.
                converse(stream, router, TURNING_AWAY_TIME).await;
                drop(place);
            });
        }
    }
}

/// What each connection is received with.
#[derive(Clone)]
struct Reception {
    router: Router,
    privileged: Privileged,
    access: watch::Receiver<Access>,
    strangers: Strangers,
}

impl Reception {
    async fn receive(self, stream: UnixStream, peer: UCred) {
        let client = Arc::new(Client::identify(peer, self.privileged).await);
        let refusal = self.access.borrow().admit(&client).err();
        if let Some(refusal) = refusal
            && self.strangers.is_new(peer.uid())
        {
            warn!("refused on the control socket: {refusal}");
        }
        let router = routes::for_client(self.router, client, self.access);
        converse(stream, router, REQUEST_TIME).await;
    }
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
