//! Changes of the store by command, against the same rows by a bare transaction; and the list of all
//! halves.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::daemon::{Daemon, Site};
use super::plan::{Plan, name, project};
use super::proxy::{Proxy, Transaction, prepared};
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::Connection;

const CONTROL: &str = env!("CARGO_BIN_EXE_ovn-peerctl");
/// Between two repetitions, as for a half that is added.
const CALM: Duration = Duration::from_millis(30);
/// How much longer than a bare transaction a command may take.
const MORE: Duration = Duration::from_millis(20);
/// How long the list of 10,000 halves may take.
const LIST: Duration = Duration::from_millis(300);

/// Measures changes of the store, and the list.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, repetitions: usize, table: &mut Table) {
    say("halves that are stored by command");
    let base = with_one_stored(plan, full, &dir.join("base"));
    let server = Server::on_copy(&dir.join("recorded"), &base);
    let proxy = Proxy::start(&dir.join("proxy.sock"), &server.socket());
    let site = Site::peered(&dir.join("recorded/site"), plan);
    let daemon = settled(plan, &site, &server, proxy.socket());
    for number in 1..=repetitions {
        stored(&daemon, plan, number);
    }
    daemon.stop();
    let transactions: Vec<Transaction> =
        proxy.transactions().into_iter().filter(is_of_store).collect();
    assert_eq!(transactions.len(), repetitions, "one transaction for each half");
    let bare = bare(&base, &dir.join("bare"), &transactions);

    let server = Server::on_copy(&dir.join("stored"), &base);
    let site = Site::peered(&dir.join("stored/site"), plan);
    let daemon = settled(plan, &site, &server, &server.socket());
    let ours: Vec<Duration> =
        (1..=repetitions).map(|number| stored(&daemon, plan, number)).collect();
    let commands: Vec<Duration> = (repetitions + 1..=2 * repetitions)
        .map(|number| command(daemon.socket(), plan, number))
        .collect();
    let lists: Vec<Duration> = (0..repetitions).map(|_| list(&daemon)).collect();
    daemon.stop();

    let (ours, bare, command) = (median(&ours), median(&bare), median(&commands));
    let work = "one half stored, request to answer";
    table.at_most(work, time(ours), ("the same rows by a bare transact", time(bare)), 3.0);
    let more = command.saturating_sub(bare);
    let work = "`ovn-peerctl create`, start to end: more than a bare transact";
    let limit = format!("<= {}", time(MORE).0);
    table.limit(work, time(more).0, &limit, more <= MORE);
    let work = format!("GET /v1/halves of {} halves", 2 * plan.peerings.len());
    let (limit, list) = (format!("<= {}", time(LIST).0), median(&lists));
    table.limit(&work, time(list).0, &limit, list <= LIST);
}

/// The database in which the network has a stored half, so that the next ones change rows that a copy
/// has, too.
fn with_one_stored(plan: &Plan, full: &Path, dir: &Path) -> std::path::PathBuf {
    let server = Server::on_copy(dir, full);
    let site = Site::peered(&dir.join("site"), plan);
    let daemon = settled(plan, &site, &server, &server.socket());
    stored(&daemon, plan, 0);
    daemon.settle(2 * plan.peerings.len(), &mut Connection::open(&server.socket()));
    sleep(CALM);
    daemon.stop();
    server.stop()
}

/// A daemon for which all peerings are active.
pub(crate) fn settled(plan: &Plan, site: &Site, server: &Server, northbound: &Path) -> Daemon {
    let daemon = site.start(northbound);
    daemon.settle(2 * plan.peerings.len(), &mut Connection::open(&server.socket()));
    daemon
}

fn is_of_store(transaction: &Transaction) -> bool {
    Value::from(transaction.clone()).to_string().contains("ovn-peerd-stored:")
}

/// The network whose halves are stored: one that the peerings have.
fn local(plan: &Plan) -> usize {
    plan.peerings[plan.spokes].0
}

/// Stores a half that nobody answers; the time until the answer.
pub(crate) fn stored(daemon: &Daemon, plan: &Plan, number: usize) -> Duration {
    let local = local(plan);
    let text = format!(
        "project = \"{}\"\n[[peering]]\nname = \"stored-{number}\"\nnetwork = \"{}\"\n\
         target_project = \"elsewhere\"\ntarget_network = \"n{number}\"\n",
        project(local),
        name(local)
    );
    let body = json!({"project": project(local), "declarations": text, "create": true});
    sleep(CALM);
    let begin = Instant::now();
    daemon.ask("POST", "/v1/store", &body.to_string());
    begin.elapsed()
}

/// The same by the command.
fn command(socket: &Path, plan: &Plan, number: usize) -> Duration {
    let local = local(plan);
    let half = format!("{}/{}/stored-{number}", project(local), name(local));
    let mut command = Command::new(CONTROL);
    command.arg("--socket").arg(socket).args(["create", &half, &format!("elsewhere/n{number}")]);
    sleep(CALM);
    let begin = Instant::now();
    let output = command.output().expect("ovn-peerctl can be run");
    let taken = begin.elapsed();
    assert!(output.status.success(), "{output:?}");
    taken
}

fn list(daemon: &Daemon) -> Duration {
    let begin = Instant::now();
    let list = daemon.ask("GET", "/v1/halves", "");
    let taken = begin.elapsed();
    assert!(list.starts_with('['), "{list}");
    taken
}

/// The recorded transactions once more, in the same order and on the same rows.
fn bare(base: &Path, dir: &Path, transactions: &[Transaction]) -> Vec<Duration> {
    let server = Server::on_copy(dir, base);
    let mut connection = Connection::open(&server.socket());
    let times = transactions.iter().map(|transaction| {
        let message = prepared(transaction);
        sleep(CALM);
        let begin = Instant::now();
        connection.transact_prepared(&message);
        begin.elapsed()
    });
    times.collect()
}
