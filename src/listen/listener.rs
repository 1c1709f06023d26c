//! Binding addresses, and serving them on a thread of their own.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::connections::{ConnectionLimits, Permit};
use super::http::{HttpTimes, serve_http};
use super::keys::Keys;
use crate::declare::ListenSettings;

/// The pause after `accept` has failed, as it does while the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections accepted in a row before those that are served get their turn.
const MOST_ACCEPTED: usize = 16;

/// Limits on what clients can use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones are closed.
    pub connections: usize,
    /// The share of one address in them (of IPv6, of a /64, which is one site's).
    pub per_address: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a client may take to send a request's head, and to stay idle between requests.
    pub head: Duration,
    /// How long one request may take, from its head to its answer.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            per_address: 16,
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            request: Duration::from_secs(60),
        }
    }
}

/// Who asks: an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// The address at the other end.
    pub address: IpAddr,
}

impl Client {
    fn of(address: SocketAddr) -> Self {
        Self { address: address.ip().to_canonical() }
    }

    /// What limits count it as: an IPv6 address stands for its /64, whose owner has all of it.
    #[must_use]
    pub fn site(self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot listen on {address}: {}", remedy(.source))]
pub struct ListenError {
    what: &'static str,
    address: SocketAddr,
    #[source]
    source: io::Error,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "another program does; choose another port, or end that one",
        ErrorKind::AddrNotAvailable => "this host does not have the address; choose one of its own",
        ErrorKind::PermissionDenied => "choose a port from 1024 on",
        _ => "correct `listen`",
    }
}

/// Bound addresses.
#[derive(Debug)]
pub struct Listener {
    what: &'static str,
    sockets: Vec<(StdListener, SocketAddr)>,
    keys: Option<Arc<Keys>>,
}

impl Listener {
    /// Binds all addresses of a section of the settings, which `what` names: `[api]`.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub fn bind(what: &'static str, settings: &ListenSettings) -> Result<Self, ListenError> {
        let bind = |address: &SocketAddr| {
            let address = *address;
            let bound = StdListener::bind(address).and_then(|socket| {
                socket.set_nonblocking(true)?;
                let bound = socket.local_addr()?;
                Ok((socket, bound))
            });
            bound.map_err(|source| ListenError { what, address, source })
        };
        let sockets = settings.listen.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { what, sockets, keys: Keys::read(what, settings).map(Arc::new) })
    }

    /// The addresses, with the ports that the system chose where the settings have 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(_, address)| *address).collect()
    }

    /// Serves them on a thread of their own, until what is returned is dropped.
    ///
    /// # Errors
    /// The system has no thread.
    pub fn serve(self, router: Router, limits: Limits) -> io::Result<Serving> {
        let addresses = self.addresses();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let turned_away = Arc::new(AtomicU64::new(0));
        let server = Server {
            what: self.what,
            router,
            limits,
            connections: ConnectionLimits::of(limits.connections, limits.per_address),
            turned_away: Arc::clone(&turned_away),
            keys: self.keys.clone(),
        };
        let scheme = if self.keys.is_some() { "https" } else { "http" };
        let list: Vec<String> =
            addresses.iter().map(|address| format!("{scheme}://{address}")).collect();
        thread::Builder::new().name("listen".to_owned()).spawn(move || {
            serve_all(runtime, self.sockets, server, stopped);
        })?;
        info!("{} listens on {}", self.what, list.join(", "));
        Ok(Serving { addresses, keys: self.keys, turned_away, _stop: stop })
    }
}

/// Addresses that are served; dropping it ends that, with all connections.
#[derive(Debug)]
pub struct Serving {
    addresses: Vec<SocketAddr>,
    keys: Option<Arc<Keys>>,
    turned_away: Arc<AtomicU64>,
    _stop: oneshot::Sender<()>,
}

impl Serving {
    /// The addresses, as [`Listener::addresses`] has them.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Has the certificate read again: its files have changed, or an operator says so.
    pub fn renew(&self) {
        if let Some(keys) = &self.keys {
            keys.renew();
        }
    }

    /// Until when the certificate in use is valid.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.keys.as_ref()?.expires()
    }

    /// What is wrong with the certificate's files, if so.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.keys.as_ref()?.problem()
    }

    /// Connections closed because there were too many.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }
}

/// The state that all connections share.
#[derive(Clone)]
struct Server {
    what: &'static str,
    router: Router,
    limits: Limits,
    connections: ConnectionLimits<IpAddr>,
    turned_away: Arc<AtomicU64>,
    keys: Option<Arc<Keys>>,
}

fn serve_all(
    runtime: Runtime,
    sockets: Vec<(StdListener, SocketAddr)>,
    server: Server,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        if let Some(keys) = server.keys.clone() {
            tasks.spawn(keys.follow());
        }
        for (socket, address) in sockets {
            match TcpListener::from_std(socket) {
                Ok(socket) => drop(tasks.spawn(server.clone().accept_all(socket))),
                Err(error) => warn!("{} does not serve {address}: {error}", server.what),
            }
        }
        // Either way it is over.
        let _ = stopped.await;
    });
    runtime.shutdown_background();
}

impl Server {
    async fn accept_all(self, socket: TcpListener) {
        let mut served = JoinSet::new();
        for accepted in 1_usize.. {
            let (stream, address) = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!("{} cannot accept a connection: {error}", self.what);
                    time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            while served.try_join_next().is_some() {}
            let client = Client::of(address);
            match self.connections.acquire(client.site()) {
                Some(permit) => drop(served.spawn(self.clone().serve(stream, client, permit))),
                None => drop(self.turned_away.fetch_add(1, Ordering::Relaxed)),
            }
            if accepted.is_multiple_of(MOST_ACCEPTED) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Serves a connection to its end.
    async fn serve(self, stream: TcpStream, client: Client, permit: Permit) {
        // Small answers are not to wait for the acknowledgement of the last one.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection sends with a delay");
        }
        let times = HttpTimes { head: self.limits.head, request: self.limits.request };
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(client);
            router.call(request)
        });
        let Some(keys) = self.keys else {
            serve_http(stream, service, times, || false).await;
            return drop(permit);
        };
        let Some(config) = keys.config() else { return };
        match time::timeout(self.limits.handshake, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => serve_http(stream, service, times, || false).await,
            Ok(Err(error)) => debug!(%error, "{}: a TLS handshake failed", self.what),
            Err(_) => debug!("{}: a TLS handshake took too long", self.what),
        }
        drop(permit);
    }
}
