//! RAFT clusters: resuming by the last transaction, and following the leader.

use std::process::Command;
use std::sync::Arc;

use ovn_peerd::ovsdb::client::Config;
use tempfile::TempDir;

use crate::follower::{Follower, SWITCH, Seen, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::{raw_set, raw_switch, switch};
use crate::server::{DATABASE, SCHEMA, Server, run};

fn address(directory: &TempDir, member: usize) -> String {
    format!("unix:{}/raft{member}", directory.path().display())
}

/// A cluster of this many members, all joined.
pub(crate) fn cluster(members: usize) -> Vec<Server> {
    let directory = Arc::new(TempDir::new().unwrap());
    let file = |member: usize| directory.path().join(format!("m{member}.db"));
    run(Command::new("ovsdb-tool")
        .arg("create-cluster")
        .arg(file(0))
        .args([SCHEMA, &address(&directory, 0)]));
    let mut servers = vec![Server::on(Arc::clone(&directory), "m0")];
    for member in 1..members {
        run(Command::new("ovsdb-tool").arg("join-cluster").arg(file(member)).args([
            DATABASE,
            &address(&directory, member),
            &address(&directory, 0),
        ]));
        servers.push(Server::on(Arc::clone(&directory), &format!("m{member}")));
    }
    servers
}

fn is_leader(server: &Server) -> bool {
    server.appctl(&["cluster/status", DATABASE]).contains("Role: leader")
}

#[tokio::test]
async fn a_session_continues_where_the_last_one_ended() {
    let servers = cluster(1);
    let proxy = Proxy::before(&servers[0].socket(), Habit::Plain);
    let mut raw = servers[0].raw();
    // A server's history is never larger than its database, so a tiny one has none.
    raw.transact(&[raw_switch("a"), raw_set("weight", 1000)]);
    let mut follower = Follower::start(config(proxy.remote())).await;
    follower.transact(1, vec![switch("b")]).await.unwrap();

    for round in 0..3 {
        proxy.cut();
        follower.until("the end of the session", |f| !f.connected).await;
        let missed = format!("missed{round}");
        raw.transact(&[raw_switch(&missed)]);
        raw.transact(&[serde_json::json!({"op": "mutate", "table": "Logical_Switch", "where": [],
            "mutations": [["external_ids", "insert", ["map", [[&missed, "y"]]]]]})]);
        follower.reconnected().await;
        assert_eq!(follower.seen.last(), Some(&Seen::Resumed));
        follower.until("what was missed", |f| f.names(SWITCH).contains(&missed)).await;
        follower.transact(2, vec![switch("after")]).await.unwrap();
        raw.assert_same(follower.replica());
    }
    assert_eq!(follower.seen.iter().filter(|seen| **seen == Seen::Snapshot).count(), 1);

    // After a resync nothing is continued.
    follower.client.resync();
    follower.reconnected().await;
    assert_eq!(follower.seen.last(), Some(&Seen::Snapshot));
    assert_eq!(follower.changes, []);
}

/// A server keeps 100 transactions; beyond that everything is sent, and only differences are reported.
#[tokio::test]
async fn a_history_that_is_gone_is_replaced_by_everything() {
    let servers = cluster(1);
    let proxy = Proxy::before(&servers[0].socket(), Habit::Plain);
    let mut raw = servers[0].raw();
    for number in 0..5 {
        raw.transact(&[raw_switch(&format!("old{number}"))]);
    }
    let mut follower = Follower::start(config(proxy.remote())).await;
    proxy.cut();
    follower.until("the end of the session", |f| !f.connected).await;
    for number in 0..150 {
        raw.transact(&[raw_switch(&format!("new{number}"))]);
    }
    let held = follower.replica().len(SWITCH);
    follower.reconnected().await;
    if follower.seen.last() == Some(&Seen::Snapshot) {
        assert_eq!(follower.changes.len(), 155 - held);
    }
    follower.until("all rows", |f| f.replica().len(SWITCH) == 155).await;
    raw.assert_same(follower.replica());
}

#[tokio::test]
async fn the_leader_is_followed() {
    let mut servers = cluster(3);
    crate::server::wait("a leader", || servers.iter().any(is_leader));
    let leader = servers.iter().position(is_leader).unwrap();
    let other = (leader + 1) % 3;

    // A member that does not lead is refused, or will do, as configured.
    let mut strict = Follower::new(config(servers[other].remote()));
    let reason = strict.reason().await;
    assert!(reason.contains("not the leader"), "{reason}");
    let any = Config { leader_only: false, ..config(servers[other].remote()) };
    let mut lenient = Follower::start(any).await;
    lenient.transact(1, vec![switch("through a follower")]).await.unwrap();

    // A client of all members finds the leader, and the next one once that has gone.
    let remotes = servers.iter().map(Server::remote).collect();
    let mut follower = Follower::start(Config { remotes, ..config(servers[0].remote()) }).await;
    let leaders = |f: &Follower| -> Vec<String> {
        let connected = f.seen.iter().filter_map(|seen| match seen {
            Seen::Connected(remote) => Some(remote.clone()),
            _ => None,
        });
        connected.collect()
    };
    assert_eq!(leaders(&follower), [servers[leader].remote().to_string()]);
    follower.transact(1, vec![switch("a")]).await.unwrap();
    servers[leader].kill();
    follower.until("another leader", |f| leaders(f).len() > 1).await;
    follower.until("a session", |f| f.connected).await;
    assert_ne!(leaders(&follower)[1], leaders(&follower)[0]);
    let mut id = 2;
    while let Err(error) = follower.transact(id, vec![switch("b")]).await {
        assert!(error.is_retryable(), "{error}");
        id += 1;
        if !follower.connected {
            follower.until("a session", |f| f.connected).await;
        }
    }
    // The leader has it all; others may lag behind.
    let current = leaders(&follower).pop().unwrap();
    let leading = servers.iter().find(|server| server.remote().to_string() == current).unwrap();
    leading.raw().assert_same(follower.replica());
    let stopped = servers.swap_remove(leader).restarted().await;
    servers.push(stopped);

    // A leader that hands over without going away is left as well.
    let leader = servers.iter().position(is_leader).unwrap();
    servers[leader].appctl(&["cluster/failure-test", "transfer-leadership"]);
    let reason = follower.reason().await;
    assert!(reason.contains("not the leader"), "{reason}");
    follower.until("a session", |f| f.connected).await;
}
