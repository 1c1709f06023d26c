//! Changes of the northbound that concern no declared network: applied, and nothing else; and their
//! cost beside `ovsdb-client monitor`, which prints the same updates.

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use ovn_peerd::northbound::tables::DATABASE;
use serde_json::{Value, json};

use super::daemon::Site;
use super::plan::{Plan, STRANGER};
use super::say;
use super::server::{Server, program};
use super::statistics::cpu_of;
use super::table::{Table, time};
use super::wire::Connection;

const PAUSE: Duration = Duration::from_micros(200);
const ROUTE: &str = "Logical_Router_Static_Route";
/// Processor time of the daemon for a change, of that of `ovsdb-client monitor`.
const MOST: f64 = 1.5;

/// Changes a route of a router that nobody has declared, one transaction after the other.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, changes: usize, table: &mut Table) {
    say("changes that concern no declared network");
    let server = Server::on_copy(dir, full);
    let mut connection = Connection::open(&server.socket());
    let mut monitor = monitor(&server.socket());
    let site = Site::peered(&dir.join("site"), plan);
    let daemon = site.start(&server.socket());
    daemon.settle(2 * plan.peerings.len(), &mut connection);
    let before = daemon.status().counters;
    let routes = routes_of_the_stranger(&mut connection);
    let cpu = || [daemon.pid(), monitor.id()].map(cpu_of);
    let cpu_before = cpu();
    for change in 0..changes {
        let route = &routes[change % routes.len()];
        let row = json!({"nexthop": format!("192.0.2.{}", change / routes.len() + 2)});
        let place = json!([["_uuid", "==", route]]);
        connection
            .transact(vec![json!({"op": "update", "table": ROUTE, "where": place, "row": row})]);
        // One by one, as an operator's changes come: a burst would share its cost.
        sleep(PAUSE);
    }
    daemon.applied(before.row_changes + changes as u64);
    let after = daemon.status().counters;
    let cpu_after = cpu();
    let each = |of: usize| {
        (cpu_after[of] - cpu_before[of]) / u32::try_from(changes).expect("not that many")
    };
    monitor.kill().and_then(|()| monitor.wait()).expect("ovsdb-client ends");
    daemon.stop();
    let applied = after.row_changes - before.row_changes;
    let decided = after.peerings_resolved - before.peerings_resolved;
    let compared = after.peerings_compared - before.peerings_compared;
    let written = after.transactions - before.transactions;
    let work = format!("{changes} northbound changes that concern no declared network");
    let shown =
        format!("{applied} applied, {decided} resolved, {compared} compared, {written} written");
    let nothing = applied == changes as u64 && decided + compared + written == 0;
    table.count(&format!("{work}: work"), shown, "only applied", nothing);
    let work = format!("{work}: processor time of each");
    table.at_most(&work, time(each(0)), ("ovsdb-client monitor", time(each(1))), MOST);
}

/// It prints the changes of routes. It has the first ones long before the daemon has settled.
fn monitor(socket: &Path) -> Child {
    program("ovsdb-client")
        .args(["monitor", &format!("unix:{}", socket.display()), DATABASE, ROUTE])
        .stdout(Stdio::null())
        .spawn()
        .expect("ovsdb-client can be started")
}

fn routes_of_the_stranger(connection: &mut Connection) -> Vec<Value> {
    let place = json!([["name", "==", STRANGER]]);
    let columns = json!(["static_routes"]);
    let select =
        json!({"op": "select", "table": "Logical_Router", "where": place, "columns": columns});
    let mut routes = connection.transact(vec![select])[0]["rows"][0]["static_routes"][1].take();
    routes.as_array_mut().map(std::mem::take).expect("the stranger has routes")
}
