//! Long-lived processes of a lab: started, signalled and ended by their id.
//!
//! Invariants: no process outlives its [`Service`], nor the test process, even when that is killed with SIGKILL (the
//! kernel sends the parent-death signal); every process works in the lab's directory, by which stale ones are found. A
//! process in a container outlives a test that is killed with SIGKILL: the next lab there ends it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::command::poll;
use super::container::Container;
use super::scope::NAMESPACES;

/// How long a process may take to obey SIGTERM before it is killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a container may take to start a process.
const START_LIMIT: Duration = Duration::from_secs(10);
/// In a container: tells the process' id there, and becomes the program.
const TELL_ID: &str = r#"echo $$ >"$0.new" && mv "$0.new" "$0" && exec "$@""#;

/// What to start: a program, its arguments, its surroundings.
#[derive(Clone, Debug)]
pub struct Launch {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    dir: PathBuf,
    namespace: Option<String>,
    container: Option<Container>,
}

impl Launch {
    /// A program that works in `dir`, a directory inside the lab's.
    pub fn new(program: impl Into<OsString>, dir: &Path) -> Launch {
        let dir = dir.to_owned();
        let program = program.into();
        Launch { program, args: vec![], env: vec![], dir, namespace: None, container: None }
    }

    /// Appends an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Launch {
        self.args.push(arg.into());
        self
    }

    /// Appends arguments.
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Launch {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Launch {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it inside a named network namespace.
    pub fn inside(mut self, namespace: &str) -> Launch {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Runs it in a container, which must see its directory under the same path.
    pub fn in_container(mut self, container: &Container) -> Launch {
        self.container = Some(container.clone());
        self
    }

    /// Where the process tells its id, if it is in a container.
    fn id_file(&self) -> PathBuf {
        let name = Path::new(&self.program).file_name().expect("a program has a name");
        self.dir.join(name).with_extension("pid")
    }

    /// The command, wrapped so that it dies with this process. setpriv and nsenter replace themselves by the program,
    /// so the child's id is the program's.
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(namespace) = &self.namespace {
            command.args(["nsenter", &format!("--net={NAMESPACES}/{namespace}"), "--"]);
        }
        command.current_dir(&self.dir).stdin(Stdio::null());
        if let Some(container) = &self.container {
            command.args(["podman", "exec", "--workdir"]).arg(&self.dir);
            for (name, value) in &self.env {
                command.arg("--env").arg(format!("{name}={}", value.to_string_lossy()));
            }
            command.args([container.name(), "sh", "-c", TELL_ID]).arg(self.id_file());
        } else {
            command.envs(self.env.iter().map(|(k, v)| (k, v)));
        }
        command.arg(&self.program).args(&self.args);
        command
    }
}

/// One process of the lab, which can be started again and again; its output is appended to `<dir>/<name>.log`.
#[derive(Debug)]
pub struct Service {
    name: String,
    launch: Launch,
    log: PathBuf,
    running: Mutex<Option<Running>>,
}

/// A started process.
#[derive(Debug)]
struct Running {
    /// The process, or podman's client that waits for it.
    child: Child,
    /// The process, when it is in a container.
    inner: Option<Pid>,
}

impl Running {
    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn pid(&self) -> Pid {
        let own = || Pid::from_raw(i32::try_from(self.child.id()).expect("process ids fit pid_t"));
        self.inner.unwrap_or_else(own)
    }

    /// Only while it runs: later its id may be another's.
    fn signal(&mut self, which: Signal) {
        if self.is_running() {
            let _ = kill(self.pid(), which);
        }
    }

    /// Waits for its end, and kills it after `patience`. Tells whether it ended by itself.
    fn end(mut self, patience: Duration) -> bool {
        let start = std::time::Instant::now();
        while self.is_running() {
            if start.elapsed() >= patience {
                self.signal(Signal::SIGKILL);
                // Podman's client ends soon after the process for which it waits.
                reap(self.child, PATIENCE);
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Service {
    /// Starts it.
    #[track_caller]
    pub fn start(name: &str, launch: Launch) -> Service {
        let service = Service::stopped(name, launch);
        service.start_again();
        service
    }

    /// One that [`Service::start_again`] will start.
    pub fn stopped(name: &str, launch: Launch) -> Service {
        let log = launch.dir.join(format!("{name}.log"));
        Service { name: name.to_owned(), launch, log, running: Mutex::new(None) }
    }

    /// Starts it, when it does not run.
    #[track_caller]
    pub fn start_again(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "{} runs already", self.name);
        let log = append(&self.log);
        let id_file = self.launch.id_file();
        let _ = std::fs::remove_file(&id_file);
        let mut command = self.launch.command();
        command.stdout(log.try_clone().expect("a file can be duplicated")).stderr(log);
        let child = spawn(command);
        let inner = self.launch.container.as_ref().map(|container| {
            poll(&format!("{} tells its id", self.name), START_LIMIT, || {
                let text = std::fs::read_to_string(&id_file).map_err(|e| e.to_string())?;
                let inside = text.trim().parse().map_err(|e| format!("{text:?}: {e}"))?;
                container.outside_id(inside).ok_or_else(|| format!("no process {inside}"))
            })
        });
        *running = Some(Running { child, inner });
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&self) -> bool {
        self.running().as_mut().is_some_and(Running::is_running)
    }

    /// Whether it has ended by itself.
    pub fn has_failed(&self) -> bool {
        self.running().as_mut().is_some_and(|running| !running.is_running())
    }

    /// The process id; panics when it is not started.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        let running = self.running();
        let running = running.as_ref().unwrap_or_else(|| panic!("{} is not started", self.name));
        u32::try_from(running.pid().as_raw()).expect("process ids are positive")
    }

    /// Ends it at once, as a crash would.
    pub fn kill9(&self) {
        if let Some(running) = self.take() {
            running.end(Duration::ZERO);
        }
    }

    /// Asks it to end (SIGTERM) without waiting; [`Service::stop`] then waits.
    pub fn ask_to_stop(&self) {
        if let Some(running) = self.running().as_mut() {
            running.signal(Signal::SIGTERM);
            running.signal(Signal::SIGCONT);
        }
    }

    /// Ends it with SIGTERM, after two seconds with SIGKILL. Tells whether SIGTERM was enough.
    pub fn stop(&self) -> bool {
        self.ask_to_stop();
        self.take().is_none_or(|running| running.end(PATIENCE))
    }

    /// Freezes it (SIGSTOP): it keeps its connections and answers nothing.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, which: Signal) {
        let mut running = self.running();
        let running = running.as_mut().unwrap_or_else(|| panic!("{} is not started", self.name));
        running.signal(which);
    }

    /// All that it has printed so far, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Its name in the lab.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn take(&self) -> Option<Running> {
        self.running().take()
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a child from a thread that lives as long as the process: the parent-death signal is sent when the *thread*
/// that started the child ends (prctl(2)), and a test's threads end early.
#[track_caller]
pub fn spawn(command: Command) -> Child {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let what = format!("{command:?}");
    let (answer, outcome) = channel();
    spawner.send((command, answer)).expect("the spawner lives as long as the process");
    let outcome = outcome.recv().expect("the spawner answers every order");
    outcome.unwrap_or_else(|e| panic!("{what} cannot be started: {e}"))
}

/// Waits for a child's end, and kills it after `patience`. Tells whether it ended by itself.
pub fn reap(mut child: Child, patience: Duration) -> bool {
    let start = std::time::Instant::now();
    while start.elapsed() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Signals a child that has not been waited for, whose id therefore cannot have been reused.
pub fn signal(child: &Child, which: Signal) {
    let pid = i32::try_from(child.id()).expect("process ids fit pid_t");
    let _ = kill(Pid::from_raw(pid), which);
}

fn append(path: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()))
}
