//! The server: accepts connections, finds each a place, serves HTTP/1.1 on it within the limits.

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
use super::{HEAD_TIME, MAX_CONNECTIONS, Question, Refusal, Socket, routes};

/// Pause after `accept` failed, as it does while the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Read buffer of one connection, in bytes; bodies are read through it piece by piece.
const BUFFER_BYTES: usize = 64 * 1024;
/// Connections without a place that are told so at one time; more are closed without a word.
const MOST_TURNED_AWAY: usize = 16;
/// How long telling them may take.
const TURNING_AWAY_TIME: Duration = Duration::from_secs(1);

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
                let refused = converse(stream, routes::refuse_all(Refusal::Crowded));
                // Whoever does not listen in time is not told.
                let _ = time::timeout(TURNING_AWAY_TIME, refused).await;
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
        converse(stream, routes::for_client(self.router, client, self.access)).await;
    }
}

async fn converse(stream: UnixStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        debug!(%error, "a control connection ended early");
    }
}
