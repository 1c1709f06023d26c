//! Speed and memory against a real ovsdb-server: `cargo bench --bench scale` prints one table.
//!
//! Owns the order of the measurements. Every ratio is between two figures of the same run, on the
//! same machine, against the same database. ovn-northd is off: what it costs is OVN's, and where a
//! link has to be `active`, this program moves `sb_cfg` in its place.
//!
//! Without cargo's `--bench` (as `cargo test --all-targets` runs it) the northbound is small: that
//! shows that the programme works, not how fast it is. tests/scale takes the same measurements on a
//! smaller one still, and judges what is counted.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark ends at the first thing that is not as it should be, and says what"
)]

mod bulk;
mod client;
mod compile;
mod daemon;
mod fleet;
mod half;
mod hub;
mod listeners;
mod meter;
mod narrowed;
mod nbctl;
mod plan;
mod proxy;
mod quiet;
mod reads;
mod scrape;
mod server;
mod start;
mod statistics;
mod store;
mod table;
mod why;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use plan::Plan;
use table::Table;

/// What `cargo bench --bench scale -- …` takes.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Networks in the northbound: a router, a switch and five ports each.
    #[arg(long)]
    pub(crate) networks: Option<usize>,
    /// Peerings; a fifth of them share one hub. Default: half the number of networks.
    #[arg(long)]
    pub(crate) peerings: Option<usize>,
    /// Repetitions of what is short.
    #[arg(long, default_value_t = 25)]
    pub(crate) repetitions: usize,
    /// Changes that concern no declared network.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) changes: usize,
    /// Hosts that share the northbound. Default: 50.
    #[arg(long)]
    pub(crate) hosts: Option<usize>,
    /// So long the measurements of several hosts go on, at the most; what is not done by then is told.
    #[arg(long, default_value_t = 18)]
    pub(crate) minutes: u64,
    /// Only these measurements: bulk, start, client, quiet, hub, why, compile, filters, store,
    /// listeners, scrape, reads, half, fleet.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Exit code 1 if any target is missed; a count that is missed is one always.
    #[arg(long)]
    strict: bool,
    /// Cargo's mark of a run that is to measure.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == name)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let table = measure(&options);
    println!("{table}");
    let counted = table.counts().iter().all(|(_, held)| *held);
    let held = counted && (!options.strict || table.is_held());
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes all the measurements that are wanted, one after the other.
pub(crate) fn measure(options: &Options) -> Table {
    let networks = options.networks.unwrap_or(if options.bench { 10_000 } else { 200 });
    let peerings = options.peerings.unwrap_or(networks / 2);
    let repetitions = options.repetitions;
    let dir = tempfile::Builder::new().prefix("ops-").tempdir().expect("a directory can be made");
    let plan = Plan::new(networks, peerings);
    let mut table = Table::default();

    say(&format!("building {networks} networks"));
    let base = plan.build(&dir.path().join("base"));
    if options.wants("fleet") {
        let hosts = options.hosts.unwrap_or(if options.bench { 50 } else { 4 });
        let time = Duration::from_secs(60 * options.minutes);
        let fleets =
            fleet::Fleets { plan: &plan, hosts, repetitions, until: Instant::now() + time };
        fleets.measure(&base, &dir.path().join("fleet"), &mut table);
    }
    if options.only.iter().any(|name| name != "fleet") || options.only.is_empty() {
        measure_one_host(options, &plan, &base, dir.path(), &mut table);
    }
    println!("{networks} networks, {peerings} peerings, {repetitions} repetitions\n");
    table
}

/// The measurements of a daemon that is alone.
fn measure_one_host(options: &Options, plan: &Plan, base: &Path, dir: &Path, table: &mut Table) {
    let wanted = |name: &str| options.wants(name);
    let repetitions = options.repetitions;
    let small = Plan::new((plan.networks / 10).max(100), (plan.peerings.len() / 10).max(50));
    let full = bulk::measure(plan, base, dir, wanted("bulk"), table);
    if wanted("start") {
        start::measure(plan, &full, &dir.join("start"), table);
    }
    if wanted("client") {
        client::measure(&full, &dir.join("client"), table);
    }
    if wanted("quiet") {
        quiet::measure(plan, &full, &dir.join("quiet"), options.changes, table);
    }
    if wanted("hub") {
        hub::measure(plan, &full, &dir.join("hub"), table);
    }
    if wanted("why") {
        why::measure(plan, &full, &dir.join("why"), repetitions, table);
    }
    if wanted("compile") {
        compile::measure(table);
    }
    if wanted("filters") {
        narrowed::measure(plan, base, &dir.join("filters"), table);
    }
    if wanted("store") {
        store::measure(plan, &full, &dir.join("store"), repetitions, table);
    }
    if wanted("listeners") {
        let idle = Duration::from_secs(if options.bench { 10 } else { 2 });
        listeners::measure(plan, &full, &dir.join("listeners"), (repetitions, idle), table);
    }
    if wanted("scrape") {
        scrape::measure(plan, base, &dir.join("scrape"), repetitions, table);
    }
    if wanted("reads") {
        reads::measure(plan, &full, &dir.join("reads"), repetitions, table);
    }
    if wanted("half") {
        say(&format!("building {} networks", small.networks));
        let small_dir = dir.join("small");
        let small_base = small.build(&small_dir.join("base"));
        let small_full = bulk::measure(&small, &small_base, &small_dir, false, table);
        let few = half::measure(&small, &small_full, &small_dir.join("half"), repetitions);
        let many = half::measure(plan, &full, &dir.join("half"), repetitions);
        half::report(&small, &few, plan, &many, table);
    }
}

/// Progress; the table alone goes to standard output.
fn say(what: &str) {
    eprintln!("scale: {what}");
}
