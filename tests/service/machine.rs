//! A machine to install the package on: the distribution's own systemd as process 1, in private
//! namespaces over a copy-on-write view of this one's root. It goes when it is dropped.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::running::{Process, poll, wait_for};

/// How long a test waits for what units do to each other: two attempts of the daemon to connect can be 10 s apart.
const PATIENCE: Duration = Duration::from_secs(60);

/// A booted machine.
#[derive(Debug)]
pub(crate) struct Machine {
    // In this order: what runs on it ends before its root goes.
    _unshare: Process,
    init: String,
    directory: TempDir,
}

impl Machine {
    pub(crate) fn boot() -> Self {
        let directory = tempfile::Builder::new().prefix("machine").tempdir_in("/tmp").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service/machine.sh");
        let unshare = Command::new("unshare")
            .args(["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"])
            .args(["--fork", "--kill-child=KILL", "sh"])
            .args([&script, directory.path()])
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let unshare = Process(unshare);
        let init = wait_for("process 1", || {
            let children = fs::read_to_string(&children).ok()?;
            Some(children.trim().to_owned()).filter(|init| !init.is_empty())
        });
        let machine = Self { _unshare: unshare, init, directory };
        wait_for("booted machine", || {
            let active = machine.output(&["systemctl", "is-active", "basic.target"]);
            active.status.success().then_some(())
        });
        machine
    }

    /// Runs a command on it.
    pub(crate) fn output(&self, command: &[&str]) -> Output {
        Command::new("nsenter")
            .args(["--target", &self.init, "--mount", "--pid", "--uts", "--ipc", "--net"])
            .args(["--root", "--wd=/", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(command)
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let output = self.output(command);
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A property of a unit (systemctl(1), `show`).
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        let value = self.run(&["systemctl", "show", unit, "--value", "--property", property]);
        value.trim().to_owned()
    }

    /// Waits until `found` has something; otherwise fails with the end of the journal.
    pub(crate) fn wait_for<T>(&self, what: &str, found: impl FnMut() -> Option<T>) -> T {
        poll(PATIENCE, found).unwrap_or_else(|| {
            let journal = self.run(&["journalctl", "--output=short-monotonic", "--lines=60"]);
            panic!("no {what} within {PATIENCE:?}; the journal:\n{journal}")
        })
    }

    /// Waits until a property satisfies.
    pub(crate) fn wait_for_property(
        &self,
        unit: &str,
        property: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        self.wait_for(&format!("{property} of {unit} as wanted"), || {
            Some(self.property(unit, property)).filter(|value| wanted(value))
        })
    }

    /// Writes a file on it, whole.
    pub(crate) fn place(&self, path: &str, text: &str) {
        let script = "mkdir -p \"${1%/*}\" && printf %s \"$2\" >\"$1.new\" && mv \"$1.new\" \"$1\"";
        self.run(&["sh", "-c", script, "sh", path, text]);
    }

    /// Copies a file from here to its /mnt.
    pub(crate) fn copy(&self, file: &Path) -> String {
        let name = file.file_name().unwrap().to_str().unwrap();
        fs::copy(file, self.directory.path().join("shared").join(name)).unwrap();
        format!("/mnt/{name}")
    }
}
