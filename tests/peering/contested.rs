//! Rows of ours that somebody undoes again and again, and halves that change again and again: written a bounded number
//! of times, named, and over by itself (B2).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::northbound::{Dump, Record};
use crate::owned::{Owned, contents, foreign, link_rows};
use crate::tenants::{Tenants, flaws, half, status};

/// How long it goes on: the first second, and a minute after that.
const CONTEST: Duration = Duration::from_secs(61);
/// Transactions in the first second.
const AT_ONCE: usize = 10;
/// Transactions a minute, after the first second.
const A_MINUTE: usize = 6;
/// How long a unit is calm until it is no longer damped, its longest pause before, and a slow machine.
const OVER: Duration = Duration::from_secs(180);

fn milliseconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("some time")
}

/// Does something again and again while something else goes on.
fn during<T>(again: impl Fn(usize) + Sync, body: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut turn = 0;
            while !over.load(Ordering::Relaxed) {
                again(turn);
                turn += 1;
            }
        });
        let result = body();
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// What the daemons have written since a moment: whatever is no tool's, and not northd's.
fn written(lab: &Lab, since: i64) -> Vec<Record> {
    let ours =
        |record: &Record| record.at >= since && record.comment.is_empty() && record.changes_rows();
    lab.northbound_records().into_iter().filter(ours).collect()
}

/// What a record writes to: the rows of the one link, or nothing but registrations, which may be other rows each time.
fn unit_of(record: &Record) -> &'static str {
    let is_of_link = record.rows.keys().any(|(table, _)| table.starts_with("Logical_"));
    if is_of_link { "the link" } else { "registrations" }
}

/// Asserts that no unit was written more often than is allowed, from its first write on.
fn assert_bounded(records: &[Record]) {
    let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for record in records {
        times.entry(unit_of(record)).or_default().push(record.at);
    }
    assert!(!times.is_empty(), "something is written");
    for (unit, times) in times {
        let first = times[0];
        let within =
            |from: i64, to: i64| times.iter().filter(|at| (from..to).contains(*at)).count();
        let at_once = within(first, first + 1000);
        // On a busy machine those that need not wait take longer than that.
        let calm = times.get(AT_ONCE - 1).map_or(first, |last| last + 1).max(first + 1000);
        let after = within(calm, calm + 60_000);
        println!("{unit}: {at_once} transactions in the first second, {after} in the minute after");
        assert!(within(first, calm) <= AT_ONCE, "{unit}: {times:?}");
        assert!(after <= A_MINUTE, "{unit}: {after} in the minute after");
    }
}

/// Waits until both halves are named by this word, in the list and in the status.
fn wait_named(daemon: &Daemon, word: &str) {
    daemon.wait_until(word, |halves| {
        let named = |half: &Value| flaws(half).iter().any(|flaw| flaw.starts_with(word));
        if halves.iter().any(named) { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    let damped = status(daemon)["damped"].to_string();
    assert!(damped.contains(word), "{damped}");
}

/// How many lines of the log hold this.
fn lines(daemon: &Daemon, text: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(text)).count()
}

/// What OVN makes something of: all but the registrations, which say since when something is so.
fn programmed(lab: &Lab) -> Vec<String> {
    contents(&lab.dump()).into_iter().filter(|row| !row.starts_with("Address_Set")).collect()
}

/// It is over by itself, said once, and all is as it was.
fn assert_over(lab: &Lab, daemon: &Daemon, wanted: &[String]) {
    poll("the contest is over", OVER, || {
        let halves = daemon.list();
        let damped = status(daemon)["damped"].to_string();
        let calm = halves.iter().all(|half| flaws(half).is_empty()) && damped == "[]";
        if calm { Ok(()) } else { Err(format!("{damped} {halves:?}")) }
    });
    assert_eq!(programmed(lab), wanted);
}

/// A peering on real OVN, its guests, and what of it and of others stands in the northbound.
struct Peered {
    lab: Lab,
    tenants: Tenants,
    guests: [Host; 2],
    wanted: Vec<String>,
    theirs: Dump,
}

impl Peered {
    fn start() -> Self {
        let lab = Lab::single_chassis();
        let (tenants, guests) = Tenants::peered(&lab);
        let (wanted, theirs) = (programmed(&lab), foreign(&lab));
        Self { lab, tenants, guests, wanted, theirs }
    }
}

/// Somebody deletes a policy of ours as fast as they can.
#[test]
fn rows_deleted_again_and_again_are_put_back_a_bounded_number_of_times() {
    let Peered { lab, tenants, guests, wanted, theirs } = Peered::start();
    let rows = link_rows(&lab.dump());
    // One that drops: without it the peering's own packets pass all the same.
    let is_drop =
        |row: &&Owned| row.table == "Logical_Router_Policy" && row.text("action") == "drop";
    let policy = rows.iter().find(is_drop).expect("a policy");
    let (priority, what) = (policy.row["priority"].to_string(), policy.text("match"));
    let router = lab.nbctl(&["--bare", "--columns=name", "list", "Logical_Router", &policy.router]);
    let delete = |_| {
        lab.nbctl(&["--if-exists", "lr-policy-del", router.trim(), &priority, what]);
    };
    let stream = guests[0].stream(guests[1].v4(), 100);
    let since = milliseconds();
    during(delete, || {
        wait_named(&tenants.daemon, "contested");
        std::thread::sleep(CONTEST.saturating_sub(Duration::from_millis(
            u64::try_from(milliseconds() - since).expect("time goes on"),
        )));
    });
    let records = written(&lab, since);
    assert_bounded(&records);
    let damage = lab.northbound_records().into_iter().find(|record| {
        record.at >= since && record.comment.contains("lr-policy-del") && !record.rows.is_empty()
    });
    let repair = records[0].at - damage.expect("it was deleted").at;
    println!("the first repair: {repair} ms");
    assert!(repair < 500, "{repair} ms");
    assert_over(&lab, &tenants.daemon, &wanted);
    assert_eq!(lines(&tenants.daemon, "is contested"), 1);
    assert_eq!(lines(&tenants.daemon, "is no longer contested"), 1);
    assert!(lines(&tenants.daemon, "altered by another client") < AT_ONCE);
    let report = stream.finish();
    assert_eq!(report.lost(), 0, "{report:?}");
    foreign(&lab).assert_same_as(&theirs);
}

/// Somebody alters a column of ours as fast as they can.
#[test]
fn rows_altered_again_and_again_are_put_back_a_bounded_number_of_times() {
    let Peered { lab, tenants, guests, theirs, .. } = Peered::start();
    let rows = link_rows(&lab.dump());
    let route =
        rows.iter().find(|row| row.table == "Logical_Router_Static_Route").expect("a route");
    let alter = |_| {
        let set = ["set", "Logical_Router_Static_Route", &route.uuid];
        lab.nbctl(&[&set[..], &["options:ecmp_symmetric_reply=true"]].concat());
    };
    let stream = guests[0].stream(guests[1].v4(), 100);
    let since = milliseconds();
    during(alter, || std::thread::sleep(CONTEST));
    assert_bounded(&written(&lab, since));
    wait_named(&tenants.daemon, "contested");
    let report = stream.finish();
    assert_eq!(report.lost(), 0, "{report:?}");
    foreign(&lab).assert_same_as(&theirs);
}

/// A half that is declared and withdrawn as fast as its file can be written: few writes, and it rests closed.
#[test]
fn a_half_that_changes_a_thousand_times_a_second_is_written_a_bounded_number_of_times() {
    let Peered { lab, tenants, guests, wanted, theirs } = Peered::start();
    guests[0].assert_reaches(&guests[1]);
    let flap = |turn: usize| {
        if turn.is_multiple_of(2) {
            tenants.daemon.withdraw("blue");
        } else {
            tenants.blue_declares();
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    let since = milliseconds();
    during(flap, || {
        std::thread::sleep(CONTEST);
        let damped = status(&tenants.daemon)["damped"].to_string();
        assert!(damped.contains("flapping"), "{damped}");
    });
    assert_bounded(&written(&lab, since));
    let log = tenants.daemon.log().lines().count();
    println!("{log} lines in the log");
    assert!(log < 400, "{log} lines");
    // What is withdrawn at last is closed at once, whatever came before.
    tenants.daemon.declare("blue", "");
    let begin = Instant::now();
    poll("closed at once", Duration::from_secs(2), || match link_rows(&lab.dump()).len() {
        0 => Ok(()),
        n => Err(format!("{n} rows")),
    });
    println!("closed after {:?}", begin.elapsed());
    tenants.blue_declares();
    assert_over(&lab, &tenants.daemon, &wanted);
    tenants.wait_active();
    guests[0].assert_reaches(&guests[1]);
    foreign(&lab).assert_same_as(&theirs);
}

/// A hundred halves of one tenant change every 50 ms; a change of another tenant is written as soon as ever.
#[test]
fn halves_that_change_again_and_again_hold_nobody_else_up() {
    let lab = Lab::databases_only();
    let daemon = Daemon::start(&lab);
    lab.add_network("c", &["10.3.0.0/24"]);
    daemon.bind_network("red", "x", "c");
    let victims: usize = 4;
    for n in 0..victims {
        for (project, subnet) in [("blue", 10 + n), ("green", 20 + n)] {
            let router = format!("{project}{n}");
            lab.add_network(&router, &[&format!("10.{subnet}.0.0/24")]);
            daemon.bind_network(project, &format!("n{n}"), &router);
        }
    }
    let many = |name: &str| -> String {
        (0..100).map(|n| half(&format!("{name}{n}"), "x", &format!("nobody{n}/n"))).collect()
    };
    let texts = [many("a"), many("b"), String::new()];
    let flap = |turn: usize| {
        daemon.declare("red", &texts[turn % 3]);
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut slowest = 0;
    let since = milliseconds();
    during(flap, || {
        for n in 0..victims {
            std::thread::sleep(Duration::from_secs(3));
            let declares = |project: &str, other: &str| {
                let text = half("to", &format!("n{n}"), &format!("{other}/n{n}"));
                daemon.write(
                    &format!("peerings.d/{project}{n}.toml"),
                    &format!("project = \"{project}\"\n{text}"),
                );
            };
            declares("green", "blue");
            daemon.wait_state("green", &format!("n{n}"), "to", "pending-peer");
            let before = milliseconds();
            declares("blue", "green");
            daemon.wait_state("blue", &format!("n{n}"), "to", "active");
            let linked = written(&lab, before)
                .into_iter()
                .find(|record| record.rows.keys().any(|(table, _)| table == "Logical_Router_Port"));
            let took = linked.expect("a link is written").at - before;
            println!("a victim's peering is written after {took} ms");
            slowest = slowest.max(took);
        }
    });
    let count = written(&lab, since).len();
    println!("{count} transactions in {} ms", milliseconds() - since);
    assert!(slowest <= 500, "{slowest} ms");
    // Those of the one network that flaps, and what each of the victims asks for: two requests and a link.
    let most = AT_ONCE + A_MINUTE + victims * 4;
    assert!(count <= most, "{count} transactions");
}

/// Somebody copies a router's row with all that it refers to: rows of ours have two parents. The copy loses them, once; the peering
/// loses no packet by routes and policies. (A port on two routers is another matter: of those OVN chooses one, and ovn-controller
/// goes on with it until the other router goes.)
#[test]
fn what_a_copied_router_refers_to_of_ours_is_taken_out_once() {
    let lab = Lab::single_chassis();
    let (tenants, guests) = Tenants::peered(&lab);
    let rows =
        || -> Vec<String> { link_rows(&lab.dump()).into_iter().map(|row| row.uuid).collect() };
    let (wanted, uuids) = (contents(&lab.dump()), rows());
    let column = |router: &str, column: &str| {
        let found = lab.nbctl(&[
            "--bare",
            &format!("--columns={column}"),
            "find",
            "Logical_Router",
            &format!("name={router}"),
        ]);
        found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let columns = ["ports", "static_routes", "policies"];
    let name = tenants.a.router();
    // OVN would not know which router has a port of the owner's; that is not what this is about.
    let ours = |column_name: &str| {
        let mut all = column(name, column_name);
        all.retain(|uuid| uuids.contains(uuid));
        all
    };
    let (own, all) = (columns.map(ours), columns.map(|it| column(name, it).len()));
    let stream = guests[0].stream(guests[1].v4(), 100);
    let mut stream = Some(stream);
    let mut reported = 0;
    for copied in [&columns[1..], &columns[..]] {
        let since = milliseconds();
        let set = columns.iter().zip(&own).filter(|(name, _)| copied.contains(name));
        let set = set.map(|(name, rows)| format!("{name}={}", rows.join(",")));
        let set: Vec<String> = set.collect();
        let create = ["create", "Logical_Router", "name=copy"];
        lab.nbctl(&create.into_iter().chain(set.iter().map(String::as_str)).collect::<Vec<_>>());
        poll("the copy has none of ours", Duration::from_secs(5), || {
            let left = columns.iter().flat_map(|it| column("copy", it));
            let left: Vec<String> = left.filter(|uuid| uuids.contains(uuid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
        // Time in which an engine that does not see what it does would write a thousand times.
        std::thread::sleep(Duration::from_secs(3));
        let count = written(&lab, since).len();
        println!("a copy of {copied:?}: {count} transactions");
        assert!(count <= 3, "{count} transactions");
        assert_eq!(columns.map(|it| column(name, it).len()), all);
        assert_eq!(rows(), uuids, "the rows are the same as before");
        reported += 1;
        let log = tenants.daemon.log();
        let found = log.matches("rows of ours were altered by another client, and are restored");
        assert_eq!(found.count(), reported, "{log}");
        let since = milliseconds();
        lab.nbctl(&["lr-del", "copy"]);
        std::thread::sleep(Duration::from_secs(2));
        assert!(written(&lab, since).is_empty(), "the end of the copy asks for nothing");
        if let Some(report) = stream.take().map(|stream| stream.finish()) {
            assert_eq!(report.lost(), 0, "{report:?}");
        }
    }
    assert_eq!(contents(&lab.dump()), wanted);
    guests[0].assert_reaches(&guests[1]);
}
