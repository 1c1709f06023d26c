//! Both directions of a connection: messages from the server, and messages to it.
//!
//! Owns the writer, this side's own probes and the signs of life. May not touch the meaning of
//! messages. Invariants: only the writer writes, and the reader never waits for it (the server
//! stops reading while it has much to send, so a wait would be a deadlock); any received byte is a
//! sign of life.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::codec::Decoder;

use super::config::{ASK_INTERVAL, Config};
use super::envelope;
use super::frame::{FrameDecoder, FrameError};
use super::socket::Streams;
use super::tls;

/// Requests that wait for the writer. Small, because the engine has a queue before it.
const REQUEST_QUEUE: usize = 64;
/// Replies to echo requests that wait for the writer. A server sends the next request only after
/// the reply to the last one, so an honest server never fills it.
const ECHO_QUEUE: usize = 64;
/// The least room for a read, in bytes.
const LEAST_ROOM: usize = 4096;

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
    /// A frame is not a message.
    #[error("the server sent a message that is neither request, notification nor reply")]
    Message(#[from] serde_json::Error),
    /// The server asks without reading the answers.
    #[error("the server sends echo requests and does not read the replies")]
    EchoFlood,
    /// The writer has ended; the reader reports why.
    #[error("the connection no longer takes requests")]
    Writer,
    /// The session has ended.
    #[error("the session has ended")]
    Session,
}

/// After this much silence the client gives the server up; [`set`](Self::set) shortens it once the
/// server is less busy.
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

/// When a server last sent something; the connections and the client's handle share it.
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

    /// Notes a received byte, or a new connection.
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

/// Both ways of a connection.
pub(super) struct Transport {
    pub(super) reader: Reader,
    /// Requests to send.
    pub(super) requests: mpsc::Sender<String>,
    /// Ends the writer, even if the server does not read.
    pub(super) writer: AbortHandle,
    pub(super) silence: Silence,
}

/// Sets up both ways and spawns the writer.
pub(super) fn transport(streams: Streams, config: &Config, heard: Heard) -> Transport {
    heard.note();
    let (requests, request_queue) = mpsc::channel(REQUEST_QUEUE);
    let (replies, reply_queue) = mpsc::channel(ECHO_QUEUE);
    let silence = Silence::of(config);
    let writer = tokio::spawn(write(streams.write, request_queue, reply_queue)).abort_handle();
    let reader = Reader {
        read: streams.read,
        buffer: BytesMut::new(),
        decoder: FrameDecoder::new(config.largest_frame),
        ask: ASK_INTERVAL.min(config.probe_interval),
        silence: silence.clone(),
        replies,
        heard,
    };
    Transport { reader, requests, writer, silence }
}

/// The only task that writes. It writes all waiting messages together.
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
            // The reader reports the reason; this closes the queues and so stops the engine.
            return;
        }
    }
    // No reader is left.
    let _ = write.shutdown().await;
}

/// Messages from the server.
pub(super) struct Reader {
    read: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    decoder: FrameDecoder,
    /// When the client probes the server, and when it gives it up.
    ask: Duration,
    silence: Silence,
    replies: mpsc::Sender<String>,
    heard: Heard,
}

impl Reader {
    /// Replies to the server's requests.
    pub(super) fn reply(&self, text: String) -> Result<(), TransportError> {
        self.replies.try_send(text).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TransportError::EchoFlood,
            mpsc::error::TrySendError::Closed(_) => TransportError::Writer,
        })
    }

    /// The next frame; reads more bytes if it is not complete.
    pub(super) async fn frame(&mut self) -> Result<Bytes, TransportError> {
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

    /// Reads some bytes. Probes the server when nothing comes for a while, and gives it up when
    /// nothing comes for much longer.
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
                    // A full queue means that the server does not read; another probe would not
                    // help.
                    let _ = self.replies.try_send(envelope::PROBE.to_owned());
                }
            }
        }
    }
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
