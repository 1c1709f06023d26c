//! The server: accepts connections, checks the connection limits, and serves HTTP/1.1.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::access::{Access, Accounts, Privileged};
use super::connection_limits::{ConnectionLimits, Permit, Strangers};
use super::events::Events;
use super::stream::{Lease, StreamLimits};
use super::{HEAD_TIME, MAX_CONNECTIONS, Question, REQUEST_TIME, Refusal, Socket, routes};
use crate::metrics::{Listener, Recorder, Requests};
use crate::view::Viewer;

/// The pause after `accept` has failed, as it does while the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Read buffer of one connection, in bytes; bodies pass through it piece by piece.
const BUFFER_BYTES: usize = 64 * 1024;
/// What the kernel keeps for a client that does not read, in bytes; it takes this twice. A thousand
/// listeners that read nothing would fill a thousand buffers of the usual 208 KiB.
const SEND_BYTES: usize = 16 * 1024;
/// Clients being identified at one time, of all users and of each. The user database answers within
/// milliseconds; if it does not, only the clients that need it wait.
const MOST_IDENTIFIED: usize = 256;
const MOST_IDENTIFIED_OF_USER: usize = 32;
/// Connections that get a refusal at one time, of all users and of each; further ones are closed
/// without an answer.
const MOST_TURNED_AWAY: usize = 64;
const MOST_TURNED_AWAY_OF_USER: usize = 8;
/// How long such an answer may take; the connection is closed after twice this time.
const TURNING_AWAY_TIME: Duration = Duration::from_millis(500);
/// Operators that wait for a connection; they wait only for each other.
const MOST_WAITING: usize = 64;

/// Serves until it is dropped; this drops every connection, too. Reads `access` again for each
/// request.
pub async fn serve(
    socket: Socket,
    questions: mpsc::Sender<Question>,
    access: watch::Receiver<Access>,
    events: Events,
    recorder: Recorder,
) {
    let server = Server {
        requests: recorder.requests.clone(),
        router: routes::router(questions, events, recorder),
        privileged: socket.privileged(),
        access,
        accounts: Accounts::default(),
        strangers: Strangers::default(),
        operators: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        tenants: ConnectionLimits::new(),
        streams: StreamLimits::new(),
        identified: ConnectionLimits::of(MOST_IDENTIFIED, MOST_IDENTIFIED_OF_USER),
        turned_away: ConnectionLimits::of(MOST_TURNED_AWAY, MOST_TURNED_AWAY_OF_USER),
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
        if let Err(error) = set_socket_send_buffer_size(&stream, SEND_BYTES) {
            debug!(%error, "a control connection has a buffer of the usual size");
        }
        let identifying = server.identified.acquire(peer.uid());
        if identifying.is_some() || server.privileged.includes(peer) {
            connections.spawn(server.clone().serve_client(stream, peer, identifying));
        } else {
            server.requests.throttled(Listener::Control);
            if let Some(permit) = server.turned_away.acquire(peer.uid()) {
                let requests = server.requests.clone();
                let refusal = Refusal::TooManyConnections;
                connections.spawn(turn_away(stream, refusal, permit, requests));
            }
        }
    }
}

/// The state that all connections share.
#[derive(Clone)]
struct Server {
    router: Router,
    requests: Requests,
    privileged: Privileged,
    access: watch::Receiver<Access>,
    accounts: Accounts,
    strangers: Strangers,
    operators: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    tenants: ConnectionLimits,
    streams: StreamLimits,
    identified: ConnectionLimits,
    turned_away: ConnectionLimits,
}

impl Server {
    /// Identifies the client, and only then applies the limit of its kind.
    async fn serve_client(self, stream: UnixStream, peer: UCred, identifying: Option<Permit>) {
        let client = Arc::new(self.accounts.identify(peer, self.privileged).await);
        drop(identifying);
        let viewer = self.access.borrow().admit(&client);
        let refusal = match self.permit(viewer, peer.uid()).await {
            Ok(permit) => {
                let lease = Arc::new(Lease::new(self.streams, peer.uid(), permit));
                let (requests, of_connection) = (self.requests, Arc::clone(&lease));
                let router =
                    routes::for_client(self.router, client, self.access, of_connection, requests);
                return serve_http(stream, router, REQUEST_TIME, || lease.is_stream()).await;
            }
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::Stranger(_)) && self.strangers.is_new(peer.uid()) {
            warn!("refused on the control socket: {refusal}");
        }
        if matches!(refusal, Refusal::Stranger(_)) {
            self.requests.auth_failed(Listener::Control);
        } else {
            self.requests.throttled(Listener::Control);
        }
        if let Some(permit) = self.turned_away.acquire(peer.uid()) {
            turn_away(stream, refusal, permit, self.requests).await;
        }
    }

    /// The permit of another connection of this client; dropping it releases it.
    async fn permit(
        &self,
        viewer: Result<Viewer, Refusal>,
        uid: u32,
    ) -> Result<Box<dyn Send>, Refusal> {
        match viewer? {
            Viewer::Operator => {
                let _waiting =
                    self.waiting.try_acquire().map_err(|_| Refusal::TooManyConnections)?;
                let permit = Arc::clone(&self.operators).acquire_owned().await;
                Ok(Box::new(permit.map_err(|_| Refusal::Leaving)?))
            }
            Viewer::Tenant(_) => {
                let permit = self.tenants.acquire(uid).ok_or(Refusal::TooManyConnections)?;
                Ok(Box::new(permit))
            }
        }
    }
}

/// Answers any request with a refusal, within a time limit.
async fn turn_away(stream: UnixStream, refusal: Refusal, permit: Permit, requests: Requests) {
    let router = routes::refuse_all(refusal, requests);
    serve_http(stream, router, TURNING_AWAY_TIME, || false).await;
    drop(permit);
}

/// Serves a connection to its end: after `most` once the current request is answered, and after
/// twice `most` in any case, for a client that does not read. An event stream lasts as long as its
/// client wants: what that does not read waits nowhere.
async fn serve_http(
    stream: UnixStream,
    router: Router,
    most: Duration,
    is_stream: impl Fn() -> bool,
) {
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
            match time::timeout(most, connection.as_mut()).await {
                Ok(served) => served,
                Err(_) if is_stream() => connection.await,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = served {
        debug!(%error, "a control connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use futures_util::{StreamExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::runtime::Builder;
    use tokio::time;

    use super::serve_http;

    /// How much a client reads of an answer that is larger than any buffer.
    fn read_of(most: Duration, client: impl AsyncFnOnce(&mut UnixStream)) -> usize {
        const ANSWER: usize = 8 << 20;
        let router = Router::new().route("/", get(|| async { vec![b'x'; ANSWER] }));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut stream, served) = UnixStream::pair().unwrap();
            let serving = tokio::spawn(serve_http(served, router, most, || false));
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            client(&mut stream).await;
            let mut answer = Vec::new();
            // The connection ends, with an error or without.
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

    /// How much a client reads of an answer that takes many times as long as a request may.
    fn read_of_stream(is_stream: bool) -> usize {
        const PARTS: u64 = 40;
        let most = Duration::from_millis(20);
        let router = Router::new().route(
            "/",
            get(move || async move {
                let parts = stream::iter(0..PARTS).then(move |_| async move {
                    time::sleep(most / 2).await;
                    Ok::<_, Infallible>("x")
                });
                Body::from_stream(parts)
            }),
        );
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut client, served) = UnixStream::pair().unwrap();
            let serving = tokio::spawn(serve_http(served, router, most, move || is_stream));
            client.write_all(b"GET / HTTP/1.1\r\nHost: y\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
            let answer = String::from_utf8_lossy(&answer);
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            body.matches('x').count()
        })
    }

    #[test]
    fn an_event_stream_lasts_and_ends_its_connection() {
        assert_eq!(read_of_stream(true), 40);
        assert!(read_of_stream(false) < 40, "what is no stream has an end");
    }

    #[test]
    fn a_request_that_is_being_answered_is_answered() {
        // No further request comes, so the connection ends when its time is over.
        assert_eq!(read_of(Duration::from_secs(1), async |_| ()), 8 << 20);
    }
}
