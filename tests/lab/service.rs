//! Long-lived processes of a lab: started, signalled and ended by their id.
//!
//! Invariants: no process outlives its [`Service`], nor the test process, even when that is killed with SIGKILL (the
//! kernel sends the parent-death signal); every process works in the lab's directory, by which stale ones are found.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scope::NAMESPACES;

/// How long a process may take to obey SIGTERM before it is killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What to start: a program, its arguments, its surroundings.
#[derive(Clone, Debug)]
pub struct Launch {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    dir: PathBuf,
    namespace: Option<String>,
}

impl Launch {
    /// A program that works in `dir`, a directory inside the lab's.
    pub fn new(program: impl Into<OsString>, dir: &Path) -> Launch {
        let dir = dir.to_owned();
        Launch { program: program.into(), args: vec![], env: vec![], dir, namespace: None }
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

    /// The command, wrapped so that it dies with this process. setpriv and nsenter replace themselves by the program,
    /// so the child's id is the program's.
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(namespace) = &self.namespace {
            command.args(["nsenter", &format!("--net={NAMESPACES}/{namespace}"), "--"]);
        }
        command.arg(&self.program).args(&self.args).current_dir(&self.dir);
        command.envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        command
    }
}

/// One process of the lab, which can be started again and again; its output is appended to `<dir>/<name>.log`.
#[derive(Debug)]
pub struct Service {
    name: String,
    launch: Launch,
    log: PathBuf,
    child: Mutex<Option<Child>>,
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
        Service { name: name.to_owned(), launch, log, child: Mutex::new(None) }
    }

    /// Starts it, when it does not run.
    #[track_caller]
    pub fn start_again(&self) {
        let mut child = self.child.lock().expect("no holder panics");
        assert!(child.is_none(), "{} runs already", self.name);
        let log = append(&self.log);
        let mut command = self.launch.command();
        command.stdout(log.try_clone().expect("a file can be duplicated")).stderr(log);
        *child = Some(spawn(command));
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&self) -> bool {
        let mut child = self.child.lock().expect("no holder panics");
        child.as_mut().is_some_and(|c| c.try_wait().is_ok_and(|status| status.is_none()))
    }

    /// The process id; panics when it is not started.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        let child = self.child.lock().expect("no holder panics");
        child.as_ref().unwrap_or_else(|| panic!("{} is not started", self.name)).id()
    }

    /// Ends it at once, as a crash would.
    pub fn kill9(&self) {
        if let Some(mut child) = self.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM) without waiting; [`Service::stop`] then waits.
    pub fn ask_to_stop(&self) {
        let child = self.child.lock().expect("no holder panics");
        if let Some(child) = child.as_ref() {
            signal(child, Signal::SIGTERM);
            signal(child, Signal::SIGCONT);
        }
    }

    /// Ends it with SIGTERM, after two seconds with SIGKILL. Tells whether SIGTERM was enough.
    pub fn stop(&self) -> bool {
        self.ask_to_stop();
        self.take().is_none_or(|child| reap(child, PATIENCE))
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
        let child = self.child.lock().expect("no holder panics");
        signal(child.as_ref().unwrap_or_else(|| panic!("{} is not started", self.name)), which);
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

    fn take(&self) -> Option<Child> {
        self.child.lock().expect("no holder panics").take()
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
