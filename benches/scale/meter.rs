//! Between a daemon and the server: counts what the daemon receives, and how often it connects.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The listener.
#[derive(Debug)]
pub(crate) struct Meter {
    socket: PathBuf,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    received: AtomicU64,
    sessions: AtomicU64,
}

/// What a daemon cost its server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Bytes that it received.
    pub(crate) received: u64,
    /// How often it connected.
    pub(crate) sessions: u64,
}

impl Meter {
    /// Listens at `socket` for the clients of `server`, one after the other.
    pub(crate) fn start(socket: &Path, server: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        let tally = Arc::new(Tally::default());
        let (server, counted) = (server.to_owned(), Arc::clone(&tally));
        thread::spawn(move || {
            for client in listener.incoming() {
                // A server that is away closes the door on its client.
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else {
                    continue;
                };
                counted.sessions.fetch_add(1, Ordering::Relaxed);
                let twin = |stream: &UnixStream| stream.try_clone().expect("it can be shared");
                let (to_server, to_client) = (twin(&server), twin(&client));
                let counted = Arc::clone(&counted);
                thread::spawn(move || pass(client, to_server, &AtomicU64::new(0)));
                thread::spawn(move || pass(server, to_client, &counted.received));
            }
        });
        Self { socket: socket.to_owned(), tally }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The counts since the last time.
    pub(crate) fn take(&self) -> Reading {
        Reading {
            received: self.tally.received.swap(0, Ordering::Relaxed),
            sessions: self.tally.sessions.swap(0, Ordering::Relaxed),
        }
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, count: &AtomicU64) {
    let mut chunk = vec![0; 256 << 10];
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        count.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
