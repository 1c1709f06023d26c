//! The control socket by itself: what it answers and refuses, whose socket is replaced, what is bounded. Who gets in is
//! `access`.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ovn_peerd::control::{self, MAX_BODY_BYTES, Socket, SocketError};
use serde_json::Value;
use tempfile::TempDir;

use crate::served::{Served, curl, runtime};

#[test]
fn answers_are_json_and_filters_narrow_them() {
    let served = Served::start();
    let (status, all) = served.curl(&[], "/v1/halves");
    assert_eq!((status, all.as_array().unwrap().len()), (200, 3));
    let (_, blue) = served.curl(&[], "/v1/halves?project=blue&state=active");
    assert_eq!(blue.as_array().unwrap().len(), 1);
    assert_eq!(blue[0]["name"], "to-db");
    let (_, none) = served.curl(&[], "/v1/halves?network=nowhere");
    assert_eq!(none, Value::Array(Vec::new()));
    let (status, half) = served.curl(&[], "/v1/halves/blue/web/a%2Fb%20c");
    assert_eq!((status, &half["name"]), (200, &Value::from("a/b c")));
    let (status, reloaded) = served.curl(&["-X", "POST"], "/v1/reload");
    assert_eq!((status, &reloaded["halves"]), (200, &Value::from(3)));
    let body = r#"{"networks": {}, "peerings": {"files": [{"name": "b.toml", "path": "/b.toml", "text": ""}]}}"#;
    let (status, plan) =
        served.curl(&["-H", "content-type: application/json", "--data", body], "/v1/plan");
    assert_eq!((status, &plan["held"][0]), (200, &Value::from("b.toml")));
}

#[test]
fn refusals_have_a_code_a_sentence_and_a_next_step() {
    let served = Served::start();
    let json = "content-type: application/json";
    for (arguments, path, status, code) in [
        (&[][..], "/v1/halves/blue/web/none", 404, "no-such-half"),
        (&[], "/v1/halves/blue/web/%ff", 400, "bad-request"),
        (&[], "/v2", 404, "no-such-route"),
        (&["-X", "DELETE"], "/v1/halves", 405, "wrong-method"),
        (&[], "/v1/halves?state=nonsense", 400, "bad-request"),
        (&[], "/v1/halves?state=active,nonsense", 400, "bad-request"),
        (&[], "/v1/halves?projekt=blue", 400, "bad-request"),
        (&["-H", json, "--data", "{"], "/v1/plan", 400, "bad-request"),
        (&["--data", "{}"], "/v1/plan", 400, "bad-request"),
    ] {
        let (seen, body) = served.curl(arguments, path);
        assert_eq!((seen, &body["error"]["code"]), (status, &Value::from(code)), "{path} {body}");
        for field in ["message", "next_step"] {
            assert!(!body["error"][field].as_str().unwrap().is_empty(), "{path} {body}");
        }
    }
}

#[test]
fn a_wrong_method_is_answered_with_the_right_ones() {
    let served = Served::start();
    let mut head = curl(&served.socket(), &["-X", "DELETE", "--include"], "/v1/halves");
    let head = String::from_utf8(head.output().unwrap().stdout).unwrap().to_lowercase();
    assert!(head.contains("allow: get"), "{head}");
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let served = Served::start();
    let file = served.directory.path().join("body");
    fs::File::create(&file).unwrap().set_len(MAX_BODY_BYTES as u64 + 1).unwrap();
    let data = format!("@{}", file.display());
    // `Expect` is dropped so that the whole body is under way when the refusal comes.
    let arguments =
        ["-H", "content-type: application/json", "-H", "Expect:", "--data-binary", &data];
    let (status, body) = served.curl(&arguments, "/v1/plan");
    assert_eq!((status, &body["error"]["code"]), (413, &Value::from("too-large")));
}

#[test]
fn a_dead_daemons_socket_is_replaced_and_a_live_ones_is_not() {
    let served = Served::start();
    let socket = served.socket();
    let bind = |path: &Path| runtime().block_on(Socket::bind(path));
    let error = bind(&socket).unwrap_err();
    assert!(matches!(&error, SocketError::Live { pid: Some(_), .. }), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(served.curl(&[], "/v1/status").0, 200, "the live one still answers");

    let stale = served.directory.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(fs::symlink_metadata(&stale).unwrap().file_type().is_socket());
    let bound = bind(&stale).unwrap();
    drop(bound);
    assert_eq!(fs::symlink_metadata(&stale).unwrap_err().kind(), ErrorKind::NotFound);

    let foreign = served.directory.path().join("foreign.sock");
    let listener = UnixListener::bind(&foreign).unwrap();
    assert!(matches!(bind(&foreign), Err(SocketError::Live { pid: None, .. })));
    drop(listener);

    let file = served.directory.path().join("file");
    fs::write(&file, "kept").unwrap();
    assert!(matches!(bind(&file), Err(SocketError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn a_lock_that_others_may_open_is_replaced_and_one_that_is_going_is_waited_for() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let lock = directory.path().join("c.sock.lock");
    let old = fs::File::create(&lock).unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    old.lock().unwrap();
    let bind = || runtime().block_on(Socket::bind(&path));
    let first = bind().unwrap();
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    let leaving = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        drop(first);
    });
    bind().unwrap();
    leaving.join().unwrap();
}

#[test]
fn a_client_that_stays_silent_is_dropped_and_does_not_keep_others_out() {
    let served = Served::start();
    let mut idle: Vec<_> = (0..control::MAX_CONNECTIONS)
        .map(|_| UnixStream::connect(served.socket()).unwrap())
        .collect();
    // Every place is taken; one comes free when the first idle client's time is over.
    assert_eq!(served.curl(&[], "/v1/status").0, 200);
    let dropped = idle.first_mut().unwrap();
    dropped.set_read_timeout(Some(control::HEAD_TIME)).unwrap();
    assert_eq!(dropped.read(&mut [0; 1]).unwrap(), 0, "closed by the daemon");
}
