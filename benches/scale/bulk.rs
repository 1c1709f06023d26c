//! All peerings from nothing, against the same rows as batches that are ready to be sent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Site};
use super::plan::Plan;
use super::proxy::{Proxy, Transaction, prepared};
use super::say;
use super::server::Server;
use super::statistics::{cpu_of, median};
use super::table::{Table, time};
use super::wire::{Connection, Observer};

const ROUNDS: usize = 3;

/// Writes all peerings; gives the database with them. Times it if it is `timed`.
pub(crate) fn measure(
    plan: &Plan,
    base: &Path,
    dir: &Path,
    timed: bool,
    table: &mut Table,
) -> PathBuf {
    say(&format!("{} peerings from nothing", plan.peerings.len()));
    let (full, batches) = record(plan, base, &dir.join("full"));
    if !timed {
        return full;
    }
    let messages: Vec<Vec<u8>> = batches.iter().map(prepared).collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(replay(&messages, base, &dir.join(format!("replay{round}"))));
        ours.push(declare(plan, base, &dir.join(format!("declare{round}"))));
    }
    let work = format!("{} peerings from nothing, rename to committed", plan.peerings.len());
    let reference = format!("{} transactions prepared, one connection", messages.len());
    let theirs = time(median(&theirs));
    table.at_most(&work, time(median(&ours)), (&reference, theirs), 1.3);
    full
}

/// Has the daemon write everything once, and remembers what it sent.
fn record(plan: &Plan, base: &Path, dir: &Path) -> (PathBuf, Vec<Transaction>) {
    let server = Server::on_copy(dir, base);
    let mut connection = Connection::open(&server.socket());
    let proxy = Proxy::start(&dir.join("proxy.sock"), &server.socket());
    let site = Site::peered(&dir.join("site"), plan);
    let daemon = site.start(proxy.socket());
    daemon.settle(2 * plan.peerings.len(), &mut connection);
    daemon.stop();
    (server.stop(), proxy.transactions())
}

fn declare(plan: &Plan, base: &Path, dir: &Path) -> Duration {
    let server = Server::on_copy(dir, base);
    let site = Site::new(&dir.join("site"), plan);
    let daemon = site.start(&server.socket());
    daemon.synced();
    let (taken, _) = declare_all(plan, &site, &daemon, &server);
    daemon.stop();
    taken
}

/// Declares all peerings to a daemon that knows of none: the time from the first rename to the commit of the last port, and
/// who saw that.
pub(crate) fn declare_all(
    plan: &Plan,
    site: &Site,
    daemon: &Daemon,
    server: &Server,
) -> (Duration, Observer) {
    let files = plan.peering_files();
    for (name, text) in &files {
        site.lay(&format!("peerings.d/{name}"), text);
    }
    let mut observer = Observer::new(&server.socket());
    let cpu = cpu_of(daemon.pid());
    let begin = Instant::now();
    for name in files.keys() {
        site.commit(&format!("peerings.d/{name}"));
    }
    observer.ports(2 * plan.peerings.len());
    let taken = begin.elapsed();
    let status = daemon.status();
    let (cpu, counters) = (cpu_of(daemon.pid()) - cpu, status.counters);
    say(&format!("declared in {taken:?}, the daemon's processor time {cpu:?}; {counters:?}"));
    (taken, observer)
}

fn replay(messages: &[Vec<u8>], base: &Path, dir: &Path) -> Duration {
    let server = Server::on_copy(dir, base);
    let mut connection = Connection::open(&server.socket());
    let _observer = Observer::new(&server.socket());
    let begin = Instant::now();
    for message in messages {
        connection.transact_prepared(message);
    }
    let taken = begin.elapsed();
    say(&format!("replayed in {taken:?}"));
    taken
}
