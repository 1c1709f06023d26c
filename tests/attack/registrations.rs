//! One tenant declares what it can: what it has written to the northbound is bounded.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::ground::{ATTACKER, Ground};
use crate::lab::command::poll;
use crate::site::{PATIENCE, half};

/// The names of our Address_Sets, and how much their records are, in bytes.
fn registrations(ground: &Ground) -> (BTreeSet<String>, usize) {
    let columns = ["--bare", "--columns=name,external_ids", "find", "Address_Set"];
    let found = ground.site.lab.nbctl(&[&columns[..], &["external_ids:ovn-peerd=1"]].concat());
    let names = found.lines().filter(|line| line.starts_with("ovn_peerd_"));
    (names.map(str::to_owned).collect(), found.len())
}

/// The records of halves of the attacker's network.
fn records(ground: &Ground) -> BTreeSet<String> {
    let columns = ["--bare", "--columns=external_ids", "find", "Address_Set"];
    let found = ground.site.lab.nbctl(&[&columns[..], &["external_ids:ovn-peerd=1"]].concat());
    let rows = found.lines().filter(|line| line.contains("blue/web"));
    let keys = rows.flat_map(|row| row.split(['"', ' ', '='])).map(str::to_owned);
    keys.filter(|key| key.starts_with("ovn-peerd-half:")).collect()
}

fn sets_in_southbound(ground: &Ground) -> usize {
    let found = ground.site.lab.sbctl(&["--bare", "--columns=name", "find", "Address_Set"]);
    found.lines().filter(|line| line.starts_with("ovn_peerd_")).count()
}

#[test]
fn invented_networks_make_few_rows_and_bound_ones_do() {
    let ground = Ground::with("max_halves_per_project = 100000\n");
    let site = &ground.site;
    let (before, _) = registrations(&ground);
    let in_southbound = sets_in_southbound(&ground);
    // Ten files of the most halves, as the operator links them: 10,000 names, and one that is bound.
    let mut bytes = 0;
    for file in 0..10 {
        let mut text = String::from("project = \"blue\"\n");
        for number in 0..1000 {
            let network = format!("x{file}-{number}");
            let _ = write!(text, "{}", half("a", &network, "green/db"));
        }
        if file == 9 {
            text = text.replace("x9-999", "web");
        }
        bytes += text.len();
        ground.further(file, &text);
    }
    assert!(bytes > 750 << 10, "{bytes} bytes");
    site.wait_state("blue/x9-998/a", "failed");
    site.wait_state("blue/web/a", "pending-peer");
    site.settle();
    let (after, size) = registrations(&ground);
    let new: Vec<&String> = after.difference(&before).collect();
    // A set per family, of the network that is bound and of 64 others.
    assert_eq!(new.len(), 2 * 65, "{} new sets", new.len());
    assert!(size < 100 << 10, "{size} bytes of records");
    assert_eq!(sets_in_southbound(&ground), in_southbound + 2 * 65);
    let shown = site.json(ATTACKER.uid, &["show", "blue", "x5-500", "a"]);
    assert_eq!(shown["reason"], "missing-local-router", "{shown}");
    let explanation = shown["explanation"].as_str().unwrap();
    assert!(explanation.contains("not bound") && explanation.contains("64 networks"), "{shown}");
    // The operator binds one of them: it is registered, and nothing else changes.
    site.lab.add_network("blue-late", &["10.7.0.0/24"]);
    site.operator_writes(
        "networks.d/late.toml",
        "[[network]]\nproject = \"blue\"\nname = \"x5-500\"\nrouter = \"blue-late\"\n",
    );
    site.wait_state("blue/x5-500/a", "pending-peer");
    site.settle();
    assert_eq!(registrations(&ground).0.difference(&before).count(), 2 * 66);
}

#[test]
fn halves_that_are_renamed_leave_a_bounded_registration() {
    let ground = Ground::with("history = \"1h\"\n");
    // As many at a time as the withdrawal guard lets pass.
    let declare = |turn: usize| {
        let mut text = String::new();
        for number in 0..1000 {
            let name =
                if number < 400 { format!("t{turn}-{number}") } else { format!("h{number}") };
            let _ = write!(text, "{}", half(&name, "web", &format!("red/n{number}")));
        }
        ground.site.declare(ATTACKER, &text);
        ground.site.wait_state(&format!("blue/web/t{turn}-399"), "pending-peer");
        poll("it is recorded", PATIENCE, || {
            let last = format!("ovn-peerd-half:t{turn}-399");
            if records(&ground).contains(&last) { Ok(()) } else { Err("not yet".to_owned()) }
        });
    };
    for turn in 0..5 {
        declare(turn);
    }
    // What ended first goes with the next write of its network.
    poll("the registration is bounded", PATIENCE, || {
        let records = records(&ground).len();
        if records <= 1000 + 256 { Ok(()) } else { Err(format!("{records} records")) }
    });
    assert!(records(&ground).len() >= 1000);
}
