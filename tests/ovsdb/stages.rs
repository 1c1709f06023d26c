//! A first dump in stages, while others write to every table of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ovn_peerd::ovsdb::client::Config;
use ovn_peerd::ovsdb::{ColumnId, Replica, TableId, Wanted};
use serde_json::{Value as Json, json};

use crate::follower::{Follower, Seen, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::raw_switch;
use crate::server::{Raw, Server};

/// More tables than are asked for at a time; those that are written first, between and last.
const WANTED: &[Wanted] = &[
    wanted("Logical_Switch", &["name", "ports", "external_ids"]),
    wanted("Logical_Router", &["name"]),
    wanted("Load_Balancer", &["name"]),
    wanted("Logical_Switch_Port", &["name", "external_ids"]),
    wanted("DNS", &["records"]),
    wanted("Port_Group", &["name"]),
    wanted("Address_Set", &["name", "addresses", "external_ids"]),
];
const SWITCH: TableId = TableId(0);
const PORT: TableId = TableId(3);
const SET: TableId = TableId(6);
/// Large enough that each table takes the server some milliseconds.
const ROWS: usize = 1500;

const fn wanted(table: &'static str, columns: &'static [&'static str]) -> Wanted {
    Wanted { table, columns, condition: None }
}

/// Rows of three tables that say the same of each number: every transaction changes all three.
fn fill(raw: &mut Raw) {
    for first in (0..ROWS).step_by(500) {
        let operations: Vec<Json> = (first..first + 500).flat_map(|n| inserts(n, 0)).collect();
        raw.transact(&operations);
    }
}

fn inserts(n: usize, version: usize) -> Vec<Json> {
    let tags = json!(["map", [["version", version.to_string()], ["pad", "x".repeat(100)]]]);
    let port = format!("port{n}");
    vec![
        json!({"op": "insert", "table": "Logical_Switch_Port", "uuid-name": port,
            "row": {"name": port, "external_ids": tags}}),
        json!({"op": "insert", "table": "Logical_Switch",
            "row": {"name": n.to_string(), "ports": ["named-uuid", port], "external_ids": tags}}),
        json!({"op": "insert", "table": "Address_Set",
            "row": {"name": n.to_string(), "addresses": "10.0.0.1", "external_ids": tags}}),
    ]
}

fn deletes(n: usize) -> Vec<Json> {
    let only = json!([["name", "==", n.to_string()]]);
    let delete = |table: &str| json!({"op": "delete", "table": table, "where": only});
    vec![delete("Logical_Switch"), delete("Address_Set")]
}

fn changes(n: usize, version: usize) -> Vec<Json> {
    let to = json!(["map", [["version", version.to_string()]]]);
    let change = |table: &str, name: String| {
        json!({"op": "mutate", "table": table, "where": [["name", "==", name]], "mutations":
            [["external_ids", "delete", ["set", ["version"]]], ["external_ids", "insert", to]]})
    };
    vec![
        change("Logical_Switch", n.to_string()),
        change("Logical_Switch_Port", format!("port{n}")),
        change("Address_Set", n.to_string()),
    ]
}

/// Writes until told to stop: a few numbers again and again, and all over.
fn write(mut raw: Raw, from: usize, stop: &AtomicBool) -> usize {
    let mut version = from;
    while !stop.load(Ordering::Relaxed) {
        version += 1;
        let n = if version.is_multiple_of(2) { version % 10 } else { version * 7919 % ROWS };
        raw.transact(&changes(n, version));
        let mut again = deletes(version % ROWS);
        again.extend(inserts(version % ROWS, version));
        raw.transact(&again);
    }
    version
}

/// Every number says the same in all tables, at any moment.
fn assert_whole(replica: &Replica) {
    let versions = |table: TableId, tags: ColumnId| {
        let number = |name: &str| name.trim_start_matches("port").to_owned();
        let rows = replica.rows(table);
        let mut versions: Vec<_> = rows
            .map(|(_, row)| {
                (
                    number(row.get(ColumnId(0)).string()),
                    row.get(tags).get("version").map(str::to_owned),
                )
            })
            .filter(|(_, version)| version.is_some())
            .collect();
        versions.sort();
        versions
    };
    let of_switches = versions(SWITCH, ColumnId(2));
    assert_eq!(of_switches.len(), ROWS);
    assert!(of_switches == versions(PORT, ColumnId(1)), "switches and their ports differ");
    assert!(of_switches == versions(SET, ColumnId(2)), "switches and sets differ");
}

/// Begins session after session amid the writing; each follows to the end and has what the server has.
async fn amid_writing(server: &Server) {
    let mut raw = server.raw();
    fill(&mut raw);
    let mut version = 0;
    for round in 0..6 {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (raw, stop) = (server.raw(), Arc::clone(&stop));
            std::thread::spawn(move || write(raw, version, &stop))
        };
        let config = Config { wanted: WANTED, ..config(server.remote()) };
        let mut follower = Follower::start(config).await;
        assert_whole(follower.replica());
        for _ in 0..10 {
            follower.step().await;
            assert_whole(follower.replica());
        }
        stop.store(true, Ordering::Relaxed);
        // The follower has to be served while the last transaction ends.
        version = tokio::task::spawn_blocking(|| writer.join().unwrap()).await.unwrap();
        let fence = format!("fence{round}");
        raw.transact(&[raw_switch(&fence)]);
        follower.until("the fence", |f| f.names(SWITCH).contains(&fence)).await;
        raw.assert_same(follower.replica());
        assert!(!follower.seen.iter().any(|seen| matches!(seen, Seen::Disconnected(_))));
    }
    assert!(version > 20, "only {version} changes were made");
}

#[tokio::test]
async fn standalone() {
    amid_writing(&Server::start()).await;
}

#[tokio::test]
async fn of_a_cluster() {
    let servers = crate::cluster::cluster(1);
    amid_writing(&servers[0]).await;
}

/// A session that ends between two stages has told nothing; the next one reads everything.
#[tokio::test]
async fn cut_in_the_middle() {
    let servers = crate::cluster::cluster(1);
    let mut raw = servers[0].raw();
    fill(&mut raw);
    let proxy = Proxy::before(&servers[0].socket(), Habit::Plain);
    let mut follower = Follower::new(Config { wanted: WANTED, ..config(proxy.remote()) });
    for delay in [1, 4, 8, 16, 32] {
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        proxy.cut();
    }
    follower.until("a first dump", |f| f.connected && f.replica.is_some()).await;
    assert_whole(follower.replica());
    raw.assert_same(follower.replica());
}

/// Rows that come twice are no rows to go on from: nothing is reported, and everything is read anew.
#[tokio::test]
async fn a_dump_that_contradicts_itself() {
    let server = Server::start();
    let mut raw = server.raw();
    fill(&mut raw);
    let proxy = Proxy::before(&server.socket(), Habit::Repeat);
    let mut follower = Follower::new(Config { wanted: WANTED, ..config(proxy.remote()) });
    let reason = follower.reason().await;
    assert!(reason.contains("which is there already"), "{reason}");
    assert!(follower.replica.is_none() && follower.seen.len() == 1, "{:?}", follower.seen);
    follower.until("a first dump", |f| f.replica.is_some()).await;
    assert_whole(follower.replica());
    raw.assert_same(follower.replica());
}
