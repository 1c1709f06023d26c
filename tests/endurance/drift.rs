//! Drift: whatever is removed or altered by hand among our rows is back within a second, nothing of
//! others is touched, and where nothing changed nothing is written (B2).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Row;
use crate::lab::topology::Nat;

/// How soon a row must be back.
const LIMIT: Duration = Duration::from_secs(1);

fn is_own(_table: &str, row: &Row) -> bool {
    row.get("external_ids").is_some_and(|tags| tags.to_string().contains("ovn-peerd"))
}

/// Our rows without identities.
fn own(lab: &Lab) -> BTreeSet<String> {
    let dump = lab.dump();
    let rows = dump.rows().filter(|(table, _, row)| is_own(table, row));
    rows.map(|(table, _, row)| format!("{table} {row:?}")).collect()
}

fn half(target: &str) -> String {
    format!(
        "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\ntarget_project = \"{target}\"\ntarget_network = \"n\"\n"
    )
}

/// Two peered networks with an uplink each, so that rows of every kind are there.
fn peered() -> (Lab, Daemon) {
    let lab = Lab::single_chassis();
    let a = lab.add_network("a", &["10.1.0.0/24 fd01::/64"]);
    let b = lab.add_network("b", &["10.2.0.0/24 fd02::/64"]);
    lab.add_uplink(&a, Nat::Source);
    lab.add_uplink(&b, Nat::None);
    let daemon = Daemon::start(&lab);
    for network in [&a, &b] {
        let name = if network.router() == a.router() { "a" } else { "b" };
        daemon.bind_network(name, "n", network.router());
    }
    daemon.declare("a", &half("b"));
    daemon.declare("b", &half("a"));
    daemon.wait_state("a", "n", "to-b", "active");
    daemon.wait_state("b", "n", "to-a", "active");
    (lab, daemon)
}

/// The router that refers to a row of ours.
fn parent(lab: &Lab, column: &str, uuid: &str) -> String {
    let condition = format!("{column}{{>=}}{uuid}");
    let found = lab.nbctl(&["--bare", "--columns=_uuid", "find", "Logical_Router", &condition]);
    found.trim().to_owned()
}

fn delete(lab: &Lab, table: &str, uuid: &str) {
    let column = match table {
        "Logical_Router_Port" => "ports",
        "Logical_Router_Static_Route" => "static_routes",
        "Logical_Router_Policy" => "policies",
        _ => return drop(lab.nbctl(&["destroy", table, uuid])),
    };
    let router = parent(lab, column, uuid);
    lab.nbctl(&["remove", "Logical_Router", &router, column, uuid]);
}

/// What somebody may do to a row of each kind.
fn alterations(table: &str) -> &'static [&'static str] {
    match table {
        "Logical_Router_Port" => &[
            "networks=192.0.2.1/24",
            "mac=\"0a:00:00:00:00:01\"",
            "peer=nobody",
            "peer=[]",
            "enabled=false",
            "options:gateway_mtu=900",
            "external_ids={}",
        ],
        "Logical_Router_Static_Route" => &[
            "nexthop=192.0.2.1",
            "output_port=[]",
            "ip_prefix=192.0.2.0/24",
            "policy=src-ip",
            "options:ecmp_symmetric_reply=true",
        ],
        "Logical_Router_Policy" => {
            &["match=\"ip4\"", "priority=5", "action=allow", "action=drop", "options:pkt_mark=7"]
        }
        "Address_Set" => &["addresses=192.0.2.0/24", "addresses=[]", "external_ids={}"],
        other => panic!("rows of {other} are not ours"),
    }
}

/// Waits until our rows are as they were, and tells how long that took.
fn wait_back(lab: &Lab, before: &BTreeSet<String>, what: &str) -> Duration {
    let begin = Instant::now();
    loop {
        let now = own(lab);
        if now == *before {
            return begin.elapsed();
        }
        assert!(
            begin.elapsed() < LIMIT,
            "{what}: not back:\nmissing {:#?}\nsurplus {:#?}",
            before.difference(&now).collect::<Vec<_>>(),
            now.difference(before).collect::<Vec<_>>()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn b2_every_row_deleted_or_altered_by_hand_is_back_within_a_second() {
    let (lab, daemon) = peered();
    let before = own(&lab);
    let foreign = lab.dump().foreign(is_own);
    let mut slowest = Duration::ZERO;
    let mut count = 0;
    // Named by content: a row that was put back has another identity.
    for content in &before {
        let find = || {
            let dump = lab.dump();
            let found = dump.rows().find(|(table, _, row)| format!("{table} {row:?}") == *content);
            let (table, uuid, _) = found.expect("our row");
            (table.to_owned(), uuid.to_owned())
        };
        let (table, uuid) = find();
        delete(&lab, &table, &uuid);
        slowest = slowest.max(wait_back(&lab, &before, &format!("deleted {content}")));
        for alteration in alterations(&table) {
            let (table, uuid) = find();
            lab.nbctl(&["set", &table, &uuid, alteration]);
            let what = format!("{alteration} on {content}");
            slowest = slowest.max(wait_back(&lab, &before, &what));
            count += 1;
        }
        count += 1;
    }
    println!("{count} deletions and alterations, the slowest back in {slowest:?}");
    lab.dump().foreign(is_own).assert_same_as(&foreign);
    daemon.wait_state("a", "n", "to-b", "active");
    assert_eq!(daemon.ctl(&["plan"]).status.code(), Some(0));
}

#[test]
fn b2_nothing_changed_nothing_written() {
    let (lab, daemon) = peered();
    let (rows, written) = (own(&lab), lab.northbound_transactions());
    let settled = |what: &str| {
        daemon.wait_state("a", "n", "to-b", "active");
        daemon.wait_state("b", "n", "to-a", "active");
        assert_eq!(lab.northbound_transactions(), written, "{what}: something was written");
        assert_eq!(own(&lab), rows, "{what}");
    };
    assert!(daemon.ctl(&["reload"]).status.success());
    settled("reload");
    daemon.restart();
    settled("restart");
    daemon.kill9();
    daemon.start_again();
    settled("SIGKILL");
    lab.databases().nb.pause();
    lab.databases().nb.resume();
    settled("a northbound that stood still");
    lab.databases().nb.kill9();
    lab.databases().start_nb_again();
    daemon.wait_until("a new session", |_| {
        let status = daemon.ctl(&["status", "--format", "json"]);
        let text = String::from_utf8_lossy(&status.stdout).into_owned();
        if text.contains("\"active\": true") { Ok(()) } else { Err(text) }
    });
    settled("a northbound that was killed");
    daemon.terminate();
    assert_eq!(own(&lab), rows, "leaving leaves the data plane");
    // What is ours and no longer wanted goes, also where it ceased to be wanted meanwhile.
    daemon.withdraw("a");
    daemon.withdraw("b");
    daemon.start_again();
    let begin = Instant::now();
    while !own(&lab).is_empty() {
        assert!(begin.elapsed() < LIMIT * 5, "orphans stay: {:#?}\n{}", own(&lab), daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
