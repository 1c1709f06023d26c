//! Network namespaces with a machine-wide unique name.
//!
//! Invariant: a [`Netns`] that is dropped takes its namespace, and the interfaces in it, with it.

use std::process::Command;
use std::time::Duration;

use super::command::{output, poll, run, run_command};
use super::scope::{NAMESPACES, Scope};

/// A network namespace, with its loopback up.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace for a `role` of this lab.
    #[track_caller]
    pub fn new(scope: &Scope, role: &str) -> Netns {
        let name = scope.name_for(role);
        // The very first `ip netns add` of a machine remounts /run/netns; one that runs beside it can fail.
        poll("a network namespace", Duration::from_secs(5), || {
            let made = output(Command::new("ip").args(["netns", "add", &name]));
            if made.status.success() {
                return Ok(());
            }
            Err(String::from_utf8_lossy(&made.stderr).into_owned())
        });
        let netns = Netns { name };
        netns.ip(&["link set lo up".to_owned()]);
        netns
    }

    /// Gives the namespace of a process a name; dropping it takes the name only.
    #[track_caller]
    pub fn of_process(scope: &Scope, role: &str, pid: i32) -> Netns {
        let name = scope.name_for(role);
        run("ip", ["netns", "attach", &name, &pid.to_string()]);
        Netns { name }
    }

    /// Its name, as `ip -n` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of iproute2 commands (without the leading `ip`) inside, in one process.
    #[track_caller]
    pub fn ip(&self, lines: &[String]) {
        ip(&self.name, lines);
    }

    /// Runs a program inside and gives its output; panics when it fails.
    #[track_caller]
    pub fn run(&self, program_and_args: &[&str]) -> String {
        run_inside(&self.name, program_and_args)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Runs lines of iproute2 commands inside a namespace known by name.
#[track_caller]
pub fn ip(namespace: &str, lines: &[String]) {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = Command::new("ip");
    command.args(["-n", namespace, "-batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all((lines.join("\n") + "\n").as_bytes()).expect("ip reads its batch");
    drop(stdin);
    let done = child.wait_with_output().expect("ip ends");
    assert!(
        done.status.success(),
        "in {namespace}: ip of\n{}\nfailed: {}",
        lines.join("\n"),
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Runs a program inside a namespace known by name.
#[track_caller]
pub fn run_inside(namespace: &str, program_and_args: &[&str]) -> String {
    run_command(command_inside(namespace, program_and_args))
}

/// `nsenter`, not `ip netns exec`: that one also remounts /sys, which takes longer and disturbs.
pub fn command_inside(namespace: &str, program_and_args: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={NAMESPACES}/{namespace}")).arg("--").args(program_and_args);
    command
}
