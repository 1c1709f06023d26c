//! Many hosts on one northbound: first declarations-out, restart, and the server's restart, all at once; what a standby costs; how
//! long a half takes that is added on it; and hosts that all have the same files.
//!
//! What is not done in its time is told, and what can be measured without it follows.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ovn_peerd::view::{Counters, State, StatusView};

use super::daemon::{Daemon, Site};
use super::meter::{Meter, Reading};
use super::plan::{Plan, Share, half_file};
use super::say;
use super::server::Server;
use super::statistics::{median, peak_kib};
use super::table::{Table, memory, time};
use super::wire::{Connection, Observer};

/// How often the hosts are asked, many and few: to ask them takes their time.
const PACE: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(500)];
/// Nobody writes for so long: all are quiet; of many hosts, and of few.
const CALM: [Duration; 2] = [Duration::from_secs(4), Duration::from_millis(1500)];
const MANY: usize = 10;
/// Between two repetitions.
const BREATH: Duration = Duration::from_millis(150);
const TAKEOVER: &str = "the holder of the lock does nothing";

/// The hosts.
struct Fleet<'a> {
    plan: &'a Plan,
    sites: Vec<Site>,
    meters: Vec<Meter>,
    daemons: Vec<Daemon>,
    /// The host of each daemon.
    up: Vec<usize>,
    begin: Instant,
    until: Instant,
    server_socket: PathBuf,
}

/// What all hosts did until they were quiet.
#[derive(Debug)]
struct Toll {
    taken: Duration,
    written: u64,
    failed: u64,
    /// By the host that wrote most often.
    most: u64,
    takeovers: usize,
    received: Vec<u64>,
    sessions: u64,
}

/// All measurements of several hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleets<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) hosts: usize,
    pub(crate) repetitions: usize,
    /// What is not done by then is left.
    pub(crate) until: Instant,
}

impl Fleets<'_> {
    /// Takes them, those that need most of the others first.
    pub(crate) fn measure(&self, base: &Path, dir: &Path, table: &mut Table) {
        let _ = self.of_shares(base, &dir.join("shares"), table);
        let _ = self.of_twins(&dir.join("twins"), table);
    }

    /// Each host declares its share. Nothing once there is no time left.
    fn of_shares(&self, base: &Path, dir: &Path, table: &mut Table) -> Option<()> {
        say(&format!("{} hosts", self.hosts));
        let server = Server::on_copy(dir, base);
        let hosts = self.hosts;
        let site =
            |host| Site::of_host(&dir.join(format!("h{host}")), self.plan, Share { host, hosts });
        let sites = (0..hosts).map(site).collect();
        let mut fleet = Fleet::new(self.plan, dir, sites, &server, self.until);
        let mut connection = Connection::open(&server.socket());
        let work = format!("{hosts} hosts at once, all declarations new");
        let dump = fleet.roll_out(&work, &mut connection, table)?;
        fleet.restart(&mut connection, dump, table)?;
        fleet.memory(table);
        let work = format!("one half added on a standby of {hosts} hosts");
        fleet.half(&work, 0..self.repetitions, &server, &mut connection, table)?;
        let server = fleet.lose_server(server, dir, table)?;
        let mut connection = Connection::open(&server.socket());
        fleet.leave_two();
        let probes = self.repetitions..2 * self.repetitions;
        fleet.half(&(work + ", two of which are up"), probes, &server, &mut connection, table)?;
        fleet.stop();
        Some(())
    }

    /// All hosts declare everything, in a tenth of the northbound: every registration names all of them.
    fn of_twins(&self, dir: &Path, table: &mut Table) -> Option<()> {
        let networks = (self.plan.networks / 10).max(60);
        let plan = Plan::new(networks, networks * 5 / 12);
        say(&format!("{} hosts with the same {networks} networks", self.hosts));
        let server = Server::on_copy(dir, &plan.build(&dir.join("base")));
        let site = |host| Site::of_twin(&dir.join(format!("h{host}")), &plan, host);
        let sites = (0..self.hosts).map(site).collect();
        let mut fleet = Fleet::new(&plan, dir, sites, &server, self.until);
        let mut connection = Connection::open(&server.socket());
        let work =
            format!("{} hosts at once with the same {networks} networks, all new", self.hosts);
        fleet.roll_out(&work, &mut connection, table)?;
        fleet.stop();
        Some(())
    }
}

impl<'a> Fleet<'a> {
    fn new(plan: &'a Plan, dir: &Path, sites: Vec<Site>, server: &Server, until: Instant) -> Self {
        let meter = |host| Meter::start(&dir.join(format!("m{host}.sock")), &server.socket());
        let meters = (0..sites.len()).map(meter).collect();
        let server_socket = server.socket();
        let begin = Instant::now();
        Self {
            plan,
            sites,
            meters,
            daemons: Vec::new(),
            up: Vec::new(),
            begin,
            until,
            server_socket,
        }
    }

    /// Nothing once there is no time left, which is told.
    fn in_time(&self, work: &str, table: &mut Table) -> Option<()> {
        if Instant::now() < self.until {
            return Some(());
        }
        let shown = format!("not done after {}", time(self.begin.elapsed()).0);
        table.limit(&format!("{work}: until all are quiet"), shown, "stated", false);
        None
    }

    fn start(&mut self) {
        self.begin = Instant::now();
        let pairs = self.sites.iter().zip(&self.meters);
        self.daemons = pairs.map(|(site, meter)| site.start(meter.socket())).collect();
        self.up = (0..self.sites.len()).collect();
    }

    fn stop(&mut self) {
        for daemon in self.daemons.drain(..) {
            daemon.stop();
        }
    }

    fn few(&self) -> usize {
        usize::from(self.daemons.len() < MANY)
    }

    fn pace(&self) -> Duration {
        PACE[self.few()]
    }

    fn halves(&self) -> usize {
        2 * self.plan.peerings.len()
    }

    /// All start at once, and what each declares is new. What a host must receive at the least: everything
    /// once.
    fn roll_out(
        &mut self,
        work: &str,
        connection: &mut Connection,
        table: &mut Table,
    ) -> Option<u64> {
        self.start();
        while connection.link_ports() < self.halves() {
            self.in_time(work, table)?;
            sleep(self.pace());
        }
        say(&format!("all are linked after {:?}", self.begin.elapsed()));
        let toll = self.until_quiet(work, connection, table)?;
        let dump = super::wire::dump(&self.server_socket);
        toll.report(work, dump, table);
        let held = toll.failed == 0 && toll.takeovers == 0;
        let shown = format!("{} failed, {} takeovers", toll.failed, toll.takeovers);
        table.limit(&format!("{work}: in vain"), shown, "0 failed, 0 takeovers", held);
        Some(dump)
    }

    /// All start at once, and nothing is new.
    fn restart(&mut self, connection: &mut Connection, dump: u64, table: &mut Table) -> Option<()> {
        self.stop();
        self.reset();
        self.start();
        let work = format!("{} hosts at once, nothing new", self.sites.len());
        let toll = self.until_quiet(&work, connection, table)?;
        toll.report(&work, dump, table);
        let (work, written) = (format!("{work}: transactions"), toll.written.to_string());
        table.count(&work, written, "0", toll.written == 0);
        Some(())
    }

    /// Of those that have started and written nothing.
    fn memory(&self, table: &mut Table) {
        let peak = |active: bool| {
            let daemons = self.daemons.iter();
            let those = daemons.filter(|daemon| daemon.status().northbound.active == active);
            median(&those.map(|daemon| peak_kib(daemon.pid())).collect::<Vec<_>>())
        };
        let active = ("the active one", memory(peak(true)));
        table.at_most("peak memory of a standby", memory(peak(false)), active, 1.1);
    }

    /// One half added on a standby, and on the active host, in turns.
    fn half(
        &mut self,
        work: &str,
        probes: Range<usize>,
        server: &Server,
        connection: &mut Connection,
        table: &mut Table,
    ) -> Option<()> {
        self.begin = Instant::now();
        for k in probes.clone() {
            let (local, remote) = self.plan.probe(k);
            self.sites[self.up[0]]
                .put(&format!("peerings.d/probe-b{k}.toml"), &half_file(remote, local));
        }
        self.until_quiet(work, connection, table)?;
        let holder = self.daemons.iter().position(is_active)?;
        let holder = self.up[holder];
        let standby = *self.up.iter().find(|host| **host != holder)?;
        let mut observer = Observer::new(&server.socket());
        let (mut on_active, mut on_standby) = (Vec::new(), Vec::new());
        for k in probes {
            let (site, times) = if k % 2 == 0 {
                (&self.sites[holder], &mut on_active)
            } else {
                (&self.sites[standby], &mut on_standby)
            };
            let (local, remote) = self.plan.probe(k);
            let file = format!("peerings.d/probe-a{k}.toml");
            site.lay(&file, &half_file(local, remote));
            sleep(BREATH);
            let begin = Instant::now();
            site.commit(&file);
            observer.rows(2);
            times.push(begin.elapsed());
        }
        let on_active = ("on the active one", time(median(&on_active)));
        table.at_most(work, time(median(&on_standby)), on_active, 2.0);
        Some(())
    }

    /// All but the holder of the lock and one other end.
    fn leave_two(&mut self) {
        let holder = self.daemons.iter().position(is_active).unwrap_or(0);
        let standby = (holder + 1) % self.daemons.len();
        let mut index = 0;
        self.daemons.retain(|_| {
            index += 1;
            index - 1 == holder || index - 1 == standby
        });
        self.up = vec![holder.min(standby), holder.max(standby)];
    }

    /// The server dies, and with it all sessions.
    fn lose_server(&mut self, server: Server, dir: &Path, table: &mut Table) -> Option<Server> {
        self.reset();
        let before = self.counters();
        self.begin = Instant::now();
        server.stop();
        let server = Server::start(dir);
        let mut connection = Connection::open(&server.socket());
        let work = format!("{} hosts, the server restarts", self.sites.len());
        let toll = self.until_quiet(&work, &mut connection, table)?;
        let after = self.counters();
        let written: u64 =
            after.iter().zip(&before).map(|(a, b)| a.transactions - b.transactions).sum();
        let dump = super::wire::dump(&server.socket());
        toll.report(&work, dump, table);
        table.count(&format!("{work}: transactions"), written.to_string(), "0", written == 0);
        Some(server)
    }

    fn reset(&self) {
        for meter in &self.meters {
            meter.take();
        }
    }

    fn statuses(&self) -> Option<Vec<StatusView>> {
        self.daemons.iter().map(Daemon::try_status).collect()
    }

    fn counters(&self) -> Vec<Counters> {
        self.daemons.iter().map(|daemon| daemon.status().counters).collect()
    }

    /// Plays ovn-northd's part until all halves are active everywhere, and nobody has written anything
    /// for a while.
    fn until_quiet(
        &self,
        work: &str,
        connection: &mut Connection,
        table: &mut Table,
    ) -> Option<Toll> {
        let mut last = (0, Instant::now());
        let statuses = loop {
            self.in_time(work, table)?;
            connection.act();
            sleep(self.pace());
            let Some(statuses) = self.statuses() else { continue };
            let synced = statuses.iter().all(|status| status.northbound.synced);
            let active =
                |status: &StatusView| status.halves.get(&State::Active) >= Some(&self.halves());
            let written: u64 = statuses.iter().map(|status| status.counters.transactions).sum();
            if !synced || !statuses.iter().all(active) || written != last.0 {
                last = (written, Instant::now());
            } else if last.1.elapsed() > CALM[self.few()] {
                break statuses;
            }
        };
        let readings: Vec<Reading> = self.meters.iter().map(Meter::take).collect();
        let counters = || statuses.iter().map(|status| &status.counters);
        let toll = Toll {
            taken: last.1 - self.begin,
            written: counters().map(|counters| counters.transactions).sum(),
            failed: counters().map(|counters| counters.transactions_failed).sum(),
            most: counters().map(|counters| counters.transactions).max().unwrap_or(0),
            takeovers: self.sites.iter().map(|site| site.logged(TAKEOVER)).sum(),
            received: readings.iter().map(|reading| reading.received).collect(),
            sessions: readings.iter().map(|reading| reading.sessions).sum(),
        };
        say(&format!("{toll:?}"));
        Some(toll)
    }
}

fn is_active(daemon: &Daemon) -> bool {
    daemon.try_status().is_some_and(|status| status.northbound.active)
}

impl Toll {
    fn report(&self, work: &str, dump: u64, table: &mut Table) {
        let hosts = self.received.len() as u64;
        let all: u64 = self.received.iter().sum();
        let shown = format!(
            "quiet after {}, {} transactions, {} at the most by one host, {} sessions",
            time(self.taken).0,
            self.written,
            self.most,
            self.sessions
        );
        table.limit(&format!("{work}: until all are quiet"), shown, "stated", true);
        let reference = ("one dump of the result for each", memory(hosts * dump / 1024));
        let each = median(&self.received);
        let work = format!("{work}: received in all, {} by each", memory(each / 1024).0);
        table.at_most(&work, memory(all / 1024), reference, 2.0);
    }
}
