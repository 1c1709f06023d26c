//! Pages that a reader follows word by word, followed: each block in its order, on a machine of its own.
//!
//! Owns: the machine (real OVN with a chassis, in namespaces that end with it). May not: change a word of a page, except for
//! the directory of the configuration.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use crate::blocks::{self, Block, Kind, file_of};
use crate::lab::Lab;
use crate::lab::command::{output, poll};
use crate::lab::daemon::Daemon;
use crate::lab::service::{Launch, Service};
use crate::{CONFIGURATION, shims};

/// How long what a block only looks at may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names of network namespaces, and a view of the interfaces, that are this machine's own.
const MOUNTS: &str = "
    mount -t tmpfs none /run/netns
    cgroups=$(mktemp -d \"$PWD/cgroups.XXXXXX\")
    mount --rbind /sys/fs/cgroup \"$cgroups\"
    mount -t sysfs none /sys
    mount --rbind \"$cgroups\" /sys/fs/cgroup
    umount -l \"$cgroups\"
    echo ready
    exec sleep infinity";

/// A machine with OVN, an `ovn-peerd` and its tools, as the pages expect it.
pub(crate) struct Machine<'a> {
    lab: &'a Lab,
    daemon: Daemon,
    /// The environment of all that runs there.
    environment: Vec<(&'static str, OsString)>,
    /// Holds the mount namespace, so that `ip netns add` makes names that nobody else sees.
    holder: Service,
}

impl<'a> Machine<'a> {
    pub(crate) fn boot(lab: &'a Lab) -> Self {
        Self::boot_with(lab, "")
    }

    /// The same; `settings` are added to those of the daemon.
    pub(crate) fn boot_with(lab: &'a Lab, settings: &str) -> Self {
        let daemon = Daemon::prepare(lab, "hv1", settings);
        daemon.start_again();
        let path = format!("{}:{}", shims(&daemon).display(), std::env::var("PATH").unwrap());
        let environment = vec![
            ("PATH", path.into()),
            ("HOME", lab.dir().into()),
            ("OVN_NB_DB", lab.nb_remote().into()),
            ("OVN_PEERD_CONFIG", daemon.dir().join("ovn-peerd.toml").into()),
            ("OVS_RUNDIR", lab.dir().join(lab.hypervisor(0).name()).into()),
        ];
        let launch = Launch::new("unshare", lab.dir()).inside(lab.hypervisor(0).netns().name());
        let launch = launch.args(["--mount", "--propagation", "private", "sh", "-ec", MOUNTS]);
        let holder = Service::start("holder", launch);
        poll("the mount namespace", PATIENCE, || match holder.log().contains("ready") {
            true => Ok(()),
            false => Err(holder.log()),
        });
        Self { lab, daemon, environment, holder }
    }

    /// Enters it to run this program.
    fn enter(&self, program: &str) -> Vec<String> {
        let holder = self.holder.pid().to_string();
        ["--mount", "--net", "--root", "--wd", "--target", &holder, program]
            .map(str::to_owned)
            .into()
    }

    /// Its daemon.
    pub(crate) fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Sets a variable of the environment.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A program that is to run there.
    pub(crate) fn launch(&self, program: &str, arguments: &[&str]) -> Launch {
        let launch = Launch::new("nsenter", self.lab.dir()).args(self.enter(program));
        let environment = self.environment.iter().cloned();
        environment.fold(launch.args(arguments.iter().copied()), |launch, (name, value)| {
            launch.env(name, value)
        })
    }

    /// Runs a script there, and gives what it prints, or how it fails.
    pub(crate) fn run(&self, script: &str) -> Result<String, String> {
        let own = format!("{}/", self.daemon.dir().display());
        let script = script.replace(CONFIGURATION, &own);
        let mut command = Command::new("nsenter");
        command.args(self.enter("bash")).args(["-euo", "pipefail", "-c", &script]);
        command.current_dir(self.lab.dir()).envs(self.environment.iter().cloned());
        let ran = output(&mut command);
        let said = [&ran.stdout[..], &ran.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        match ran.status.success() {
            true => Ok(said),
            false => Err(format!("{script}\n{}\n{said}", ran.status)),
        }
    }

    /// Follows a block. What only looks is repeated until it is so, as a person would.
    fn follow(&self, block: &Block) {
        if let Some((path, text)) = file_of(block) {
            self.daemon.write(&path, &text);
        } else if block.kind == Kind::Shell {
            let what = format!("{}:{}", block.page, block.line);
            match block.only_looks() {
                true => drop(poll(&what, PATIENCE, || self.run(&block.text))),
                false => drop(self.run(&block.text).unwrap_or_else(|why| panic!("{what}: {why}"))),
            }
        } else if block.text.starts_with("HALF ") {
            poll("the list is as the page shows it", PATIENCE, || {
                let list = self.run("ovn-peerctl list")?;
                let (list, shown) = (ageless(&list), ageless(&block.text));
                if list.starts_with(&shown) { Ok(()) } else { Err(format!("{list}\n{shown}")) }
            });
        }
    }
}

/// A list without ages, and without the widths that follow from them.
fn ageless(list: &str) -> String {
    let lines = list.lines().map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        words.join(" ") + "\n"
    });
    lines.collect()
}

impl Block {
    /// Whether nothing changes by it, so that it may be repeated.
    fn only_looks(&self) -> bool {
        let looks =
            ["ovn-peerctl list", "ovn-peerctl show", "ip netns exec", "lxc exec", "incus exec"];
        let looks = |line: &str| looks.iter().any(|look| line.starts_with(look));
        self.text.lines().all(|line| looks(line.trim_start_matches("! ")))
    }
}

/// Follows all blocks of a page.
pub(crate) fn follow(page: &str, machine: &Machine<'_>) {
    let blocks = blocks::read(page);
    assert!(blocks.iter().any(|block| block.kind == Kind::Shell), "{page} shows commands");
    for block in &blocks {
        machine.follow(block);
    }
}

#[test]
fn the_readme_leads_to_an_active_peering_in_five_minutes() {
    let lab = Lab::single_chassis();
    lab.add_network("blue-web-lr", &["10.1.0.0/24 fd01::/64"]);
    lab.add_network("green-db-lr", &["10.2.0.0/24 fd02::/64"]);
    follow("README.md", &Machine::boot(&lab));
}

#[test]
fn the_quick_start_on_plain_ovn_leads_to_a_ping_and_back() {
    let lab = Lab::single_chassis();
    let machine = Machine::boot(&lab);
    follow("docs/quick-start-ovn.md", &machine);
    assert_eq!(machine.run("ovn-nbctl show").unwrap(), "", "all is tidied up");
}
