//! The traffic filters of one link, from two lists of as many entries as a half may have.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use ovn_peerd::traffic::{Crossing, Entry, Policies, compile, product};

use super::say;
use super::statistics::median;
use super::table::{Table, time};

/// Most entries of a list, and most policies of a router.
const ENTRIES: usize = 256;
const ROUNDS: usize = 9;
const LIMIT: Duration = Duration::from_millis(50);

/// Measures the policies of one router, in which every entry of one list meets one of the other.
pub(crate) fn measure(table: &mut Table) {
    say("compiling traffic filters");
    let (from, to) = (prefixes("10.1.0.0/24"), prefixes("10.2.0.0/24"));
    let (out, inward) = (list("remote", |_| "allow"), list("local", action));
    let own: [IpAddr; 1] = ["10.2.0.1".parse().expect("an address")];
    let once = || -> Policies {
        let opened = product((&out, &from), (&inward, &to)).expect("as many rules as there may be");
        assert_eq!(opened.rules.len(), ENTRIES - 1, "the last entry, a deny, decides nothing");
        let crossing = Crossing {
            inward: &opened.rules,
            outward: &[],
            remote: &from,
            local: &to,
            own: &own,
            stateful: false,
        };
        compile(&crossing).expect("as many policies as there may be")
    };
    let times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            black_box(once());
            begin.elapsed()
        })
        .collect();
    let taken = median(&times);
    let work = format!("traffic filters of {ENTRIES} x {ENTRIES} entries compiled");
    table.limit(&work, time(taken).0, "<= 50 ms", taken <= LIMIT);
}

fn action(number: usize) -> &'static str {
    if number % 2 == 1 { "deny" } else { "allow" }
}

/// Entries of different ports and addresses.
fn list(side: &str, action: fn(usize) -> &'static str) -> Vec<Entry> {
    let entry = |n: usize| format!("{} tcp {} {side} 10.2.0.{n}/32", action(n), n + 1);
    (0..ENTRIES).map(|n| entry(n).parse().expect("an entry")).collect()
}

fn prefixes(text: &str) -> Vec<IpNet> {
    vec![text.parse().expect("a prefix")]
}
