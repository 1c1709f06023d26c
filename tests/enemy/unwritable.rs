//! What is said to those who change the store where it takes nothing: a full disk, a northbound that may only be read.
//! Operators get the words of the server, tenants what happened and what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ground::{DEADLINE, seed};
use crate::lab::command::{output, poll, require_root_and_tools};
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::server::Server;
use crate::store::{daemons, stored};

/// Who owns project p0.
const TENANT: &str = "20001";

/// A server on its own with networks.
fn alone(scope: &Scope) -> Server {
    require_root_and_tools();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    fs::set_permissions(scope.dir(), Permissions::from_mode(0o755)).expect("a directory");
    server
}

/// The northbound of a daemon that the tenant may ask.
fn settings(server: &Server) -> String {
    let owner = format!("[[project]]\nname = \"p0\"\nowner = \"{TENANT}\"\n");
    format!("remotes = [{:?}]\n{owner}", server.remote())
}

/// What a command prints that creates a half, in one line.
fn created(daemon: &Daemon, name: &str) -> (Option<i32>, String) {
    let output = daemon.ctl(&["create", &format!("p0/n/{name}"), &format!("x-{name}/n")]);
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let words: Vec<String> = text.concat().split_whitespace().map(str::to_owned).collect();
    (output.status.code(), words.join(" "))
}

/// What the tenant is answered who stores a half.
fn told(socket: &Path, name: &str) -> Value {
    let half = format!(
        "project = \"p0\"\n[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_project = \"x-{name}\"\ntarget_network = \"n\"\n"
    );
    let body = json!({ "project": "p0", "declarations": half, "create": true }).to_string();
    let mut curl = Command::new("setpriv");
    curl.args(["--reuid", TENANT, "--regid", TENANT, "--clear-groups", "--", "curl", "--silent"]);
    curl.args(["--max-time", "20", "--json", &body, "--unix-socket"]).arg(socket);
    let answer = output(curl.arg("http://localhost/v1/store"));
    serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{answer:?}"))
}

/// The line about the tenant's change, with the words that operators get, at warn.
fn assert_audited(daemon: &Daemon, words: &str) {
    let of_tenant = |line: &&str| line.contains(&format!("uid {TENANT}: store of project p0"));
    let log = daemon.log();
    let line = log.lines().find(of_tenant).unwrap_or_else(|| panic!("no line: {log}"));
    println!("{line}");
    assert!(line.contains("WARN") && line.contains(words), "{line}");
}

/// The tenant is answered with this code, in plain words; the server's words are for operators.
fn assert_told(daemon: &Daemon, code: &str, plain: &str, words: &str) {
    let told = told(&daemon.socket(), "c");
    println!("{told}");
    assert_eq!(told["error"]["code"], code, "{told}");
    let message = told["error"]["message"].to_string();
    assert!(message.contains(plain) && !message.contains(words), "{told}");
    assert_audited(daemon, words);
}

fn names(server: &Server) -> Vec<String> {
    stored(&Dump::read(&server.remote()), "p0").into_keys().collect()
}

#[test]
fn a_full_disk_is_named_to_who_stores_and_nothing_is_half_done() {
    let scope = Scope::new();
    let server = alone(&scope);
    let [daemon] = daemons(&scope, &settings(&server));
    assert_eq!(created(&daemon, "a").0, Some(0));
    daemon.wait_quiet();
    let before = Dump::read(&server.remote());
    server.let_grow(false);
    let begin = Instant::now();
    let (code, text) = created(&daemon, "b");
    println!("{text}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(code, Some(1), "{text}");
    let plain = "the northbound has no room for it: the disk of its server is full";
    for words in [plain, "I/O error", "is the disk full?", "nothing was stored", "`ovn-peerctl"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_told(&daemon, "northbound-full", plain, "I/O error");
    Dump::read(&server.remote()).assert_same_as(&before);
    server.let_grow(true);
    let (code, text) = created(&daemon, "b");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(names(&server), ["a", "b"]);
}

/// It is a backup, or its remote is read-only: it answers, and takes nothing.
#[test]
fn a_northbound_that_may_only_be_read_is_named_to_who_stores() {
    let scope = Scope::new();
    let server = alone(&scope);
    let [daemon] = daemons(&scope, &settings(&server));
    assert_eq!(created(&daemon, "a").0, Some(0));
    daemon.wait_quiet();
    let backup = Server::prepare(
        scope.dir(),
        "copy",
        None,
        &[format!("--sync-from={}", server.remote()), "--active".to_owned()],
    );
    backup.create();
    backup.start();
    backup.appctl(&["ovsdb-server/connect-active-ovsdb-server"]);
    poll("the backup has it", DEADLINE, || {
        if names(&backup) == ["a"] { Ok(()) } else { Err("not yet".to_owned()) }
    });
    let reader = Daemon::prepare_for(scope.dir(), &settings(&backup), "hv9", None);
    reader.start_again();
    poll("it knows why", DEADLINE, || {
        let status = String::from_utf8_lossy(&reader.ctl(&["status"]).stdout).into_owned();
        if status.contains("may only") { Ok(()) } else { Err(status) }
    });
    let (code, text) = created(&reader, "b");
    println!("{text}");
    assert_eq!(code, Some(1), "{text}");
    let plain = "the northbound may only be read now";
    for words in [plain, "not allowed", "a backup server", "nothing was stored"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_told(&reader, "northbound-read-only", plain, "not allowed");
    assert_eq!(names(&server), ["a"]);
}
