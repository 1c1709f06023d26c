//! Starting with nothing to change, against what ovn-nbctl takes to start and print.

use std::path::Path;

use super::daemon::Site;
use super::nbctl;
use super::plan::Plan;
use super::say;
use super::server::Server;
use super::statistics::{median, peak_kib};
use super::table::{Table, memory, time};
use super::wire::Connection;

const ROUNDS: usize = 5;

/// Starts the daemon and ovn-nbctl in turns.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, table: &mut Table) {
    say("starting with nothing to change");
    let server = Server::on_copy(dir, full);
    let socket = server.socket();
    Connection::open(&socket).act();
    let site = Site::peered(&dir.join("site"), plan);
    let (mut ours, mut list, mut show) = (Vec::new(), Vec::new(), Vec::new());
    let mut transactions = 0;
    for _ in 0..ROUNDS {
        list.push(nbctl::call(&socket, &["list", "Logical_Router"]));
        show.push(nbctl::call(&socket, &["show"]));
        let daemon = site.start(&socket);
        let taken = daemon.started(2 * plan.peerings.len());
        ours.push((taken, peak_kib(daemon.pid())));
        transactions += daemon.status().counters.transactions;
        daemon.stop();
    }
    let times = |runs: &[(std::time::Duration, u64)]| {
        time(median(&runs.iter().map(|run| run.0).collect::<Vec<_>>()))
    };
    let peaks = |runs: &[(std::time::Duration, u64)]| {
        memory(median(&runs.iter().map(|run| run.1).collect::<Vec<_>>()))
    };
    let (work, named) = ("start with nothing to change: time", "ovn-nbctl list Logical_Router");
    table.at_most(work, times(&ours), (named, times(&list)), 1.6);
    table.stated(work, times(&ours), ("ovn-nbctl show", times(&show)));
    let work = "start with nothing to change: peak memory";
    table.at_most(work, peaks(&ours), (named, peaks(&list)), 0.65);
    table.stated(work, peaks(&ours), ("ovn-nbctl show", peaks(&show)));
    let work = "start with nothing to change: transactions";
    table.count(work, transactions.to_string(), "0", transactions == 0);
}
