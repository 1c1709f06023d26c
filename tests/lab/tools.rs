//! OVN's own tools on a lab: `ovn-nbctl`, `ovn-sbctl`, and what is asked with them.
//!
//! Invariant: a wait has a deadline, after which the test fails and says what was missing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::chassis::Chassis;
use super::command::{poll, run_command};
use super::northbound::Row;
use super::{Central, Lab, SETTLE_LIMIT};

impl Lab {
    /// Runs `ovn-nbctl`; panics when it fails.
    #[track_caller]
    pub fn nbctl<S: AsRef<str>>(&self, args: &[S]) -> String {
        self.control("ovn-nbctl", args)
    }

    /// Runs `ovn-sbctl`; panics when it fails.
    #[track_caller]
    pub fn sbctl<S: AsRef<str>>(&self, args: &[S]) -> String {
        self.control("ovn-sbctl", args)
    }

    /// Runs many `ovn-nbctl` commands in one transaction: a command a line, blank lines and `#` comments skipped.
    /// Words may be quoted with `'` as in a shell.
    #[track_caller]
    pub fn nbctl_batch(&self, lines: &str) -> String {
        self.nbctl(&batch(lines))
    }

    /// Waits until every chassis has done all that the northbound asks for now (`ovn-nbctl --wait=hv sync`).
    #[track_caller]
    pub fn sync(&self) {
        if self.chassis.is_empty() {
            self.nbctl(&["--wait=sb", "sync"]);
        } else {
            self.nbctl(&["--wait=hv", "sync"]);
        }
    }

    /// Waits until every guest's port is up, then [`Lab::sync`]s.
    #[track_caller]
    pub fn settle(&self) {
        poll("all guests' ports are up", SETTLE_LIMIT, || {
            let down = self.nbctl(&[
                "--bare",
                "--columns=name",
                "find",
                "Logical_Switch_Port",
                "type=\"\"",
                "up=false",
            ]);
            if down.trim().is_empty() { Ok(()) } else { Err(format!("down: {}", down.trim())) }
        });
        self.sync();
    }

    /// Asserts that every chassis has understood every match: one that does not parse is silently absent, so a `drop`
    /// of that kind lets pass what it should stop. (ovn-controller says so in its log only.)
    #[track_caller]
    pub fn assert_all_matches_parse(&self) {
        self.sync();
        for chassis in &self.chassis {
            let log = chassis.controller_log();
            let bad: Vec<_> = log.lines().filter(|l| l.contains("error parsing match")).collect();
            assert!(bad.is_empty(), "{}: {}", chassis.name(), bad.join("\n"));
        }
    }

    /// [`Lab::sync`]s, and has no chassis forward by what it remembers from before.
    #[track_caller]
    pub fn sync_packets(&self) {
        self.sync();
        self.chassis.iter().for_each(Chassis::forget_packets);
    }

    /// Asserts that every policy of every router is at work somewhere: the logical flow of its priority and match has
    /// OpenFlow flows on a chassis. Each router has to have a guest. Of what does not parse, ovn-controller does not always
    /// speak. (The name of the policy's row in the logical flow may be that of an equal row that is gone.)
    #[track_caller]
    pub fn assert_all_policies_are_at_work(&self) {
        self.assert_all_matches_parse();
        let cookies: BTreeSet<u32> =
            self.chassis.iter().flat_map(Chassis::openflow_cookies).collect();
        let flows = self.sbctl(&[
            "--format=json",
            "--columns=_uuid,priority,match",
            "list",
            "Logical_Flow",
        ]);
        let flows: Value = serde_json::from_str(&flows).expect("JSON");
        let mut at_work = BTreeSet::new();
        for flow in flows["data"].as_array().expect("rows") {
            let uuid = flow[0][1].as_str().and_then(|uuid| uuid.get(..8)).expect("a UUID");
            let cookie = u32::from_str_radix(uuid, 16).expect("digits");
            if cookies.contains(&cookie) {
                at_work.insert(format!("{} {}", flow[1], flow[2]));
            }
        }
        let dump = self.dump();
        let policies = dump.table("Logical_Router_Policy").values();
        let text = |row: &Row| format!("{} {}", row["priority"], row["match"]);
        let idle: Vec<_> = policies.map(text).filter(|it| !at_work.contains(it)).collect();
        assert!(idle.is_empty(), "no flows of:\n{}", idle.join("\n"));
    }

    #[track_caller]
    fn control<S: AsRef<str>>(&self, program: &str, args: &[S]) -> String {
        let databases = match &self.central {
            Central::Here(databases) => databases,
            Central::Nodes(cluster) => return cluster.control(program, args),
        };
        let southbound = program == "ovn-sbctl";
        let socket = if southbound { databases.sb_socket() } else { databases.nb_socket() };
        let mut command = std::process::Command::new(program);
        command.arg(format!("--db=unix:{}", socket.display()));
        command.arg(format!("--timeout={}", SETTLE_LIMIT.as_secs()));
        command.args(args.iter().map(AsRef::as_ref));
        run_command(command)
    }
}

/// The words of a batch, its commands parted by `--`.
fn batch(lines: &str) -> Vec<String> {
    let commands = lines.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut words = vec![];
    for command in commands {
        if !words.is_empty() {
            words.push("--".to_owned());
        }
        words.extend(split_words(command));
    }
    words
}

fn split_words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "a quote is open in: {line}");
    words.extend(word);
    words
}
