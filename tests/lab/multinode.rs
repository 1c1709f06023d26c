//! Lab 4: ovn-fake-multinode, whose nodes are containers. `tests/multinode/run` starts it, and describes it in the file
//! that `OVN_FAKE_MULTINODE_LAB` names; where that is not set, there is no such lab.
//!
//! Invariants: one lab at a time uses the cluster; it finds the northbound empty and no port plugged, whatever the one
//! before has left. Nodes are spoken to by `podman exec`, the databases by TLS from the "host's" namespace.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use super::command::{output, poll, run, run_command};
use super::container::Container;
use super::netns::command_inside;
use super::{Lab, SETTLE_LIMIT};

/// What names the description's file.
const DESCRIPTION: &str = "OVN_FAKE_MULTINODE_LAB";
/// Where a node has its certificate (ovn-fake-multinode's own choice).
const NODE_CERTIFICATES: &str = "/opt/ovn";
/// How a port that a test has plugged is known again.
pub(super) const MARK: &str = "external_ids:plugged-by=lab";
/// The northbound's root tables, but for those of the server itself.
const TABLES: &[&str] = &[
    "Logical_Router",
    "Logical_Switch",
    "Address_Set",
    "Port_Group",
    "Load_Balancer",
    "DHCP_Options",
    "DNS",
    "Meter",
    "BFD",
];

/// What `tests/multinode/run` says of the cluster that it has started.
#[derive(Clone, Debug, Deserialize)]
struct Description {
    /// The network namespace of the "host", which reaches all nodes.
    namespace: String,
    /// A directory that each node sees under the same path.
    shared: PathBuf,
    /// The nodes with the databases, in the order of `remotes`.
    central: Vec<String>,
    /// The northbound's members.
    remotes: Vec<String>,
    hypervisors: Vec<String>,
    gateway: String,
    tls: Tls,
}

/// Certificates for who speaks to the databases from the "host".
#[derive(Clone, Debug, Deserialize)]
struct Tls {
    private_key: String,
    certificate: String,
    ca_cert: String,
}

/// The running cluster, for as long as it is this lab's turn.
#[derive(Debug)]
pub struct Cluster {
    description: Description,
    paused: Mutex<BTreeSet<String>>,
    _turn: Flock<File>,
}

impl Cluster {
    /// Waits for its turn; `None` where there is no cluster, which it says.
    #[track_caller]
    pub(super) fn take() -> Option<Cluster> {
        let Some(file) = std::env::var_os(DESCRIPTION) else {
            eprintln!(
                "SKIPPED: not on ovn-fake-multinode: {DESCRIPTION} is not set; \
                 `OVN_FAKE_MULTINODE=DIR tests/multinode/run` sets it"
            );
            return None;
        };
        let read = || std::fs::read_to_string(&file);
        let text = read().unwrap_or_else(|e| panic!("{}: {e}", Path::new(&file).display()));
        let description = toml::from_str(&text).expect("the lab's description is right");
        let turn = File::open(&file).expect("the lab's description can be opened");
        let turn = Flock::lock(turn, FlockArg::LockExclusive).expect("the cluster can be locked");
        Some(Cluster { description, paused: Mutex::default(), _turn: turn })
    }

    /// The directory that all nodes share with the test.
    pub(super) fn shared(&self) -> &Path {
        &self.description.shared
    }

    /// The chassis' nodes, the gateway last.
    pub(super) fn chassis(&self) -> impl Iterator<Item = &str> {
        self.description.hypervisors.iter().chain([&self.description.gateway]).map(String::as_str)
    }

    /// The northbound's members, as a daemon on any node reaches them.
    pub fn remotes(&self) -> &[String] {
        &self.description.remotes
    }

    /// Whether the databases are clusters (RAFT).
    pub fn is_raft(&self) -> bool {
        self.description.central.len() > 1
    }

    /// The certificates of a node, as keys of `ovn-peerd.toml`'s `[northbound]`.
    pub(super) fn node_certificates() -> String {
        format!(
            "private_key = \"{NODE_CERTIFICATES}/ovn-privkey.pem\"\n\
             certificate = \"{NODE_CERTIFICATES}/ovn-cert.pem\"\n\
             ca_cert = \"{NODE_CERTIFICATES}/pki/switchca/cacert.pem\"\n"
        )
    }

    /// Freezes a central node, as `podman pause` does: its servers still accept connections, and answer nothing.
    #[track_caller]
    pub fn pause(&self, node: &str) {
        run("podman", ["pause", node]);
        self.paused().insert(node.to_owned());
    }

    /// Lets it go on.
    #[track_caller]
    pub fn unpause(&self, node: &str) {
        run("podman", ["unpause", node]);
        self.paused().remove(node);
    }

    /// The central node whose ovsdb-server leads the northbound's cluster; `None` while there is none.
    #[track_caller]
    pub fn leader(&self) -> Option<String> {
        let leads = |node: &&str| {
            let socket = "/var/run/ovn/ovnnb_db.ctl";
            let ask = ["ovn-appctl", "-t", socket, "cluster/status", "OVN_Northbound"];
            let status = output(&mut Container::command(node, &ask)).stdout;
            String::from_utf8_lossy(&status).lines().any(|l| l.trim() == "Role: leader")
        };
        self.awake().map(|(node, _)| node).find(leads).map(str::to_owned)
    }

    /// The northbound's remote on a central node.
    #[track_caller]
    pub fn remote_of(&self, node: &str) -> &str {
        let at = self.description.central.iter().position(|n| n == node);
        &self.description.remotes[at.unwrap_or_else(|| panic!("{node} is no central node"))]
    }

    /// The central nodes' addresses.
    pub fn central_addresses(&self) -> Vec<&str> {
        let remotes = self.description.remotes.iter();
        remotes.filter_map(|remote| remote.split(':').nth(1)).collect()
    }

    /// Runs one of OVN's tools on the members of its database that are not paused.
    #[track_caller]
    pub(super) fn control<S: AsRef<str>>(&self, program: &str, args: &[S]) -> String {
        let port = if program == "ovn-sbctl" { "6642" } else { "6641" };
        self.retried(|members| {
            let mut command = self.inside(program);
            command.arg(format!("--db={}", members.replace("6641", port)));
            command.arg(format!("--timeout={}", SETTLE_LIMIT.as_secs()));
            command.args(args.iter().map(AsRef::as_ref));
            command
        })
    }

    /// The northbound, as `ovsdb-client dump` prints it.
    #[track_caller]
    pub(super) fn dump(&self) -> String {
        self.retried(|members| {
            let mut command = self.inside("ovsdb-client");
            command.args(["dump", "--format=json", members, "OVN_Northbound"]);
            command
        })
    }

    /// Runs a command until it finds the cluster's leader: these tools try each member once, and on a busy machine there
    /// is none for a moment.
    #[track_caller]
    fn retried(&self, command: impl Fn(&str) -> Command) -> String {
        let members: Vec<_> = self.awake().map(|(_, remote)| remote).collect();
        let members = members.join(",");
        poll("the database has a leader", SETTLE_LIMIT, || {
            let done = output(&mut command(&members));
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            let absent = ["connection failed", "not cluster leader", "failed to connect"];
            if !done.status.success() && absent.iter().any(|what| said.contains(what)) {
                return Err(said);
            }
            assert!(done.status.success(), "{:?}: {said}", command(&members));
            Ok(String::from_utf8(done.stdout).expect("the tools speak UTF-8"))
        })
    }

    /// The northbound's database file at a member: a log of transactions.
    #[track_caller]
    pub(super) fn northbound_file(&self) -> String {
        let leader = if self.is_raft() { self.leader() } else { None };
        let node = leader.unwrap_or_else(|| self.description.central[0].clone());
        run_command(Container::command(&node, &["cat", "/var/lib/ovn/ovnnb_db.db"]))
    }

    /// Wakes what a test has paused.
    pub(super) fn unpause_all(&self) {
        for node in std::mem::take(&mut *self.paused()) {
            let _ = Command::new("podman").args(["unpause", &node]).output();
        }
    }

    fn awake(&self) -> impl Iterator<Item = (&str, &str)> {
        let paused = self.paused().clone();
        let members = self.description.central.iter().zip(&self.description.remotes);
        members
            .filter(move |(node, _)| !paused.contains(*node))
            .map(|(node, remote)| (node.as_str(), remote.as_str()))
    }

    fn inside(&self, program: &str) -> Command {
        let tls = &self.description.tls;
        let mut command = command_inside(&self.description.namespace, &[program]);
        command.args(["-p", &tls.private_key, "-c", &tls.certificate, "-C", &tls.ca_cert]);
        command
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lab {
    /// Has OVN's own parts take a silent server, or client, for dead after so long. ovn-fake-multinode sets three minutes.
    #[track_caller]
    pub fn notice_silence_within(&self, limit: std::time::Duration) {
        let probe = format!("inactivity_probe={}", limit.as_millis());
        self.nbctl(&["set", "connection", ".", &probe]);
        self.sbctl(&["set", "connection", ".", &probe]);
        let probe = format!("external_ids:ovn-remote-probe-interval={}", limit.as_millis());
        self.all_chassis().iter().for_each(|c| drop(c.vsctl(&["set", "open", ".", &probe])));
    }

    /// Empties the northbound.
    #[track_caller]
    pub fn empty_northbound(&self) {
        // A NAT row holds these sets until its router has gone, which is too late for their own deletion.
        let nats = self.nbctl(&["--bare", "--columns=_uuid", "list", "NAT"]);
        let mut words = vec![];
        for nat in nats.split_whitespace() {
            words.extend(["--", "clear", "NAT", nat, "exempted_ext_ips", "allowed_ext_ips"]);
        }
        for table in TABLES {
            words.extend(["--", "--all", "destroy", table]);
        }
        self.nbctl(&words[1..]);
    }

    /// The nodes' cluster; `None` in a lab of namespaces.
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.central {
            super::Central::Here(_) => None,
            super::Central::Nodes(cluster) => Some(cluster),
        }
    }
}
