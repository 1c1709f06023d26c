//! The server: accepts connections, admits operators, serves HTTP/1.1 on each within the limits.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::question::Door;
use super::{HEAD_TIME, MAX_CONNECTIONS, Operators, Question, Socket, routes};

/// Pause after `accept` failed, as it does while the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Read buffer of one connection, in bytes; bodies are read through it piece by piece.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves until it is dropped, which also drops every connection.
pub async fn serve(socket: Socket, questions: mpsc::Sender<Question>) {
    let router = routes::router(Door::new(questions));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match socket.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                warn!("the control socket cannot accept a connection: {error}");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (router, operators) = (router.clone(), socket.operators());
        connections.spawn(async move {
            converse(stream, router, operators).await;
            drop(place);
        });
    }
}

async fn converse(stream: UnixStream, router: Router, operators: Operators) {
    let router = match operators.admit(&stream).await {
        Ok(()) => router,
        Err(refusal) => {
            warn!("refused on the control socket: {refusal}");
            routes::refuse_all(refusal)
        }
    };
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
