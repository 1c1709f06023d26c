//! All peerings from nothing, against the same rows as batches that `ovsdb-client transact` is handed, ready to be sent; and,
//! to see what is left to gain, as messages ready to be sent on one open connection.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Site};
use super::plan::Plan;
use super::proxy::{Proxy, Transaction, parameters, prepared};
use super::say;
use super::server::Server;
use super::statistics::{cpu_of, median};
use super::table::{Table, time};
use super::wire::{Connection, Observer, succeeded};

const ROUNDS: usize = 3;
/// Bytes of one argument of a program, its end included (execve(2), `MAX_ARG_STRLEN`).
const LARGEST_ARGUMENT: usize = 128 << 10;

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
    let arguments: Vec<String> = batches.iter().map(parameters).collect();
    let messages: Vec<Vec<u8>> = batches.iter().map(prepared).collect();
    let (mut ours, mut theirs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(hand_over(&arguments, &messages, base, &dir.join(format!("hand-over{round}"))));
        ours.push(declare(plan, base, &dir.join(format!("declare{round}"))));
        bare.push(replay(&messages, base, &dir.join(format!("replay{round}"))));
    }
    let work = format!("{} peerings from nothing, rename to committed", plan.peerings.len());
    let ours = time(median(&ours));
    let reference = format!("{} calls of ovsdb-client transact, prepared", batches.len());
    table.at_most(&work, ours.clone(), (&reference, time(median(&theirs))), 1.3);
    let reference = format!("{} messages prepared, one connection", batches.len());
    table.stated(&work, ours, (&reference, time(median(&bare))));
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
    observer.rows(2 * plan.peerings.len());
    let taken = begin.elapsed();
    let status = daemon.status();
    let (cpu, counters) = (cpu_of(daemon.pid()) - cpu, status.counters);
    say(&format!("declared in {taken:?}, the daemon's processor time {cpu:?}; {counters:?}"));
    (taken, observer)
}

/// What does not fit into an argument (a hub with all its halves) is sent on an open connection.
fn hand_over(arguments: &[String], messages: &[Vec<u8>], base: &Path, dir: &Path) -> Duration {
    let server = Server::on_copy(dir, base);
    let mut connection = Connection::open(&server.socket());
    let _observer = Observer::new(&server.socket());
    let remote = format!("unix:{}", server.socket().display());
    let begin = Instant::now();
    for (argument, message) in arguments.iter().zip(messages) {
        if argument.len() >= LARGEST_ARGUMENT {
            connection.transact_prepared(message);
            continue;
        }
        // As it is: a wrapper would cost it time.
        let output = Command::new("ovsdb-client")
            .args(["transact", &remote, argument])
            .output()
            .expect("ovsdb-client can be started");
        assert!(output.status.success(), "{output:?}");
        succeeded(serde_json::from_slice(&output.stdout).expect("it prints the result"));
    }
    let taken = begin.elapsed();
    say(&format!("handed over in {taken:?}"));
    taken
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
