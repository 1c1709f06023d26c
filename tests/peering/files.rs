//! A typo, a lost directory or a slip of the hand takes no peering down (B17).

use std::fs;
use std::time::Duration;

use ovn_peerd::declare::Diagnostic;
use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::owned::{contents, link_rows};
use crate::tenants::{Tenants, half, status};

/// Waits until the status names something in its list of this name.
#[track_caller]
fn wait_told(daemon: &Daemon, list: &str, named: &str) {
    poll(&format!("{named} is told"), Duration::from_secs(10), || {
        let text = |value: &Value| match serde_json::from_value::<Diagnostic>(value.clone()) {
            Ok(diagnostic) => diagnostic.to_string(),
            Err(_) => value.to_string(),
        };
        let found = status(daemon);
        let told: Vec<_> = found[list].as_array().expect("a list").iter().map(text).collect();
        let told = told.join("\n");
        if told.contains(named) { Ok(()) } else { Err(told) }
    });
}

#[test]
fn what_cannot_be_read_changes_nothing() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.sync();
    let daemon = &tenants.daemon;
    let (rows, written) = (contents(&lab.dump()), lab.northbound_transactions());
    let unchanged = || {
        tenants.wait_active();
        assert_eq!(contents(&lab.dump()), rows);
        assert_eq!(lab.northbound_transactions(), written);
    };
    let good = fs::read_to_string(daemon.dir().join("peerings.d/green.toml")).expect("a file");
    for (bad, named) in [
        ("project = \"green\"\n[[peering]\n", "green.toml:2"),
        (&good.replace("network =", "netwrk ="), "netwrk"),
        (&good[..good.len() / 2], "green.toml"),
        ("", "green.toml"),
    ] {
        daemon.write("peerings.d/green.toml", bad);
        wait_told(daemon, "diagnostics", named);
        unchanged();
    }
    // A daemon that starts upon the broken file goes on with what it last knew.
    daemon.restart();
    wait_told(daemon, "diagnostics", "green.toml");
    unchanged();
    daemon.write("peerings.d/green.toml", &good);
    unchanged();
    for directory in ["peerings.d", "networks.d"] {
        let (here, away) = (daemon.dir().join(directory), daemon.dir().join("away"));
        fs::rename(&here, &away).expect("a directory can be moved");
        wait_told(daemon, "diagnostics", directory);
        unchanged();
        // Started without the directory, it goes on with what it last knew.
        daemon.restart();
        wait_told(daemon, "diagnostics", directory);
        unchanged();
        fs::rename(&away, &here).expect("a directory can be moved");
        poll("it is whole again", Duration::from_secs(10), || {
            let told = status(daemon)["diagnostics"].to_string();
            if told == "[]" { Ok(()) } else { Err(told) }
        });
        unchanged();
    }
}

#[test]
fn many_withdrawals_at_once_wait_for_the_operator() {
    const SPOKES: usize = 12;
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let daemon = &tenants.daemon;
    let (mut hub, mut spokes) = (String::new(), String::new());
    for n in 0..SPOKES {
        lab.add_network(&format!("s{n}"), &[&format!("10.50.{n}.0/24")]);
        daemon.bind_network("red", &format!("n{n}"), &format!("s{n}"));
        hub += &half(&format!("to-{n}"), "web", &format!("red/n{n}"));
        spokes += &half("to-hub", &format!("n{n}"), "blue/web");
    }
    daemon.declare("red", &spokes);
    daemon.declare("blue", &hub);
    let all_active = || {
        daemon.wait_until("all are active", |halves| {
            let active = halves.iter().filter(|h| h["state"] == "active").count();
            if active == 2 * SPOKES { Ok(()) } else { Err(format!("{halves:?}")) }
        });
    };
    all_active();
    let rows = link_rows(&lab.dump()).len();
    // 24 halves, of which 12 are more than ten but not more than half: both files.
    daemon.kill9();
    daemon.withdraw("red");
    daemon.withdraw("blue");
    daemon.start_again();
    wait_told(daemon, "held", "red/n3/to-hub");
    wait_told(daemon, "held", "blue/web/to-7");
    all_active();
    assert_eq!(link_rows(&lab.dump()).len(), rows, "nothing is withdrawn yet");
    assert_eq!(daemon.ctl(&["plan"]).status.code(), Some(2), "the plan tells what would be");
    daemon.confirm();
    poll("all are withdrawn", Duration::from_secs(10), || match contents(&lab.dump()).len() {
        0 => Ok(()),
        n => Err(format!("{n} rows")),
    });
}
