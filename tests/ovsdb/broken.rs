//! Servers that are none.

use std::time::Duration;

use ovn_peerd::ovsdb::client::{Config, Remote};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::follower::{Follower, Seen, config};
use crate::rows::raw_set;
use crate::server::Server;

/// Accepts any number of connections, says the same to each, and then reads in silence.
fn parrot(directory: &TempDir, words: &'static [u8]) -> Remote {
    let path = directory.path().join("parrot.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                // The first request is waited for: what comes unasked is read just as well, but later.
                while let Ok(1..) = stream.read(&mut buffer).await {
                    if !words.is_empty() && stream.write_all(words).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Remote::Unix(path)
}

/// Begins to answer each connection's first request, and never ends: a piece again and again, with a pause after each.
fn torrent(directory: &TempDir, piece: Vec<u8>, pause: Duration) -> Remote {
    let path = directory.path().join("torrent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let piece = piece.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let _ = stream.read(&mut buffer).await;
                let mut begun = stream.write_all(br#"{"id":0,"result":["#).await;
                while begun.is_ok() {
                    tokio::time::sleep(pause).await;
                    begun = stream.write_all(&piece).await;
                }
            });
        }
    });
    Remote::Unix(path)
}

/// Each byte is a sign of life, so silence never ends such a session.
#[tokio::test]
async fn a_reply_without_end() {
    let first = async |piece: Vec<u8>, pause| {
        let directory = TempDir::new().unwrap();
        let config = Config {
            handshake_timeout: Duration::from_secs(20),
            ..config(torrent(&directory, piece, pause))
        };
        let began = std::time::Instant::now();
        let reason = Follower::new(config).reason().await;
        (reason, began.elapsed())
    };
    let (nests, took) = first(b"[".to_vec(), Duration::from_millis(1)).await;
    assert!(nests.contains("nests more than 64 deep"), "{nests}");
    assert!(took < Duration::from_secs(10), "it was read on for {took:?}");
    let mut string = vec![b'x'; 1 << 20];
    string[0] = b'"';
    string.extend(vec![b'y'; 20 << 20]);
    let (string, _) = first(string, Duration::ZERO).await;
    assert!(string.contains("a string of more than 16777216 bytes"), "{string}");
    let (trickles, took) = first(b"1,".to_vec(), Duration::from_millis(200)).await;
    assert!(
        trickles.contains("no answer to the requests before the first dump within 20 s"),
        "{trickles}"
    );
    assert!(took >= Duration::from_secs(20));
}

async fn reason(words: &'static [u8]) -> String {
    let directory = TempDir::new().unwrap();
    let impatient = Config {
        answer_timeout: Some(Duration::from_millis(500)),
        largest_frame: 1000,
        ..config(parrot(&directory, words))
    };
    let mut follower = Follower::new(impatient);
    let first = follower.reason().await;
    // It is tried again, with the same result; one that is silent is given more time.
    let kind = |reason: &str| reason.split(" within ").next().map(str::to_owned);
    assert_eq!(kind(&follower.reason().await), kind(&first));
    assert!(follower.seen.iter().all(|seen| matches!(seen, Seen::Disconnected(_))));
    first
}

#[tokio::test]
async fn a_server_of_another_protocol() {
    let banner = reason(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    assert!(banner.contains("\"SSH-2.0") && banner.contains("not an OVSDB server"), "{banner}");
    let http = reason(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(http.contains("HTTP/1.1"), "{http}");
    let alert = reason(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]).await;
    assert!(alert.contains("name the remote as ssl:"), "{alert}");
}

#[tokio::test]
async fn a_server_of_no_protocol() {
    let not_json = reason(b"{garbage}").await;
    assert!(
        not_json.contains("neither request, notification nor reply: key must be"),
        "{not_json}"
    );
    let nothing = reason(b"{}").await;
    assert!(nothing.contains("neither request, notification nor reply"), "{nothing}");
    let stranger = reason(br#"{"id":77,"result":{},"error":null}"#).await;
    assert!(stranger.contains("does not keep to JSON-RPC"), "{stranger}");
    let schema = reason(br#"{"id":0,"result":{"name":3},"error":null}"#).await;
    assert!(schema.contains("reply to get_schema could not be understood"), "{schema}");
}

#[tokio::test]
async fn a_silent_server() {
    let silent = reason(b"").await;
    assert!(silent.contains("no answer to get_schema within 0.5 s"), "{silent}");
}

#[tokio::test]
async fn nobody_at_all() {
    let mut follower = Follower::new(config("unix:/nowhere/at/all.sock".parse().unwrap()));
    let reason = follower.reason().await;
    assert!(
        reason.contains("there is no such socket") && reason.starts_with("unix:/nowhere"),
        "{reason}"
    );
    let mut follower =
        Follower::new(Config { remotes: vec![], ..config("unix:x".parse().unwrap()) });
    let reason = follower.reason().await;
    assert!(reason.contains("no remote is configured"), "{reason}");
}

#[tokio::test]
async fn a_message_beyond_the_limit() {
    let server = Server::start();
    server.raw().transact(&[raw_set("large", 10_000)]);
    let limited = Config { largest_frame: 60_000, ..config(server.remote()) };
    let mut follower = Follower::new(limited);
    let reason = follower.reason().await;
    assert!(
        reason.contains("more than 60000 bytes") && reason.contains("largest_frame"),
        "{reason}"
    );
}

/// Of several remotes, the one that works is found.
#[tokio::test]
async fn one_good_remote_among_bad_ones() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let remotes = vec![
        "unix:/nowhere/at/all.sock".parse().unwrap(),
        parrot(&directory, b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        server.remote(),
    ];
    let began = std::time::Instant::now();
    let follower = Follower::start(Config { remotes, ..config(server.remote()) }).await;
    assert!(follower.connected);
    assert!(began.elapsed() < Duration::from_secs(1), "the first round does not wait");
}
