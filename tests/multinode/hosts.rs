//! Tenants with guests on different chassis, and a daemon on every chassis.
//!
//! Owns: on which hosts a half is declared. The operator's bindings are the same everywhere.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::{Host, Stream};
use crate::lab::northbound::Dump;
use crate::lab::topology::Network;

/// How long the hosts may take to agree, with a database or a host failing meanwhile.
const AGREE_LIMIT: Duration = Duration::from_secs(120);
/// Packets per second of a background stream.
const RATE: u32 = 100;

/// A project, its network, and a guest of it.
pub(crate) struct Tenant {
    project: &'static str,
    pub(crate) network: Network,
    pub(crate) guest: Host,
}

/// Blue and red on the first chassis, green on the second, and a daemon on each chassis, the gateway included.
pub(crate) struct Hosts<'a> {
    lab: &'a Lab,
    pub(crate) blue: Tenant,
    pub(crate) green: Tenant,
    pub(crate) red: Tenant,
    pub(crate) daemons: Vec<Daemon>,
    /// The host that is not asked, for it could not answer.
    silent: Cell<Option<usize>>,
}

/// On which hosts the halves of blue and green are declared, and which host is the first to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) blue: &'static [usize],
    pub(crate) green: &'static [usize],
    /// The order in which the daemons start.
    pub(crate) order: [usize; 3],
}

impl Declared {
    /// Both on the first chassis, which writes.
    pub(crate) const TOGETHER: Declared = Declared { blue: &[0], green: &[0], order: [0, 1, 2] };
    /// Each on its own chassis; the first one writes.
    pub(crate) const APART: Declared = Declared { blue: &[0], green: &[1], order: [0, 1, 2] };
    /// The same, and the gateway, where neither is declared, writes.
    pub(crate) const ELSEWHERE: Declared = Declared { order: [2, 0, 1], ..Declared::APART };
    /// Both on every chassis.
    pub(crate) const EVERYWHERE: Declared =
        Declared { blue: &[0, 1, 2], green: &[0, 1, 2], order: [0, 1, 2] };
}

impl<'a> Hosts<'a> {
    /// The tenants' networks and guests, settled, and the daemons, started one after the other; nothing is declared yet.
    #[track_caller]
    pub(crate) fn start(lab: &'a Lab, declared: Declared) -> Hosts<'a> {
        let tenant = |project: &'static str, n: usize| {
            let network = lab.add_network(project, &[&format!("10.{n}.0.0/24 fd0{n}::/64")]);
            let guest = lab.add_guest(&network, &format!("{project}-vm"), n - 1);
            Tenant { project, network, guest }
        };
        let (blue, green, red) = (tenant("blue", 1), tenant("green", 2), tenant("red", 3));
        lab.settle();
        let hosts = 0..lab.all_chassis().len();
        let prepare = |n: usize| Daemon::prepare(lab, &format!("hv{}", n + 1), "");
        let daemons: Vec<_> = hosts.map(prepare).collect();
        for daemon in &daemons {
            for tenant in [&blue, &green, &red] {
                daemon.bind_network(tenant.project, "net", tenant.network.router());
            }
        }
        for n in &declared.order {
            daemons[*n].start_again();
            poll("a daemon has read the northbound", AGREE_LIMIT, || synced(&daemons[*n]));
        }
        Hosts { lab, blue, green, red, daemons, silent: Cell::new(None) }
    }

    /// The same with the halves of blue and green declared and active.
    #[track_caller]
    pub(crate) fn active(lab: &'a Lab, declared: Declared) -> Hosts<'a> {
        let hosts = Hosts::start(lab, declared);
        hosts.assert_apart();
        hosts.blue_declares(declared.blue);
        hosts.green_declares(declared.green);
        hosts.wait(Some("active"), Some("active"));
        assert_eq!(hosts.writer(), declared.order[0]);
        hosts.assert_joined();
        hosts
    }

    /// Blue's half, on its hosts.
    pub(crate) fn blue_declares(&self, on: &[usize]) {
        on.iter().for_each(|n| self.daemons[*n].declare("blue", &half("green")));
    }

    /// Green's half, on its hosts.
    pub(crate) fn green_declares(&self, on: &[usize]) {
        on.iter().for_each(|n| self.daemons[*n].declare("green", &half("blue")));
    }

    /// Green's half goes, from its hosts.
    pub(crate) fn green_withdraws(&self, on: &[usize]) {
        on.iter().for_each(|n| self.daemons[*n].withdraw("green"));
    }

    /// Red and green peer too, by what this host declares.
    pub(crate) fn red_joins(&self, on: usize) {
        self.daemons[on].declare("red", &half("green"));
        self.daemons[on].declare("green", &(half("blue") + &half("red")));
    }

    /// Red's half goes, and green's for it.
    pub(crate) fn red_leaves(&self, on: usize) {
        self.daemons[on].withdraw("red");
        self.daemons[on].declare("green", &half("blue"));
    }

    /// Waits until every host shows the halves of blue and green in these states (`None`: no such half), wherever they
    /// are declared, and tells how long that took.
    #[track_caller]
    pub(crate) fn wait(&self, blue: Option<&str>, green: Option<&str>) -> Duration {
        self.wait_states(&[("blue", "green", blue), ("green", "blue", green)])
    }

    /// The same of red's half and green's for red.
    #[track_caller]
    pub(crate) fn wait_red(&self, state: Option<&str>) -> Duration {
        self.wait_states(&[("red", "green", state), ("green", "red", state)])
    }

    #[track_caller]
    fn wait_states(&self, wanted: &[(&str, &str, Option<&str>)]) -> Duration {
        let start = Instant::now();
        poll(&format!("every host shows {wanted:?}"), AGREE_LIMIT, || {
            for n in self.asked() {
                let halves = list(&self.daemons[n])?;
                for (project, target, state) in wanted {
                    let is_it =
                        |h: &&Value| h["project"] == *project && h["target_project"] == *target;
                    let half = halves.iter().find(is_it);
                    if half.and_then(|h| h["state"].as_str()) != *state {
                        return Err(format!("hv{}: {half:?}", n + 1));
                    }
                }
            }
            Ok(())
        });
        start.elapsed()
    }

    fn asked(&self) -> impl Iterator<Item = usize> {
        let silent = self.silent.get();
        (0..self.daemons.len()).filter(move |n| silent != Some(*n))
    }

    /// Waits until a host writes, but not to this remote, and tells which.
    #[track_caller]
    pub(crate) fn writer_elsewhere(&self, remote: &str) -> usize {
        poll(&format!("a host writes elsewhere than to {remote}"), AGREE_LIMIT, || {
            let writer = self.try_writer().ok_or("nobody writes")?;
            let status = status(&self.daemons[writer]).ok_or("no answer")?;
            let northbound = &status["northbound"];
            if northbound["synced"] == true && northbound["remote"] != remote {
                return Ok(writer);
            }
            Err(northbound.to_string())
        })
    }

    /// Waits until the northbound holds rows of a link, or none.
    #[track_caller]
    pub(crate) fn wait_linked(&self, linked: bool) -> Duration {
        let start = Instant::now();
        poll(&format!("linked: {linked}"), AGREE_LIMIT, || {
            let dump = self.lab.dump();
            let routes = dump.table("Logical_Router_Static_Route").len();
            if (routes > 0) == linked { Ok(()) } else { Err(format!("{routes} routes")) }
        });
        start.elapsed()
    }

    /// Waits until one host writes, and tells which.
    #[track_caller]
    pub(crate) fn writer(&self) -> usize {
        poll("a host writes", AGREE_LIMIT, || self.try_writer().ok_or("none".to_owned()))
    }

    fn try_writer(&self) -> Option<usize> {
        let writes = |d: &Daemon| status(d).is_some_and(|s| s["northbound"]["active"] == true);
        let writers: Vec<_> = self.asked().filter(|n| writes(&self.daemons[*n])).collect();
        // A host that was away may take a moment to learn that another one writes now.
        if let [one] = writers[..] { Some(one) } else { None }
    }

    /// Leaves out a host that does not answer; `None`: all do again.
    pub(crate) fn leave_out(&self, silent: Option<usize>) {
        self.silent.set(silent);
    }

    /// Nothing passes, either way, in either family: all echo requests are lost. That each reaches its own router shows
    /// that the lab is alive.
    #[track_caller]
    pub(crate) fn assert_apart(&self) {
        self.lab.sync();
        self.blue.guest.assert_reach_all(&self.blue.network.router_addresses());
        self.green.guest.assert_reach_all(&self.green.network.router_addresses());
        self.blue.guest.assert_isolated_from(&self.green.guest);
        self.green.guest.assert_isolated_from(&self.blue.guest);
    }

    /// Everything passes, both ways, in both families, TCP too.
    #[track_caller]
    pub(crate) fn assert_joined(&self) {
        self.blue.guest.assert_reaches(&self.green.guest);
        self.green.guest.assert_reaches(&self.blue.guest);
        self.blue.guest.assert_tcp(&self.green.guest);
    }

    /// Pings across at a steady rate, in both families.
    #[track_caller]
    pub(crate) fn streams(&self) -> [Stream; 2] {
        let (from, to) = (&self.blue.guest, &self.green.guest);
        [from.stream(to.v4(), RATE), from.stream(to.v6(), RATE)]
    }

    /// The northbound without the daemons' rows.
    #[track_caller]
    pub(crate) fn foreign(&self) -> Dump {
        self.lab.dump().foreign(|_, row| {
            row.get("external_ids").is_some_and(|ids| ids.to_string().contains("ovn-peerd"))
        })
    }
}

/// All that makes up the data plane: the northbound without the registrations, in which each host has its mark.
#[track_caller]
pub(crate) fn routing(lab: &Lab) -> Dump {
    lab.dump().foreign(|table, _| table == "Address_Set")
}

/// Asserts that no packet of these was lost, and tells how many were sent.
#[track_caller]
pub(crate) fn assert_none_lost(streams: [Stream; 2]) -> u32 {
    let reports = streams.map(Stream::finish);
    for report in &reports {
        assert_eq!(report.received, report.sent, "some were lost: {report:?}");
    }
    reports.iter().map(|r| r.sent).sum()
}

fn half(target: &str) -> String {
    format!(
        "[[peering]]\nname = \"to-{target}\"\nnetwork = \"net\"\n\
         target_project = \"{target}\"\ntarget_network = \"net\"\n"
    )
}

/// `ovn-peerctl status`; `None` of a daemon that does not answer.
pub(crate) fn status(daemon: &Daemon) -> Option<Value> {
    if !daemon.process().is_running() {
        return None;
    }
    let answer = daemon.ctl(&["status", "--format", "json"]);
    serde_json::from_slice(&answer.stdout).ok()
}

fn list(daemon: &Daemon) -> Result<Vec<Value>, String> {
    let answer = daemon.ctl(&["list", "--format", "json"]);
    serde_json::from_slice(&answer.stdout)
        .map_err(|e| format!("{e}: {}", String::from_utf8_lossy(&answer.stderr)))
}

fn synced(daemon: &Daemon) -> Result<(), String> {
    let status = status(daemon).ok_or("no answer")?;
    if status["northbound"]["synced"] == true { Ok(()) } else { Err(status.to_string()) }
}
