//! An ovn-peerd as systemd starts it: a notify socket, a watchdog, a configuration of its own, and
//! a real northbound beside it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ovn_peerd::view::{HalfView, State};
use tempfile::TempDir;

use crate::served;

/// How long a test waits for what must come; generous, for busy machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `found` has something.
pub(crate) fn wait_for<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    poll(PATIENCE, found).unwrap_or_else(|| panic!("no {what} within {PATIENCE:?}"))
}

/// Polls until `found` has something, or the time is over.
pub(crate) fn poll<T>(patience: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        let now = Instant::now();
        if let Some(found) = found() {
            return Some(found);
        }
        if now >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command to its end; it must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A process that does not outlive its test.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn signal(&self, signal: &str) {
        run("kill", &["-s", signal, &self.0.id().to_string()]);
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for("end of the process", || self.0.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What systemd's end of the notify socket hears (sd_notify(3)).
#[derive(Debug)]
pub(crate) struct Notified {
    socket: UnixDatagram,
}

impl Notified {
    pub(crate) fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { socket }
    }

    /// The next message that satisfies; all before it are forgotten.
    pub(crate) fn next(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        wait_for(what, || self.receive().filter(|message| wanted(message)))
    }

    pub(crate) fn assignment(&self, line: &str) -> String {
        self.next(line, |message| message.lines().any(|it| it == line))
    }

    /// Nothing comes for this long; what waits already is not counted.
    pub(crate) fn silence(&self, length: Duration) {
        while self.receive().is_some() {}
        let end = Instant::now() + length;
        while Instant::now() < end {
            assert_eq!(self.receive(), None);
        }
    }

    /// A message that comes within some milliseconds.
    fn receive(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A standalone northbound with a southbound and ovn-northd.
#[derive(Debug)]
pub(crate) struct Northbound {
    directory: PathBuf,
    server: Option<Process>,
    pub(crate) northd: Process,
}

impl Northbound {
    pub(crate) fn start(directory: &Path) -> Self {
        for (database, schema) in [("nb", "ovn-nb"), ("sb", "ovn-sb")] {
            let file = directory.join(format!("{database}.db"));
            let schema = format!("/usr/share/ovn/{schema}.ovsschema");
            run("ovsdb-tool", &["create", file.to_str().unwrap(), &schema]);
        }
        let server = Some(Self::server(directory));
        let socket = |name: &str| format!("unix:{}/{name}.sock", directory.display());
        let northd = Command::new("ovn-northd")
            .arg(format!("--ovnnb-db={}", socket("nb")))
            .arg(format!("--ovnsb-db={}", socket("sb")))
            .arg(format!("--unixctl={}/northd.ctl", directory.display()))
            .args(["-vconsole:off", "-vsyslog:off", "-vfile:off"])
            .spawn()
            .unwrap();
        let northbound = Self { directory: directory.to_owned(), server, northd: Process(northd) };
        northbound.nbctl(&["init"]);
        northbound
    }

    fn server(directory: &Path) -> Process {
        let at = |name: &str| directory.join(name).display().to_string();
        // Where its file may not grow, it is told so, and does not end.
        let mut command = Command::new("env");
        command.args(["--ignore-signal=XFSZ", "ovsdb-server"]);
        command.args(["-vconsole:off", "-vsyslog:off", "-vfile:off"]);
        command.arg(format!("--unixctl={}", at("ovsdb.ctl")));
        command.arg(format!("--remote=punix:{}", at("nb.sock")));
        command.arg(format!("--remote=punix:{}", at("sb.sock")));
        let server = Process(command.args([at("nb.db"), at("sb.db")]).spawn().unwrap());
        // In no order; one that a killed server left is there, too, but refuses.
        for socket in ["nb.sock", "sb.sock"] {
            wait_for(socket, || UnixStream::connect(directory.join(socket)).ok());
        }
        server
    }

    pub(crate) fn remote(&self) -> String {
        format!("unix:{}/nb.sock", self.directory.display())
    }

    pub(crate) fn nbctl(&self, arguments: &[&str]) -> String {
        let remote = format!("--db={}", self.remote());
        let mut all = vec![remote.as_str(), "--timeout=10"];
        all.extend(arguments);
        run("ovn-nbctl", &all)
    }

    pub(crate) fn router(&self, name: &str, mac: &str, address: &str) {
        self.nbctl(&["lr-add", name, "--", "lrp-add", name, &format!("{name}-in"), mac, address]);
    }

    /// Every row but the counters that OVN itself keeps.
    pub(crate) fn dump(&self) -> String {
        let remote = self.remote();
        ["Logical_Router", "Logical_Router_Port", "Logical_Router_Static_Route", "Address_Set"]
            .iter()
            .chain(&["Logical_Router_Policy"])
            .map(|table| run("ovsdb-client", &["dump", &remote, "OVN_Northbound", table]))
            .collect()
    }

    /// Ends the server and starts another at the same socket.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.server = Some(Self::server(&self.directory));
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// Whether its file may grow beyond what it is now (prlimit(1)): else the server refuses what is written.
    pub(crate) fn let_grow(&self, may: bool) {
        let size = fs::metadata(self.directory.join("nb.db")).unwrap().len();
        let limit = if may { "unlimited".to_owned() } else { size.to_string() };
        let pid = self.server.as_ref().unwrap().0.id().to_string();
        run("prlimit", &["--pid", &pid, &format!("--fsize={limit}:unlimited")]);
    }
}

/// A daemon and everything around it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) daemon: Process,
    pub(crate) notified: Notified,
    directory: TempDir,
}

/// How a daemon is started.
#[derive(Debug, Default)]
pub(crate) struct Start<'a> {
    /// Lines after the remotes in the settings.
    pub(crate) settings: &'a str,
    /// `WATCHDOG_USEC`.
    pub(crate) watchdog: Option<Duration>,
    /// `--log-level`.
    pub(crate) log_level: Option<&'a str>,
}

/// A directory for a daemon and its northbound; short, because sockets' paths must be.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("peerd").tempdir_in("/tmp").unwrap()
}

impl Running {
    /// Starts a daemon that uses the northbound in `directory`, whether that is there or not.
    pub(crate) fn start(directory: TempDir, start: &Start<'_>) -> Self {
        let root = directory.path();
        for name in ["networks.d", "peerings.d"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let settings = format!(
            "[northbound]\nremotes = [\"unix:{0}/nb.sock\"]\n[control]\nsocket = \"{0}/run/c.sock\"\n{1}",
            root.display(),
            start.settings
        );
        fs::write(root.join("ovn-peerd.toml"), settings).unwrap();
        let notified = Notified::bind(&root.join("notify"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"));
        command.arg("--config").arg(root.join("ovn-peerd.toml"));
        command.env("NOTIFY_SOCKET", root.join("notify"));
        command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM");
        if let Some(watchdog) = start.watchdog {
            command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        if let Some(level) = start.log_level {
            command.args(["--log-level", level]);
        }
        command.stderr(fs::File::create(root.join("log")).unwrap()).stdin(Stdio::null());
        let daemon = Process(command.spawn().unwrap());
        Self { daemon, notified, directory }
    }

    /// The same, and waits for READY=1.
    pub(crate) fn ready(directory: TempDir, start: &Start<'_>) -> Self {
        let running = Self::start(directory, start);
        running.notified.assignment("READY=1");
        running
    }

    /// Starts another daemon after the first has ended, with a log of its own.
    pub(crate) fn start_again(&mut self) {
        let mut again = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"));
        again.arg("--config").arg(self.path().join("ovn-peerd.toml"));
        again.stderr(fs::File::create(self.path().join("log2")).unwrap()).stdin(Stdio::null());
        self.daemon = Process(again.spawn().unwrap());
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("run/c.sock")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        served::ctl(&self.socket(), arguments).output().unwrap()
    }

    pub(crate) fn halves(&self) -> Vec<HalfView> {
        let output = self.ctl(&["list", "--format", "json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn wait_for_state(&self, name: &str, state: State) -> HalfView {
        wait_for(state.as_str(), || {
            self.halves().into_iter().find(|half| half.name == name && half.state == state)
        })
    }
}

/// Writes a file of a configuration whole.
pub(crate) fn place(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Both networks, for `networks.d`.
pub(crate) const NETWORKS: &str = r#"
[[network]]
project = "blue"
name = "web"
router = "blue-lr"
[[network]]
project = "green"
name = "db"
router = "green-lr"
"#;
/// Blue's half, for `peerings.d`.
pub(crate) const BLUE: &str = r#"
project = "blue"
[[peering]]
name = "to-db"
network = "web"
target_project = "green"
target_network = "db"
"#;
/// Green's half, for `peerings.d`.
pub(crate) const GREEN: &str = r#"
project = "green"
[[peering]]
name = "to-web"
network = "db"
target_project = "blue"
target_network = "web"
"#;

/// A northbound with both routers, and a daemon that has both halves and sees them active.
pub(crate) fn peered(start: &Start<'_>) -> (Northbound, Running) {
    let directory = directory();
    let northbound = Northbound::start(directory.path());
    northbound.router("blue-lr", "0a:00:00:00:00:01", "10.1.0.1/24");
    northbound.router("green-lr", "0a:00:00:00:00:02", "10.2.0.1/24");
    for (name, text) in
        [("networks.d/a.toml", NETWORKS), ("peerings.d/b.toml", BLUE), ("peerings.d/g.toml", GREEN)]
    {
        place(directory.path(), name, text);
    }
    let running = Running::ready(directory, start);
    running.wait_for_state("to-db", State::Active);
    running.wait_for_state("to-web", State::Active);
    (northbound, running)
}
