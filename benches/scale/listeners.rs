//! Who listens to events: idle ones wake nobody, and a change is answered as fast as without them,
//! whether they read or not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{sleep, spawn};
use std::time::Duration;

use super::daemon::{Daemon, Site};
use super::plan::Plan;
use super::say;
use super::server::Server;
use super::statistics::{median, sleeps_of};
use super::store::{settled, stored};
use super::table::{Table, time};

/// How many listen, as a rule, and in the worst case: the daemon takes 1,024 of one account.
const SOME: usize = 100;
const MANY: usize = 1000;
/// A change among those that read: their events are written by the same loop.
const AMONG_READERS: f64 = 3.0;
/// A change among those that do not, as long as their sockets take its events. Full ones cost
/// nothing: tests/service/events.rs has a thousand of them.
const AMONG_SLOW: f64 = 3.0;

/// Measures all of it, and how often the daemon wakes in so much time.
pub(crate) fn measure(
    plan: &Plan,
    full: &Path,
    dir: &Path,
    (repetitions, idle): (usize, Duration),
    table: &mut Table,
) {
    say("listeners to events");
    let server = Server::on_copy(dir, full);
    let site = Site::peered(&dir.join("site"), plan);
    let daemon = settled(plan, &site, &server, &server.socket());
    let mut number = 0;
    let mut change = || {
        let times: Vec<Duration> = (0..repetitions)
            .map(|_| {
                number += 1;
                stored(&daemon, plan, number)
            })
            .collect();
        median(&times)
    };
    change();
    let alone = change();
    let nobody = woken(&daemon, idle);
    let readers: Vec<UnixStream> = (0..SOME).map(|_| reader(&daemon)).collect();
    let among_readers = change();
    let listened = woken(&daemon, idle);
    for reader in readers {
        reader.shutdown(std::net::Shutdown::Both).expect("it is connected");
    }
    let slow: Vec<UnixStream> = (0..MANY).map(|_| listener(&daemon)).collect();
    let among_slow = change();
    drop(slow);
    daemon.stop();

    let work = format!("one half stored, {SOME} listeners that read");
    table.at_most(&work, time(among_readers), ("without them", time(alone)), AMONG_READERS);
    let work =
        format!("one half stored, {MANY} listeners that do not read, with room in their sockets");
    table.at_most(&work, time(among_slow), ("without them", time(alone)), AMONG_SLOW);
    let work = format!("{SOME} idle listeners: how often the daemon wakes in a second");
    let each = |woken: u64| woken as f64 / idle.as_secs_f64();
    let shown = format!("{:.1}; {:.1} without them", each(listened), each(nobody));
    table.limit(&work, shown, "<= 1 more", each(listened) <= each(nobody) + 1.0);
}

/// How often its threads wake while nothing happens.
fn woken(daemon: &Daemon, time: Duration) -> u64 {
    // What went before is over.
    sleep(time / 4);
    let before = sleeps_of(daemon.pid());
    sleep(time);
    let after = sleeps_of(daemon.pid());
    after.iter().map(|(thread, sleeps)| sleeps - before.get(thread).unwrap_or(&0)).sum()
}

fn listener(daemon: &Daemon) -> UnixStream {
    let mut stream = UnixStream::connect(daemon.socket()).expect("it listens");
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: bench\r\n\r\n").expect("it reads");
    stream
}

/// One that reads all that it gets, until it is shut down.
fn reader(daemon: &Daemon) -> UnixStream {
    let stream = listener(daemon);
    let mut reads = stream.try_clone().expect("files are left");
    spawn(move || {
        let mut part = [0; 4096];
        while reads.read(&mut part).is_ok_and(|length| length > 0) {}
    });
    stream
}
