//! Runs `probe.py` with `traffic.py`, and tcpdump, inside a host's namespace, and gives back what they found.
//!
//! May not: judge. What must arrive and what must not is [`super::host`]'s and the test's business.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::scope::NAMESPACES;
use super::service::{reap, signal, spawn};

const SCRIPT: &str = concat!(include_str!("traffic.py"), include_str!("probe.py"));

/// What became of some echo requests.
#[derive(Clone, Debug, Deserialize)]
pub struct PingReport {
    pub sent: u32,
    pub received: u32,
    /// The most that were lost in a row.
    pub longest_gap: u32,
    /// When the first twenty that were not answered were sent, in milliseconds since 1970.
    pub lost_at: Vec<i64>,
    /// ICMP errors that came back, and errors of the sender's own kernel.
    pub errors: Vec<IcmpError>,
    /// Absent when nothing came back.
    pub rtt_ms: Option<RoundTrip>,
}

/// Round-trip times in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct RoundTrip {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

/// An ICMP error (RFC 792, RFC 4443); `from` is `self` with an errno as code when the kernel refused to send.
#[derive(Clone, Debug, Deserialize)]
pub struct IcmpError {
    pub from: String,
    #[serde(rename = "type")]
    pub kind: u8,
    pub code: u32,
}

impl PingReport {
    /// How many were not answered.
    pub fn lost(&self) -> u32 {
        self.sent - self.received
    }
}

/// The outcome of a TCP probe.
#[derive(Clone, Debug, Deserialize)]
pub struct TcpReport {
    pub ok: bool,
    #[serde(default)]
    pub why: String,
    #[serde(default)]
    pub connect_ms: f64,
    /// From the first byte sent until the other end has counted all.
    #[serde(default)]
    pub seconds: f64,
}

/// A `probe.py` that runs until it is told to finish.
#[derive(Debug)]
pub struct Probe {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    what: String,
}

impl Probe {
    /// Starts a command of the script.
    #[track_caller]
    pub fn start(namespace: &str, args: &[&str]) -> Probe {
        Probe::start_script(namespace, SCRIPT, args)
    }

    /// Starts a command of another script of this kind.
    #[track_caller]
    pub fn start_script(namespace: &str, script: &str, args: &[&str]) -> Probe {
        let python = ["/usr/bin/python3", "python3"]
            .into_iter()
            .find(|p| std::path::Path::new(p).exists())
            .unwrap_or("python3");
        let mut command = inside(namespace);
        command.args([python, "-I", "-S", "-c", script]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(command);
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let stdin = child.stdin.take();
        Probe { child: Some(child), stdin, stdout, what: format!("{args:?} in {namespace}") }
    }

    /// Waits for one line of its output.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the probe's output is UTF-8");
        assert!(!line.is_empty(), "the probe {} has ended without a word", self.what);
        line
    }

    /// Tells it to finish, and waits for its report.
    #[track_caller]
    pub fn finish<T: DeserializeOwned>(mut self) -> T {
        self.stdin = None;
        self.report()
    }

    /// Waits until it finishes by itself.
    #[track_caller]
    pub fn report<T: DeserializeOwned>(mut self) -> T {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{}: {e}: {line}", self.what))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stdin = None;
        if let Some(child) = self.child.take() {
            reap(child, Duration::from_millis(500));
        }
    }
}

/// tcpdump on a host's interface.
#[derive(Debug)]
pub struct Capture {
    child: Option<Child>,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts capturing what matches a pcap-filter(7), and returns when packets are being seen.
    #[track_caller]
    pub fn start(namespace: &str, interface: &str, filter: &str) -> Capture {
        let mut command = inside(namespace);
        command.args(["tcpdump", "-nn", "-l", "-e", "--immediate-mode", "-i", interface, filter]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command);
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut said = String::new();
        while !said.contains("listening on") {
            let read = stderr.read_line(&mut said).expect("tcpdump speaks UTF-8");
            assert!(read > 0, "tcpdump {filter:?} does not start: {said}");
        }
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let lines = Arc::new(Mutex::new(vec![]));
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            // tcpdump ends with an empty line.
            for line in stdout.lines().map_while(Result::ok).filter(|l| !l.is_empty()) {
                sink.lock().expect("no holder panics").push(line);
            }
            // Keeps the pipe open: tcpdump prints its counts there when it ends.
            let _ = stderr.read_to_string(&mut String::new());
        });
        Capture { child: Some(child), lines, reader: Some(reader) }
    }

    /// The packets seen so far, one a line.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no holder panics").clone()
    }

    /// Waits until something was seen; tells whether that was within `limit`.
    pub fn sees_something(&self, limit: Duration) -> bool {
        let start = std::time::Instant::now();
        while self.lines().is_empty() {
            if start.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends it and gives all packets seen.
    pub fn stop(mut self) -> Vec<String> {
        self.end(Signal::SIGINT);
        self.lines()
    }

    fn end(&mut self, how: Signal) {
        if let Some(child) = self.child.take() {
            signal(&child, how);
            reap(child, Duration::from_secs(1));
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nobody asks for what it has yet to write.
        self.end(Signal::SIGKILL);
    }
}

fn inside(namespace: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "nsenter"]);
    command.args([&format!("--net={NAMESPACES}/{namespace}"), "--"]);
    command
}
