//! A bare OVSDB connection: a blocking Unix socket, the crate's framing, and nothing else.
//!
//! This is the reference that the client and the daemon are measured against, and the second
//! client that sees what was committed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ovn_peerd::northbound::tables::WANTED;
use ovn_peerd::ovsdb::Layout;
use ovn_peerd::ovsdb::client::LARGEST_FRAME;
use ovn_peerd::ovsdb::client::frame::FrameDecoder;
use serde_json::{Value, json};
use tokio_util::codec::Decoder;

/// Nothing here takes as long; a run that hangs must end.
const SILENCE: Duration = Duration::from_secs(600);
/// As `northbound::tables::DATABASE`.
const DATABASE: &str = ovn_peerd::northbound::tables::DATABASE;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    buffer: BytesMut,
    chunk: Box<[u8]>,
    decoder: FrameDecoder,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the server listens");
        stream.set_read_timeout(Some(SILENCE)).expect("a limit can be set");
        let decoder = FrameDecoder::new(LARGEST_FRAME);
        let chunk = vec![0; 256 << 10].into_boxed_slice();
        Self { stream, buffer: BytesMut::new(), chunk, decoder }
    }

    /// Sends a message as it is.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.stream.write_all(message).expect("the server reads");
    }

    /// The next message, whatever it is.
    pub(crate) fn frame(&mut self) -> Bytes {
        loop {
            let decoded = self.decoder.decode(&mut self.buffer).expect("the server sends JSON");
            if let Some(frame) = decoded {
                return frame;
            }
            let read = self.stream.read(&mut self.chunk).expect("the server answers");
            assert!(read != 0, "the server closed the connection");
            FrameDecoder::make_room(&mut self.buffer, read);
            self.buffer.extend_from_slice(&self.chunk[..read]);
        }
    }

    /// Sends a request and gives its result; notifications before it are dropped.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.send(json!({"method": method, "params": params, "id": 1}).to_string().as_bytes());
        loop {
            let mut message: Value = parse(&self.frame());
            if message.get("method").is_none() {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
        }
    }

    /// Does a transaction, of which everything must succeed.
    pub(crate) fn transact(&mut self, operations: Vec<Value>) -> Vec<Value> {
        let mut params = vec![Value::from(DATABASE)];
        params.extend(operations);
        succeeded(self.call("transact", &Value::from(params)))
    }

    /// Sends a transaction that is ready to be sent, and waits for its reply.
    pub(crate) fn transact_prepared(&mut self, message: &[u8]) {
        self.send(message);
        let mut reply: Value = parse(&self.frame());
        succeeded(reply["result"].take());
    }

    /// What ovn-northd would do: says that everything up to now has been acted on.
    pub(crate) fn act(&mut self) {
        let columns =
            json!({"op": "select", "table": "NB_Global", "where": [], "columns": ["nb_cfg"]});
        let nb_cfg = self.transact(vec![columns])[0]["rows"][0]["nb_cfg"].clone();
        let row = json!({"sb_cfg": nb_cfg});
        let update = json!({"op": "update", "table": "NB_Global", "where": [], "row": row});
        self.transact(vec![update]);
    }

    /// How many router ports of links there are.
    pub(crate) fn link_ports(&mut self) -> usize {
        let linked = json!(["peer", "!=", ["set", []]]);
        let select = json!({"op": "select", "table": "Logical_Router_Port", "where": [linked], "columns": ["_uuid"]});
        self.transact(vec![select])[0]["rows"].as_array().map_or(0, Vec::len)
    }
}

/// Bytes of one dump of all that the daemon reads.
pub(crate) fn dump(socket: &Path) -> u64 {
    let mut connection = Connection::open(socket);
    let schema = connection.call("get_schema", &json!([DATABASE]));
    let schema = serde_json::from_value(schema).expect("a schema");
    let layout = Layout::new(WANTED, &schema);
    let requests = layout.monitor_requests(true);
    let params = json!([DATABASE, "dump", requests, uuid::Uuid::nil()]);
    let request = json!({"method": "monitor_cond_since", "params": params, "id": 1});
    connection.send(request.to_string().as_bytes());
    connection.frame().len() as u64
}

/// The results of a transaction, of which everything must have succeeded.
pub(crate) fn succeeded(result: Value) -> Vec<Value> {
    let Value::Array(results) = result else { panic!("not a transaction's result: {result}") };
    let failed = results.iter().find(|result| result.get("error").is_some());
    assert!(failed.is_none(), "the transaction failed: {failed:?}");
    results
}

fn parse(frame: &[u8]) -> Value {
    serde_json::from_slice(frame).expect("the server sends JSON")
}

/// A second client, which sees the rows of a table appear, change and go.
#[derive(Debug)]
pub(crate) struct Observer {
    connection: Connection,
    table: &'static str,
}

impl Observer {
    /// Begins to look at router ports.
    pub(crate) fn new(socket: &Path) -> Self {
        Self::of(socket, "Logical_Router_Port", &["name", "networks"])
    }

    /// Begins to look at router policies.
    pub(crate) fn policies(socket: &Path) -> Self {
        Self::of(socket, "Logical_Router_Policy", &["match"])
    }

    fn of(socket: &Path, table: &'static str, columns: &[&str]) -> Self {
        let mut connection = Connection::open(socket);
        let request = json!({"columns": columns, "select": {"initial": false}});
        let mut requests = serde_json::Map::new();
        requests.insert(table.to_owned(), json!([request]));
        connection.call("monitor", &json!([DATABASE, "observer", requests]));
        Self { connection, table }
    }

    /// Waits for the next commit that concerns such rows, and tells how many.
    pub(crate) fn next(&mut self) -> usize {
        let message = parse(&self.connection.frame());
        assert_eq!(message["method"], "update", "{message}");
        message["params"][1][self.table].as_object().map_or(0, serde_json::Map::len)
    }

    /// Waits until that many rows were seen to change.
    pub(crate) fn rows(&mut self, wanted: usize) {
        let mut seen = 0;
        while seen < wanted {
            seen += self.next();
        }
    }
}
