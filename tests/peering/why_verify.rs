//! `verify` on a real northbound: clean before, found, clean after; with the daemon, and by itself while no daemon runs.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::{output, poll};
use crate::lab::daemon::{CONTROL, Daemon};
use crate::tenants::{Tenants, assert_restart_writes_nothing};

/// What is found, as codes; with the daemon or without.
#[track_caller]
fn found(daemon: &Daemon, offline: bool) -> (i32, Vec<Value>) {
    let config = daemon.dir().join("ovn-peerd.toml");
    let verified = if offline {
        let mut command = Command::new(CONTROL);
        // Nobody listens there.
        command.args([
            "--socket",
            "/nonexistent",
            "--format",
            "json",
            "verify",
            "--offline",
            "--config",
        ]);
        output(command.arg(config))
    } else {
        daemon.ctl(&["verify", "--format", "json"])
    };
    let code = verified.status.code().expect("it exits");
    assert!(verified.stderr.is_empty(), "{verified:?}");
    let view: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
    assert_eq!(view["peerings"], 1, "{view:#}");
    assert!(view["must_not"].as_u64() > Some(5), "{view:#}");
    (code, view["found"].as_array().expect("a list").clone())
}

#[track_caller]
fn assert_clean(daemon: &Daemon, offline: bool) {
    let (code, found) = self::found(daemon, offline);
    assert_eq!((code, &found[..]), (0, &[][..]), "{found:#?}");
}

/// Waits until the daemon has heard of a change, and gives what `verify` finds then.
#[track_caller]
fn wait_found(daemon: &Daemon, offline: bool, what: &str, is_it: impl Fn(&Value) -> bool) {
    poll(what, Duration::from_secs(20), || {
        let (code, found) = self::found(daemon, offline);
        match found.iter().any(&is_it) {
            true if code == 7 => Ok(()),
            _ => Err(format!("{code}: {found:#?}")),
        }
    });
}

#[test]
fn verify_finds_what_should_not_be_and_nothing_else() {
    let lab = &Lab::databases_only();
    let tenants = Tenants::new(lab);
    tenants.peer();
    let daemon = &tenants.daemon;
    daemon.wait_quiet();
    assert_clean(daemon, false);
    assert_clean(daemon, true);
    // A policy of ours is removed while the daemon is stopped.
    daemon.terminate();
    assert_clean(daemon, true);
    let before = lab.dump();
    for priority in ["32200", "32100", "32090"] {
        lab.nbctl(&["lr-policy-del", "a", priority]);
    }
    for (code, means) in [("row-missing", true), ("passes", false)] {
        wait_found(daemon, true, code, |it| {
            it["code"] == code && (!means || it["row"]["means"] == "drop all else from green/db")
        });
    }
    let after = lab.dump();
    assert_clean_of_writes(&before, &after);
    daemon.start_again();
    tenants.wait_active();
    daemon.wait_quiet();
    for offline in [false, true] {
        assert_clean(daemon, offline);
        // A policy of somebody else opens.
        lab.nbctl(&["lr-policy-add", "a", "32500", "ip4.src == 203.0.113.0/24", "allow"]);
        wait_found(daemon, offline, "the policy is found", |it| {
            it["code"] == "passes" && it["by"]["whose"] == "others"
        });
        lab.nbctl(&["lr-policy-del", "a", "32500"]);
        wait_clean(daemon, offline);
        // A route of somebody else steals.
        lab.nbctl(&["lr-route-add", "a", "10.2.0.64/26", "10.1.0.99"]);
        wait_found(daemon, offline, "the route is found", |it| {
            it["code"] == "does-not-pass" && it["by"]["step"] == "route"
        });
        lab.nbctl(&["lr-route-del", "a", "10.2.0.64/26"]);
        wait_clean(daemon, offline);
    }
    assert_restart_writes_nothing(lab, daemon);
}

#[track_caller]
fn wait_clean(daemon: &Daemon, offline: bool) {
    poll("nothing is found", Duration::from_secs(20), || {
        let (code, found) = self::found(daemon, offline);
        if code == 0 { Ok(()) } else { Err(format!("{found:#?}")) }
    });
}

/// Nothing was added or changed: only the three policies are gone.
#[track_caller]
fn assert_clean_of_writes(
    before: &crate::lab::northbound::Dump,
    after: &crate::lab::northbound::Dump,
) {
    let policies = |dump: &crate::lab::northbound::Dump| dump.table("Logical_Router_Policy").len();
    assert_eq!(policies(before), policies(after) + 3);
    for table in ["Address_Set", "Logical_Router_Static_Route", "Logical_Router_Port", "NB_Global"]
    {
        assert_eq!(before.table(table), after.table(table), "{table}");
    }
}
