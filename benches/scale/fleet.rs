//! Many hosts on one northbound: first roll-out, restart, and the server's restart, all at once; what a standby costs; how
//! long a half takes that is added on it.

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

/// How often the hosts are asked.
const PACE: Duration = Duration::from_millis(500);
/// Nobody writes for so long: all are quiet; of many hosts, and of few.
const CALM: [Duration; 2] = [Duration::from_secs(4), Duration::from_millis(1500)];
const MANY: usize = 10;
/// Between two repetitions.
const BREATH: Duration = Duration::from_millis(150);
const LIMIT: Duration = Duration::from_secs(900);
const TAKEOVER: &str = "the holder of the lock does nothing";

/// The hosts.
struct Fleet<'a> {
    plan: &'a Plan,
    sites: Vec<Site>,
    meters: Vec<Meter>,
    daemons: Vec<Daemon>,
    begin: Instant,
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

/// Takes all measurements of several hosts.
pub(crate) fn measure(
    plan: &Plan,
    base: &Path,
    dir: &Path,
    (hosts, repetitions): (usize, usize),
    table: &mut Table,
) {
    say(&format!("{hosts} hosts"));
    let server = Server::on_copy(dir, base);
    let mut fleet = Fleet::new(plan, dir, hosts, &server);
    let mut connection = Connection::open(&server.socket());
    let dump = fleet.roll_out(&mut connection, table);
    fleet.restart(&mut connection, dump, table);
    fleet.memory(table);
    fleet.half(&server, &mut connection, repetitions, table);
    let server = fleet.lose_server(server, dir, table);
    fleet.stop();
    drop(server);
}

impl<'a> Fleet<'a> {
    fn new(plan: &'a Plan, dir: &Path, hosts: usize, server: &Server) -> Self {
        let site = |host| Site::of_host(&dir.join(format!("h{host}")), plan, Share { host, hosts });
        let meter = |host| Meter::start(&dir.join(format!("m{host}.sock")), &server.socket());
        let (sites, meters) = ((0..hosts).map(site).collect(), (0..hosts).map(meter).collect());
        let server_socket = server.socket();
        Self { plan, sites, meters, daemons: Vec::new(), begin: Instant::now(), server_socket }
    }

    fn start(&mut self) {
        self.begin = Instant::now();
        let pairs = self.sites.iter().zip(&self.meters);
        self.daemons = pairs.map(|(site, meter)| site.start(meter.socket())).collect();
    }

    fn stop(&mut self) {
        for daemon in self.daemons.drain(..) {
            daemon.stop();
        }
    }

    fn halves(&self) -> usize {
        2 * self.plan.peerings.len()
    }

    /// All start at once, and what each declares is new.
    fn roll_out(&mut self, connection: &mut Connection, table: &mut Table) -> u64 {
        self.start();
        while connection.link_ports() < self.halves() {
            assert!(self.begin.elapsed() < LIMIT, "{:?}", self.counters());
            sleep(PACE);
        }
        say(&format!("all are linked after {:?}", self.begin.elapsed()));
        let toll = self.until_quiet(connection);
        say(&format!("{toll:?}"));
        // What a host must receive at the least: everything once.
        let dump = super::wire::dump(&self.server_socket);
        let hosts = self.sites.len() as u64;
        let work = format!("{hosts} hosts at once, all declarations new");
        toll.report(&work, dump, table);
        let held = toll.failed == 0 && toll.takeovers == 0;
        let shown = format!("{} failed, {} takeovers", toll.failed, toll.takeovers);
        table.limit(&format!("{work}: in vain"), shown, "0 failed, 0 takeovers", held);
        dump
    }

    /// All start at once, and nothing is new.
    fn restart(&mut self, connection: &mut Connection, dump: u64, table: &mut Table) {
        self.stop();
        self.reset();
        self.start();
        let toll = self.until_quiet(connection);
        say(&format!("{toll:?}"));
        let work = format!("{} hosts at once, nothing new", self.sites.len());
        toll.report(&work, dump, table);
        table.count(
            &format!("{work}: transactions"),
            toll.written.to_string(),
            "0",
            toll.written == 0,
        );
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

    /// One half added on a standby, and on the active host, in turns: first while all others run, then
    /// while these two run alone.
    fn half(
        &mut self,
        server: &Server,
        connection: &mut Connection,
        repetitions: usize,
        table: &mut Table,
    ) {
        for k in 0..2 * repetitions {
            let (local, remote) = self.plan.probe(k);
            self.sites[0].put(&format!("peerings.d/probe-b{k}.toml"), &half_file(remote, local));
        }
        self.until_quiet(connection);
        let active = |daemon: &Daemon| daemon.status().northbound.active;
        let holder = self.daemons.iter().position(active).expect("a host holds the lock");
        let standby = (holder + 1) % self.sites.len();
        let mut work = format!("one half added on a standby of {} hosts", self.sites.len());
        for alone in [false, true] {
            if alone {
                let mut index = 0;
                self.daemons.retain(|_| {
                    index += 1;
                    index - 1 == holder || index - 1 == standby
                });
                work += ", two of which are up";
            }
            let mut observer = Observer::new(&server.socket());
            let first = if alone { repetitions } else { 0 };
            let (mut on_active, mut on_standby) = (Vec::new(), Vec::new());
            for k in first..first + repetitions {
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
                observer.ports(2);
                times.push(begin.elapsed());
            }
            let on_active = ("on the active one", time(median(&on_active)));
            table.at_most(&work, time(median(&on_standby)), on_active, 2.0);
        }
    }

    /// The server dies, and with it all sessions.
    fn lose_server(&mut self, server: Server, dir: &Path, table: &mut Table) -> Server {
        self.stop();
        self.reset();
        self.start();
        let mut connection = Connection::open(&server.socket());
        self.until_quiet(&mut connection);
        self.reset();
        let before = self.counters();
        drop(connection);
        self.begin = Instant::now();
        server.stop();
        let server = Server::start(dir);
        let mut connection = Connection::open(&server.socket());
        let toll = self.until_quiet(&mut connection);
        let after = self.counters();
        let written: u64 =
            after.iter().zip(&before).map(|(a, b)| a.transactions - b.transactions).sum();
        say(&format!("{toll:?}"));
        let dump = super::wire::dump(&server.socket());
        let work = format!("{} hosts, the server restarts", self.sites.len());
        toll.report(&work, dump, table);
        table.count(&format!("{work}: transactions"), written.to_string(), "0", written == 0);
        server
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
    fn until_quiet(&self, connection: &mut Connection) -> Toll {
        let mut last = (0, Instant::now());
        let statuses = loop {
            assert!(self.begin.elapsed() < LIMIT, "{:?}", self.statuses());
            connection.act();
            sleep(PACE);
            let Some(statuses) = self.statuses() else { continue };
            let synced = statuses.iter().all(|status| status.northbound.synced);
            let active =
                |status: &StatusView| status.halves.get(&State::Active) >= Some(&self.halves());
            let written: u64 = statuses.iter().map(|status| status.counters.transactions).sum();
            if !synced || !statuses.iter().all(active) || written != last.0 {
                last = (written, Instant::now());
            } else if last.1.elapsed() > CALM[usize::from(self.sites.len() < MANY)] {
                break statuses;
            }
        };
        let readings: Vec<Reading> = self.meters.iter().map(Meter::take).collect();
        let counters = || statuses.iter().map(|status| &status.counters);
        Toll {
            taken: last.1 - self.begin,
            written: counters().map(|counters| counters.transactions).sum(),
            failed: counters().map(|counters| counters.transactions_failed).sum(),
            most: counters().map(|counters| counters.transactions).max().unwrap_or(0),
            takeovers: self.sites.iter().map(|site| site.logged(TAKEOVER)).sum(),
            received: readings.iter().map(|reading| reading.received).collect(),
            sessions: readings.iter().map(|reading| reading.sessions).sum(),
        }
    }
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
