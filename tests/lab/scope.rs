//! A lab's own corner of the machine: a short temporary directory and a prefix for the names of its namespaces.
//!
//! Invariants: two labs never share a name, in one process or in several; names carry the process id and its start time,
//! so that what a killed test left behind is told from what a running test uses, and is swept by the next lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Not `TMPDIR`: that may be long, and the path of a Unix socket ends at 107 bytes.
const ROOT: &str = "/tmp";
/// Where iproute2 keeps named namespaces.
pub const NAMESPACES: &str = "/run/netns";
const PREFIX: &str = "opl";

/// A directory and a name prefix that no other lab has. Dropping it removes the directory.
#[derive(Debug)]
pub struct Scope {
    name: String,
    dir: PathBuf,
}

impl Scope {
    /// Takes a fresh corner, after sweeping those of labs whose process is gone.
    pub fn new() -> Scope {
        Scope::inside(Path::new(ROOT))
    }

    /// The same with its directory in `root`, where somebody else sweeps directories.
    pub fn inside(root: &Path) -> Scope {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(sweep);
        let pid = std::process::id();
        let start = start_time(pid).expect("/proc/<own pid>/stat can be read");
        let name = format!("{PREFIX}-{pid}-{start}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = root.join(&name);
        fs::create_dir(&dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
        Scope { name, dir }
    }

    /// The directory, of at most 60 bytes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A machine-wide name for this lab's `role`.
    pub fn name_for(&self, role: &str) -> String {
        format!("{}-{role}", self.name)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if std::env::var_os("LAB_KEEP").is_some() {
            eprintln!("LAB_KEEP is set: the lab's files stay in {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Removes the processes, namespaces and directories of labs whose creator no longer runs. The first lab of each process
/// does it by itself.
pub fn sweep() {
    let stale = |name: &str| {
        let mut parts = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-');
        let pid: u32 = parts.next()?.parse().ok()?;
        let start: u64 = parts.next()?.parse().ok()?;
        (start_time(pid) != Some(start)).then_some(())
    };
    for dir in names_in(ROOT).filter(|n| stale(n).is_some()) {
        let dir = Path::new(ROOT).join(dir);
        kill_those_working_in(&dir);
        let _ = fs::remove_dir_all(dir);
    }
    for namespace in names_in(NAMESPACES).filter(|n| stale(n).is_some()) {
        // Another test may be sweeping too: whoever comes second finds nothing.
        let _ = std::process::Command::new("ip").args(["netns", "del", &namespace]).output();
    }
}

/// Every process of a lab works in the lab's directory: that is how one is known again.
fn kill_those_working_in(dir: &Path) {
    let pids = names_in("/proc").filter_map(|n| n.parse::<i32>().ok());
    for pid in pids {
        if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir)) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn names_in(dir: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok())
}

/// Clock ticks from boot to the start of a process (proc(5), field 22 of stat); `None` when there is no such process.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, field 2, may contain anything, also parentheses.
    let after_name = stat.rsplit_once(") ")?.1;
    after_name.split(' ').nth(19)?.parse().ok()
}
