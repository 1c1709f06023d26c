//! A hub of which every half has filters of prefixes or of traffic, and a mesh: against the same without filters.

use std::path::Path;
use std::time::{Duration, Instant};

use super::bulk::declare_all;
use super::daemon::{Daemon, Site};
use super::plan::{Keys, Plan};
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::{Connection, Observer};

const ROUNDS: usize = 3;
/// A pair is decided again when its own rows come back, and when its record does: not more often.
const MOST_RESOLVED_FOR_AN_EDIT: u64 = 4;

/// Measures hubs with prefix and with traffic filters, one edit of each, and a mesh.
pub(crate) fn measure(plan: &Plan, base: &Path, dir: &Path, table: &mut Table) {
    say("a hub whose halves have filters");
    let plain = plan.hub(Keys::None);
    let hubs = [
        // Twice the text to read, and matches that are written out.
        (plan.hub(Keys::Prefixes), "prefix filters", 1.5),
        // Twice the policies, and six times as many.
        (plan.hub(Keys::Traffic(2)), "traffic filters of 2 entries", 1.5),
        (plan.hub(Keys::Traffic(10)), "traffic filters of 10 entries", 3.5),
    ];
    let (mut ours, mut theirs) = ([Vec::new(), Vec::new(), Vec::new()], Vec::new());
    for round in 0..ROUNDS {
        theirs.push(Scene::new(&plain, base, &dir.join(format!("plain{round}"))).taken);
        for ((hub, kind, _), ours) in hubs.iter().zip(&mut ours) {
            let scene = Scene::new(hub, base, &dir.join(format!("{kind}{round}")));
            ours.push(scene.taken);
            if round + 1 == ROUNDS {
                edit(scene, hub, kind, table);
            }
        }
    }
    for ((_, kind, most), ours) in hubs.iter().zip(&ours) {
        let work = format!("hub of {} spokes with {kind} from nothing", plan.spokes);
        let reference = ("the same without filters", time(median(&theirs)));
        table.at_most(&work, time(median(ours)), reference, *most);
    }

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
    server: Server,
    connection: Connection,
    site: Site,
    daemon: Daemon,
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
        let (taken, _) = declare_all(plan, &site, &daemon, &server);
        daemon.settle(2 * plan.peerings.len(), &mut connection);
        Self { server, connection, site, daemon, taken }
    }
}

/// The last spoke gives its IPv6 prefix up, or opens another port: nobody else is looked at.
fn edit(mut scene: Scene, plan: &Plan, kind: &str, table: &mut Table) {
    let spoke = plan.spokes;
    let file = plan.cut_spoke_file(spoke);
    let path = format!("peerings.d/{}", file.0);
    let active = 2 * plan.peerings.len();
    let (mut times, before) = (Vec::new(), scene.daemon.status().counters);
    // Policies change on both routers at once.
    let mut observer = Observer::policies(&scene.server.socket());
    for as_before in [false, true, false] {
        scene.site.lay(&path, &plan.spoke_file(&file, as_before));
        let begin = Instant::now();
        scene.site.commit(&path);
        observer.rows(2);
        times.push(begin.elapsed());
        scene.daemon.settle(active, &mut scene.connection);
    }
    let after = scene.daemon.status().counters;
    let edits = times.len() as u64;
    let written = after.transactions - before.transactions;
    let resolved = after.peerings_resolved - before.peerings_resolved;
    let work = format!("{kind} of one spoke edited beside {} others", plan.spokes - 1);
    let shown = format!(
        "{written} transactions, {resolved} pairs resolved for {edits} edits; {} from rename to committed",
        time(median(&times)).0
    );
    let held = written == edits && resolved <= MOST_RESOLVED_FOR_AN_EDIT * edits;
    table.count(&work, shown, "1 transaction and its own pair each; time stated", held);
    scene.daemon.stop();
}
