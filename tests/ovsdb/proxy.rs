//! A proxy between client and server that does to the bytes what networks and other servers do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ovn_peerd::ovsdb::client::Remote;
use ovn_peerd::ovsdb::client::frame::FrameDecoder;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio_util::codec::Decoder;

/// How much is read at once. In bytes.
const ROOM: usize = 64 << 10;

/// What it does to what passes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Habit {
    /// Nothing.
    Plain,
    /// Hands both ways on byte by byte.
    Dribble,
    /// Hands the server's bytes on in few pieces, each with all that came within 50 ms.
    Gather,
    /// Asks the client for an echo before and after each of the server's messages.
    Echo,
    /// Hands the server's bytes on slowly, 4 KiB every 20 ms.
    Trickle,
    /// Hands the first changes to rows of all on twice.
    Repeat,
    /// Loses the first request of all by this method, and goes on with whatever else is asked.
    Forget(&'static str),
    /// Does not know these methods, as a server from before them.
    Older(&'static [&'static str]),
    /// Knows RFC 7047 and nothing else, as a server from before OVS 2.6.
    Ancient,
}

impl Habit {
    fn refuses(self, message: &serde_json::Value) -> bool {
        let method = message["method"].as_str().unwrap_or("");
        match self {
            Self::Older(methods) => methods.contains(&method),
            Self::Ancient => {
                matches!(method, "monitor_cond_since" | "monitor_cond" | "set_db_change_aware")
                    || message["params"][0] == "_Server"
            }
            _ => false,
        }
    }
}

/// A running proxy.
pub(crate) struct Proxy {
    _directory: TempDir,
    path: PathBuf,
    cut: Arc<Notify>,
    echoes: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn before(server: &Path, habit: Habit) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let proxy = Self {
            _directory: directory,
            path,
            cut: Arc::default(),
            echoes: Arc::default(),
            refused: Arc::default(),
        };
        let (cut, echoes, refused) =
            (Arc::clone(&proxy.cut), Arc::clone(&proxy.echoes), Arc::clone(&proxy.refused));
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&server).await else { continue };
                let (echoes, refused) = (Arc::clone(&echoes), Arc::clone(&refused));
                let cut = Arc::clone(&cut);
                tokio::spawn(async move {
                    tokio::select! {
                        () = join(client, server, habit, echoes, refused) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        proxy
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::Unix(self.path.clone())
    }

    /// How many of its echo requests the client has answered.
    pub(crate) fn echoes(&self) -> usize {
        self.echoes.load(Ordering::SeqCst)
    }

    /// How many requests it has refused.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }
}

async fn join(
    client: UnixStream,
    server: UnixStream,
    habit: Habit,
    echoes: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Answers made here and what comes from the server go to the client by one queue.
    let (queue, answers) = mpsc::channel(1024);
    let inward =
        requests(from_client, to_server, habit, queue.clone(), echoes, Arc::clone(&refused));
    let outward = async {
        match habit {
            Habit::Echo | Habit::Repeat | Habit::Older(_) | Habit::Ancient => {
                messages(from_server, habit, queue, &refused).await
            }
            _ => pieces(from_server, habit, queue).await,
        }
    };
    let out = deliver(answers, to_client);
    tokio::select! {
        () = inward => {}
        () = outward => {}
        () = out => {}
    }
}

async fn deliver(mut answers: mpsc::Receiver<Bytes>, mut to_client: OwnedWriteHalf) {
    while let Some(bytes) = answers.recv().await {
        if to_client.write_all(&bytes).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// From the client to the server.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    habit: Habit,
    queue: mpsc::Sender<Bytes>,
    echoes: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
) {
    let (mut decoder, mut buffer) = (FrameDecoder::new(usize::MAX), BytesMut::new());
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        while let Ok(Some(frame)) = decoder.decode(&mut buffer) {
            let message: serde_json::Value = serde_json::from_slice(&frame).unwrap();
            assert!(message.get("jsonrpc").is_none(), "{message}");
            if message["id"] == "proxy" {
                assert_eq!(message["result"], serde_json::json!(["x"]));
                echoes.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            if matches!(habit, Habit::Forget(method) if message["method"] == method)
                && refused.fetch_add(1, Ordering::SeqCst) == 0
            {
                continue;
            }
            if habit.refuses(&message) {
                refused.fetch_add(1, Ordering::SeqCst);
                let reply = serde_json::json!({"id": message["id"], "error": "unknown method"});
                queue.send(reply.to_string().into()).await.unwrap();
                continue;
            }
            let size = if matches!(habit, Habit::Dribble) { 1 } else { frame.len() };
            for piece in frame.chunks(size) {
                if to.write_all(piece).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// From the server to the client, message by message.
async fn messages(
    mut from: OwnedReadHalf,
    habit: Habit,
    queue: mpsc::Sender<Bytes>,
    repeated: &AtomicUsize,
) {
    let echo = Bytes::from_static(br#"{"id":"proxy","method":"echo","params":["x"]}"#);
    let (mut decoder, mut buffer) = (FrameDecoder::new(usize::MAX), BytesMut::new());
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        while let Ok(Some(frame)) = decoder.decode(&mut buffer) {
            let around = matches!(habit, Habit::Echo).then(|| echo.clone());
            let changes = || frame.windows(9).any(|part| part == b"\"update3\"");
            let twice = matches!(habit, Habit::Repeat)
                && changes()
                && repeated.fetch_add(1, Ordering::SeqCst) == 0;
            let again = twice.then(|| frame.clone());
            for message in around.clone().into_iter().chain([frame]).chain(again).chain(around) {
                if queue.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// From the server to the client, in pieces that heed no message.
async fn pieces(mut from: OwnedReadHalf, habit: Habit, queue: mpsc::Sender<Bytes>) {
    let mut buffer = BytesMut::with_capacity(ROOM);
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        if matches!(habit, Habit::Gather) {
            let gather = async {
                while let Ok(1..) = from.read_buf(&mut buffer).await {
                    buffer.reserve(ROOM);
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(50), gather).await;
        }
        let size = match habit {
            Habit::Dribble => 1,
            Habit::Trickle => 4096,
            _ => buffer.len(),
        };
        for piece in buffer.split().freeze().chunks(size) {
            if matches!(habit, Habit::Trickle) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if queue.send(Bytes::copy_from_slice(piece)).await.is_err() {
                return;
            }
        }
        buffer.reserve(ROOM);
    }
}
