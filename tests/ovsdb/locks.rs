//! Locks: held, waited for, handed over, stolen, asserted.

use ovn_peerd::ovsdb::Operation;
use ovn_peerd::ovsdb::client::{Config, TransactError};
use serde_json::json;

use crate::follower::{Follower, Seen, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::switch;
use crate::server::Server;

fn locking(config: Config) -> Config {
    Config { lock: Some("the_lock".into()), ..config }
}

fn guarded(name: &str) -> Vec<Operation> {
    vec![Operation::Assert { lock: "the_lock".into() }, switch(name)]
}

#[tokio::test]
async fn a_lock_goes_from_one_to_the_next() {
    let server = Server::start();
    let proxy = Proxy::before(&server.socket(), Habit::Plain);
    let mut first = Follower::new(locking(config(proxy.remote())));
    first.until("the lock", |f| f.lock == Some(true)).await;
    let mut second = Follower::new(locking(config(server.remote())));
    second.until("the answer", |f| f.lock == Some(false)).await;

    first.transact(1, guarded("by the first")).await.unwrap();
    let outcome = second.transact(1, guarded("by the second")).await;
    let Err(TransactError::Rejected(error)) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((error.index, error.error.as_str()), (Some(0), "not owner"));
    assert!(error.is_retryable());

    // The first one's session ends: the second takes over, the first returns and waits.
    proxy.cut();
    second.until("the lock", |f| f.lock == Some(true)).await;
    first.until("another session", |f| !f.connected).await;
    first.until("the answer", |f| f.lock == Some(false)).await;
    second.transact(2, guarded("by the second")).await.unwrap();
    assert!(first.transact(2, guarded("by the first")).await.is_err());

    drop(second);
    first.until("the lock", |f| f.lock == Some(true)).await;
    first.transact(3, guarded("by the first again")).await.unwrap();
}

#[tokio::test]
async fn a_lock_can_be_stolen_and_comes_back() {
    let server = Server::start();
    let mut follower = Follower::new(locking(config(server.remote())));
    follower.until("the lock", |f| f.lock == Some(true)).await;
    let mut raw = server.raw();
    raw.call("steal", &json!(["the_lock"]));
    follower.until("the theft", |f| f.lock == Some(false)).await;
    assert!(follower.transact(1, guarded("x")).await.is_err());
    raw.call("unlock", &json!(["the_lock"]));
    follower.until("the lock", |f| f.lock == Some(true)).await;
    let locks: Vec<_> =
        follower.seen.iter().filter(|seen| matches!(seen, Seen::Lock(_))).cloned().collect();
    assert_eq!(locks, [Seen::Lock(true), Seen::Lock(false), Seen::Lock(true)]);
}

/// The lock that says who a client is comes before the other one, which is not asked for without it; who claims it has it.
#[tokio::test]
async fn of_two_clients_that_are_the_same_one_asks_for_the_lock() {
    let server = Server::start();
    let identity = Some("the_client".to_owned());
    let same = || Config { identity: identity.clone(), ..locking(config(server.remote())) };
    let locks = |follower: &Follower| -> Vec<Seen> {
        let is_lock = |seen: &&Seen| matches!(seen, Seen::Lock(_) | Seen::Identity(_));
        follower.seen.iter().filter(is_lock).cloned().collect()
    };
    let mut first = Follower::new(same());
    first.until("the lock", |f| f.lock == Some(true)).await;
    assert_eq!(locks(&first), [Seen::Identity(true), Seen::Lock(true)]);
    let mut second = Follower::new(same());
    second.until("the answer", |f| f.seen.contains(&Seen::Identity(false))).await;
    second.client.claim();
    second.until("its name", |f| f.seen.contains(&Seen::Identity(true))).await;
    first.until("the theft", |f| f.seen.contains(&Seen::Identity(false))).await;
    assert_eq!(first.lock, Some(true), "that is another lock");
    assert_eq!(locks(&second), [Seen::Identity(false), Seen::Identity(true)]);
    drop(second);
    first.until("its name", |f| f.seen.last() == Some(&Seen::Identity(true))).await;
}
