//! What holds in one session with a standalone server.

use std::time::{Duration, Instant};

use ovn_peerd::ovsdb::client::{Config, Remote};
use ovn_peerd::ovsdb::{Clause, Condition, Constant, Function, Wanted};

use crate::follower::{Follower, SWITCH, Seen, WANTED, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::{raw_switch, switch};
use crate::server::{DATABASE, SCHEMA, Server};

#[tokio::test]
async fn a_first_dump_and_what_follows_it() {
    let server = Server::start();
    let mut raw = server.raw();
    raw.transact(&[raw_switch("before")]);
    let mut follower = Follower::start(config(server.remote())).await;
    assert_eq!(follower.names(SWITCH), ["before"]);
    assert_eq!(*follower.schema.as_ref().unwrap().name, *DATABASE);
    raw.transact(&[raw_switch("after")]);
    follower.until("the other row", |f| f.replica().len(SWITCH) == 2).await;
    raw.assert_same(follower.replica());
    follower.transact(7, vec![switch("own")]).await.unwrap();
    assert_eq!(follower.names(SWITCH), ["after", "before", "own"]);
    let connected = Seen::Connected(server.remote().to_string());
    assert_eq!(
        follower.seen,
        [connected, Seen::Snapshot, Seen::Update, Seen::Update, Seen::Transacted(7)]
    );
}

#[tokio::test]
async fn a_condition_lightens_the_load() {
    const LIKED: &[Wanted] = &[Wanted {
        table: "Logical_Switch",
        columns: &["name"],
        condition: Some(Condition(&[Clause {
            column: "name",
            function: Function::Equal,
            value: Constant::String("liked"),
        }])),
    }];
    let server = Server::start();
    let mut raw = server.raw();
    raw.transact(&[raw_switch("liked"), raw_switch("other")]);
    let mut follower = Follower::start(Config { wanted: LIKED, ..config(server.remote()) }).await;
    assert_eq!(follower.names(SWITCH), ["liked"]);
    // A row that ceases to meet the condition is deleted, as far as the replica is concerned.
    let rename = serde_json::json!({"op": "update", "table": "Logical_Switch", "where": [["name", "==", "liked"]],
        "row": {"name": "forgotten"}});
    raw.transact(&[rename]);
    follower.until("no row", |f| f.replica().len(SWITCH) == 0).await;
}

#[tokio::test]
async fn older_servers_are_asked_by_older_methods() {
    let server = Server::start();
    let mut raw = server.raw();
    raw.transact(&[raw_switch("a"), raw_switch("b")]);
    for (habit, refusals) in [(Habit::Older(&["monitor_cond_since"]), 1), (Habit::Ancient, 4)] {
        let proxy = Proxy::before(&server.socket(), habit);
        let mut follower = Follower::start(config(proxy.remote())).await;
        assert_eq!(proxy.refused(), refusals, "{habit:?}");
        raw.assert_same(follower.replica());
        for name in ["c", "d"] {
            follower.transact(1, vec![switch(name)]).await.unwrap();
        }
        let change = serde_json::json!({"op": "mutate", "table": "Logical_Switch", "where": [],
            "mutations": [["external_ids", "insert", ["map", [[format!("x{refusals}"), "y"]]]]]});
        raw.transact(&[change]);
        raw.transact(&[serde_json::json!({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", "c"]]})]);
        follower.until("the deletion", |f| !f.names(SWITCH).contains(&"c".to_owned())).await;
        raw.assert_same(follower.replica());
    }
}

#[tokio::test]
async fn a_resync_reads_everything_and_changes_nothing() {
    let server = Server::start();
    server.raw().transact(&[raw_switch("a")]);
    let mut follower = Follower::start(config(server.remote())).await;
    follower.client.resync();
    let reason = follower.reason().await;
    assert!(reason.contains("read again"), "{reason}");
    follower.reconnected().await;
    assert_eq!(follower.seen.last(), Some(&Seen::Snapshot));
    assert_eq!(follower.changes, []);
    assert_eq!(follower.names(SWITCH), ["a"]);
}

/// A server that listens on TCP asks for an echo after 5 s of silence and closes at 10 s.
#[tokio::test]
async fn the_servers_own_probes_are_answered() {
    let extra = ["--remote=ptcp:0:127.0.0.1".to_owned()];
    let server = Server::with_extra(SCHEMA.as_ref(), &extra);
    let port = server.port();
    let remote: Remote = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let mut follower = Follower::start(config(remote)).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(12) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    follower.transact(1, vec![switch("still there")]).await.unwrap();
    assert!(!follower.seen.iter().any(|seen| matches!(seen, Seen::Disconnected(_))));
}

#[tokio::test]
async fn dropping_the_client_closes_the_connection() {
    let server = Server::start();
    let follower = Follower::start(config(server.remote())).await;
    let sessions = || server.sessions();
    assert_eq!(sessions(), 1);
    drop(follower);
    let deadline = Instant::now() + Duration::from_secs(10);
    while sessions() != 0 {
        assert!(Instant::now() < deadline, "the connection is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn the_wanted_lists_order_is_what_the_tests_assume() {
    assert_eq!(WANTED[usize::from(SWITCH.0)].table, "Logical_Switch");
}
