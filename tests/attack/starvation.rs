//! One tenant declares as much as it can: nobody else waits until all of that is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ground::{ATTACKER, Ground, VICTIM};
use crate::lab::command::poll;
use crate::lab::northbound::Record;
use crate::site::{PATIENCE, half};

/// Networks of the attacker; an unoptimised daemon needs a while for what they declare.
const NETWORKS: usize = if cfg!(debug_assertions) { 10 } else { 50 };
/// As many halves of each as one file may have.
const HALVES: usize = 1000;
/// Transactions that may be under way when somebody cuts.
const UNDER_WAY: usize = 2;

impl Ground {
    /// A file with as many halves as may be for each of many networks, all at once; comes back when
    /// they are decided.
    fn flood(&self) {
        let site = &self.site;
        let mut bindings = String::new();
        for network in 0..NETWORKS {
            let _ = write!(
                bindings,
                "[[network]]\nproject = \"blue\"\nname = \"n{network}\"\nrouter = \"r{network}\"\n"
            );
            let mut text = "project = \"blue\"\n".to_owned();
            for number in 0..HALVES {
                let target = format!("red/t{number}");
                text += &half(&format!("h{number}"), &format!("n{network}"), &target);
            }
            site.write_as(ATTACKER, &format!("n{network}.toml"), &text);
        }
        site.operator_writes("networks.d/many.toml", &bindings);
        for network in 0..NETWORKS {
            let name = format!("n{network}.toml");
            let link = site.root().join("etc/peerings.d").join(&name);
            symlink(site.own(ATTACKER).join(&name), link).unwrap();
        }
        let last = [format!("n{}", NETWORKS - 1), format!("h{}", HALVES - 1)];
        poll("the daemon has decided all", 3 * PATIENCE, || {
            let shown = site.ctl(0, &["show", "blue", &last[0], &last[1]]);
            if shown.status.success() { Ok(()) } else { Err(format!("{shown:?}")) }
        });
    }

    /// What was written to the northbound since so many records.
    fn written_since(&self, before: usize) -> Vec<Record> {
        let mut records = self.site.lab.northbound_records();
        records.drain(..before);
        records.retain(Record::changes_rows);
        records
    }
}

fn cuts_a_link(record: &Record) -> bool {
    let ports = record.rows.iter().filter(|((table, _), _)| table == "Logical_Router_Port");
    ports.map(|(_, columns)| columns).any(BTreeSet::is_empty)
}

#[test]
fn a_cut_does_not_wait_for_the_halves_of_somebody_else() {
    let ground = Ground::with("max_halves_per_project = 100000\n");
    ground.flood();
    let (site, server) = (&ground.site, &ground.site.lab.databases().nb);
    server.pause();
    let began = Instant::now();
    site.declare(
        VICTIM,
        &(half("to-lab", "db", "brown/lab") + "configured_status = \"disabled\"\n"),
    );
    poll("the cut is decided", PATIENCE, || {
        let shown = site.json(0, &["show", "green", "db", "to-lab"]);
        let decided = shown["degraded"].to_string().contains("disabled");
        if decided { Ok(()) } else { Err(shown.to_string()) }
    });
    let (decided, before) = (began.elapsed(), site.lab.northbound_records().len());
    let resumed = Timestamp::now().as_millisecond();
    server.resume();
    let (place, at) = poll("the link is cut", PATIENCE, || {
        let written = ground.written_since(before);
        let place = written.iter().position(cuts_a_link).ok_or_else(|| "it stands".to_owned())?;
        Ok((place, written[place].at))
    });
    let took = Duration::from_millis(u64::try_from(at - resumed).unwrap_or_default());
    println!("decided after {decided:?}, cut after {took:?} and {place} other transactions");
    assert!(place <= UNDER_WAY, "{place} transactions came before the cut");
    poll("the others are written, too", PATIENCE, || {
        let behind = ground.written_since(before).len() - place;
        if behind > 1 { Ok(()) } else { Err(format!("{behind} transactions")) }
    });
}
