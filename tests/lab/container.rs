//! A node that is a container: how a command runs in it, and how a process in it is known outside.
//!
//! May not: start or remove containers; `tests/multinode/run` does.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::unistd::Pid;

use super::command::{run, run_command};

/// A running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    name: String,
    /// Its first process.
    init: i32,
}

impl Container {
    /// One that runs.
    #[track_caller]
    pub fn named(name: &str) -> Container {
        let init = run("podman", ["inspect", "--format", "{{.State.Pid}}", name]);
        Container { name: name.to_owned(), init: init.trim().parse().expect("a process id") }
    }

    /// Its name, also its hostname.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its first process, by which `ip netns attach` finds its network namespace.
    pub fn init(&self) -> i32 {
        self.init
    }

    /// A command in the container of that name.
    pub fn command(name: &str, program_and_args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.args(["exec", name]).args(program_and_args);
        command
    }

    /// Runs a program inside and gives its output; panics when it fails.
    #[track_caller]
    pub fn run(&self, program_and_args: &[&str]) -> String {
        run_command(Container::command(&self.name, program_and_args))
    }

    /// The id that a process of the container has outside; `None` when it has none yet, or no more.
    pub fn outside_id(&self, inside: i32) -> Option<Pid> {
        let space = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = space(self.init)?;
        let running = fs::read_dir("/proc").into_iter().flatten().flatten();
        running
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| space(*pid).as_ref() == Some(&own))
            .find(|pid| innermost(*pid) == Some(inside))
            .map(Pid::from_raw)
    }

    /// Ends the processes whose program is at this path.
    #[track_caller]
    pub fn end_all(&self, program: &Path) {
        let name = program.file_name().expect("a program's path").to_string_lossy();
        let end = format!("for p in $(pgrep -x {name}); do kill -KILL $p; done");
        self.run(&["sh", "-c", &end]);
    }
}

/// The id of a process in its own namespace (proc(5), `NSpid` of status: the last of them).
fn innermost(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_whitespace().last()?.parse().ok()
}
