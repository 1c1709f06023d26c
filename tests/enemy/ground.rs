//! What every test here stands on: networks that somebody else made, a daemon that peers some of them, and the judgement
//! whether all has come out right.
//!
//! Judged from outside: the rows as `ovsdb-client` reads them, `ovn-peerctl plan` for the full recompute, and the halves as
//! listed. There is no ovn-northd, so a peering that stands waits for it (`awaiting-northd`) or is active.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::northbound::{Dump, Row};
use crate::server::nbctl;

/// How many networks [`seed`] makes.
pub(crate) const NETWORKS: usize = 6;
/// How long the daemon may take to where it has to be, elections included, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A peering between two networks, the lower number first.
pub(crate) type Pair = (usize, usize);

/// The operator of OVN makes routers `r0` to `r5`, each with two prefixes, a route and a policy of its own.
#[track_caller]
pub(crate) fn seed(remotes: &str) {
    nbctl(remotes, &["init"]);
    let mut words = vec!["--may-exist".to_owned(), "ls-add".to_owned(), "foreign".to_owned()];
    for index in 0..NETWORKS {
        let line = format!(
            "-- lr-add r{index} -- lrp-add r{index} r{index}-in 0a:00:00:00:01:0{index} 10.{index}.0.1/24 fd0{index}::1/64 \
             -- lr-route-add r{index} 198.51.100.0/24 10.{index}.0.9"
        );
        words.extend(line.split_whitespace().map(str::to_owned));
        let policy =
            ["--", "lr-policy-add", &format!("r{index}"), "7", "ip4.dst == 203.0.113.0/24", "drop"];
        words.extend(policy.map(str::to_owned));
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    nbctl(remotes, &words);
}

pub(crate) fn is_own(_table: &str, row: &Row) -> bool {
    row.get("external_ids").is_some_and(|tags| tags.to_string().contains("ovn-peerd"))
}

/// Rows of others, without identities: what must be the same after any fault.
pub(crate) fn foreign(dump: &Dump) -> Vec<String> {
    let foreign = dump.foreign(is_own);
    let mut rows: Vec<_> = foreign
        .rows()
        // By the server, of who is connected to it.
        .filter(|(table, _, _)| *table != "Connection")
        .map(|(table, _, row)| {
            let plain = |(column, value): &(&String, &Value)| {
                !value.to_string().contains("\"uuid\"") && !column.starts_with('_')
            };
            format!("{table} {:?}", row.iter().filter(plain).collect::<BTreeMap<_, _>>())
        })
        .collect();
    rows.sort();
    rows
}

/// Our rows without identities and references, as often as each is there.
pub(crate) fn own(dump: &Dump) -> Vec<String> {
    let mut rows: Vec<_> = dump
        .rows()
        .filter(|(table, _, row)| is_own(table, row))
        .map(|(table, _, row)| format!("{table} {row:?}"))
        .collect();
    rows.sort();
    rows
}

/// A daemon and what is declared to it.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) daemon: Daemon,
    pub(crate) pairs: BTreeSet<Pair>,
}

impl Ground {
    /// Starts a daemon that is to peer these pairs; waits for nothing.
    #[track_caller]
    pub(crate) fn start(
        dir: &Path,
        northbound: &str,
        namespace: Option<&str>,
        pairs: &[Pair],
    ) -> Ground {
        let daemon = Daemon::prepare_for(dir, northbound, "hv1", namespace);
        let mut ground = Ground { daemon, pairs: BTreeSet::new() };
        for index in 0..NETWORKS {
            ground.daemon.bind_network(&format!("p{index}"), "n", &format!("r{index}"));
        }
        pairs.iter().for_each(|pair| ground.toggle(*pair));
        ground.daemon.start_again();
        ground
    }

    /// Both sides declare a peering, or withdraw it.
    #[track_caller]
    pub(crate) fn toggle(&mut self, (a, b): Pair) {
        if !self.pairs.remove(&(a, b)) {
            self.pairs.insert((a, b));
        }
        for network in [a, b] {
            let of_pair = |&(a, b): &Pair| match network {
                n if n == a => Some(b),
                n if n == b => Some(a),
                _ => None,
            };
            let halves = self.pairs.iter().filter_map(of_pair).map(|target| {
                // Of some peerings one half has lists, of some both.
                let lists = match (network + 2 * target) % 3 {
                    0 => "in = [{ protocol = \"tcp\", ports = [22, \"80-90\"] }]\nout = []\n",
                    1 => "in = [{ action = \"deny\", remote = [\"10.0.0.0/16\"] }, {}]\n",
                    _ => "",
                };
                format!(
                    "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\n\
                     target_project = \"p{target}\"\ntarget_network = \"n\"\n{lists}"
                )
            });
            self.daemon.declare(&format!("p{network}"), &halves.collect::<String>());
        }
    }

    /// Waits until the northbound is what a full recompute asks for, and judges that by its rows. Tells how long it took.
    #[track_caller]
    pub(crate) fn converge(&self, remotes: &str, what: &str) -> Duration {
        let begin = Instant::now();
        while let Err(why) = self.is_settled().and_then(|()| self.judge(&Dump::read(remotes))) {
            assert!(
                begin.elapsed() < DEADLINE,
                "{what}: not converged within {DEADLINE:?}: {why}\n{}",
                tail(&self.daemon.log())
            );
            std::thread::sleep(Duration::from_millis(15));
        }
        begin.elapsed()
    }

    /// Whether the daemon says that all is done: connected, writing, nothing to be planned, every peering standing.
    pub(crate) fn is_settled(&self) -> Result<(), String> {
        let status = self.status()?;
        if status["northbound"]["synced"] != true || status["northbound"]["active"] != true {
            return Err(format!("not connected: {}", status["northbound"]));
        }
        let plan = self.daemon.ctl(&["plan"]);
        if plan.status.code() != Some(0) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Err(format!("plan: {}{}", text(&plan.stdout), text(&plan.stderr)));
        }
        let halves = self.daemon.list();
        let standing =
            |half: &&Value| half["state"] == "active" || half["reason"] == "awaiting-northd";
        let standing = halves.iter().filter(standing).count();
        if standing != 2 * self.pairs.len() || halves.len() != standing {
            return Err(format!("{standing} of {} halves stand: {halves:?}", 2 * self.pairs.len()));
        }
        Ok(())
    }

    /// Whether the rows are one set for each peering: no more, no fewer, nothing twice.
    pub(crate) fn judge(&self, dump: &Dump) -> Result<(), String> {
        let rows = own(dump);
        let count =
            |table: &str| rows.iter().filter(|row| row.starts_with(&format!("{table} "))).count();
        let found = ["Logical_Router_Port", "Logical_Router_Static_Route"].map(count);
        let expected = [2 * self.pairs.len(), 4 * self.pairs.len()];
        if found != expected {
            return Err(format!("{found:?} ports and routes instead of {expected:?}: {rows:#?}"));
        }
        let distinct: BTreeSet<_> = rows.iter().collect();
        if distinct.len() != rows.len() {
            return Err(format!("a row is there twice: {rows:#?}"));
        }
        Ok(())
    }

    /// `ovn-peerctl status`.
    pub(crate) fn status(&self) -> Result<Value, String> {
        let output = self.daemon.ctl(&["status", "--format", "json"]);
        serde_json::from_slice(&output.stdout).map_err(|e| format!("{e}: {output:?}"))
    }

    /// Waits until the status satisfies; gives it.
    #[track_caller]
    pub(crate) fn status_that(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        poll(what, DEADLINE, || {
            let status = self.status()?;
            if is_it(&status) { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// Waits until the connection's last error has these words.
    #[track_caller]
    pub(crate) fn error_with(&self, words: &str) -> String {
        let status = self.status_that(words, |status| {
            status["northbound"]["error"].as_str().is_some_and(|error| error.contains(words))
        });
        status["northbound"]["error"].as_str().expect("text").to_owned()
    }

    /// Resident memory of the daemon, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.daemon.process().pid()));
        let status = status.expect("the daemon runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("VmRSS")
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().rev().take(40).collect();
    lines.into_iter().rev().map(|line| format!("{line}\n")).collect()
}
