//! Servers that go away: at any moment, for a while, or without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ovn_peerd::ovsdb::client::{Config, Remote, TransactError};
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::follower::{Follower, SWITCH, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::{raw_switch, switch};
use crate::server::{Raw, Server};

/// Kills and restarts the server at moments of chance while two write to it; afterwards the replica is
/// what a fresh dump says, and every transaction has ended once.
#[tokio::test]
async fn killed_and_restarted_at_any_moment() {
    let mut server = Server::start();
    let mut follower = Follower::start(config(server.remote())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (noise_stop, socket) = (Arc::clone(&stop), server.socket());
    let noise = std::thread::spawn(move || {
        let mut number = 0;
        while !noise_stop.load(Ordering::SeqCst) {
            let Some(mut raw) = Raw::connect(&socket) else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let params = |number| {
                serde_json::json!([crate::server::DATABASE, raw_switch(&format!("n{number}"))])
            };
            while !noise_stop.load(Ordering::SeqCst)
                && raw.try_call("transact", &params(number)).is_some()
            {
                number += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut submitted = 0;
    for round in 0..16 {
        // Mostly a session that stands is hit, now and then whatever there is.
        if round % 4 != 3 && !follower.connected {
            follower.until("a session", |f| f.connected).await;
        }
        let until = Instant::now() + Duration::from_millis(rng.random_range(0..600));
        while Instant::now() < until {
            submitted += 1;
            follower.client.submit(submitted, vec![switch(&format!("own{submitted}"))]).unwrap();
            follower.until("the end", |f| f.outcomes.contains_key(&submitted)).await;
            if !follower.connected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        server.kill();
        server = server.restarted().await;
    }
    stop.store(true, Ordering::SeqCst);
    noise.join().unwrap();
    // One more round trip in a session that stands: all that came before has been told.
    loop {
        submitted += 1;
        let outcome = follower.transact(submitted, vec![switch("last")]).await;
        match outcome {
            Ok(_) => break,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        if !follower.connected {
            follower.until("a session", |f| f.connected).await;
        }
    }
    server.raw().assert_same(follower.replica());
    assert!(follower.replica().len(SWITCH) > 12);
}

#[tokio::test]
async fn the_first_attempt_after_a_session_follows_at_once() {
    let mut server = Server::start();
    let mut follower = Follower::start(config(server.remote())).await;
    // A session of some length was a healthy one.
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill();
    follower.until("the end of the session", |f| !f.connected).await;
    let outcome = follower.transact(1, vec![switch("x")]).await;
    assert_eq!(outcome, Err(TransactError::NotConnected));
    let reason = follower.reason().await;
    assert!(reason.contains("nobody listens there"), "{reason}");
    server.restart();
    follower.reconnected().await;
    follower.transact(2, vec![switch("y")]).await.unwrap();
}

/// A paused server accepts connections and answers nothing; each wait has its end and its words.
#[tokio::test]
async fn a_paused_server_is_given_up() {
    let server = Server::start();
    let impatient = Config {
        probe_interval: Duration::from_millis(300),
        answer_timeout: Some(Duration::from_millis(300)),
        ..config(server.remote())
    };
    let mut follower = Follower::start(impatient).await;
    server.signal("STOP");
    let reason = follower.reason().await;
    assert!(reason.contains("sent nothing for 0.6 s and did not answer a probe"), "{reason}");
    let reason = follower.reason().await;
    assert!(reason.contains("no answer to get_schema within 0.3 s"), "{reason}");
    server.signal("CONT");
    follower.reconnected().await;
    follower.transact(1, vec![switch("x")]).await.unwrap();
}

#[tokio::test]
async fn a_transaction_without_an_answer_has_an_unknown_outcome() {
    let server = Server::start();
    let remotes = vec![server.remote(), server.remote()];
    let transact_timeout = Duration::from_millis(300);
    let impatient = Config { remotes, transact_timeout, ..config(server.remote()) };
    let mut follower = Follower::start(impatient).await;
    server.signal("STOP");
    let outcome = follower.transact(1, vec![switch("x")]).await;
    let Err(TransactError::Unknown(why)) = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("no answer to a transaction within 0.3 s"), "{why}");
    assert!(outcome.unwrap_err().is_retryable());
    server.signal("CONT");
    follower.reconnected().await;
    // It was done after all: the next session's rows tell, now or when it is.
    follower.until("the row", |f| f.names(SWITCH) == ["x"]).await;
}

/// As a cluster's member may in an election: it loses a transaction, and answers whatever else it is asked. With a second
/// remote that is found out soon; a single server is given the time that a large batch may need.
#[tokio::test]
async fn a_transaction_that_a_member_loses_is_soon_given_up() {
    let server = Server::start();
    let Remote::Unix(path) = server.remote() else { panic!("a socket") };
    let proxy = Proxy::before(&path, Habit::Forget("transact"));
    let remotes = vec![proxy.remote(), proxy.remote()];
    let config = Config { remotes: remotes.clone(), ..config(server.remote()) };
    let defaults = Config::new(remotes, config.database, config.wanted);
    let Config { transact_timeout, probe_interval, .. } = defaults;
    let mut follower = Follower::start(Config { transact_timeout, probe_interval, ..config }).await;
    let begin = Instant::now();
    let outcome = follower.transact(1, vec![switch("x")]).await;
    assert!(
        matches!(&outcome, Err(TransactError::Unknown(why)) if why.contains("within 8 s")),
        "{outcome:?}"
    );
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
    follower.reconnected().await;
    follower.transact(2, vec![switch("y")]).await.unwrap();
}
