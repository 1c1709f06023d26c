//! The subnet of a hub changes: all its spokes follow in one transaction.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::daemon::Site;
use super::plan::{Plan, router_port};
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::{Connection, Observer};

const ROUNDS: usize = 5;

/// Changes the hub's subnet, and waits until its links have followed.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, table: &mut Table) {
    say("changing the hub's subnet");
    let server = Server::on_copy(dir, full);
    let mut connection = Connection::open(&server.socket());
    let site = Site::peered(&dir.join("site"), plan);
    let daemon = site.start(&server.socket());
    daemon.settle(2 * plan.peerings.len(), &mut connection);
    let before = daemon.status().counters;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let mut observer = Observer::new(&server.socket());
        let subnets = [format!("10.255.{round}.1/24"), format!("fd00:ffff:0:{round:x}::1/64")];
        let place = json!([["name", "==", router_port(0)]]);
        let row = json!({"networks": ["set", subnets]});
        let update =
            json!({"op": "update", "table": "Logical_Router_Port", "where": place, "row": row});
        let begin = Instant::now();
        connection.transact(vec![update]);
        // The hub's own port, and one port of each link.
        observer.rows(1 + plan.spokes);
        times.push(begin.elapsed());
        daemon.settle(2 * plan.peerings.len(), &mut connection);
    }
    let after = daemon.status().counters;
    daemon.stop();
    let each = (after.transactions - before.transactions) as f64 / ROUNDS as f64;
    let work = format!("subnet of a hub with {} spokes changed", plan.spokes);
    let taken = time(median(&times)).0;
    let shown = format!("{each} transaction(s), {taken} from change to committed");
    table.count(
        &work,
        shown,
        "1 transaction; time stated",
        after.transactions - before.transactions == ROUNDS as u64,
    );
}
