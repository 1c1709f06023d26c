//! The work done on behalf of a half whose target has not agreed is the same whatever the target is: what is committed to
//! the northbound, what is recorded there, what is counted, what is logged.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::site::{BLUE, PATIENCE, Site, half, is_answer};
use crate::targets::{TARGETS, neutral, world};

#[test]
fn the_work_done_does_not_tell_targets_apart() {
    let site = world();
    let work = (0..).zip(TARGETS).map(|(number, (_, target))| {
        let asked = Asked { name: format!("asked{number:02}"), target };
        // Else what the targets before have cost would make the network one that flaps.
        site.restart();
        (target, done(&site, &asked))
    });
    let work: Vec<_> = work.collect();
    let (first, expected) = &work[0];
    for (target, done) in &work {
        assert_eq!(done.rows, expected.rows, "{target} differs from {first}");
        for ((what, done), (_, expected)) in done.steps().into_iter().zip(expected.steps()) {
            assert_eq!(done, expected, "{what}: {target} differs from {first}");
        }
    }
    assert_eq!(expected.declared.transactions.len(), 1, "{expected:#?}");
    assert_eq!(expected.withdrawn.transactions.len(), 1, "{expected:#?}");
    assert!(expected.rows.contains("asked") && expected.rows.contains("NETWRK"), "{expected:#?}");
    assert!(expected.declared.log.contains("has not declared its half"), "{expected:#?}");
    println!("{:#?}", expected.steps());
}

/// The half whose target differs. Each has its own name: lines about one half that follow one another
/// fast are counted instead of written.
struct Asked {
    name: String,
    target: &'static str,
}

impl Asked {
    fn neutral(&self, text: &str) -> String {
        neutral(text, self.target).replace(&self.name, "asked")
    }
}

/// What one step took.
#[derive(Debug, PartialEq)]
struct Step {
    /// By table, which columns were written of how many rows.
    transactions: Vec<BTreeMap<String, Vec<String>>>,
    counters: BTreeMap<String, i64>,
    /// At level debug.
    log: String,
}

/// What a half took from its declaration to its withdrawal.
#[derive(Debug)]
struct Work {
    declared: Step,
    /// All rows of the daemon's in the meantime.
    rows: String,
    /// A second reading of the same files.
    read_again: Step,
    withdrawn: Step,
}

impl Work {
    fn steps(&self) -> [(&'static str, &Step); 3] {
        let again = ("read again", &self.read_again);
        [("declared", &self.declared), again, ("withdrawn", &self.withdrawn)]
    }
}

fn done(site: &Site, asked: &Asked) -> Work {
    let others = half("to-lab", "web", "brown/lab");
    let name = format!("blue/web/{}", asked.name);
    let declared = step(site, asked, || {
        site.declare(BLUE, &(others.clone() + &half(&asked.name, "web", asked.target)));
        site.wait_state(&name, "pending-peer");
    });
    let rows = rows(site, asked);
    let read_again = step(site, asked, || {
        assert!(is_answer(&site.ctl(0, &["reload"])));
    });
    let withdrawn = step(site, asked, || {
        site.declare(BLUE, &others);
        site.wait_gone(&name);
    });
    Work { declared, rows, read_again, withdrawn }
}

fn step(site: &Site, asked: &Asked, action: impl FnOnce()) -> Step {
    site.settle();
    let (records, counters, log) =
        (site.lab.northbound_records().len(), counters(site), site.log().len());
    action();
    // Not by a write of ours, which would count: the northbound holds what is to be held.
    settle_quietly(site);
    let later = counters_of(site);
    let transactions = site.lab.northbound_records().split_off(records);
    let of_daemon = transactions.iter().filter(|record| record.changes_rows());
    let transactions = of_daemon.map(|record| {
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ((table, _), columns) in &record.rows {
            let columns: Vec<_> = columns.iter().cloned().collect();
            tables.entry(table.clone()).or_default().push(columns.join(" "));
        }
        tables.values_mut().for_each(|rows| rows.sort());
        tables
    });
    Step {
        transactions: transactions.collect(),
        counters: later
            .into_iter()
            .map(|(name, count)| (name.clone(), count - counters[&name]))
            .collect(),
        log: threads_apart(&asked.neutral(&site.log()[log..])),
    }
}

/// Waits until the daemon has nothing left to write and has read what it wrote.
fn settle_quietly(site: &Site) {
    crate::lab::command::poll("nothing is left to write", PATIENCE, || {
        let before = counters_of(site);
        let plan = site.ctl(0, &["plan"]);
        let same = before == counters_of(site);
        if plan.status.success() && same { Ok(()) } else { Err(format!("{plan:?}")) }
    });
}

fn counters(site: &Site) -> BTreeMap<String, i64> {
    settle_quietly(site);
    counters_of(site)
}

fn counters_of(site: &Site) -> BTreeMap<String, i64> {
    let Value::Object(counters) = site.json(0, &["status"])["counters"].clone() else { panic!() };
    // How often a unit is compared depends on which events come in one burst; `worlds` counts that without a clock.
    let counters = counters.into_iter().filter(|(name, _)| name != "peerings_compared");
    counters.map(|(name, count)| (name, count.as_i64().unwrap())).collect()
}

/// Every row of the daemon's, without identities and times.
fn rows(site: &Site, asked: &Asked) -> String {
    let dump = site.lab.dump();
    let own = dump.rows().filter(|(_, _, row)| {
        row.get("external_ids").is_some_and(|tags| tags.to_string().contains("\"ovn-peerd\""))
    });
    let mut rows: Vec<String> = own
        .filter(|(_, _, row)| row["external_ids"].to_string().contains("blue/web"))
        .map(|(table, _, row)| {
            let mut row = row.clone();
            // References to other rows by their UUIDs are the same all along.
            row.remove("_version");
            asked.neutral(&format!("{table} {}", serde_json::to_string_pretty(&row).unwrap()))
        })
        .collect();
    rows.sort();
    rows.join("\n")
}

/// The lines of the thread that reads the files after those of the event loop: which of two threads
/// writes first is chance.
fn threads_apart(log: &str) -> String {
    let (read, others): (Vec<&str>, Vec<&str>) =
        log.lines().partition(|line| line.contains("DEBUG read declarations"));
    [others, read].concat().join("\n")
}
