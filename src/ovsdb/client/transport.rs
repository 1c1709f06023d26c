//! The transport below the JSON-RPC engine: the sender half, the receiver half and the writer.
//!
//! Owns both halves of a connection. Three things go around the engine here, as it would drop or copy
//! them: notifications and monitor replies go to the session as the bytes that came, in the order of the
//! wire; the server's echo requests are answered; this side's own probes are sent and counted. Every reply
//! that does go to the engine is stamped with the number of messages that went around before it.
//!
//! Invariants: only the writer writes, and the receiver never waits for it (the server stops reading while
//! it has much to send, so that would be a deadlock); any byte received is a sign of life; what the user has
//! not taken yet is bounded by the backlog, and within that nothing keeps from reading.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jsonrpsee_core::client::{ReceivedMessage, TransportReceiverT, TransportSenderT};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::codec::Decoder;

use super::backlog::{Backlog, Place};
use super::config::{ASK_INTERVAL, Config};
use super::envelope::{self, Inbound};
use super::frame::{FrameDecoder, FrameError};
use super::socket::Halves;
use super::tls;

/// Requests that wait for the writer. Small: the engine's own queue is before it.
const REQUEST_QUEUE: usize = 64;
/// Replies to echo requests that wait for the writer. A server sends the next one only once it has the
/// last one's reply, so this is never reached by an honest one.
const ECHO_QUEUE: usize = 64;
/// A read is offered at least this much room. In bytes.
const LEAST_ROOM: usize = 4096;

/// What goes around the engine, in the order of the wire.
#[derive(Debug)]
pub(super) enum Wire {
    /// The successful reply to a monitor request.
    MonitorReply(Message),
    /// A notification.
    Notification { method: Box<str>, message: Message },
    /// The connection has ended.
    Ended(TransportError),
}

/// A message as it came, and its place in the backlog.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) frame: Bytes,
    pub(super) place: Option<Place>,
}

impl Wire {
    /// It counts no more in the backlog: else a message behind it could wait for it for ever.
    pub(super) fn set_aside(self) -> Self {
        let uncounted = |message: Message| Message { place: None, ..message };
        match self {
            Self::MonitorReply(message) => Self::MonitorReply(uncounted(message)),
            Self::Notification { method, message } => {
                Self::Notification { method, message: uncounted(message) }
            }
            Self::Ended(error) => Self::Ended(error),
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    /// Reading failed.
    #[error("the connection was lost: {remedy}")]
    Read {
        /// What to do about it.
        remedy: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server closed it.
    #[error("the server closed the connection{}", if *.amid { " in the middle of a message" } else { "" })]
    Closed {
        /// Whether a message was incomplete.
        amid: bool,
    },
    /// The server is silent.
    #[error(
        "the server has sent nothing for {} s and did not answer a probe: it hangs, is paused or is gone",
        .0.as_secs_f32()
    )]
    Silent(Duration),
    /// What came is not a JSON object.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What came is not a message.
    #[error("the server sent a message that is neither request, notification nor reply")]
    Message(#[from] serde_json::Error),
    /// The server asks without reading the answers.
    #[error("the server sends echo requests and does not read the replies")]
    EchoFlood,
    /// The writer has ended; reading tells why.
    #[error("the connection no longer takes requests")]
    Writer,
    /// The session has ended.
    #[error("the session has ended")]
    Session,
}

/// Ids of monitor requests under way.
type Monitors = Arc<Mutex<BTreeSet<u64>>>;

/// What a session needs of a connection.
pub(super) struct Transport {
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) wire: mpsc::UnboundedReceiver<Wire>,
    /// Ends the writer, even when the server does not read.
    pub(super) writer: AbortHandle,
    pub(super) silence: Silence,
}

/// After so much silence the server is given up: less once it has shown that it has time.
#[derive(Clone, Debug)]
pub(super) struct Silence(Arc<AtomicU64>);

impl Silence {
    fn of(config: &Config) -> Self {
        let silence = Self(Arc::default());
        silence.set(config);
        silence
    }

    pub(super) fn set(&self, config: &Config) {
        let milliseconds = u64::try_from(config.silence().as_millis()).unwrap_or(u64::MAX);
        self.0.store(milliseconds, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// When a server was heard last; shared by the connections and the client's handle.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    since: Instant,
    /// In milliseconds since then.
    at: Arc<AtomicU64>,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), at: Arc::default() }
    }

    /// Something came, or there is a connection.
    fn note(&self) {
        let milliseconds = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.at.store(milliseconds, Ordering::Relaxed);
    }

    /// How long ago that was.
    pub(super) fn ago(&self) -> Duration {
        let at = Duration::from_millis(self.at.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(at)
    }
}

/// A lock with which nobody panics; if somebody does, what is behind it is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets up the halves and spawns the writer.
pub(super) fn transport(
    halves: Halves,
    config: &Config,
    heard: Heard,
    backlog: Backlog,
) -> Transport {
    heard.note();
    let (requests, request_queue) = mpsc::channel(REQUEST_QUEUE);
    let (replies, reply_queue) = mpsc::channel(ECHO_QUEUE);
    // The backlog bounds it.
    let (to_session, wire) = mpsc::unbounded_channel();
    let (monitors, silence) = (Monitors::default(), Silence::of(config));
    let writer = tokio::spawn(write(halves.write, request_queue, reply_queue)).abort_handle();
    let receiver = Receiver {
        read: halves.read,
        buffer: BytesMut::new(),
        decoder: FrameDecoder::new(config.largest_frame),
        ask: ASK_INTERVAL.min(config.probe_interval),
        silence: silence.clone(),
        replies,
        session: to_session,
        monitors: Arc::clone(&monitors),
        stamp: 0,
        heard,
        backlog,
    };
    Transport { sender: Sender { requests, monitors }, receiver, wire, writer, silence }
}

/// The only task that writes. Whatever waits is written together.
async fn write(
    mut write: Box<dyn AsyncWrite + Send + Unpin>,
    mut requests: mpsc::Receiver<String>,
    mut replies: mpsc::Receiver<String>,
) {
    loop {
        let first = tokio::select! {
            biased;
            Some(reply) = replies.recv() => reply,
            Some(request) = requests.recv() => request,
            else => break,
        };
        let mut batch = first.into_bytes();
        while let Ok(next) = replies.try_recv().or_else(|_| requests.try_recv()) {
            batch.extend_from_slice(next.as_bytes());
        }
        if write.write_all(&batch).await.is_err() || write.flush().await.is_err() {
            // The reader learns the reason; here the queues close, which stops the engine.
            return;
        }
    }
    // Nobody is left to be told.
    let _ = write.shutdown().await;
}

/// The engine's way out.
pub(super) struct Sender {
    requests: mpsc::Sender<String>,
    monitors: Monitors,
}

impl TransportSenderT for Sender {
    type Error = TransportError;

    async fn send(&mut self, message: String) -> Result<(), TransportError> {
        let outbound = envelope::outbound(&message)?;
        if outbound.is_monitor {
            lock(&self.monitors).extend(outbound.id);
        }
        self.requests.send(outbound.text).await.map_err(|_| TransportError::Writer)
    }
}

/// The engine's way in.
pub(super) struct Receiver {
    read: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    decoder: FrameDecoder,
    /// When the server is asked, and when it is given up.
    ask: Duration,
    silence: Silence,
    replies: mpsc::Sender<String>,
    session: mpsc::UnboundedSender<Wire>,
    monitors: Monitors,
    /// How many messages have gone around the engine.
    stamp: u64,
    heard: Heard,
    backlog: Backlog,
}

impl TransportReceiverT for Receiver {
    type Error = TransportError;

    async fn receive(&mut self) -> Result<ReceivedMessage, TransportError> {
        match self.next().await {
            Ok(message) => Ok(ReceivedMessage::Bytes(message)),
            Err(error) => {
                // The session hears of it after all that came before; if it has ended, nobody asks.
                let _ = self.session.send(Wire::Ended(error));
                Err(TransportError::Session)
            }
        }
    }
}

impl Receiver {
    /// The next message for the engine.
    async fn next(&mut self) -> Result<Vec<u8>, TransportError> {
        loop {
            let frame = self.frame().await?;
            if let Some(message) = self.sort(frame).await? {
                return Ok(message);
            }
        }
    }

    /// Sends a frame where it belongs; returns what is for the engine.
    async fn sort(&mut self, frame: Bytes) -> Result<Option<Vec<u8>>, TransportError> {
        match envelope::classify(&frame)? {
            Inbound::Request { id, method, params } => {
                let reply = if method == "echo" {
                    envelope::echo_reply(id, params)
                } else {
                    envelope::unknown_method(id)
                };
                self.reply(reply)?;
            }
            Inbound::Probe => {}
            Inbound::Notification { method } => {
                let method = method.into();
                let message = message(&self.backlog, frame).await;
                self.around(Wire::Notification { method, message })?;
            }
            Inbound::Success { id, .. } if self.is_monitor(id) => {
                let message = message(&self.backlog, frame).await;
                self.around(Wire::MonitorReply(message))?;
                return Ok(Some(envelope::success(id, self.stamp, "null")));
            }
            Inbound::Success { id, result } => {
                let result = match result {
                    Some(result) => result,
                    None => envelope::result_of(&frame)?,
                };
                return Ok(Some(envelope::success(id, self.stamp, result)));
            }
            Inbound::Failure { id, error } => {
                self.is_monitor(id);
                return Ok(Some(envelope::failure(id, error)));
            }
        }
        Ok(None)
    }

    fn around(&mut self, wire: Wire) -> Result<(), TransportError> {
        self.stamp += 1;
        self.session.send(wire).map_err(|_| TransportError::Session)
    }

    /// Whether this replies to a monitor request; asked once for each reply.
    fn is_monitor(&self, id: u64) -> bool {
        lock(&self.monitors).remove(&id)
    }

    fn reply(&self, text: String) -> Result<(), TransportError> {
        self.replies.try_send(text).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TransportError::EchoFlood,
            mpsc::error::TrySendError::Closed(_) => TransportError::Writer,
        })
    }

    /// The next frame, read if it is not there yet.
    async fn frame(&mut self) -> Result<Bytes, TransportError> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.buffer)? {
                return Ok(frame);
            }
            FrameDecoder::make_room(&mut self.buffer, LEAST_ROOM);
            if self.read().await? == 0 {
                return Err(TransportError::Closed { amid: !self.buffer.is_empty() });
            }
            self.heard.note();
        }
    }

    /// Reads some bytes. When nothing comes for a while the server is asked, and when nothing comes for much longer it is
    /// given up.
    async fn read(&mut self) -> Result<usize, TransportError> {
        let ask = self.ask;
        let mut silent = Duration::ZERO;
        loop {
            let limit = self.silence.get();
            let read = self.read.read_buf(&mut self.buffer);
            match tokio::time::timeout(ask.min(limit.saturating_sub(silent)), read).await {
                Ok(read) => return read.map_err(lost),
                Err(_) => {
                    silent += ask.min(limit.saturating_sub(silent));
                    if silent >= limit {
                        return Err(TransportError::Silent(limit));
                    }
                    // One that does not read any more is asked no more.
                    let _ = self.replies.try_send(envelope::PROBE.to_owned());
                }
            }
        }
    }
}

/// A message with a place in the backlog; nothing more is read until there is one.
async fn message(backlog: &Backlog, frame: Bytes) -> Message {
    let place = backlog.place(frame.len()).await;
    Message { frame, place }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
fn lost(source: io::Error) -> TransportError {
    let remedy = tls::remedy(&source).unwrap_or(match source.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed it without ending the TLS session",
        io::ErrorKind::ConnectionReset => "the server or something on the way reset it",
        _ => "check the server and the network",
    });
    TransportError::Read { remedy, source }
}
