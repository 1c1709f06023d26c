//! The server: accepts connections, checks the connection limits, and serves HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::access::{Access, Accounts, Privileged};
use super::events::Events;
use super::strangers::Strangers;
use super::stream::{Lease, StreamLimits};
use super::{
    HEAD_TIME, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER, Question, REQUEST_TIME, Refusal, Socket,
    routes,
};
use crate::listen::{ConnectionLimits, HttpTimes, Permit, serve_http};
use crate::metrics::{Recorder, Requests, Via};
use crate::view::Viewer;

const TIMES: HttpTimes = HttpTimes { head: HEAD_TIME, request: REQUEST_TIME };
/// The pause after `accept` has failed, as it does while the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
        tenants: ConnectionLimits::of(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_USER),
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
            server.requests.throttled(Via::Control);
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
    tenants: ConnectionLimits<u32>,
    streams: StreamLimits,
    identified: ConnectionLimits<u32>,
    turned_away: ConnectionLimits<u32>,
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
                let service = TowerToHyperService::new(router);
                return serve_http(stream, service, TIMES, || lease.is_stream()).await;
            }
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::Stranger(_)) && self.strangers.is_new(peer.uid()) {
            warn!("refused on the control socket: {refusal}");
        }
        if matches!(refusal, Refusal::Stranger(_)) {
            self.requests.auth_failed(Via::Control);
        } else {
            self.requests.throttled(Via::Control);
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
    let times = HttpTimes { request: TURNING_AWAY_TIME, ..TIMES };
    let service = TowerToHyperService::new(routes::refuse_all(refusal, requests));
    serve_http(stream, service, times, || false).await;
    drop(permit);
}
