//! A user that takes no event for a while, as it is busy: the client goes on beside it.

use std::time::{Duration, Instant};

use ovn_peerd::ovsdb::client::{Config, Remote};

use crate::follower::{Follower, SET, SWITCH, Seen, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::{raw_set, raw_switch, switch};
use crate::server::{PATIENCE, SCHEMA, Server};

/// A server that listens on TCP asks for an echo after 5 s of silence, and closes at 10 s.
const LONGER_THAN_A_SERVER_WAITS: Duration = Duration::from_secs(12);

fn sessions_ended(follower: &Follower) -> usize {
    follower.seen.iter().filter(|seen| matches!(seen, Seen::Disconnected(_))).count()
}

#[tokio::test]
async fn the_servers_probes_are_answered_while_the_user_is_busy() {
    let extra = ["--remote=ptcp:0:127.0.0.1".to_owned()];
    let server = Server::with_extra(SCHEMA.as_ref(), &extra);
    let remote: Remote = format!("tcp:127.0.0.1:{}", server.port()).parse().unwrap();
    let mut follower = Follower::start(config(remote)).await;
    let mut raw = server.raw();
    raw.transact(&[raw_switch("before")]);
    // The thread that the events are taken on: nothing else runs on it meanwhile.
    std::thread::sleep(LONGER_THAN_A_SERVER_WAITS);
    raw.transact(&[raw_switch("after")]);
    follower.until("both rows", |f| f.replica().len(SWITCH) == 2).await;
    follower.transact(1, vec![switch("own")]).await.unwrap();
    assert_eq!(sessions_ended(&follower), 0, "{:?}", follower.seen);
    raw.assert_same(follower.replica());
}

/// The server joins the changes that nobody takes, so no memory fills: neither here nor there.
#[tokio::test]
async fn what_waits_for_a_busy_user_is_bounded_and_nothing_is_lost() {
    const COMMITS: usize = 200;
    const ADDRESSES: usize = 2000;
    let server = Server::start();
    let small = Config { backlog: 200_000, ..config(server.remote()) };
    let mut follower = Follower::start(small).await;
    let mut raw = server.raw();
    for number in 0..COMMITS {
        raw.transact(&[raw_set(&format!("set{number}"), ADDRESSES)]);
    }
    let names = |f: &Follower| f.replica().len(SET);
    follower.until("all rows", |f| names(f) == COMMITS).await;
    let updates = follower.seen.iter().filter(|seen| **seen == Seen::Update).count();
    assert!(updates < COMMITS / 2, "{updates} of {COMMITS} commits came one by one");
    assert_eq!(sessions_ended(&follower), 0, "{:?}", follower.seen);
    raw.assert_same(follower.replica());
    follower.transact(1, vec![switch("own")]).await.unwrap();
}

/// What the user has not taken of a session that has ended keeps the next one from filling as much again.
#[tokio::test]
async fn the_next_session_waits_until_the_last_ones_updates_are_taken() {
    let server = Server::start();
    let proxy = Proxy::before(&server.socket(), Habit::Echo);
    let mut follower = Follower::start(config(proxy.remote())).await;
    let answered = proxy.echoes();
    let mut raw = server.raw();
    raw.transact(&[raw_switch("one")]);
    // What is asked behind the update is answered once that was read.
    wait("the update to be read", || proxy.echoes() >= answered + 2).await;
    proxy.cut();
    drop(raw);
    wait("the connection to be closed", || server.sessions() == 0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.sessions(), 0, "another session has begun");
    follower.reconnected().await;
    server.raw().assert_same(follower.replica());
}

#[tokio::test]
async fn a_client_that_is_closed_has_ended() {
    let server = Server::start();
    let mut raw = server.raw();
    let follower = Follower::start(config(server.remote())).await;
    for number in 0..500 {
        raw.transact(&[raw_switch(&format!("not taken {number}"))]);
    }
    assert!(follower.client.close(PATIENCE).await);
    // The system lists a thread for a moment longer than it is waited for.
    wait("the thread to be gone", || threads_named("ovsdb") == 0).await;
}

async fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The threads of this process that have this name; each test is a process of its own.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names.filter(|found| found.as_ref().is_ok_and(|found| found.trim() == name)).count()
}
