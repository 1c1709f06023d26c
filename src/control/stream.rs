//! `GET /v1/events`: server-sent events (HTML Living Standard, "Server-sent events").
//!
//! A stream holds a permit of its own instead of the connection's, so that listeners keep nobody
//! from asking. The settings of the moment decide at each event, so that a reload ends the stream
//! of a client whose rights it changes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{self, Instant};

use super::access::{Access, Caller};
use super::events::{EventId, Events, Happened};
use super::{MAX_STREAMS, MAX_STREAMS_PER_USER, Refusal};
use crate::listen::{ConnectionLimits, Permit};
use crate::view::{Event, EventKind, Viewer};

/// How often a stream without events says that it is alive: so a client learns that the daemon
/// is gone, and the daemon that the client is. All streams do so at the same moments.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How many event streams there may be.
#[derive(Clone, Debug)]
pub(super) struct StreamLimits {
    operators: ConnectionLimits<u32>,
    tenants: ConnectionLimits<u32>,
}

/// What a connection holds while it is served: the permit of its kind, or that of an event stream.
pub(super) struct Lease {
    limits: StreamLimits,
    uid: u32,
    connection: Mutex<Option<Box<dyn Send>>>,
    stream: OnceLock<Permit>,
}

/// One listener, and how far it is.
struct Listener {
    events: Events,
    has_begun: bool,
    viewer: Viewer,
    caller: Arc<Caller>,
    access: watch::Receiver<Access>,
    position: EventId,
    found: VecDeque<(EventId, Arc<Happened>)>,
    wake: watch::Receiver<u64>,
    keep_alive: Instant,
}

impl StreamLimits {
    pub(super) fn new() -> Self {
        Self {
            operators: ConnectionLimits::of(MAX_STREAMS, MAX_STREAMS),
            tenants: ConnectionLimits::of(MAX_STREAMS, MAX_STREAMS_PER_USER),
        }
    }
}

impl Lease {
    pub(super) fn new(limits: StreamLimits, uid: u32, permit: impl Send + 'static) -> Self {
        let connection = Mutex::new(Some(Box::new(permit) as Box<dyn Send>));
        Self { limits, uid, connection, stream: OnceLock::new() }
    }

    /// Whether it is held for an event stream, which may last.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.get().is_some()
    }

    /// Exchanges the connection's permit for that of a stream.
    fn become_stream(&self, viewer: &Viewer) -> Result<(), Refusal> {
        let limits = match viewer {
            Viewer::Operator => &self.limits.operators,
            Viewer::Tenant(_) => &self.limits.tenants,
        };
        let permit = limits.acquire(self.uid).ok_or(Refusal::TooManyStreams)?;
        // A client may ask for several, one after the other, on one connection.
        self.stream.get_or_init(|| permit);
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

pub(super) async fn events(
    State(events): State<Events>,
    Extension(viewer): Extension<Viewer>,
    Extension(caller): Extension<Arc<Caller>>,
    Extension(access): Extension<watch::Receiver<Access>>,
    Extension(lease): Extension<Arc<Lease>>,
    request: Request,
) -> Result<Response, Refusal> {
    let position = match request.headers().get("last-event-id") {
        None => events.end(),
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            id.ok_or_else(|| Refusal::BadRequest("Last-Event-ID is no id of an event".to_owned()))?
        }
    };
    lease.become_stream(&viewer)?;
    let listener = Listener {
        wake: events.subscribe(),
        events,
        has_begun: false,
        viewer,
        caller,
        access,
        position,
        found: VecDeque::new(),
        keep_alive: next_keep_alive(),
    };
    let frames = stream::unfold(listener, |mut listener| async {
        let frame = listener.next().await?;
        Some((Ok::<_, Infallible>(frame), listener))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
        // Nothing is asked on this connection afterwards.
        (CONNECTION, "close"),
    ];
    Ok((headers, Body::from_stream(frames)).into_response())
}

impl Listener {
    /// The next frame; none if the client has not the same rights any more.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.access.borrow().admit(&self.caller).ok().as_ref() != Some(&self.viewer) {
                return None;
            }
            if !self.has_begun {
                // Where to resume, if the daemon ends before the first event.
                self.has_begun = true;
                return Some(Bytes::from(format!("id: {}\n\n", self.position)));
            }
            if let Some((id, happened)) = self.found.pop_front() {
                self.position = id;
                return Some(happened.frame(id));
            }
            self.wake.mark_unchanged();
            let found = self.events.read(&self.viewer, self.position);
            self.found = found.events.into();
            if let Some(gap) = found.gap {
                self.position = gap;
                return Some(Happened::new(jiff::Timestamp::now(), lost()).frame(gap));
            }
            if !self.found.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.wake.changed() => changed.ok()?,
                changed = self.access.changed() => changed.ok()?,
                () = time::sleep_until(self.keep_alive) => {
                    self.keep_alive = next_keep_alive();
                    return Some(Bytes::from_static(b":\n\n"));
                }
            }
        }
    }
}

fn lost() -> Event {
    let message = "events before this one are lost: look at the present states";
    Event::new(EventKind::Gap, message)
}

/// The next of the moments at which all streams say that they are alive: the daemon wakes once for
/// all of them.
fn next_keep_alive() -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    let past = first.elapsed().as_secs() / KEEP_ALIVE.as_secs();
    first + KEEP_ALIVE * (u32::try_from(past).unwrap_or(u32::MAX - 1) + 1)
}
