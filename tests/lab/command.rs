//! Runs short-lived commands, and waits for things with a deadline.
//!
//! Owns: how a test calls a program and how it fails when that goes wrong. A failure panics with the command, its exit
//! status and all of its output, so that a red test in CI can be read without a second run.
//! May not: know what OVN is.

use std::ffi::OsStr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How often [`poll`] looks.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// The programs without which no lab starts, and the Debian packages that bring them.
const TOOLS: &[(&str, &str)] = &[
    ("ovsdb-server", "openvswitch-switch"),
    ("ovsdb-tool", "openvswitch-common"),
    ("ovsdb-client", "openvswitch-common"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovn-northd", "ovn-central"),
    ("ovn-controller", "ovn-host"),
    ("ovn-nbctl", "ovn-common"),
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("tcpdump", "tcpdump"),
    ("python3", "python3"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Fails the test, saying what to do, unless it can build a lab here: a test that cannot run must not look green.
#[track_caller]
pub fn require_root_and_tools() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "the lab makes network namespaces and so needs root: run `sudo -E cargo test` or `sudo tests/run`"
    );
    require_programs(TOOLS);
}

/// The same for programs that some tests need besides, with the packages that bring them.
#[track_caller]
pub fn require_programs(programs: &[(&str, &str)]) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let absent = |program: &str| !std::env::split_paths(&path).any(|d| d.join(program).is_file());
    let mut packages: Vec<_> = programs.iter().filter(|t| absent(t.0)).map(|t| t.1).collect();
    packages.sort_unstable();
    packages.dedup();
    assert!(
        packages.is_empty(),
        "the lab lacks programs of these packages: run `apt-get install {}`",
        packages.join(" ")
    );
}

/// Runs a command to its end and gives its standard output; panics when it fails.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(program);
    command.args(args);
    run_command(command)
}

/// As [`run`], for a command that is already put together.
#[track_caller]
pub fn run_command(mut command: Command) -> String {
    let output = output(&mut command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the command's output is UTF-8")
}

/// Runs a command to its end, whatever that is; panics only when it cannot be started.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"))
}

/// Tries `attempt` until it succeeds; panics with its last error when `limit` has passed.
#[track_caller]
pub fn poll<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        let why = match attempt() {
            Ok(value) => return value,
            Err(why) => why,
        };
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}: {why}");
        std::thread::sleep(POLL_EVERY);
    }
}
