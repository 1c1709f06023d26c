//! Both ways of a connection: messages that come, and messages that go.
//!
//! Owns the writer, this side's own probes and the signs of life. May not touch what messages mean. Invariants: only the writer
//! writes, and the reader never waits for it (the server stops reading while it has much to send, so that would be a deadlock);
//! any byte received is a sign of life.

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
use super::socket::Halves;
use super::tls;

/// Requests that wait for the writer. Small: the engine's own queue is before it.
const REQUEST_QUEUE: usize = 64;
/// Replies to echo requests that wait for the writer. A server sends the next one only once it has the
/// last one's reply, so this is never reached by an honest one.
const ECHO_QUEUE: usize = 64;
/// A read is offered at least this much room. In bytes.
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

/// Both ways of a connection.
pub(super) struct Transport {
    pub(super) reader: Reader,
    /// What is to be sent.
    pub(super) requests: mpsc::Sender<String>,
    /// Ends the writer, even when the server does not read.
    pub(super) writer: AbortHandle,
    pub(super) silence: Silence,
}

/// Sets up both ways and spawns the writer.
pub(super) fn transport(halves: Halves, config: &Config, heard: Heard) -> Transport {
    heard.note();
    let (requests, request_queue) = mpsc::channel(REQUEST_QUEUE);
    let (replies, reply_queue) = mpsc::channel(ECHO_QUEUE);
    let silence = Silence::of(config);
    let writer = tokio::spawn(write(halves.write, request_queue, reply_queue)).abort_handle();
    let reader = Reader {
        read: halves.read,
        buffer: BytesMut::new(),
        decoder: FrameDecoder::new(config.largest_frame),
        ask: ASK_INTERVAL.min(config.probe_interval),
        silence: silence.clone(),
        replies,
        heard,
    };
    Transport { reader, requests, writer, silence }
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

/// What comes from the server.
pub(super) struct Reader {
    read: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
    decoder: FrameDecoder,
    /// When the server is asked, and when it is given up.
    ask: Duration,
    silence: Silence,
    replies: mpsc::Sender<String>,
    heard: Heard,
}

impl Reader {
    /// Replies to what the server asks.
    pub(super) fn reply(&self, text: String) -> Result<(), TransportError> {
        self.replies.try_send(text).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TransportError::EchoFlood,
            mpsc::error::TrySendError::Closed(_) => TransportError::Writer,
        })
    }

    /// The next frame, read if it is not there yet.
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
