//! One half added to what stands: from the rename of its file to the commit that a second client
//! sees, against the same rows by ovn-nbctl and by a bare transaction.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Site};
use super::nbctl;
use super::plan::{Plan, half_file};
use super::proxy::{Proxy, Transaction, prepared};
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::{Connection, Observer};

/// Between two repetitions: whatever follows a commit shall be over when the next begins.
const CALM: Duration = Duration::from_millis(30);

/// The medians of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    daemon: Duration,
    bare: Duration,
    nbctl: Duration,
}

struct Scene<'a> {
    plan: &'a Plan,
    server: &'a Server,
    site: Site,
    connection: Connection,
    repetitions: usize,
}

/// Measures at one size.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, repetitions: usize) -> Medians {
    say(&format!("one half added to {} peerings", plan.peerings.len()));
    let server = Server::on_copy(dir, full);
    let site = Site::peered(&dir.join("site"), plan);
    for k in 0..2 * repetitions {
        let (local, remote) = plan.probe(k);
        site.put(&format!("peerings.d/probe-b{k}.toml"), &half_file(remote, local));
    }
    let connection = Connection::open(&server.socket());
    let mut scene = Scene { plan, server: &server, site, connection, repetitions };
    let transactions = scene.record(&dir.join("proxy.sock"));
    let bare = scene.bare(&transactions);
    let nbctl = scene.nbctl(&transactions);
    let daemon = scene.daemon();
    let medians = Medians { daemon: median(&daemon), bare: median(&bare), nbctl: median(&nbctl) };
    say(&format!("{medians:?}"));
    medians
}

impl Scene<'_> {
    /// The halves that are active before a probe is added.
    fn active(&self) -> usize {
        2 * self.plan.peerings.len()
    }

    /// Has the daemon add every half once, one by one, and remembers what it sent.
    fn record(&mut self, socket: &Path) -> Vec<Transaction> {
        let proxy = Proxy::start(socket, &self.server.socket());
        let daemon = self.site.start(proxy.socket());
        daemon.settle(self.active(), &mut self.connection);
        self.add(2 * self.repetitions);
        self.withdraw(2 * self.repetitions, &daemon);
        daemon.stop();
        let adds_port = |operation: &serde_json::Value| {
            operation["op"] == "insert" && operation["table"] == "Logical_Router_Port"
        };
        let all = proxy.transactions().into_iter();
        let adding: Vec<Transaction> = all.filter(|it| it.iter().any(adds_port)).collect();
        assert_eq!(adding.len(), 2 * self.repetitions, "one transaction for each half");
        adding
    }

    fn bare(&mut self, transactions: &[Transaction]) -> Vec<Duration> {
        let mut observer = Observer::new(&self.server.socket());
        let first = transactions.iter().take(self.repetitions);
        first
            .map(|transaction| {
                let message = prepared(transaction);
                sleep(CALM);
                let begin = Instant::now();
                self.connection.send(&message);
                observer.rows(2);
                let taken = begin.elapsed();
                self.connection.frame();
                taken
            })
            .collect()
    }

    fn nbctl(&mut self, transactions: &[Transaction]) -> Vec<Duration> {
        let mut observer = Observer::new(&self.server.socket());
        let others = transactions.iter().skip(self.repetitions);
        others
            .map(|transaction| {
                let mut command = nbctl::writing(&self.server.socket(), transaction);
                sleep(CALM);
                let begin = Instant::now();
                let mut child = command.spawn().expect("ovn-nbctl can be started");
                observer.rows(2);
                let taken = begin.elapsed();
                assert!(child.wait().expect("ovn-nbctl ends").success(), "{command:?}");
                taken
            })
            .collect()
    }

    /// The daemon alone; what the references have written, it takes away first.
    fn daemon(&mut self) -> Vec<Duration> {
        let daemon = self.site.start(&self.server.socket());
        daemon.synced();
        self.until_withdrawn(&daemon);
        let times = self.add(self.repetitions);
        daemon.stop();
        times
    }

    fn add(&mut self, count: usize) -> Vec<Duration> {
        let mut observer = Observer::new(&self.server.socket());
        (0..count)
            .map(|k| {
                let (local, remote) = self.plan.probe(k);
                let file = format!("peerings.d/probe-a{k}.toml");
                self.site.lay(&file, &half_file(local, remote));
                sleep(CALM);
                let begin = Instant::now();
                self.site.commit(&file);
                observer.rows(2);
                begin.elapsed()
            })
            .collect()
    }

    fn withdraw(&mut self, count: usize, daemon: &Daemon) {
        for k in 0..count {
            self.site.remove(&format!("peerings.d/probe-a{k}.toml"));
        }
        self.until_withdrawn(daemon);
    }

    fn until_withdrawn(&mut self, daemon: &Daemon) {
        let begin = Instant::now();
        while self.connection.link_ports() != self.active() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the probes stay");
            sleep(CALM);
        }
        daemon.settle(self.active(), &mut self.connection);
    }
}

/// The lines of the table.
pub(crate) fn report(small: &Plan, few: &Medians, plan: &Plan, many: &Medians, table: &mut Table) {
    let work = format!("one half added to {} peerings, rename to committed", plan.peerings.len());
    let ours = || time(many.daemon);
    table.faster(&work, ours(), ("one ovn-nbctl call", time(many.nbctl)), 100.0);
    table.at_most(&work, ours(), ("bare transact, open connection", time(many.bare)), 10.0);
    let named = format!("{} networks", small.networks);
    table.at_most(&work, ours(), (&named, time(few.daemon)), 1.3);
}
