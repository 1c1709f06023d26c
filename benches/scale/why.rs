//! `why` between two guests, asked at the control socket: of a pair, and of a spoke to the hub, whose router has the rows of all
//! spokes. The work follows the routers on the way, not the northbound.

use std::path::Path;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Site};
use super::plan::{Plan, address, name, project};
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::Connection;

/// How long an answer may take, the way over the socket included.
const TARGET: Duration = Duration::from_millis(5);

/// Asks of so many pairs, and as often of spokes.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, repetitions: usize, table: &mut Table) {
    say("asking why packets pass");
    let server = Server::on_copy(dir, full);
    let mut connection = Connection::open(&server.socket());
    let site = Site::peered(&dir.join("site"), plan);
    let daemon = site.start(&server.socket());
    daemon.settle(2 * plan.peerings.len(), &mut connection);
    let (spokes, pairs) = plan.peerings.split_at(plan.spokes);
    for (what, peerings) in [("of a pair", pairs), ("of a spoke and its hub", spokes)] {
        let taken: Vec<Duration> = (0..repetitions.max(5))
            .map(|k| ask(&daemon, peerings[k * 7 % peerings.len()]))
            .collect();
        let median = median(&taken);
        let work = format!("why, {what}, {} networks", plan.networks);
        table.limit(&work, time(median).0, "5 ms", median <= TARGET);
    }
    daemon.stop();
}

/// One question, which is answered with yes.
fn ask(daemon: &Daemon, (from, to): (usize, usize)) -> Duration {
    let end = |word: &str, of: usize| {
        format!(
            "{word}_project={}&{word}_network={}&{word}_address={}",
            project(of),
            name(of),
            address(of)
        )
    };
    let path = format!("/v1/why?{}&{}&opens=tcp:443", end("from", from), end("to", to));
    let begun = Instant::now();
    let answer = daemon.ask("GET", &path, "");
    let taken = begun.elapsed();
    assert!(answer.contains("\"passes\":\"yes\""), "{answer}");
    taken
}
