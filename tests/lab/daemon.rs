//! The programs under test: an `ovn-peerd` with files of its own, and `ovn-peerctl` speaking to it.
//!
//! Owns: the layout of a configuration directory, and how files come into it (whole, by rename, as an operator's tools do).
//! May not: read the daemon's mind. It knows the command lines, the file formats and the socket, as any user does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::Lab;
use super::command::{output, poll};
use super::multinode::Cluster;
use super::service::{Launch, Service};

/// The daemon's binary, built by cargo for this test.
pub const DAEMON: &str = env!("CARGO_BIN_EXE_ovn-peerd");
/// The operator's command, likewise.
pub const CONTROL: &str = env!("CARGO_BIN_EXE_ovn-peerctl");

/// The daemon's copy in a directory that a lab's nodes see.
pub(super) fn in_nodes(dir: &Path) -> PathBuf {
    dir.join("ovn-peerd")
}

/// How long the daemon may take to its first answer on the control socket.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a half may take to the state that a test waits for.
const STATE_LIMIT: Duration = Duration::from_secs(20);

/// A configuration directory, and the daemon that runs on it.
#[derive(Debug)]
pub struct Daemon {
    dir: PathBuf,
    service: Service,
}

impl Daemon {
    /// Starts one for the host `hv1`, with empty directories, and waits until it answers.
    #[track_caller]
    pub fn start(lab: &Lab) -> Daemon {
        let daemon = Daemon::prepare(lab, "hv1", "");
        daemon.start_again();
        daemon
    }

    /// Writes the configuration of a host without starting the daemon; `more` is appended to `ovn-peerd.toml`, for
    /// tables of its own such as `[policy]`.
    #[track_caller]
    pub fn prepare(lab: &Lab, host: &str, more: &str) -> Daemon {
        let dir = configure(lab.dir(), &remotes(lab), host, more);
        let launch = match lab.node_of(host) {
            None => Launch::new(DAEMON, &dir),
            Some(node) => Launch::new(in_nodes(lab.dir()), &dir).in_container(node),
        };
        Daemon::of(dir, launch)
    }

    /// The same, to be started as a service manager starts it: it is told where to report to, and nobody listens there.
    #[track_caller]
    pub fn prepare_managed(lab: &Lab, host: &str) -> Daemon {
        let dir = configure(lab.dir(), &remotes(lab), host, "");
        let launch = Launch::new(DAEMON, &dir).env("NOTIFY_SOCKET", dir.join("notify"));
        Daemon::of(dir, launch)
    }

    /// The same without a lab, in a directory of its own below `parent`: `northbound` is what `[northbound]` holds, and
    /// `namespace` the network namespace that it runs in.
    #[track_caller]
    pub fn prepare_for(
        parent: &Path,
        northbound: &str,
        host: &str,
        namespace: Option<&str>,
    ) -> Daemon {
        let dir = configure(parent, northbound, host, "");
        let launch = Launch::new(DAEMON, &dir);
        let launch = match namespace {
            Some(namespace) => launch.inside(namespace),
            None => launch,
        };
        Daemon::of(dir, launch)
    }

    /// Writes the settings of [`Daemon::prepare_for`] anew; they are read at the next start.
    #[track_caller]
    pub fn reconfigure(&self, northbound: &str, host: &str) {
        self.write("ovn-peerd.toml", &settings(&self.dir, northbound, host, ""));
    }

    fn of(dir: PathBuf, launch: Launch) -> Daemon {
        let launch = launch.arg("--config").arg(dir.join("ovn-peerd.toml"));
        Daemon { service: Service::stopped("ovn-peerd", launch), dir }
    }

    /// Starts the prepared or ended daemon, and waits until it answers.
    #[track_caller]
    pub fn start_again(&self) {
        self.service.start_again();
        poll("ovn-peerd answers", START_LIMIT, || {
            assert!(self.service.is_running(), "ovn-peerd has ended:\n{}", self.log());
            let listed = self.ctl(&["list", "--format", "json"]);
            if listed.status.success() { Ok(()) } else { Err(said(&listed)) }
        });
    }

    /// The process: to signal, pause and kill it.
    pub fn process(&self) -> &Service {
        &self.service
    }

    /// Kills it as a crash would.
    pub fn kill9(&self) {
        self.service.kill9();
    }

    /// Ends it as systemd would (SIGTERM); asserts that it obeys.
    #[track_caller]
    pub fn terminate(&self) {
        assert!(self.service.stop(), "ovn-peerd does not end at SIGTERM:\n{}", self.log());
    }

    /// Ends it and starts it again on the same files.
    #[track_caller]
    pub fn restart(&self) {
        self.terminate();
        self.start_again();
    }

    /// The configuration directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// All that it has printed, over all its starts.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// The operator binds a network of a project to a router (a file of its own in `networks.d`).
    #[track_caller]
    pub fn bind_network(&self, project: &str, network: &str, router: &str) {
        let text = format!(
            "[[network]]\nproject = \"{project}\"\nname = \"{network}\"\nrouter = \"{router}\"\n"
        );
        self.write(&format!("networks.d/{project}-{network}.toml"), &text);
    }

    /// The operator takes that binding away.
    #[track_caller]
    pub fn unbind_network(&self, project: &str, network: &str) {
        self.remove(&format!("networks.d/{project}-{network}.toml"));
    }

    /// A project declares its halves: `peerings.d/<project>.toml` becomes `project = …` and this text.
    #[track_caller]
    pub fn declare(&self, project: &str, text: &str) {
        let text = format!("project = \"{project}\"\n{text}");
        self.write(&format!("peerings.d/{project}.toml"), &text);
    }

    /// A project's file is removed.
    #[track_caller]
    pub fn withdraw(&self, project: &str) {
        self.remove(&format!("peerings.d/{project}.toml"));
    }

    /// Puts a file into the configuration directory, whole at once: written beside, then renamed.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let target = self.dir.join(path);
        let name = target.file_name().expect("a file's path").to_string_lossy();
        let beside = target.with_file_name(format!(".{name}.new"));
        fs::write(&beside, text).expect("a declaration can be written");
        fs::rename(&beside, &target).expect("a declaration can be renamed");
    }

    /// Removes a file of the configuration directory.
    #[track_caller]
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.dir.join(path))
            .unwrap_or_else(|e| panic!("cannot remove {path}: {e}"));
    }

    /// Runs `ovn-peerctl` against it.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Output {
        output(Command::new(CONTROL).arg("--socket").arg(self.socket()).args(args))
    }

    /// Confirms the withdrawals that it holds now.
    #[track_caller]
    pub fn confirm(&self) {
        let held = self.ctl(&["confirm", "--format", "json"]).stdout;
        let held: Value = serde_json::from_slice(&held).expect("what is held");
        let seen = held["seen"].as_str().expect("the word of what is held");
        let confirmed = self.ctl(&["confirm", seen]);
        assert!(confirmed.status.success(), "{confirmed:?}\n{}", self.log());
    }

    /// All halves that it knows.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        self.try_list().unwrap_or_else(|why| panic!("ovn-peerctl list: {why}\n{}", self.log()))
    }

    /// One half, if it is known.
    #[track_caller]
    pub fn half(&self, project: &str, network: &str, name: &str) -> Option<Value> {
        find(self.list(), project, network, name)
    }

    /// Waits until a half is in a state, and gives it; panics with the daemon's log when it never is.
    #[track_caller]
    pub fn wait_state(&self, project: &str, network: &str, name: &str, state: &str) -> Value {
        let what = format!("{project}/{network}/{name} becomes {state}");
        self.wait_until(&what, |halves| {
            let half = find(halves, project, network, name).ok_or("no such half")?;
            if half["state"] == state { Ok(half) } else { Err(half.to_string()) }
        })
    }

    /// Waits until the listed halves satisfy a condition; panics with the daemon's log when they never do.
    #[track_caller]
    pub fn wait_until<T>(
        &self,
        what: &str,
        mut condition: impl FnMut(Vec<Value>) -> Result<T, String>,
    ) -> T {
        let start = std::time::Instant::now();
        poll(what, STATE_LIMIT * 2, || {
            let why = match self.try_list().and_then(&mut condition) {
                Ok(value) => return Ok(value),
                Err(why) => why,
            };
            assert!(start.elapsed() < STATE_LIMIT, "{what}: still {why}\n{}", self.log());
            Err(why)
        })
    }

    /// Waits until a plan finds nothing to write.
    #[track_caller]
    pub fn wait_quiet(&self) {
        poll("nothing is left to write", STATE_LIMIT, || {
            let plan = self.ctl(&["plan"]);
            if plan.status.success() { Ok(()) } else { Err(said(&plan)) }
        });
    }

    fn try_list(&self) -> Result<Vec<Value>, String> {
        let listed = self.ctl(&["list", "--format", "json"]);
        if !listed.status.success() {
            return Err(said(&listed));
        }
        serde_json::from_slice(&listed.stdout).map_err(|e| format!("{e}: {}", said(&listed)))
    }
}

/// Writes a configuration, with empty directories, below `parent`; gives its directory.
#[track_caller]
fn configure(parent: &Path, northbound: &str, host: &str, more: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let dir = parent.join(format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    for sub in ["networks.d", "peerings.d"] {
        fs::create_dir_all(dir.join(sub)).expect("the configuration directory can be made");
    }
    fs::write(dir.join("ovn-peerd.toml"), settings(&dir, northbound, host, more))
        .expect("the configuration can be written");
    dir
}

/// Unless a test asks for another one there is no history: what is withdrawn is gone, and so can be asserted.
fn settings(dir: &Path, northbound: &str, host: &str, more: &str) -> String {
    let more = match more.split_once("[policy]\n") {
        Some((_, policy)) if policy.contains("history") => more.to_owned(),
        Some((before, policy)) => format!("{before}[policy]\nhistory = 0\n{policy}"),
        None => format!("[policy]\nhistory = 0\n{more}"),
    };
    format!(
        "[northbound]\n{northbound}\
         [paths]\nnetworks = \"networks.d\"\npeerings = \"peerings.d\"\n\
         [control]\nsocket = \"{}\"\n\
         [daemon]\nhost = \"{host}\"\n{more}",
        dir.join("control.sock").display()
    )
}

/// The northbound as a daemon of this lab reaches it.
fn remotes(lab: &Lab) -> String {
    match lab.cluster() {
        None => format!("remotes = [\"{}\"]\n", lab.nb_remote()),
        Some(cluster) => {
            format!("remotes = {:?}\n{}", cluster.remotes(), Cluster::node_certificates())
        }
    }
}

fn find(halves: Vec<Value>, project: &str, network: &str, name: &str) -> Option<Value> {
    let wanted =
        |h: &Value| h["project"] == project && h["network"] == network && h["name"] == name;
    halves.into_iter().find(wanted)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}
