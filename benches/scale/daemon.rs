//! The daemon under test: its directory, its files, its process, its control socket.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ovn_peerd::view::{State, StatusView};

use super::plan::{Plan, Share};
use super::server::program;
use super::wire::Connection;

const DAEMON: &str = env!("CARGO_BIN_EXE_ovn-peerd");
/// Nothing takes as long.
const LIMIT: Duration = Duration::from_secs(180);
/// How often the daemon is asked while something is waited for that is not timed.
const PACE: Duration = Duration::from_millis(50);
/// How often it is asked while its start is timed.
const FINE: Duration = Duration::from_millis(2);

/// A configuration directory.
#[derive(Debug)]
pub(crate) struct Site {
    dir: PathBuf,
    host: String,
}

impl Site {
    /// One in which all networks are bound and nothing peers.
    pub(crate) fn new(dir: &Path, plan: &Plan) -> Self {
        let site = Self::empty(dir, "bench");
        site.put_all("networks.d", plan.network_files());
        site
    }

    /// One of several: what one host declares of all peerings.
    pub(crate) fn of_host(dir: &Path, plan: &Plan, share: Share) -> Self {
        let site = Self::empty(dir, &format!("hv{}", share.host));
        site.put_all("networks.d", plan.network_files_of(share));
        site.put_all("peerings.d", plan.peering_files_of(share));
        site
    }

    /// One of several that all declare the same: everything.
    pub(crate) fn of_twin(dir: &Path, plan: &Plan, host: usize) -> Self {
        let site = Self::empty(dir, &format!("hv{host}"));
        site.put_all("networks.d", plan.network_files());
        site.put_all("peerings.d", plan.peering_files());
        site
    }

    fn empty(dir: &Path, host: &str) -> Self {
        for sub in ["networks.d", "peerings.d"] {
            fs::create_dir_all(dir.join(sub)).expect("a directory can be made");
        }
        Self { dir: dir.to_owned(), host: host.to_owned() }
    }

    fn put_all(&self, directory: &str, files: BTreeMap<String, String>) {
        for (name, text) in files {
            self.put(&format!("{directory}/{name}"), &text);
        }
    }

    /// One in which all peerings are declared.
    pub(crate) fn peered(dir: &Path, plan: &Plan) -> Self {
        let site = Self::new(dir, plan);
        site.put_all("peerings.d", plan.peering_files());
        site
    }

    /// Writes a file beside its place.
    pub(crate) fn lay(&self, path: &str, text: &str) {
        fs::write(self.beside(path), text).expect("a declaration can be written");
    }

    /// Renames a file that was laid into its place.
    pub(crate) fn commit(&self, path: &str) {
        fs::rename(self.beside(path), self.dir.join(path)).expect("a file can be renamed");
    }

    /// Both.
    pub(crate) fn put(&self, path: &str, text: &str) {
        self.lay(path, text);
        self.commit(path);
    }

    /// Removes a file.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.dir.join(path)).expect("a file can be removed");
    }

    /// How often the log says something.
    pub(crate) fn logged(&self, what: &str) -> usize {
        let log = fs::read_to_string(self.dir.join("ovn-peerd.log")).unwrap_or_default();
        log.matches(what).count()
    }

    fn beside(&self, path: &str) -> PathBuf {
        let (directory, name) = path.split_once('/').expect("a directory and a name");
        self.dir.join(directory).join(format!(".{name}.new"))
    }

    /// Starts the daemon on it.
    pub(crate) fn start(&self, northbound: &Path) -> Daemon {
        self.start_with(northbound, "")
    }

    /// The same, with more settings.
    pub(crate) fn start_with(&self, northbound: &Path, more: &str) -> Daemon {
        let socket = self.dir.join("control.sock");
        let config = format!(
            "[northbound]\nremotes = [\"unix:{}\"]\n[control]\nsocket = \"{}\"\n\
             [daemon]\nhost = \"{}\"\n[policy]\nmax_withdrawals = {{ halves = 10, percent = 100 }}\n\
             max_halves_per_project = 1000000\n{more}",
            northbound.display(),
            socket.display(),
            self.host
        );
        fs::write(self.dir.join("ovn-peerd.toml"), config).expect("the settings can be written");
        let log = File::create(self.dir.join("ovn-peerd.log")).expect("a log can be made");
        let begin = Instant::now();
        let child = program(DAEMON)
            .arg("--config")
            .arg(self.dir.join("ovn-peerd.toml"))
            .stderr(log)
            .spawn()
            .expect("the daemon can be started");
        Daemon { child, socket, begin }
    }
}

/// The process.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    begin: Instant,
}

impl Daemon {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it is asked.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET /v1/status`; none before it listens, and while it is too busy to answer.
    pub(crate) fn try_status(&self) -> Option<StatusView> {
        let (head, body) = self.try_ask("GET", "/v1/status", "")?;
        head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(&body).expect("a status"))
    }

    /// Asks what is to be answered; gives the body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let (head, body) = self.try_ask(method, path, body).expect("it answers");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        body
    }

    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<(String, String)> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        Some((head.to_owned(), body.to_owned()))
    }

    /// `GET /v1/status`.
    pub(crate) fn status(&self) -> StatusView {
        self.wait("an answer", FINE, Some)
    }

    fn wait<T>(&self, what: &str, pace: Duration, done: impl Fn(StatusView) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = self.try_status().and_then(&done) {
                return found;
            }
            assert!(
                begin.elapsed() < LIMIT,
                "{what}: not within {LIMIT:?}; {:?}",
                self.try_status()
            );
            sleep(pace);
        }
    }

    /// Waits, finely, until it has read the northbound and everything is active; the time since its
    /// start.
    pub(crate) fn started(&self, active: usize) -> Duration {
        self.wait("the start", FINE, |status| has(&status, active).then_some(()));
        self.begin.elapsed()
    }

    /// Waits until it has read the northbound and the declarations, and holds the lock.
    pub(crate) fn synced(&self) {
        let ready = |status: &StatusView| status.northbound.synced && status.northbound.active;
        self.wait("synchronised", PACE, |status| ready(&status).then_some(()));
    }

    /// Waits until it has applied so many row changes since its start.
    pub(crate) fn applied(&self, changes: u64) {
        let done = |status: &StatusView| status.counters.row_changes >= changes;
        self.wait("changes applied", PACE, |status| done(&status).then_some(()));
    }

    /// Waits until so many halves are active; plays ovn-northd's part.
    pub(crate) fn settle(&self, active: usize, connection: &mut Connection) {
        let begin = Instant::now();
        while !self.try_status().is_some_and(|status| has(&status, active)) {
            assert!(begin.elapsed() < LIMIT, "{active} active halves; {:?}", self.try_status());
            connection.act();
            sleep(PACE);
        }
    }

    /// Ends it as systemd would.
    pub(crate) fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).expect("process ids fit pid_t");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("the daemon runs");
        self.child.wait().expect("the daemon ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has(status: &StatusView, active: usize) -> bool {
    status.northbound.synced && status.halves.get(&State::Active).copied().unwrap_or(0) == active
}
