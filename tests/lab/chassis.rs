//! One OVN chassis: a network namespace with its own ovsdb-server, ovs-vswitchd and ovn-controller, or a container that
//! has them already.
//!
//! The datapath is the userspace one (`datapath_type=netdev`): it needs no kernel module. Two ovs-vswitchd of that kind
//! cannot share a namespace (both want a tap named `ovs-netdev`), hence one namespace each.
//!
//! Invariant: in a namespace, `OVS_RUNDIR` and the like point into the chassis' own directory, so that no system OVS is ever spoken to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::run_command;
use super::container::Container;
use super::daemon;
use super::databases::{server, wait_for_socket};
use super::multinode::MARK;
use super::netns::{Netns, ip};
use super::scope::Scope;
use super::service::{Launch, Service};

const VSWITCH_SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// The name by which a localnet port finds the bridge to the outside.
pub const PHYSICAL_NETWORK: &str = "public";
/// Where a node's ovn-controller writes what it has to say.
const LOG: &str = "/var/log/ovn/ovn-controller.log";
/// The bridge to the outside.
pub const EXTERNAL_BRIDGE: &str = "br-ex";

/// How a chassis takes part in the overlay.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// `ovn-remote`: the southbound.
    pub southbound: String,
    /// `ovn-encap-ip`.
    pub encap_ip: String,
    /// The interface, already in the chassis' namespace, that leads to the other nodes.
    pub underlay_port: Option<&'static str>,
}

/// A running chassis.
#[derive(Debug)]
pub struct Chassis {
    name: String,
    // Processes before the namespace: fields are dropped in this order.
    place: Place,
    netns: Netns,
    /// The first byte of a node's log that is not of an earlier lab, counted from one.
    log_from: u64,
}

#[derive(Debug)]
enum Place {
    Here(Box<Processes>),
    Node(Container),
}

#[derive(Debug)]
struct Processes {
    dir: PathBuf,
    controller: Service,
    vswitchd: Service,
    server: Service,
}

impl Chassis {
    /// Starts one in a namespace that exists; it does not wait for the chassis to be registered.
    #[track_caller]
    pub fn start(scope: &Scope, name: &str, netns: Netns, overlay: &Overlay) -> Chassis {
        let dir = scope.dir().join(name);
        std::fs::create_dir(&dir).expect("a chassis' directory can be made");
        let server = server(&dir, "db", VSWITCH_SCHEMA, None, None);
        wait_for_socket(&server, &dir.join("db.sock"));
        let vswitchd = Service::start("vswitchd", process("ovs-vswitchd", &dir, netns.name()));
        let controller =
            Service::stopped("controller", process("ovn-controller", &dir, netns.name()));
        let place = Place::Here(Box::new(Processes { dir, controller, vswitchd, server }));
        let chassis = Chassis { name: name.to_owned(), place, netns, log_from: 1 };
        chassis.configure(overlay);
        chassis.controller().start_again();
        chassis
    }

    /// One that runs already in a container; `netns` is a name for its namespace.
    pub(super) fn on_node(node: Container, netns: Netns) -> Chassis {
        let name = node.name().to_owned();
        Chassis { name, place: Place::Node(node), netns, log_from: 1 }
    }

    /// What a node's ovn-controller has said so far is about an earlier lab.
    #[track_caller]
    pub(super) fn forget_log(&mut self) {
        if let Some(node) = self.node() {
            let length = node.run(&["stat", "--format=%s", LOG]);
            self.log_from = length.trim().parse::<u64>().expect("a length") + 1;
        }
    }

    /// ovn-controller, to stop, kill and pause it; panics where it is a node's own.
    #[track_caller]
    pub fn controller(&self) -> &Service {
        match &self.place {
            Place::Here(processes) => &processes.controller,
            Place::Node(_) => panic!("{}: its ovn-controller is the node's own", self.name),
        }
    }

    /// All that ovn-controller has said in this lab.
    #[track_caller]
    pub fn controller_log(&self) -> String {
        match &self.place {
            Place::Here(processes) => processes.controller.log(),
            Place::Node(node) => node.run(&["tail", "-c", &format!("+{}", self.log_from), LOG]),
        }
    }

    /// The container that it is.
    pub(super) fn node(&self) -> Option<&Container> {
        match &self.place {
            Place::Here(_) => None,
            Place::Node(node) => Some(node),
        }
    }

    /// Unplugs what tests have plugged into a container, and ends what they have started there.
    #[track_caller]
    pub(super) fn leave_clean(&self) {
        let Some(node) = self.node() else { return };
        node.end_all(Path::new(daemon::DAEMON));
        let plugged = self.vsctl(&["--bare", "--columns=name", "find", "Interface", MARK]);
        for port in plugged.split_whitespace() {
            self.vsctl_no_wait(&["--if-exists", "del-port", port]);
        }
    }

    /// Its name, also OVN's (`system-id`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Runs `ovs-vsctl` here and waits until ovs-vswitchd has done it.
    #[track_caller]
    pub fn vsctl(&self, args: &[&str]) -> String {
        self.tool("ovs-vsctl", &["--timeout=20"], args)
    }

    /// Runs `ovs-vsctl` here without waiting.
    #[track_caller]
    pub fn vsctl_no_wait(&self, args: &[&str]) -> String {
        self.tool("ovs-vsctl", &["--no-wait"], args)
    }

    /// How many OpenFlow flows `br-int` holds.
    #[track_caller]
    pub fn openflow_flows(&self) -> usize {
        self.dump_flows().lines().count()
    }

    /// The cookies of the OpenFlow flows that `br-int` holds: the first eight digits of the UUIDs of logical flows.
    #[track_caller]
    pub fn openflow_cookies(&self) -> BTreeSet<u32> {
        let flows = self.dump_flows();
        let cookie = |line: &str| {
            let digits = line.split_once("cookie=0x")?.1.split(',').next()?;
            u32::from_str_radix(digits, 16).ok()
        };
        flows.lines().filter_map(cookie).collect()
    }

    /// Makes the datapath forget what it remembers of former packets, so that it forwards by the flows that there are now.
    /// To wait until it has compared them is not enough: where two of its flows overlap, the userspace datapath of OVS 3.1.0
    /// (not of 3.5.0) changes the wrong one, and the other one goes on as before as long as packets use it.
    #[track_caller]
    pub fn forget_packets(&self) {
        let target = match &self.place {
            Place::Node(_) => "ovs-vswitchd".to_owned(),
            Place::Here(processes) => {
                let files = std::fs::read_dir(&processes.dir).expect("the chassis' directory");
                let mut paths = files.map(|file| file.expect("a file").path());
                let is_it = |path: &PathBuf| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with("ovs-vswitchd.") && name.ends_with(".ctl")
                };
                let socket = paths.find(is_it).expect("ovs-vswitchd's control socket");
                socket.display().to_string()
            }
        };
        for command in ["revalidator/wait", "revalidator/purge"] {
            self.tool("ovs-appctl", &["-t", &target], &[command]);
        }
    }

    #[track_caller]
    fn dump_flows(&self) -> String {
        let bridge = match &self.place {
            Place::Here(processes) => format!("unix:{}/br-int.mgmt", processes.dir.display()),
            Place::Node(_) => "br-int".to_owned(),
        };
        self.tool("ovs-ofctl", &["-OOpenFlow15", "--no-stats"], &["dump-flows", &bridge])
    }

    /// Adds one end of a veth pair to a bridge, the other goes to `other` as `eth0`. Does not wait.
    #[track_caller]
    pub fn plug(&self, bridge: &str, port: &str, other: &str, iface_id: Option<&str>) {
        let pair = format!("link add {port} type veth peer name eth0 netns {other}");
        ip(self.netns.name(), &[pair, format!("link set {port} up")]);
        // Checksums that veth would have left to a device's hardware are wrong once in the userspace datapath.
        self.netns.run(&["ethtool", "-K", port, "tx", "off"]);
        let mut args = vec!["add-port", bridge, port, "--", "set", "Interface", port, MARK];
        let iface_id = iface_id.map(|id| format!("external_ids:iface-id={id}"));
        args.extend(iface_id.as_deref());
        self.vsctl_no_wait(&args);
    }

    /// How much processor time ovs-vswitchd has used so far: what it forwards, it forwards itself. None in a container.
    pub fn forwarding_time(&self) -> Option<Duration> {
        let Place::Here(processes) = &self.place else { return None };
        let tasks = format!("/proc/{}/task", processes.vswitchd.pid());
        let of = |task: PathBuf| -> Option<u64> {
            let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        let tasks = std::fs::read_dir(tasks).ok()?.filter_map(|task| Some(task.ok()?.path()));
        Some(Duration::from_nanos(tasks.filter_map(of).sum()))
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        let processes = match &self.place {
            Place::Here(processes) => Some(&**processes),
            Place::Node(_) => None,
        };
        processes.into_iter().flat_map(|p| [&p.controller, &p.vswitchd, &p.server])
    }

    /// The bridges, and the keys that ovn-controller reads (ovn-controller(8)).
    fn configure(&self, overlay: &Overlay) {
        let id = |key: &str, value: &str| format!("external-ids:{key}={value}");
        let mut args: Vec<String> = ["init", "--", "set", "open", "."].map(String::from).into();
        args.push(id("system-id", &self.name));
        args.push(id("ovn-remote", &overlay.southbound));
        args.push(id("ovn-encap-type", "geneve"));
        args.push(id("ovn-encap-ip", &overlay.encap_ip));
        args.push(id("ovn-bridge-datapath-type", "netdev"));
        args.push(id("ovn-bridge-mappings", &format!("{PHYSICAL_NETWORK}:{EXTERNAL_BRIDGE}")));
        let bridge = |name: &str, mode: &str| {
            let line = format!(
                "-- add-br {name} -- set Bridge {name} datapath_type=netdev fail-mode={mode}"
            );
            line.split(' ').map(String::from).collect::<Vec<_>>()
        };
        args.extend(bridge("br-int", "secure"));
        args.extend(bridge(EXTERNAL_BRIDGE, "standalone"));
        if let Some(port) = overlay.underlay_port {
            // Native tunnelling finds its way only when the encap address sits on a netdev bridge.
            args.extend(bridge("br-under", "standalone"));
            args.extend(["--", "add-port", "br-under", port].map(String::from));
        }
        self.vsctl(&args.iter().map(String::as_str).collect::<Vec<_>>());
        if overlay.underlay_port.is_some() {
            let address = format!("address add {}/24 dev br-under", overlay.encap_ip);
            self.netns.ip(&[address, "link set br-under up".to_owned()]);
        }
    }

    #[track_caller]
    fn tool(&self, program: &str, options: &[&str], args: &[&str]) -> String {
        let mut command = match &self.place {
            Place::Node(node) => Container::command(node.name(), &[program]),
            Place::Here(processes) => {
                let dir = &processes.dir;
                let mut command = std::process::Command::new(program);
                command.envs(environment(dir));
                if program == "ovs-vsctl" {
                    command.arg(format!("--db=unix:{}/db.sock", dir.display()));
                }
                command
            }
        };
        command.args(options).args(args);
        run_command(command)
    }
}

/// Every variable by which OVS and OVN find their default directories (ovs-vswitchd(8), ovn-controller(8)).
fn environment(dir: &Path) -> impl Iterator<Item = (&'static str, &Path)> {
    let names = [
        "OVS_RUNDIR",
        "OVS_LOGDIR",
        "OVS_DBDIR",
        "OVS_SYSCONFDIR",
        "OVN_RUNDIR",
        "OVN_LOGDIR",
        "OVN_DBDIR",
        "OVN_SYSCONFDIR",
    ];
    names.into_iter().map(move |name| (name, dir))
}

fn process(program: &str, dir: &Path, namespace: &str) -> Launch {
    let mut launch = Launch::new(program, dir).inside(namespace);
    for (name, value) in environment(dir) {
        launch = launch.env(name, value);
    }
    launch.arg(format!("unix:{}/db.sock", dir.display())).args([
        "-vconsole:info",
        "-vfile:off",
        "-vsyslog:off",
    ])
}
