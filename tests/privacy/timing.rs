//! The time that an answer and a declaration take, by the kind of target. Printed; only gross differences fail, since the
//! machine is noisy: that the same work is done is asserted elsewhere.

use std::time::{Duration, Instant};

use crate::site::{BLUE, Site, half};
use crate::targets::{TARGETS, asking, world};

const ROUNDS: usize = 7;

#[test]
fn no_kind_of_target_takes_longer() {
    let site = world();
    let mut taken: Vec<[Vec<Duration>; 3]> = TARGETS.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        for ((_, target), taken) in TARGETS.iter().zip(&mut taken) {
            for (kind, time) in taken.iter_mut().zip(times(&site, target)) {
                kind.push(time);
            }
        }
    }
    let medians: Vec<[Duration; 3]> = taken.into_iter().map(|kinds| kinds.map(median)).collect();
    println!("median of {ROUNDS}: declared until shown, list, show of the target's half");
    for ((what, target), [declared, list, show]) in TARGETS.iter().zip(&medians) {
        println!("{declared:>10.1?} {list:>10.1?} {show:>10.1?}  {target}, {what}");
    }
    for kind in 0..3 {
        let times = medians.iter().map(|medians| medians[kind]);
        let (least, most) = (times.clone().min().unwrap(), times.max().unwrap());
        assert!(most < least * 10 + Duration::from_millis(200), "{least:?} and {most:?}");
    }
}

/// From the file in place to its half shown; of a list; of another's half, which is refused.
fn times(site: &Site, target: &str) -> [Duration; 3] {
    let begun = Instant::now();
    site.declare(BLUE, &asking(target));
    site.wait_state("blue/web/asked", "pending-peer");
    let declared = begun.elapsed();
    let timed = |path: &str| {
        let begun = Instant::now();
        site.curl(BLUE.uid, &[], path);
        begun.elapsed()
    };
    let list = timed("/v1/halves");
    let show = timed(&format!("/v1/halves/{target}/up"));
    site.declare(BLUE, &half("to-lab", "web", "brown/lab"));
    site.wait_gone("blue/web/asked");
    [declared, list, show]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
