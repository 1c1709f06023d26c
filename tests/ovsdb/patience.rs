//! Servers that are busy, and servers that are dead: nobody can tell them apart but by waiting. Where there is no other
//! server they are waited for; where there is one it is soon asked, and asked with more patience each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use ovn_peerd::ovsdb::client::{Config, Remote, TransactError};

use crate::follower::{Follower, SWITCH, Seen, config};
use crate::proxy::{Habit, Proxy};
use crate::rows::switch;
use crate::server::Server;

const LIMIT: Duration = Duration::from_millis(200);

fn disconnections(follower: &Follower) -> usize {
    follower.seen.iter().filter(|seen| matches!(seen, Seen::Disconnected(_))).count()
}

/// No limit but that of silence, which is not reached.
fn alone(remote: Remote) -> Config {
    Config { connect_timeout: LIMIT, transact_timeout: LIMIT, ..config(remote) }
}

/// A server that has no time, for so long.
fn busy_for(server: &Server, time: Duration) -> JoinHandle<()> {
    server.signal("STOP");
    let pid = server.id();
    std::thread::spawn(move || {
        sleep(time);
        crate::server::signal(pid, "CONT");
    })
}

/// The daemon's own limits, and a server that is busy for longer than a short request was once given.
#[tokio::test]
async fn the_only_server_is_waited_for_in_one_session() {
    let server = Server::start();
    let busy = busy_for(&server, Duration::from_secs(12));
    let begin = Instant::now();
    let mut follower = Follower::start(config(server.remote())).await;
    assert!(begin.elapsed() > Duration::from_secs(11), "it was not busy");
    busy.join().unwrap();
    assert_eq!(disconnections(&follower), 0, "{:?}", follower.seen);
    follower.transact(1, vec![switch("x")]).await.unwrap();
}

#[tokio::test]
async fn a_transaction_is_waited_for_while_the_only_server_answers_nothing() {
    let server = Server::start();
    let mut follower = Follower::start(alone(server.remote())).await;
    let busy = busy_for(&server, LIMIT * 8);
    follower.transact(1, vec![switch("x")]).await.unwrap();
    busy.join().unwrap();
    assert_eq!(disconnections(&follower), 0, "{:?}", follower.seen);
    assert_eq!(follower.names(SWITCH), ["x"]);
}

/// It answers what was asked later: it has lost the transaction, however alone it is.
#[tokio::test]
async fn a_transaction_that_the_only_server_has_lost_is_given_up() {
    let server = Server::start();
    let Remote::Unix(path) = server.remote() else { panic!("a socket") };
    let proxy = Proxy::before(&path, Habit::Forget("transact"));
    let mut follower = Follower::start(alone(proxy.remote())).await;
    let outcome = follower.transact(1, vec![switch("x")]).await;
    assert!(
        matches!(&outcome, Err(TransactError::Unknown(why)) if why.contains("within 0.2 s")),
        "{outcome:?}"
    );
    follower.reconnected().await;
    follower.transact(2, vec![switch("y")]).await.unwrap();
}

/// It answers probes and all else: only what it was asked next tells that a reply will never come.
#[tokio::test]
async fn a_request_of_the_start_that_the_only_server_has_lost_is_given_up() {
    let server = Server::start();
    let Remote::Unix(path) = server.remote() else { panic!("a socket") };
    for method in ["get_schema", "set_db_change_aware", "monitor_cond_since", "lock", "transact"] {
        let proxy = Proxy::before(&path, Habit::Forget(method));
        let lock = Some("a_lock".to_owned());
        let mut follower = Follower::new(Config { lock, ..alone(proxy.remote()) });
        let reason = follower.reason().await;
        assert!(reason.contains(&format!("no answer to {method} within 0.2 s")), "{reason}");
        follower.until("a lock", |f| f.lock == Some(true)).await;
    }
}

/// A connection may be dead: silence ends the wait, each time later; and soon again once a session has stood for a while.
#[tokio::test]
async fn the_only_server_is_given_up_later_each_time_and_soon_again_once_it_has_served() {
    let server = Server::start();
    let config = Config { probe_interval: LIMIT / 2, ..alone(server.remote()) };
    let mut follower = Follower::start(config).await;
    for seconds in ["0.2", "0.2", "0.4"] {
        server.signal("STOP");
        let reason = follower.reason().await;
        assert!(reason.contains(&format!("sent nothing for {seconds} s")), "{reason}");
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        server.signal("CONT");
        follower.until("a session", |f| f.connected).await;
        tokio::time::sleep(LIMIT * 10).await;
        server.signal("STOP");
        let reason = follower.reason().await;
        if reason.contains("sent nothing for 0.2 s") {
            break;
        }
        assert!(Instant::now() < deadline, "{reason}");
    }
    server.signal("CONT");
}

/// A server that has a moment now and then: it answers a request or two each time.
struct Slow {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Slow {
    fn down(server: &Server) -> Self {
        server.signal("STOP");
        let (stop, pid) = (Arc::new(AtomicBool::new(false)), server.id());
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                crate::server::signal(pid, "STOP");
                sleep(LIMIT * 3);
                crate::server::signal(pid, "CONT");
                sleep(LIMIT / 20);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Both ways lead to a server that is busy: patience grows until it is long enough, and few sessions are tried.
#[tokio::test]
async fn of_several_servers_that_are_busy_one_is_waited_for_in_the_end() {
    let server = Server::start();
    let Remote::Unix(path) = server.remote() else { panic!("a socket") };
    let (one, two) = (Proxy::before(&path, Habit::Plain), Proxy::before(&path, Habit::Plain));
    let slow = Slow::down(&server);
    let remotes = vec![one.remote(), two.remote()];
    let impatient = Config {
        remotes,
        answer_timeout: Some(LIMIT),
        probe_interval: LIMIT / 2,
        ..config(server.remote())
    };
    let follower = Follower::start(impatient).await;
    let tried = disconnections(&follower);
    assert!(tried <= 8, "{:?}", follower.seen);
    drop(slow);
}

/// Beside one that hangs another is found at once, however long the first one was waited for: it is asked last.
#[tokio::test]
async fn a_server_that_hangs_does_not_keep_from_one_that_comes() {
    let (hangs, mut other) = (Server::start(), Server::start());
    hangs.signal("STOP");
    let remotes = vec![hangs.remote(), other.remote()];
    other.kill();
    let impatient = Config {
        remotes,
        answer_timeout: Some(LIMIT),
        probe_interval: LIMIT,
        ..config(hangs.remote())
    };
    let mut follower = Follower::new(impatient);
    let begin = Instant::now();
    while disconnections(&follower) < 6 {
        follower.step().await;
    }
    let searched = begin.elapsed();
    other.restart();
    follower.until("a first dump", |f| f.replica.is_some()).await;
    let found = begin.elapsed() - searched;
    // What the last wait takes is what was waited before, and the pause between two rounds.
    assert!(found < searched * 2 + Duration::from_secs(3), "{found:?} after {searched:?}");
    hangs.signal("CONT");
}
