//! A real `ovsdb-server` in a directory of its own, and a second way to speak to it that shares no code
//! with the client under test.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ovn_peerd::ovsdb::client::Remote;
use ovn_peerd::ovsdb::{Atom, ColumnId, Layout, Replica, Row, TableId, Value};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use uuid::Uuid;

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
pub(crate) const DATABASE: &str = "OVN_Northbound";

/// A server process; killed when dropped.
pub(crate) struct Server {
    directory: Arc<TempDir>,
    name: String,
    /// The database that it must have to be up.
    database: &'static str,
    /// Arguments beyond those that every server has.
    extra: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A standalone server with OVN's northbound schema.
    pub(crate) fn start() -> Self {
        Self::with_schema(Path::new(SCHEMA))
    }

    pub(crate) fn with_schema(schema: &Path) -> Self {
        Self::with_extra(schema, &[])
    }

    /// With a schema of another database.
    pub(crate) fn with_database(schema: &Path, database: &'static str) -> Self {
        Self::create(schema, database, &[])
    }

    /// With further arguments, as `--remote=ptcp:...`.
    pub(crate) fn with_extra(schema: &Path, extra: &[String]) -> Self {
        Self::create(schema, DATABASE, extra)
    }

    fn create(schema: &Path, database: &'static str, extra: &[String]) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        let file = directory.path().join("nb.db");
        run(Command::new("ovsdb-tool").arg("create").arg(file).arg(schema));
        Self::run(directory, "nb", database, extra)
    }

    /// On the database file `NAME.db` that is there already.
    pub(crate) fn on(directory: Arc<TempDir>, name: &str) -> Self {
        Self::run(directory, name, DATABASE, &[])
    }

    fn run(directory: Arc<TempDir>, name: &str, database: &'static str, extra: &[String]) -> Self {
        let (name, extra) = (name.to_owned(), extra.to_vec());
        let mut server = Self { directory, name, database, extra, child: None };
        server.restart();
        server
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("{}.{suffix}", self.name))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("sock")
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::Unix(self.socket())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it on what it has written, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let log =
            std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = Command::new("ovsdb-server")
            .current_dir(self.directory.path())
            .arg("-vconsole:info")
            .arg("-vsyslog:off")
            .arg(format!("--remote=punix:{}", self.socket().display()))
            .arg(format!("--unixctl={}", self.path("ctl").display()))
            .args(&self.extra)
            .arg(self.path("db"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let socket = self.socket();
        wait("the server to answer", || {
            let answer =
                Raw::connect(&socket).and_then(|mut raw| raw.try_call("list_dbs", &json!([])));
            answer.is_some_and(|dbs| dbs.to_string().contains(self.database))
        });
    }

    /// As [`Self::restart`], while the test's runtime goes on.
    pub(crate) async fn restarted(mut self) -> Self {
        let restart = move || {
            self.restart();
            self
        };
        tokio::task::spawn_blocking(restart).await.unwrap()
    }

    /// Pauses or continues the process.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    pub(crate) fn raw(&self) -> Raw {
        Raw::connect(&self.socket()).expect("the server listens")
    }

    /// The port of a `ptcp:0` or `pssl:0` remote.
    pub(crate) fn port(&self) -> u16 {
        let mut port = None;
        wait("the port", || {
            let log = std::fs::read_to_string(self.path("log")).unwrap();
            let after = log.rsplit_once("listening on port ").map(|(_, after)| after.to_owned());
            port = after.and_then(|after| after.split_whitespace().next()?.parse().ok());
            port.is_some()
        });
        port.unwrap()
    }

    /// Runs a command of the server's control socket.
    pub(crate) fn appctl(&self, arguments: &[&str]) -> String {
        run(Command::new("ovs-appctl").arg("-t").arg(self.path("ctl")).args(arguments))
    }

    /// How many clients are connected.
    pub(crate) fn sessions(&self) -> u32 {
        let memory = self.appctl(&["memory/show"]);
        let count = memory.split_whitespace().find_map(|word| word.strip_prefix("sessions:"));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// The database file's log, with the comments of transactions.
    pub(crate) fn history(&self) -> String {
        run(Command::new("ovsdb-tool").arg("-m").arg("show-log").arg(self.path("db")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command that must succeed; gives its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Polls until something is true.
pub(crate) fn wait(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As [`wait`], in a test whose runtime has other things to do meanwhile.
pub(crate) async fn wait_async(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A plain blocking connection: one request, one reply, any JSON.
pub(crate) struct Raw {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(Self { stream, buffer: Vec::new() })
    }

    pub(crate) fn try_call(&mut self, method: &str, params: &Json) -> Option<Json> {
        let request = json!({"method": method, "params": params, "id": "raw"});
        self.stream.write_all(request.to_string().as_bytes()).ok()?;
        loop {
            let mut message = self.message()?;
            if message["method"] == "echo" {
                let reply =
                    json!({"id": message["id"], "result": message["params"], "error": null});
                self.stream.write_all(reply.to_string().as_bytes()).ok()?;
            } else if message["id"] == "raw" {
                assert_eq!(message["error"], Json::Null, "{method}");
                return Some(message["result"].take());
            }
        }
    }

    fn message(&mut self) -> Option<Json> {
        loop {
            let mut stream = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<Json>();
            // What ends otherwise is not complete: to parse it would take ages when it is large.
            if self.buffer.ends_with(b"}")
                && let Some(Ok(message)) = stream.next()
            {
                let used = stream.byte_offset();
                self.buffer.drain(..used);
                return Some(message);
            }
            let mut chunk = vec![0; 1 << 20];
            let count = self.stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
            self.buffer.extend_from_slice(&chunk[..count]);
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: &Json) -> Json {
        self.try_call(method, params).expect("the server answers")
    }

    /// A transaction that must succeed; gives its results.
    pub(crate) fn transact(&mut self, operations: &[Json]) -> Vec<Json> {
        let mut params = vec![json!(DATABASE)];
        params.extend_from_slice(operations);
        let results = self.call("transact", &json!(params));
        let results = results.as_array().unwrap().clone();
        for result in &results {
            assert_eq!(result.get("error"), None, "{results:?}");
        }
        results
    }

    /// The rows of a table as the layout has them, read by `select` and typed by other code.
    pub(crate) fn rows(&mut self, layout: &Layout, table: TableId) -> Vec<(Uuid, Row)> {
        if !layout.has_table(table) {
            return Vec::new();
        }
        let name = layout.table_name(table).unwrap();
        let results = self.transact(&[json!({"op": "select", "table": name, "where": []})]);
        let mut rows: Vec<_> = results[0]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let cell = |column| {
                    let name = layout.column_name(table, column).unwrap();
                    row.get(name).map_or_else(Value::empty, value)
                };
                let width = u16::try_from(layout.width(table)).unwrap();
                let uuid = value(&row["_uuid"]).view().uuid().unwrap();
                (uuid, (0..width).map(|column| cell(ColumnId(column))).collect())
            })
            .collect();
        rows.sort();
        rows
    }

    /// Asserts that the replica holds exactly what the server has.
    pub(crate) fn assert_same(&mut self, replica: &Replica) {
        for table in replica.layout().table_ids() {
            let held = replica.rows(table).map(|(uuid, row)| (uuid, row.clone()));
            let mut held: Vec<_> = held.collect();
            held.sort();
            let name = replica.layout().table_name(table);
            let present = self.rows(replica.layout(), table);
            assert!(held == present, "{name:?} differs: held {held:?}, on the server {present:?}");
        }
    }
}

fn atom(json: &Json) -> Atom {
    match json {
        Json::String(string) => Atom::String(string.as_str().into()),
        Json::Bool(boolean) => Atom::Boolean(*boolean),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Atom::real(number.as_f64().unwrap()), Atom::Integer)
        }
        Json::Array(pair) => Atom::Uuid(pair[1].as_str().unwrap().parse().unwrap()),
        other => panic!("{other}"),
    }
}

fn value(json: &Json) -> Value {
    let Some([Json::String(tag), Json::Array(list)]) = json.as_array().map(Vec::as_slice) else {
        return Value::from(atom(json));
    };
    match tag.as_str() {
        "set" => Value::set(list.iter().map(atom).collect()),
        "map" => Value::map(list.iter().map(|pair| (atom(&pair[0]), atom(&pair[1]))).collect()),
        other => panic!("{other}"),
    }
}

/// Pauses or continues a process.
pub(crate) fn signal(pid: u32, name: &str) {
    run(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()));
}
