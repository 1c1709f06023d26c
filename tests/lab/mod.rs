//! A lab: real OVN with real packets, for integration tests. A test crate has it at its root:
//! `#[path = "../lab/mod.rs"] mod lab;`.
//!
//! | constructor | what runs | for |
//! |---|---|---|
//! | [`Lab::databases_only`] | NB, SB, ovn-northd | what is written to the northbound, logical flows |
//! | [`Lab::northbound_only`] | NB, SB | the same, with nobody else writing |
//! | [`Lab::single_chassis`] | all of that, and one chassis | packets, in about two seconds |
//! | [`Lab::two_chassis_and_gateway`] | central, hv1, hv2, gw1 on an underlay | packets between chassis |
//! | [`Lab::fake_multinode`] | the same as containers, if `tests/multinode/run` has started them | TLS, clusters, hosts |
//!
//! A test body takes `&Lab` and does not know which one it is: [`on_every_lab!`] makes a test of it for each of the last
//! three. [`topology`] builds networks, guests and uplinks; a [`host::Host`] pings, connects, forges and captures;
//! [`northbound`] compares whole dumps and counts transactions; [`daemon`] drives the binaries under test.
//!
//! Needs root and OVN's packages, and fails without. Labs run side by side in any number of test processes. Whatever a lab
//! starts or makes goes away with it, at a panic too; after a SIGKILL the kernel ends the processes and the next lab
//! sweeps the rest. `LAB_KEEP=1` keeps the files (databases, logs) of the lab.

#![allow(dead_code, reason = "each test crate uses its own part of the lab")]
#![allow(unreachable_pub, missing_docs, reason = "the module is compiled into test crates")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and a lab is made of files, clocks and processes"
)]

pub mod answers;
pub mod chassis;
pub mod command;
pub mod container;
pub mod daemon;
pub mod databases;
pub mod host;
pub mod multinode;
pub mod netns;
pub mod northbound;
pub mod probe;
pub mod scope;
pub mod service;
mod tools;
pub mod topology;
pub mod traffic;
mod underlay;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use chassis::{Chassis, Overlay};
use command::poll;
use container::Container;
use databases::{Databases, Placement};
use multinode::Cluster;
use netns::Netns;
use scope::Scope;
use service::Service;

/// How long OVN may take to do what it was told, on a slow and busy machine.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Runs one test body on labs 1, 3 and, where it is there, 4: `on_every_lab!(name_of_a_fn_that_takes_a_lab, ...)`.
#[macro_export]
macro_rules! on_every_lab {
    ($($body:ident),+ $(,)?) => {
        mod single_chassis {
            $(#[test] fn $body() { super::$body(&$crate::lab::Lab::single_chassis()); })+
        }
        $crate::on_several_chassis!($($body),+);
    };
}

/// The same on labs 3 and 4 only: for what takes several hosts.
#[macro_export]
macro_rules! on_several_chassis {
    ($($body:ident),+ $(,)?) => {
        mod two_chassis_and_gateway {
            $(#[test] fn $body() { super::$body(&$crate::lab::Lab::two_chassis_and_gateway()); })+
        }
        $crate::on_fake_multinode!($($body),+);
    };
}

/// The same on lab 4 only: for what containers alone can show.
#[macro_export]
macro_rules! on_fake_multinode {
    ($($body:ident),+ $(,)?) => {
        mod fake_multinode {
            $(#[test] fn $body() {
                if let Some(lab) = $crate::lab::Lab::fake_multinode() {
                    super::$body(&lab);
                }
            })+
        }
    };
}

/// Where the databases are.
#[derive(Debug)]
enum Central {
    Here(Box<Databases>),
    Nodes(Box<Cluster>),
}

/// A running OVN. Dropping it ends everything, or, on nodes that others have started, takes away all that was added.
#[derive(Debug)]
pub struct Lab {
    chassis: Vec<Chassis>,
    /// How many of `chassis`, from the first, take guests; uplinks are on the last one.
    hypervisors: usize,
    central: Central,
    namespaces: Mutex<Vec<Netns>>,
    numbers: AtomicU32,
    outside: Mutex<Option<host::Host>>,
    // Last: the directory goes when nothing works in it any more.
    scope: Scope,
}

impl Lab {
    /// Northbound, southbound and ovn-northd, without any chassis.
    #[track_caller]
    pub fn databases_only() -> Lab {
        Lab::without_chassis(true)
    }

    /// Northbound and southbound, without ovn-northd: nobody writes but the test.
    #[track_caller]
    pub fn northbound_only() -> Lab {
        Lab::without_chassis(false)
    }

    /// One chassis, `hv1`, that takes guests and uplinks.
    #[track_caller]
    pub fn single_chassis() -> Lab {
        let mut lab = Lab::without_chassis(true);
        let overlay = Overlay {
            southbound: format!("unix:{}", lab.databases().sb_socket().display()),
            encap_ip: "127.0.0.1".to_owned(),
            underlay_port: None,
        };
        let netns = Netns::new(&lab.scope, "hv1");
        lab.chassis.push(Chassis::start(&lab.scope, "hv1", netns, &overlay));
        lab.hypervisors = 1;
        lab.wait_for_chassis();
        lab
    }

    /// Two chassis for guests, `hv1` and `hv2`, and one for uplinks, `gw1`; tunnels between them over an underlay.
    #[track_caller]
    pub fn two_chassis_and_gateway() -> Lab {
        command::require_root_and_tools();
        let scope = Scope::new();
        let underlay = underlay::Underlay::build(&scope, &["hv1", "hv2", "gw1"]);
        let listen = format!("ptcp:{}:{}", underlay::SB_PORT, underlay::CENTRAL);
        let place =
            Placement { namespace: Some(underlay.central.name()), sb_listen: Some(&listen) };
        let databases = Databases::start(scope.dir(), place, true);
        let start = |node: underlay::Node| {
            let overlay = Overlay {
                southbound: format!("tcp:{}:{}", underlay::CENTRAL, underlay::SB_PORT),
                encap_ip: node.address,
                underlay_port: Some(underlay::PORT),
            };
            Chassis::start(&scope, node.name, node.netns, &overlay)
        };
        let chassis = std::thread::scope(|threads| {
            let starts: Vec<_> =
                underlay.nodes.into_iter().map(|n| threads.spawn(|| start(n))).collect();
            starts.into_iter().map(|s| s.join().expect("a chassis starts")).collect()
        });
        let namespaces = Mutex::new(vec![underlay.central, underlay.wire]);
        let lab = Lab {
            chassis,
            hypervisors: 2,
            central: Central::Here(Box::new(databases)),
            namespaces,
            numbers: AtomicU32::new(1),
            outside: Mutex::new(None),
            scope,
        };
        lab.wait_for_chassis();
        lab
    }

    /// ovn-fake-multinode: two chassis for guests and one for uplinks, each a container; `None` where nobody has started it,
    /// which is said.
    #[track_caller]
    pub fn fake_multinode() -> Option<Lab> {
        let cluster = Cluster::take()?;
        command::require_root_and_tools();
        let scope = Scope::inside(cluster.shared());
        std::fs::copy(daemon::DAEMON, daemon::in_nodes(scope.dir()))
            .expect("the daemon can be copied to where nodes see it");
        let attach = |name: &str| {
            let node = Container::named(name);
            let netns = Netns::of_process(&scope, name, node.init());
            Chassis::on_node(node, netns)
        };
        let chassis: Vec<_> = cluster.chassis().map(attach).collect();
        let mut lab = Lab {
            hypervisors: chassis.len() - 1,
            chassis,
            central: Central::Nodes(Box::new(cluster)),
            namespaces: Mutex::new(vec![]),
            numbers: AtomicU32::new(1),
            outside: Mutex::new(None),
            scope,
        };
        lab.leave_nodes_clean();
        lab.wait_for_chassis();
        lab.sync();
        lab.chassis.iter_mut().for_each(Chassis::forget_log);
        Some(lab)
    }

    #[track_caller]
    fn without_chassis(with_northd: bool) -> Lab {
        command::require_root_and_tools();
        let scope = Scope::new();
        let databases = Databases::start(scope.dir(), Placement::default(), with_northd);
        Lab {
            chassis: vec![],
            hypervisors: 0,
            central: Central::Here(Box::new(databases)),
            namespaces: Mutex::new(vec![]),
            numbers: AtomicU32::new(1),
            outside: Mutex::new(None),
            scope,
        }
    }

    /// The lab's directory: for files that a test makes, and gone after it.
    pub fn dir(&self) -> &Path {
        self.scope.dir()
    }

    /// The central processes, to stop, kill and pause them; panics where they are on nodes, which are paused instead
    /// ([`Lab::cluster`]).
    #[track_caller]
    pub fn databases(&self) -> &Databases {
        match &self.central {
            Central::Here(databases) => databases,
            Central::Nodes(_) => panic!("the databases are on nodes: see Lab::cluster"),
        }
    }

    /// The northbound's Unix socket; panics as [`Lab::databases`].
    #[track_caller]
    pub fn nb_socket(&self) -> PathBuf {
        self.databases().nb_socket()
    }

    /// The northbound as an OVSDB remote (`unix:PATH`).
    pub fn nb_remote(&self) -> String {
        format!("unix:{}", self.nb_socket().display())
    }

    /// All chassis, those for guests first.
    pub fn all_chassis(&self) -> &[Chassis] {
        &self.chassis
    }

    /// The chassis for the `nth` guest: they take turns, so that 0 and 1 are apart wherever there are two.
    #[track_caller]
    pub fn hypervisor(&self, nth: usize) -> &Chassis {
        assert!(self.hypervisors > 0, "this lab has no chassis: take another constructor of Lab");
        &self.chassis[nth % self.hypervisors]
    }

    /// The chassis that holds the uplinks.
    #[track_caller]
    pub fn gateway(&self) -> &Chassis {
        self.chassis.last().expect("this lab has a chassis")
    }

    #[track_caller]
    fn wait_for_chassis(&self) {
        poll("every chassis is registered", SETTLE_LIMIT, || {
            let found = self.sbctl(&["--bare", "--columns=name", "list", "Chassis"]);
            let count = found.split_whitespace().count();
            if count == self.chassis.len() { Ok(()) } else { Err(format!("only {count}")) }
        });
    }

    /// The container that stands for a daemon's host: `hv2` is the second chassis, any other name one of the chassis.
    /// `None` in a lab of namespaces.
    fn node_of(&self, host: &str) -> Option<&Container> {
        let number = host.strip_prefix("hv").and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
        self.chassis.get(number.saturating_sub(1) % self.chassis.len().max(1))?.node()
    }

    /// Takes away what a test has added to nodes: this one, or one that was killed.
    fn leave_nodes_clean(&self) {
        let Central::Nodes(cluster) = &self.central else { return };
        cluster.unpause_all();
        self.chassis.iter().for_each(Chassis::leave_clean);
        self.empty_northbound();
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        let central = match &self.central {
            Central::Here(databases) => Some(&**databases),
            Central::Nodes(_) => None,
        };
        let central = central.into_iter().flat_map(Databases::services);
        self.chassis.iter().flat_map(Chassis::services).chain(central)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for service in self.services() {
                let log = service.log();
                let bad = log.lines().filter(|l| l.contains("|ERR|") || l.contains("|EMER|"));
                bad.take(20).for_each(|line| eprintln!("{}: {line}", service.name()));
                if service.has_failed() {
                    let lines: Vec<&str> = log.lines().collect();
                    let last = lines[lines.len().saturating_sub(30)..].join("\n");
                    eprintln!("{} has ended by itself. Its last lines:\n{last}", service.name());
                }
            }
        }
        // All at once, so that the waits below overlap.
        self.services().for_each(Service::ask_to_stop);
        for host in self.namespaces.lock().into_iter().flat_map(|mut all| std::mem::take(&mut *all))
        {
            drop(host);
        }
        // In a panic a second one would abort; the next lab cleans as well.
        if !std::thread::panicking() {
            self.leave_nodes_clean();
        }
    }
}
