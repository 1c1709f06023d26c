//! A scraper that reads the series of as many halves as have series of their own: how long that takes, how much it is, and
//! how long others wait for the event loop meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Site};
use super::plan::Plan;
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::Connection;

/// With more halves, only those with troubles have series of their own.
const HALVES: usize = 5000;
const TO_REACH: Duration = Duration::from_millis(50);
const MOST_BYTES: usize = 2_000_000;

/// Measures all of it.
pub(crate) fn measure(plan: &Plan, base: &Path, dir: &Path, repetitions: usize, table: &mut Table) {
    say("a scraper");
    let plan = plan.first(HALVES / 2);
    let halves = 2 * plan.peerings.len();
    let server = Server::on_copy(dir, base);
    let site = Site::peered(&dir.join("site"), &plan);
    let daemon = site.start(&server.socket());
    daemon.settle(halves, &mut Connection::open(&server.socket()));
    let text = daemon.ask("GET", "/metrics", "");
    let named = text.lines().filter(|line| line.starts_with("ovn_peerd_half_active{")).count();
    assert_eq!(named, halves, "each half has its series");
    let scraped = times(repetitions, || drop(daemon.ask("GET", "/metrics", "")));
    // The longest of several says more of turns that hold the loop than one alone.
    let beside = |path: &str| {
        let longest = (0..repetitions).map(|_| longest_wait(&daemon, path));
        median(&longest.collect::<Vec<_>>())
    };
    let (idle, scraping) = (beside("/v1/attention"), beside("/metrics"));
    let listing = beside("/v1/halves");
    daemon.stop();

    let work = format!("a scrape of {halves} halves");
    let to_reach = format!("<= {} ms", TO_REACH.as_millis());
    table.limit(&work, time(scraped).0, &to_reach, scraped <= TO_REACH);
    let size = format!("{:.2} MB", text.len() as f64 / 1e6);
    let to_reach = format!("<= {} MB", MOST_BYTES / 1_000_000);
    table.count(&work, size, &to_reach, text.len() <= MOST_BYTES);
    let work = "the longest wait for another answer, while that is scraped";
    table.at_most(work, time(scraping), ("while all halves are listed", time(listing)), 1.0);
    table.stated(work, time(scraping), ("while little else is asked", time(idle)));
}

fn times(repetitions: usize, work: impl Fn()) -> Duration {
    let taken = (0..repetitions).map(|_| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    });
    median(&taken.collect::<Vec<_>>())
}

/// The longest that somebody waits who asks little again and again, while another asks for this.
fn longest_wait(daemon: &Daemon, path: &str) -> Duration {
    let done = AtomicBool::new(false);
    scope(|threads| {
        let other = threads.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Acquire) {
                longest = longest.max(times(1, || drop(daemon.ask("GET", "/v1/attention", ""))));
            }
            longest
        });
        drop(daemon.ask("GET", path, ""));
        done.store(true, Ordering::Release);
        other.join().expect("it answers")
    })
}
