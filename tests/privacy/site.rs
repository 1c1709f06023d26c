//! A host as systemd/service.md tells operators to set it up: the daemon as a user of its own, its configuration closed to
//! tenants, each tenant with an account, a directory and a file.
//!
//! May not: use what a user of the host could not. Each action is done as the user whose it is.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::{CONTROL, DAEMON};
use crate::lab::service::{Launch, Service};

/// How long what must come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The daemon's user and group.
const DAEMON_ID: u32 = 20100;
/// Somebody who owns no project.
pub(crate) const STRANGER: u32 = 20009;
/// An operator by `[control] operators`.
pub(crate) const OPERATOR: u32 = 20010;

/// Projects and their owners' accounts.
pub(crate) const BLUE: Tenant = Tenant { project: "blue", uid: 20001 };
pub(crate) const GREEN: Tenant = Tenant { project: "green", uid: 20002 };
pub(crate) const BROWN: Tenant = Tenant { project: "brown", uid: 20003 };
pub(crate) const OCHRE: Tenant = Tenant { project: "ochre", uid: 20004 };
const TENANTS: [Tenant; 4] = [BLUE, GREEN, BROWN, OCHRE];

/// A project and its owner's account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenant {
    pub(crate) project: &'static str,
    pub(crate) uid: u32,
}

/// A half, as a tenant writes it; the target is `project/network`.
pub(crate) fn half(name: &str, network: &str, target: &str) -> String {
    let (project, target) = target.split_once('/').expect("project/network");
    format!(
        "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"{project}\"\n\
         target_network = \"{target}\"\n"
    )
}

/// What a host has beyond the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup<'a> {
    /// Lines of `[policy]`.
    pub(crate) policy: &'a str,
    /// The daemon's environment, as a service manager sets it.
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

/// The host.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    service: Service,
    root: PathBuf,
}

impl Site {
    /// With OVN, and a daemon that knows every tenant and has read no network and no half.
    #[track_caller]
    pub(crate) fn new() -> Site {
        Self::with(&Setup::default())
    }

    /// The same, with what the setup says.
    #[track_caller]
    pub(crate) fn with(setup: &Setup<'_>) -> Site {
        let lab = Lab::databases_only();
        let root = lab.dir().join("host");
        for (path, mode) in [("", 0o755), ("etc", 0o750), ("run", 0o755), ("srv", 0o711)] {
            directory(&root.join(path), mode, (0, DAEMON_ID));
        }
        chown(root.join("run"), Some(DAEMON_ID), Some(DAEMON_ID)).unwrap();
        directory(&root.join("etc/networks.d"), 0o750, (0, DAEMON_ID));
        directory(&root.join("etc/peerings.d"), 0o750, (0, DAEMON_ID));
        for program in [DAEMON, CONTROL] {
            // Where cargo builds, other users may not look.
            let name = Path::new(program).file_name().unwrap();
            fs::copy(program, root.join(name)).unwrap();
        }
        let_in(&lab);
        let id = DAEMON_ID.to_string();
        let launch = Launch::new("setpriv", &root)
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--pdeathsig", "KILL", "--"])
            .arg(root.join("ovn-peerd"))
            .args(["--log-level", "debug", "--config"])
            .arg(root.join("etc/ovn-peerd.toml"));
        let variables = setup.environment.iter();
        let launch = variables.fold(launch, |launch, (name, value)| launch.env(name, *value));
        let site = Site { service: Service::stopped("daemon", launch), lab, root };
        site.operator_writes("ovn-peerd.toml", &site.settings(setup));
        TENANTS.iter().for_each(|tenant| site.welcome(*tenant));
        site.start();
        site
    }

    fn settings(&self, setup: &Setup<'_>) -> String {
        let pins = TENANTS.map(|Tenant { project, uid }| {
            format!("[[project]]\nname = \"{project}\"\nowner = \"{uid}\"\n")
        });
        let history = if setup.policy.contains("history") { "" } else { "history = 0\n" };
        format!(
            "[policy]\n{history}{}[northbound]\nremotes = [\"{}\"]\n[control]\nsocket = \"{}\"\n\
             operators = [\"{OPERATOR}\"]\n[daemon]\nhost = \"hv1\"\n{}",
            setup.policy,
            self.lab.nb_remote(),
            self.socket().display(),
            pins.concat()
        )
    }

    /// A directory of the tenant's own, and the link by which its file counts.
    fn welcome(&self, tenant: Tenant) {
        let own = self.own(tenant);
        directory(&own, 0o2750, (tenant.uid, DAEMON_ID));
        self.declare(tenant, "");
        let link = self.root.join(format!("etc/peerings.d/{}.toml", tenant.project));
        symlink(own.join("halves.toml"), link).unwrap();
    }

    /// Starts the daemon, and waits until it answers and has read the northbound.
    #[track_caller]
    pub(crate) fn start(&self) {
        self.service.start_again();
        poll("the daemon has read the northbound", PATIENCE, || {
            assert!(self.service.is_running(), "{}", self.log());
            let output = self.ctl(0, &["status", "--format", "json"]);
            let synced = serde_json::from_slice::<Value>(&output.stdout)
                .is_ok_and(|status| status["northbound"]["synced"] == true);
            if synced { Ok(()) } else { Err(format!("{output:?}")) }
        });
    }

    /// Starts the northbound's server again.
    pub(crate) fn start_northbound(&self) {
        self.lab.databases().start_nb_again();
        let_in(&self.lab);
    }

    /// Ends the daemon.
    pub(crate) fn stop(&self) {
        self.service.stop();
    }

    /// Ends it and starts it on the same files.
    #[track_caller]
    pub(crate) fn restart(&self) {
        // Whether it obeys in time is not the question here, and the machine may be busy.
        self.service.stop();
        self.start();
    }

    /// The directory that holds it all.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A tenant's own directory.
    pub(crate) fn own(&self, tenant: Tenant) -> PathBuf {
        self.root.join("srv").join(tenant.uid.to_string())
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("run/control.sock")
    }

    /// All that the daemon has logged.
    pub(crate) fn log(&self) -> String {
        self.service.log()
    }

    /// The operator writes a file of the configuration, whole.
    pub(crate) fn operator_writes(&self, name: &str, text: &str) {
        let path = self.root.join("etc").join(name);
        let beside = path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o640)).unwrap();
        chown(&beside, Some(0), Some(DAEMON_ID)).unwrap();
        fs::rename(beside, path).unwrap();
    }

    /// A tenant writes its file, whole, as its own user.
    #[track_caller]
    pub(crate) fn declare(&self, tenant: Tenant, halves: &str) {
        let text = format!("project = \"{}\"\n{halves}", tenant.project);
        self.write_as(tenant, "halves.toml", &text);
    }

    /// The same for any file in its directory.
    #[track_caller]
    pub(crate) fn write_as(&self, tenant: Tenant, name: &str, text: &str) {
        let path = self.own(tenant).join(name);
        let script =
            "umask 027; mkdir -p \"$(dirname \"$1\")\"; cat > \"$1.new\"; mv \"$1.new\" \"$1\"";
        let mut command = user(tenant.uid, "sh");
        command.args(["-euc", script, "sh"]).arg(path);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{tenant:?} cannot write {name}");
    }

    /// `ovn-peerctl` as a user.
    pub(crate) fn ctl(&self, uid: u32, arguments: &[&str]) -> Output {
        let mut command = user(uid, self.root.join("ovn-peerctl").to_str().unwrap());
        command.arg("--socket").arg(self.socket()).args(arguments).output().unwrap()
    }

    /// `ovn-peerd check` as a user.
    pub(crate) fn check(&self, uid: u32, config: &Path, format: &str) -> Output {
        let mut command = user(uid, self.root.join("ovn-peerd").to_str().unwrap());
        command.args(["check", "--format", format, "--config"]).arg(config).output().unwrap()
    }

    /// `curl --include` as a user.
    pub(crate) fn curl(&self, uid: u32, arguments: &[&str], path: &str) -> Output {
        let mut command = user(uid, "curl");
        command.args(["--silent", "--show-error", "--include", "--max-time", "20"]);
        command.arg("--unix-socket").arg(self.socket()).args(arguments);
        command.arg(format!("http://localhost{path}")).output().unwrap()
    }

    /// JSON of `ovn-peerctl`, which must succeed.
    #[track_caller]
    pub(crate) fn json(&self, uid: u32, arguments: &[&str]) -> Value {
        let output = self.ctl(uid, &[arguments, &["--format", "json"]].concat());
        assert!(is_answer(&output), "{arguments:?}: {output:?}\n{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until a half is in a state, as the operator sees it.
    #[track_caller]
    pub(crate) fn wait_state(&self, half: &str, state: &str) {
        let parts: Vec<_> = half.split('/').collect();
        poll(&format!("{half} becomes {state}"), PATIENCE, || {
            let shown = self.ctl(0, &[&["show"][..], &parts, &["--format", "json"]].concat());
            let text = String::from_utf8_lossy(&shown.stdout).into_owned();
            let seen =
                serde_json::from_str::<Value>(&text).is_ok_and(|half| half["state"] == state);
            if seen { Ok(()) } else { Err(format!("{text}{}", self.log())) }
        });
    }

    /// Waits until a half is gone.
    #[track_caller]
    pub(crate) fn wait_gone(&self, half: &str) {
        let parts: Vec<_> = half.split('/').collect();
        poll(&format!("{half} is gone"), PATIENCE, || {
            let code = self.ctl(0, &[&["show"][..], &parts].concat()).status.code();
            if code == Some(3) { Ok(()) } else { Err(format!("{code:?}")) }
        });
    }

    /// Waits until OVN and the daemon have seen every change made so far.
    #[track_caller]
    pub(crate) fn settle(&self) {
        self.lab.sync();
        let wanted: Option<i64> =
            self.lab.nbctl(&["get", "NB_Global", ".", "nb_cfg"]).trim().parse().ok();
        poll("the daemon has read all", PATIENCE, || {
            let northbound = &self.json(0, &["status"])["northbound"];
            let read = |name: &str| northbound[name].as_i64();
            let caught_up = read("nb_cfg") == wanted && read("sb_cfg") == wanted;
            if caught_up { Ok(()) } else { Err(northbound.to_string()) }
        });
    }
}

/// Whether the daemon answered. `status`, `diagnostics` and `reload` print their answer and exit with 1
/// where a file has an error, as one in the world of targets has; what fails says so on standard error.
pub(crate) fn is_answer(output: &Output) -> bool {
    let of_errors = output.status.code() == Some(1);
    output.stderr.is_empty() && (output.status.success() || of_errors && !output.stdout.is_empty())
}

/// A command as a user who is in the group of the same number alone.
pub(crate) fn user(uid: u32, program: &str) -> Command {
    let id = uid.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--", program]);
    // Whatever the caller has open to root alone, such as its own directory.
    command.current_dir("/");
    command
}

/// As the access units let the daemon's user in.
fn let_in(lab: &Lab) {
    chown(lab.nb_socket(), None, Some(DAEMON_ID)).unwrap();
    fs::set_permissions(lab.nb_socket(), fs::Permissions::from_mode(0o770)).unwrap();
}

fn directory(path: &Path, mode: u32, (uid, gid): (u32, u32)) {
    fs::create_dir(path).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
