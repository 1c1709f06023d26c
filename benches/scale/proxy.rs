//! Between the daemon and the server: remembers the transactions that the daemon sends, so that
//! the very same can be sent again without it.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use ovn_peerd::ovsdb::client::LARGEST_FRAME;
use ovn_peerd::ovsdb::client::frame::FrameDecoder;
use serde_json::Value;
use tokio_util::codec::Decoder;

/// The listener.
#[derive(Debug)]
pub(crate) struct Proxy {
    socket: PathBuf,
    sent: Arc<Mutex<BytesMut>>,
}

/// A transaction that was sent: its operations, without the database and the guard of the lock,
/// which another connection does not hold.
pub(crate) type Transaction = Vec<Value>;

impl Proxy {
    /// Listens at `socket` for one client of `server`.
    pub(crate) fn start(socket: &Path, server: &Path) -> Self {
        let _ = fs::remove_file(socket);
        let listener = UnixListener::bind(socket).expect("a socket can be made");
        let sent = Arc::new(Mutex::new(BytesMut::new()));
        let (server, remembered) = (server.to_owned(), Arc::clone(&sent));
        thread::spawn(move || {
            let (client, _) = listener.accept().expect("the daemon connects");
            let server = UnixStream::connect(server).expect("the server listens");
            let twin = |stream: &UnixStream| stream.try_clone().expect("a socket can be shared");
            let back = (twin(&server), twin(&client));
            thread::spawn(move || pass(back.0, back.1, |_| ()));
            pass(client, server, |bytes| {
                remembered.lock().expect("no holder panics").extend_from_slice(bytes);
            });
        });
        Self { socket: socket.to_owned(), sent }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// All transactions sent so far.
    pub(crate) fn transactions(&self) -> Vec<Transaction> {
        let mut sent = self.sent.lock().expect("no holder panics").clone();
        let mut decoder = FrameDecoder::new(LARGEST_FRAME);
        let mut transactions = Vec::new();
        while let Some(frame) = decoder.decode(&mut sent).expect("the daemon sends JSON") {
            let mut message: Value = serde_json::from_slice(&frame).expect("the daemon sends JSON");
            if message["method"] != "transact" {
                continue;
            }
            let Value::Array(params) = message["params"].take() else { continue };
            let guarded = |operation: &Value| operation["op"] == "assert";
            transactions.push(params.into_iter().skip(1).filter(|it| !guarded(it)).collect());
        }
        transactions
    }
}

/// A transaction as `ovsdb-client transact` takes it.
pub(crate) fn parameters(transaction: &Transaction) -> String {
    let database = [Value::from(ovn_peerd::northbound::tables::DATABASE)];
    Value::Array(database.into_iter().chain(transaction.iter().cloned()).collect()).to_string()
}

/// A transaction as the message to send.
pub(crate) fn prepared(transaction: &Transaction) -> Vec<u8> {
    let params = parameters(transaction);
    format!(r#"{{"method":"transact","params":{params},"id":1}}"#).into_bytes()
}

fn pass(mut from: UnixStream, mut to: UnixStream, mut seen: impl FnMut(&[u8])) {
    let mut chunk = vec![0; 256 << 10];
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        seen(&chunk[..read]);
        if to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
