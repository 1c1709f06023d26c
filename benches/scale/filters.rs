//! A hub of which every half has filters, and a mesh: against the same without filters.

use std::path::Path;
use std::time::{Duration, Instant};

use super::bulk::declare_all;
use super::daemon::{Daemon, Site};
use super::plan::Plan;
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::{Connection, Observer};

const ROUNDS: usize = 3;
/// A pair is decided again when its own rows come back, and when its record does: not more often.
const MOST_RESOLVED_FOR_AN_EDIT: u64 = 4;

/// Measures a hub with filters, one edit of a filter beside it, and a mesh.
pub(crate) fn measure(plan: &Plan, base: &Path, dir: &Path, table: &mut Table) {
    say("a hub whose halves have filters");
    let (filtered, plain) = (plan.hub(true), plan.hub(false));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        theirs.push(Scene::new(&plain, base, &dir.join(format!("plain{round}"))).taken);
        let scene = Scene::new(&filtered, base, &dir.join(format!("filtered{round}")));
        ours.push(scene.taken);
        if round + 1 == ROUNDS {
            edit(scene, &filtered, table);
        }
    }
    let work = format!("hub of {} spokes with filters from nothing", plan.spokes);
    let reference = ("the same without filters", time(median(&theirs)));
    // Twice the text to read, and matches that are written out.
    table.at_most(&work, time(median(&ours)), reference, 1.5);

    let mesh = plan.mesh();
    say(&format!("a mesh of {} peerings", mesh.peerings.len()));
    let scene = Scene::new(&mesh, base, &dir.join("mesh"));
    let counters = scene.daemon.status().counters;
    let work = format!("mesh with {} peerings from nothing", mesh.peerings.len());
    let shown = format!("{} transaction(s), {}", counters.transactions, time(scene.taken).0);
    table.limit(&work, shown, "stated", true);
    scene.daemon.stop();
}

/// A daemon with all its peerings active.
struct Scene {
    _server: Server,
    connection: Connection,
    site: Site,
    daemon: Daemon,
    observer: Observer,
    /// From the first rename to the commit of the last port.
    taken: Duration,
}

impl Scene {
    fn new(plan: &Plan, base: &Path, dir: &Path) -> Self {
        let server = Server::on_copy(dir, base);
        let mut connection = Connection::open(&server.socket());
        let site = Site::new(&dir.join("site"), plan);
        let daemon = site.start(&server.socket());
        daemon.synced();
        let (taken, observer) = declare_all(plan, &site, &daemon, &server);
        daemon.settle(2 * plan.peerings.len(), &mut connection);
        Self { _server: server, connection, site, daemon, observer, taken }
    }
}

/// The last spoke gives its IPv6 prefix up: nobody else is looked at.
fn edit(mut scene: Scene, plan: &Plan, table: &mut Table) {
    let spoke = plan.spokes;
    let file = plan.filtered_spoke_file(spoke);
    let path = format!("peerings.d/{}", file.0);
    let active = 2 * plan.peerings.len();
    let (mut times, before) = (Vec::new(), scene.daemon.status().counters);
    for both_families in [false, true, false] {
        scene.site.lay(&path, &plan.spoke_file(&file, both_families));
        let begin = Instant::now();
        scene.site.commit(&path);
        scene.observer.ports(2);
        times.push(begin.elapsed());
        scene.daemon.settle(active, &mut scene.connection);
    }
    let after = scene.daemon.status().counters;
    let edits = times.len() as u64;
    let written = after.transactions - before.transactions;
    let resolved = after.peerings_resolved - before.peerings_resolved;
    let work = format!("filter of one spoke edited beside {} others", plan.spokes - 1);
    let shown = format!(
        "{written} transactions, {resolved} pairs resolved for {edits} edits; {} from rename to committed",
        time(median(&times)).0
    );
    let held = written == edits && resolved <= MOST_RESOLVED_FOR_AN_EDIT * edits;
    table.count(&work, shown, "1 transaction and its own pair each; time stated", held);
    scene.daemon.stop();
}
