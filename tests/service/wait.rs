//! `wait`: it ends with what it waits for, asks nothing meanwhile, and outlasts the daemon.

use std::fs;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ovn_peerd::view::State;

use crate::listener::Listener;
use crate::running::{BLUE, Process, Running, Start, peered, place, wait_for};

/// A socket before the daemon's, which counts the connections: a command has one for each request.
struct Counted {
    socket: PathBuf,
    requests: Arc<AtomicUsize>,
}

impl Counted {
    fn before(running: &Running) -> Self {
        let (socket, to) = (running.path().join("counted.sock"), running.socket());
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                // While the daemon is away, the connection is closed at once.
                let Ok(daemon) = UnixStream::connect(&to) else { continue };
                let back = (daemon.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(&client, &daemon));
                thread::spawn(move || pass(&back.0, &back.1));
            }
        });
        Self { socket, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Passes on what comes, and the end of it.
fn pass(mut from: &UnixStream, mut to: &UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

/// A `wait` that runs.
struct Waiting {
    process: Process,
    begun: Instant,
}

impl Waiting {
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
        command.arg("--socket").arg(socket).arg("wait").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { process: Process(command.spawn().unwrap()), begun: Instant::now() }
    }

    /// Its exit code, and what it says.
    fn ended(&mut self) -> (Option<i32>, String) {
        let code = self.process.ended().code();
        let mut said = String::new();
        self.process.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (code, said)
    }

    fn is_running(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }
}

fn disabled() -> String {
    format!("{BLUE}configured_status = \"disabled\"\n")
}

#[test]
fn a_wait_ends_with_the_event_and_asks_nothing_meanwhile() {
    let (_northbound, running) = peered(&Start::default());
    let counted = Counted::before(&running);
    let mut listener = Listener::start(&running.socket(), None);
    let mut late = Vec::new();
    let disabled = disabled();
    for (state, text) in [("disabled", &*disabled), ("active", BLUE)].repeat(2) {
        let before = counted.requests();
        let mut waiting = Waiting::start(&counted.socket, &["blue/web/to-db", "--for", state]);
        wait_for("its look", || (counted.requests() - before == 2).then_some(()));
        thread::sleep(Duration::from_secs(2));
        assert_eq!(counted.requests() - before, 2, "the events, and one look");
        assert!(waiting.is_running());
        place(running.path(), "peerings.d/b.toml", text);
        listener.next(state, |event| event["name"] == "to-db" && event["state"] == state);
        let happened = Instant::now();
        assert_eq!(waiting.ended(), (Some(0), String::new()));
        late.push(happened.elapsed());
    }
    println!("ended so long after the event: {late:?}, with {} requests", counted.requests());
    late.sort();
    assert!(late[1] < Duration::from_millis(200), "{late:?}");
}

/// What happens while the daemon is away is seen once it is back.
#[test]
fn a_wait_outlasts_a_restart_of_the_daemon() {
    let (_northbound, mut running) = peered(&Start::default());
    let created = running.ctl(&["create", "blue/web/stored", "red/x"]);
    assert!(created.status.success(), "{created:?}");
    let counted = Counted::before(&running);
    let files = &mut Waiting::start(&counted.socket, &["blue/web/to-db", "--for", "disabled"]);
    let stored = &mut Waiting::start(&counted.socket, &["blue/web/stored", "--for", "disabled"]);
    wait_for("their looks", || (counted.requests() >= 4).then_some(()));
    running.daemon.signal("KILL");
    running.daemon.ended();
    place(running.path(), "peerings.d/b.toml", &disabled());
    thread::sleep(Duration::from_secs(2));
    assert!(files.is_running() && stored.is_running());
    running.start_again();
    assert_eq!(files.ended(), (Some(0), String::new()));
    running.wait_for_state("stored", State::PendingPeer);
    thread::sleep(Duration::from_millis(200));
    assert!(stored.is_running(), "what the daemon has not read yet is not missing");
    let disabled = running.ctl(&["disable", "blue/web/stored"]);
    assert!(disabled.status.success(), "{disabled:?}");
    assert_eq!(stored.ended(), (Some(0), String::new()));

    // One that does not come back is named when the time is over.
    let wait = ["blue/web/stored", "--for", "active", "--timeout", "3s"];
    let mut waiting = Waiting::start(&counted.socket, &wait);
    thread::sleep(Duration::from_secs(1));
    running.daemon.signal("TERM");
    let (code, said) = waiting.ended();
    assert_eq!(code, Some(4), "{said}");
    assert!(waiting.begun.elapsed() >= Duration::from_secs(3), "{:?}", waiting.begun.elapsed());
}

#[test]
fn a_wait_ends_in_time_and_with_its_half() {
    let (_northbound, running) = peered(&Start::default());
    let socket = running.socket();
    for (timeout, least) in [("0s", 0), ("1s", 1)] {
        let wait = ["blue/web/to-db", "--for", "disabled,failed", "--timeout", timeout];
        let mut waiting = Waiting::start(&socket, &wait);
        let (code, said) = waiting.ended();
        let took = waiting.begun.elapsed();
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains("is active, not disabled or failed"), "{said}");
        let least = Duration::from_secs(least);
        assert!(took >= least && took < least + Duration::from_secs(2), "{took:?}");
    }
    let (code, said) = Waiting::start(&socket, &["blue/web/none"]).ended();
    assert_eq!(code, Some(3), "{said}");

    // Deleted meanwhile, which is what the other one waits for. It may be created again until then.
    assert!(running.ctl(&["create", "blue/web/it", "red/x"]).status.success());
    let wait = ["blue/web/it", "--for", "active", "--timeout", "3s"];
    let mut waiting = Waiting::start(&socket, &wait);
    let mut gone = Waiting::start(&socket, &["blue/web/it", "--for", "deleted"]);
    thread::sleep(Duration::from_secs(1));
    assert!(waiting.is_running() && gone.is_running());
    assert!(running.ctl(&["delete", "blue/web/it"]).status.success());
    assert_eq!(gone.ended(), (Some(0), String::new()));
    let (code, said) = waiting.ended();
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("is deleted, not active"), "{said}");
    // One of a file that was active is shown as deleted.
    let wait = ["blue/web/to-db", "--for", "deleted", "--timeout", "30s"];
    let mut waiting = Waiting::start(&socket, &wait);
    thread::sleep(Duration::from_millis(500));
    fs::remove_file(running.path().join("peerings.d/b.toml")).unwrap();
    assert_eq!(waiting.ended(), (Some(0), String::new()));
}
