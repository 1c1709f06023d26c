//! However the bytes come: one by one, several messages at once, or with probes among them.

use std::time::Duration;

use ovn_peerd::ovsdb::client::Config;

use crate::follower::{Follower, SET, SWITCH, Seen, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::{raw_set, raw_switch, switch};
use crate::server::Server;

/// Follows changes of several kinds through a proxy of this habit.
async fn follow(habit: Habit) -> Proxy {
    let server = Server::start();
    let mut raw = server.raw();
    raw.transact(&[raw_switch("first \"{}\\ \u{e9}"), raw_set("set", 50)]);
    let proxy = Proxy::before(&server.socket(), habit);
    let mut follower = Follower::start(config(proxy.remote())).await;
    raw.assert_same(follower.replica());
    for id in 0..20 {
        raw.transact(&[raw_switch(&format!("raw{id}"))]);
        follower.transact(id, vec![switch(&format!("own}}{id}"))]).await.unwrap();
        assert!(follower.names(SWITCH).contains(&format!("own}}{id}")));
    }
    follower.until("all rows", |f| f.replica().len(SWITCH) == 41).await;
    raw.assert_same(follower.replica());
    assert!(!follower.seen.iter().any(|seen| matches!(seen, Seen::Disconnected(_))));
    proxy
}

#[tokio::test]
async fn reads_of_one_byte() {
    follow(Habit::Dribble).await;
}

#[tokio::test]
async fn several_messages_in_one_read() {
    follow(Habit::Gather).await;
}

#[tokio::test]
async fn echo_requests_among_everything() {
    let proxy = follow(Habit::Echo).await;
    assert!(proxy.echoes() > 80, "{} echo replies", proxy.echoes());
}

/// The probe asks while a reply of some megabytes trickles in for many times the probe's interval: that
/// is life enough.
#[tokio::test]
async fn a_reply_that_trickles_in_is_a_sign_of_life() {
    let server = Server::start();
    let mut raw = server.raw();
    for set in 0..10 {
        raw.transact(&[raw_set(&format!("s{set}"), 2000)]);
    }
    let proxy = Proxy::before(&server.socket(), Habit::Trickle);
    let probe_interval = Duration::from_millis(150);
    let follower = Follower::start(Config { probe_interval, ..config(proxy.remote()) }).await;
    assert_eq!(follower.replica().len(SET), 10);
    assert_eq!(follower.seen.len(), 2, "{:?}", follower.seen);
    raw.assert_same(follower.replica());
}

/// Echo requests before and after a large reply that comes in pieces.
#[tokio::test]
async fn echo_requests_around_a_large_reply() {
    let server = Server::start();
    let mut raw = server.raw();
    for set in 0..40 {
        raw.transact(&[raw_set(&format!("s{set}"), 5000)]);
    }
    let proxy = Proxy::before(&server.socket(), Habit::Echo);
    let follower = Follower::start(config(proxy.remote())).await;
    raw.assert_same(follower.replica());
    crate::server::wait_async("the echo replies", || proxy.echoes() >= 8).await;
}
