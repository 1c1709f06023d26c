//! The benchmark of benches/scale, on a northbound of some dozen networks: it works, and what it counts is right. How fast
//! things are the benchmark alone judges, on its own.

#![allow(dead_code, reason = "the benchmark has a command line, which is not used here")]

use clap::Parser as _;

#[path = "../../benches/scale/main.rs"]
mod scale;

/// Whatever the size: a start with nothing to change writes nothing, the subnet of a hub is followed by one transaction,
/// as is an edit of one filter of prefixes or of traffic, which concerns no other peering; what concerns no declared network
/// is applied and nothing else; and several hosts that start, or lose the server, at once write nothing. What a scraper reads of all halves is small.
#[test]
fn the_benchmark_counts_what_it_should() {
    let small = ["--networks=60", "--peerings=25", "--hosts=3", "--repetitions=2", "--changes=500"];
    let options = scale::Options::parse_from([&["scale"][..], &small].concat());
    let table = scale::measure(&options);
    println!("{table}");
    let counts = table.counts();
    assert_eq!(counts.len(), 9, "{counts:?}");
    let missed: Vec<_> = counts.iter().filter(|(_, held)| !held).collect();
    assert!(missed.is_empty(), "{missed:?}\n{table}");
}
