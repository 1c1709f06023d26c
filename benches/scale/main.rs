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
mod daemon;
mod filters;
mod half;
mod hub;
mod nbctl;
mod plan;
mod proxy;
mod quiet;
mod server;
mod start;
mod statistics;
mod table;
mod wire;

use std::process::ExitCode;

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
    /// Only these measurements: bulk, start, client, quiet, hub, filters, half.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Exit code 1 if any target is missed; a count that is missed is one always.
    #[arg(long)]
    strict: bool,
    /// Cargo's mark of a run that is to measure.
    #[arg(long, hide = true)]
    bench: bool,
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
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|it| it == name);
    let dir = tempfile::Builder::new().prefix("ops-").tempdir().expect("a directory can be made");
    let plan = Plan::new(networks, peerings);
    let small = Plan::new((networks / 10).max(100), (peerings / 10).max(50));
    let mut table = Table::default();

    say(&format!("building {networks} networks"));
    let base = plan.build(&dir.path().join("base"));
    let full = bulk::measure(&plan, &base, dir.path(), wanted("bulk"), &mut table);
    if wanted("start") {
        start::measure(&plan, &full, &dir.path().join("start"), &mut table);
    }
    if wanted("client") {
        client::measure(&full, &dir.path().join("client"), &mut table);
    }
    if wanted("quiet") {
        quiet::measure(&plan, &full, &dir.path().join("quiet"), options.changes, &mut table);
    }
    if wanted("hub") {
        hub::measure(&plan, &full, &dir.path().join("hub"), &mut table);
    }
    if wanted("filters") {
        filters::measure(&plan, &base, &dir.path().join("filters"), &mut table);
    }
    if wanted("half") {
        say(&format!("building {} networks", small.networks));
        let small_dir = dir.path().join("small");
        let small_base = small.build(&small_dir.join("base"));
        let small_full = bulk::measure(&small, &small_base, &small_dir, false, &mut table);
        let few = half::measure(&small, &small_full, &small_dir.join("half"), repetitions);
        let many = half::measure(&plan, &full, &dir.path().join("half"), repetitions);
        half::report(&small, &few, &plan, &many, &mut table);
    }
    println!("{networks} networks, {peerings} peerings, {repetitions} repetitions\n");
    table
}

/// Progress; the table alone goes to standard output.
fn say(what: &str) {
    eprintln!("scale: {what}");
}
