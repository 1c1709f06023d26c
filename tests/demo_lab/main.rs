//! The demo: a peering made, kept and taken away, with real packets on real OVN. `sudo tests/demo` runs it.
//!
//! Owns: what is told, and in which order. Every step asserts what it tells, so the demo fails when it is no longer true.
//! May not: write rows of a peering itself; that is what the daemon is for.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a demo prints, measures, and fails by panicking"
)]

#[path = "../lab/mod.rs"]
mod lab;
mod story;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lab::Lab;
use lab::command::poll;
use lab::daemon::{CONTROL, Daemon};
use lab::host::{Host, Ping};
use lab::topology::Network;
use story::Story;

/// How long a repair may take before the demo is not as told.
const REPAIR_LIMIT: Duration = Duration::from_secs(5);

struct Stage<'a> {
    lab: &'a Lab,
    daemon: Daemon,
    web1: Host,
    db1: Host,
}

fn main() {
    let mut story = Story::begin();
    story.step("A sandbox: northbound, southbound, ovn-northd and one chassis, all of its own.");
    let lab = Lab::single_chassis();
    let blue = lab.add_network("blue-web-lr", &["10.1.0.0/24 fd01::/64"]);
    let green = lab.add_network("green-db-lr", &["10.2.0.0/24 fd02::/64"]);
    let (web1, db1) = (lab.add_guest(&blue, "web1", 0), lab.add_guest(&green, "db1", 0));
    lab.settle();
    for (project, network, router, guest) in
        [("blue", "web", &blue, &web1), ("green", "db", &green, &db1)]
    {
        story.tell(&tenant(project, network, router, guest));
    }
    story.step("ovn-peerd starts; the operator binds each tenant's network to its router.");
    let daemon = Daemon::start(&lab);
    daemon.bind_network("blue", "web", blue.router());
    daemon.bind_network("green", "db", green.router());
    story.file("networks.d/blue-web.toml", &read(&daemon, "networks.d/blue-web.toml"));
    let monitor = Monitor::start(&daemon, lab.dir().join("monitor.txt"));
    let stage = Stage { lab: &lab, daemon, web1, db1 };
    one_half(&mut story, &stage);
    both_halves(&mut story, &stage);
    what_was_written(&mut story, &stage);
    repair(&mut story, &stage);
    withdrawal(&mut story, &stage);
    what_happened(&mut story, monitor);
    story.step("Cleaning up.");
    drop(stage);
    drop(lab);
    story.end();
}

fn one_half(story: &mut Story, stage: &Stage) {
    story.step("Tenant blue asks for a peering: one half.");
    stage.show_command(story, &["create", "blue/web/to-db", "green/db", "description=web tier"]);
    story.tell("What the owner of green/db sees of it:");
    stage.show_command(story, &["requests"]);
    stage.lab.sync();
    assert_eq!(stage.link_ports(), 0, "one half alone writes no port");
    stage.lost(story);
}

fn both_halves(story: &mut Story, stage: &Stage) {
    story.step("Tenant green agrees: the other half.");
    let start = Instant::now();
    stage.show_command(story, &["accept", "green/db", "blue/web", "to-web", "--wait"]);
    stage.web1.assert_reaches(&stage.db1);
    let passed = start.elapsed().as_millis();
    stage.daemon.wait_state("blue", "web", "to-db", "active");
    stage.show_command(story, &["list"]);
    stage.answered(story);
    story.tell(&format!("From green's command to the first packets both ways: {passed} ms."));
}

fn what_was_written(story: &mut Story, stage: &Stage) {
    story.step("What the daemon knows of it, and the rows that it wrote.");
    stage.show_command(story, &["show", "blue/web/to-db"]);
    for args in [["lr-route-list", "blue-web-lr"], ["lr-policy-list", "blue-web-lr"]] {
        story.output(&format!("ovn-nbctl {}", args.join(" ")), &stage.lab.nbctl(&args));
    }
    assert_eq!(stage.link_ports(), 2, "a port on each router");
    stage.show_command(story, &["plan"]);
}

fn repair(story: &mut Story, stage: &Stage) {
    story.step("Somebody deletes a route of the peering by hand.");
    let before = stage.routes();
    assert!(before.contains("10.2.0.0/24"), "the route is there: {before}");
    let start = Instant::now();
    stage.lab.nbctl(&["lr-route-del", "blue-web-lr", "10.2.0.0/24"]);
    story.command("ovn-nbctl lr-route-del blue-web-lr 10.2.0.0/24");
    poll("the route is back", REPAIR_LIMIT, || {
        let now = stage.routes();
        if now == before { Ok(()) } else { Err(now) }
    });
    story.tell(&format!("It is back after {} ms:", start.elapsed().as_millis()));
    story.output("ovn-nbctl lr-route-list blue-web-lr", &stage.routes());
    stage.lab.sync();
    stage.answered(story);
}

fn withdrawal(story: &mut Story, stage: &Stage) {
    story.step("Tenant green withdraws: it deletes its half.");
    stage.show_command(story, &["delete", "green/db/to-web", "--wait"]);
    stage.daemon.wait_state("blue", "web", "to-db", "disconnected");
    poll("the rows are gone", REPAIR_LIMIT, || match stage.link_ports() {
        0 => Ok(()),
        some => Err(format!("{some} ports of ours")),
    });
    stage.lab.sync();
    stage.show_command(story, &["list"]);
    stage.lost(story);
    assert!(!stage.routes().contains("10.2.0.0/24"), "no route is left behind");
}

fn what_happened(story: &mut Story, monitor: Monitor) {
    story.step("What `ovn-peerctl monitor` has printed meanwhile.");
    let printed = poll("the last event is printed", REPAIR_LIMIT, || {
        let printed = monitor.printed();
        if printed.contains("disconnected") { Ok(printed) } else { Err(printed) }
    });
    for word in ["request", "active", "drift"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
    story.output("ovn-peerctl monitor", &printed);
}

/// `ovn-peerctl monitor`, which goes on until it is dropped.
struct Monitor {
    process: Child,
    output: PathBuf,
}

impl Monitor {
    fn start(daemon: &Daemon, output: PathBuf) -> Self {
        let file = File::create(&output).unwrap();
        let mut command = Command::new(CONTROL);
        command.arg("--socket").arg(daemon.socket()).arg("monitor").stdout(file);
        let monitor = Self { process: command.spawn().unwrap(), output };
        // It prints what happens from then on when it has connected.
        poll("it prints an event", REPAIR_LIMIT, || {
            daemon.ctl(&["reload"]);
            let printed = monitor.printed();
            if printed.contains("reload") { Ok(()) } else { Err(printed) }
        });
        monitor
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Stage<'_> {
    fn routes(&self) -> String {
        self.lab.nbctl(&["lr-route-list", "blue-web-lr"])
    }

    /// How many router ports in the northbound are ours.
    fn link_ports(&self) -> usize {
        let find = ["--bare", "--columns=name", "find", "Logical_Router_Port"];
        let mine = self.lab.nbctl(&[&find[..], &["external_ids:ovn-peerd-unit!=\"\""]].concat());
        mine.split_whitespace().count()
    }

    fn lost(&self, story: &mut Story) {
        self.pings(story, "LOST", |sent, received| sent > 0 && received == 0);
    }

    fn answered(&self, story: &mut Story) {
        self.pings(story, "ANSWERED", |sent, received| sent > 0 && received == sent);
    }

    /// Pings in both directions and both families.
    fn pings(&self, story: &mut Story, told: &str, holds: impl Fn(u32, u32) -> bool) {
        let how = Ping { patience: Duration::from_millis(500), ..Ping::default() };
        for (from, to) in [(&self.web1, &self.db1), (&self.db1, &self.web1)] {
            for address in [to.v4(), to.v6()] {
                let report = from.ping(address, how);
                let (sent, received) = (report.sent, report.received);
                assert!(
                    holds(sent, received),
                    "{} -> {address} is not {told}: {report:?}",
                    from.name
                );
                let line = format!("{} -> {} {address}", from.name, to.name);
                story.tell(&format!("ping {line:<24} {sent} sent, {received} received: {told}"));
            }
        }
    }

    fn show_command(&self, story: &mut Story, args: &[&str]) {
        let output = self.daemon.ctl(args);
        assert!(output.status.success(), "ovn-peerctl {args:?}: {output:?}");
        let said = [&output.stderr[..], &output.stdout[..]].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        story.output(&format!("ovn-peerctl {}", args.join(" ")), &said);
    }
}

fn tenant(project: &str, network: &str, router: &Network, guest: &Host) -> String {
    let prefixes: Vec<_> = router.prefixes().map(|prefix| prefix.to_string()).collect();
    format!(
        "{project}/{network}: Logical_Router {} with {}, guest {} at {} and {}",
        router.router(),
        prefixes.join(" and "),
        guest.name,
        guest.v4(),
        guest.v6()
    )
}

fn read(daemon: &Daemon, path: &str) -> String {
    std::fs::read_to_string(daemon.dir().join(path)).expect("a declaration can be read")
}
