//! A standalone ovsdb-server with a northbound of its own, and processes that end with this one.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
/// A server with 10,000 networks reads for some seconds before it answers.
const LIMIT: Duration = Duration::from_secs(120);

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    dir: PathBuf,
    child: Child,
}

impl Server {
    /// One on a new database.
    pub(crate) fn create(dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("a directory can be made");
        let database = dir.join("nb.db");
        let tool = Command::new("ovsdb-tool").arg("create").arg(&database).arg(SCHEMA).status();
        assert!(tool.expect("ovsdb-tool can be run").success(), "ovsdb-tool create failed");
        Self::start(dir)
    }

    /// One on a copy of a database file.
    pub(crate) fn on_copy(dir: &Path, of: &Path) -> Self {
        fs::create_dir_all(dir).expect("a directory can be made");
        fs::copy(of, dir.join("nb.db")).expect("a database can be copied");
        Self::start(dir)
    }

    /// One on the database that is there.
    pub(crate) fn start(dir: &Path) -> Self {
        let path = |name: &str| dir.join(name).display().to_string();
        let child = program("ovsdb-server")
            .arg(path("nb.db"))
            .arg(format!("--remote=punix:{}", path("nb.sock")))
            .arg(format!("--unixctl={}", path("nb.ctl")))
            .args(["-vconsole:off", "-vfile:off", "-vsyslog:off"])
            .spawn()
            .expect("ovsdb-server can be started");
        let server = Self { dir: dir.to_owned(), child };
        let begin = Instant::now();
        while UnixStream::connect(server.socket()).is_err() {
            assert!(begin.elapsed() < LIMIT, "ovsdb-server does not listen");
            sleep(Duration::from_millis(10));
        }
        // It listens before it has read everything; only then is it ready to be measured.
        super::wire::Connection::open(&server.socket()).call("list_dbs", &serde_json::json!([]));
        server
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("nb.sock")
    }

    /// Ends it, and gives its database file.
    pub(crate) fn stop(self) -> PathBuf {
        let database = self.dir.join("nb.db");
        drop(self);
        database
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It writes each transaction before it answers: nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.socket());
    }
}

/// A program that is killed when this one ends, however that comes about. setpriv replaces itself
/// by it, so the child's id is its own.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", name]).stdin(Stdio::null());
    command
}
