//! The control socket by itself: who gets in, what is refused and how, what is bounded. The
//! event loop's side of the queue answers from fixed views here; the running daemon is `daemon`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ovn_peerd::control::{
    self, Access, Confirmed, Events, MAX_BODY_BYTES, Question, Refusal, Reloaded, Socket,
    SocketError,
};
use ovn_peerd::declare::{Diagnostic, DiagnosticCode, NotStored, Settings};
use ovn_peerd::view::{
    AttentionView, Counters, DiagnosticsView, HalfDetail, HalfView, HeldView, NorthboundView,
    PlanView, Reason, State, StatusView, StoreView,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

fn half(project: &str, name: &str, state: State) -> HalfView {
    HalfView {
        project: project.into(),
        network: "web".into(),
        name: name.into(),
        target_project: "green".into(),
        target_network: "db".into(),
        target_uuid: None,
        uuid: Uuid::from_u128(1),
        state,
        reason: (state == State::PendingPeer).then_some(Reason::AwaitingPeer),
        explanation: None,
        since: Some(Timestamp::now() - SignedDuration::from_mins(125)),
        next_step: None,
        degraded: Vec::new(),
        description: String::new(),
        hosts: vec!["hv1".into()],
        exported: 2,
        imported: 1,
        guests_since: None,
    }
}

fn halves() -> Vec<HalfView> {
    vec![
        half("blue", "to-db", State::Active),
        half("blue", "a/b c", State::PendingPeer),
        half("red", "to-db", State::Active),
    ]
}

fn detail(half: HalfView) -> HalfDetail {
    HalfDetail {
        half,
        configured_status: "active".into(),
        config: BTreeMap::new(),
        file: None,
        path: None,
        line: None,
        stored: None,
        declaration: None,
        network_uuid: Uuid::from_u128(2),
        router: None,
        local_prefixes: Vec::new(),
        remote_prefixes: Vec::new(),
        terms: ovn_peerd::declare::Terms::default().shown(),
        filtered: Vec::new(),
        manual_routes: Vec::new(),
        guests: None,
        address_sets: Vec::new(),
        rows: Vec::new(),
    }
}

fn answer(question: Question) {
    match question {
        Question::List(viewer, answer) => {
            let seen = halves().into_iter().filter(|half| viewer.sees(&half.project));
            drop(answer.send(seen.collect()));
        }
        Question::Show(viewer, key, answer) => {
            let found = halves().into_iter().find(|half| {
                *half.project == *key.network.project
                    && *half.name == *key.name
                    && viewer.sees(&half.project)
            });
            drop(answer.send(found.map(detail)));
        }
        Question::Diagnostics(viewer, answer) => {
            let all = ["a/1.toml", "b/1.toml"].map(|file| {
                Diagnostic::whole(&file.into(), DiagnosticCode::Unreadable, "=x, \"y\"", "z")
            });
            let told = all.into_iter().filter(|it| viewer.sees(&it.file[..1]));
            drop(answer.send(DiagnosticsView {
                errors: 0,
                diagnostics: told.collect(),
                more_diagnostics: 0,
            }));
        }
        Question::Attention(_, answer) => drop(answer.send(AttentionView::default())),
        Question::Status(answer) => drop(answer.send(StatusView {
            version: "0".into(),
            host: "hv1".into(),
            northbound: NorthboundView::default(),
            halves: BTreeMap::from([(State::Active, 2)]),
            errors: 0,
            diagnostics: Vec::new(),
            more_diagnostics: 0,
            held: Vec::new(),
            more_held: 0,
            held_seen: None,
            newer_version: None,
            damped: vec![],
            host_name_in_use: false,
            host_problems: Vec::new(),
            more_host_problems: 0,
            counters: Counters::default(),
        })),
        Question::Plan(candidate, answer) => {
            let held = candidate.iter().flat_map(|c| &c.peerings.files).map(|f| f.name.clone());
            drop(answer.send(Ok(PlanView { held: held.collect(), ..PlanView::default() })));
        }
        Question::Held(_, answer) => drop(answer.send(HeldView::default())),
        Question::Confirm(_, _, answer) => drop(answer.send(Ok(Confirmed::default()))),
        Question::Hosts(answer) => drop(answer.send(Vec::new())),
        Question::Forget(_, name, answer) => {
            drop(answer.send(Err(ovn_peerd::control::Refusal::NoSuchHost(name))))
        }
        Question::Networks(_, answer) => drop(answer.send(Vec::new())),
        Question::Projects(_, answer) => drop(answer.send(Vec::new())),
        Question::Requests(_, answer) => drop(answer.send(Vec::new())),
        Question::Stored(project, answer) => {
            drop(answer.send(StoreView { project, declarations: String::new() }))
        }
        Question::Store(_, answer) => {
            drop(answer.send(Err(Refusal::NotStored(NotStored::NotSynced(None)))))
        }
        Question::Refused(_) => {}
        Question::Reload(_, answer) => {
            drop(answer.send(Reloaded { halves: 3, ..Reloaded::default() }))
        }
    }
}

/// Of operators and tenants, as a settings file says it.
pub(crate) fn access(settings: &str) -> Access {
    let (settings, wrong) = Settings::parse(Path::new("/etc/ovn-peerd/ovn-peerd.toml"), settings);
    assert!(wrong.is_empty(), "{wrong:?}");
    Access::of(&settings)
}

/// uid 20001 owns project blue; uid 20003 is an operator.
const SETTINGS: &str = "[control]\noperators = [\"20003\", \"%20009\"]\n\
    [[project]]\nname = \"blue\"\nowner = \"20001\"\n";

/// A served socket; dropping it stops the server.
pub(crate) struct Served {
    pub(crate) directory: TempDir,
    pub(crate) access: watch::Sender<Access>,
    pub(crate) events: Events,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        // A client of another user must be able to reach the socket to be refused by it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = directory.path().join("run/control.sock");
        let (stop, stopped) = oneshot::channel();
        let (access, current) = watch::channel(access(SETTINGS));
        let (bound, wait) = std::sync::mpsc::channel();
        let events = Events::new(Timestamp::now());
        let published = events.clone();
        let thread = thread::spawn(move || {
            runtime().block_on(async {
                let socket = Socket::bind(&path).await.unwrap();
                bound.send(()).unwrap();
                let (questions, mut asked) = mpsc::channel(control::MAX_QUESTIONS);
                let answers = async {
                    while let Some(question) = asked.recv().await {
                        answer(question);
                    }
                };
                tokio::select! {
                    () = control::serve(socket, questions, current, published) => {}
                    () = answers => {}
                    _ = stopped => {}
                }
            });
        });
        wait.recv().unwrap();
        Self { directory, access, events, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("run/control.sock")
    }

    /// Status code and body.
    pub(crate) fn curl(&self, arguments: &[&str], path: &str) -> (u16, Value) {
        parse(&curl(&self.socket(), arguments, path).output().unwrap())
    }

    /// The same, as another user.
    pub(crate) fn curl_as(
        &self,
        uid: &str,
        gid: &str,
        arguments: &[&str],
        path: &str,
    ) -> (u16, Value) {
        parse(&as_user(uid, gid, &curl(&self.socket(), arguments, path)).output().unwrap())
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
        command.arg("--socket").arg(self.socket()).args(arguments).output().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join);
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn curl(socket: &Path, arguments: &[&str], path: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "-w", "\n%{http_code}"]);
    command.arg("--unix-socket").arg(socket).args(arguments);
    command.arg(format!("http://localhost{path}"));
    command
}

/// The command as another user, who is in that group alone.
pub(crate) fn as_user(uid: &str, gid: &str, command: &Command) -> Command {
    let mut other = Command::new("setpriv");
    other.args(["--reuid", uid, "--regid", gid, "--clear-groups", "--"]);
    other.arg(command.get_program()).args(command.get_args());
    other
}

pub(crate) fn parse(output: &Output) -> (u16, Value) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}")))
}

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
fn the_operators_tool_tells_success_absence_and_silence_apart() {
    let served = Served::start();
    let list = served.ctl(&["list", "--project", "blue", "--format", "json"]);
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let halves: Vec<HalfView> = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(halves.len(), 2);
    let table = String::from_utf8(served.ctl(&["list", "--state", "pending-peer"]).stdout).unwrap();
    assert_eq!(table.lines().count(), 4, "a half below headings, and a footer: {table}");
    assert!(table.contains("blue/web/a/b c") && table.contains("pending-peer"), "{table}");
    assert!(table.ends_with("\n1 half: 1 pending-peer\n"), "{table}");
    let count = |arguments: &[&str]| {
        let list = served.ctl(&[&["list", "--no-headers"], arguments].concat());
        String::from_utf8(list.stdout).unwrap().lines().count()
    };
    assert_eq!(count(&["--state", "pending-peer", "--state", "active"]), 3);
    assert_eq!(count(&["--state", "pending-peer,failed"]), 1);
    assert_eq!(count(&["--target", "green/db"]), 3);
    assert_eq!(count(&["--target", "db"]), 0, "a network of the half's own project");
    assert_eq!(count(&["--degraded"]), 0);
    let shown = served.ctl(&["show", "blue", "web", "a/b c"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("pending-peer"));

    let absent = served.ctl(&["show", "blue", "web", "none"]);
    assert_eq!(absent.status.code(), Some(3));
    let message = String::from_utf8(absent.stderr).unwrap();
    assert!(message.contains("blue/web/none") && message.contains("ovn-peerctl list"), "{message}");
    assert_eq!(served.ctl(&["plan"]).status.code(), Some(0));
    assert_eq!(served.ctl(&["reload"]).status.code(), Some(0));
    assert_eq!(served.ctl(&["list", "--state", "nonsense"]).status.code(), Some(1));

    let mut alone = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
    let silent = alone.args(["--socket", "/nonexistent/control.sock", "status"]).output().unwrap();
    assert_eq!(silent.status.code(), Some(4));
    let message = String::from_utf8(silent.stderr).unwrap();
    assert!(message.contains("systemctl status ovn-peerd"), "{message}");
}

#[test]
fn an_answer_is_the_same_in_every_format() {
    let served = Served::start();
    let text = |arguments: &[&str]| {
        let output = served.ctl(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for command in [&["list"][..], &["show", "blue", "web", "to-db"], &["status"], &["plan"]] {
        let json = text(&[command, &["--format", "json"]].concat());
        let yaml = text(&[command, &["--format", "yaml"]].concat());
        let (mut json, mut yaml): (Value, Value) =
            (serde_json::from_str(&json).unwrap(), yaml_serde::from_str(&yaml).unwrap());
        // The halves here are always as old.
        for answer in [&mut json, &mut yaml] {
            let halves = answer.as_array_mut().into_iter().flatten();
            halves.for_each(|half| drop(half["since"].take()));
            answer.get_mut("since").map(Value::take);
        }
        assert_eq!(json, yaml);
        assert_eq!(text(&[command, &["--quiet"]].concat()), "");
    }
    let csv = text(&["list", "--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "project,network,name,target,state,reason,since,out,in,degraded,hosts,guests,description"
    );
    assert!(lines[2].starts_with("blue,web,a/b c,green/db,pending-peer,awaiting-peer,2"), "{csv}");
    assert_eq!(lines.len(), 4, "no footer: {csv}");
    let some = ["list", "--format", "csv", "--no-headers", "--columns", "half,in"];
    assert_eq!(text(&some), "blue/web/to-db,1\nblue/web/a/b c,1\nred/web/to-db,1\n");
    assert_eq!(
        text(&["diagnostics", "--format", "csv"]),
        "file,line,column,severity,code,message,hint\n\
         a/1.toml,,,error,unreadable,\"=x, \"\"y\"\"\",z\n\
         b/1.toml,,,error,unreadable,\"=x, \"\"y\"\"\",z\n"
    );
    assert_eq!(text(&["host", "list", "--format", "csv"]), "name,halves,networks,own\n");
    for list in ["requests", "networks", "projects"] {
        text(&[list, "--format", "csv"]);
    }
}

#[test]
fn errors_are_json_where_answers_are() {
    let served = Served::start();
    let error = |output: Output, code: i32| -> Value {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let body: Value = serde_json::from_slice(&output.stderr).unwrap();
        let next_step = body["error"]["next_step"].as_str().unwrap();
        assert!(!next_step.is_empty(), "{body}");
        body["error"].clone()
    };
    let json = ["--format", "json"];
    let absent = error(served.ctl(&[&["show", "blue", "web", "none"], &json[..]].concat()), 3);
    assert_eq!(absent["code"], "no-such-half", "{absent}");
    assert_eq!(absent["message"], "there is no half blue/web/none", "{absent}");
    assert_eq!(absent.get("diagnostics"), None, "{absent}");

    let file = served.directory.path().join("bad.toml");
    fs::write(&file, "project = \"blue\"\nnetwrk = 1\n").unwrap();
    let apply = ["apply", "--project", "blue", "--file", file.to_str().unwrap()];
    let bad = error(served.ctl(&[&apply, &json[..]].concat()), 1);
    assert_eq!(bad["code"], "bad-declarations", "{bad}");
    let found: Vec<Diagnostic> = serde_json::from_value(bad["diagnostics"].clone()).unwrap();
    assert_eq!(found[0].code, DiagnosticCode::UnknownKey, "{bad}");
    assert_eq!((&*found[0].file, found[0].position.unwrap().line), (file.to_str().unwrap(), 2));
    let told = String::from_utf8(served.ctl(&apply).stderr).unwrap();
    assert!(told.contains("bad.toml:2:1: error: unknown key `netwrk`"), "{told}");

    for wrong in [&["list", "--state", "nonsense"][..], &["lst"], &["show"]] {
        let usage = error(served.ctl(&[wrong, &json[..]].concat()), 1);
        assert_eq!(usage["code"], "usage", "{usage}");
        let told = String::from_utf8(served.ctl(wrong).stderr).unwrap();
        let message = usage["message"].as_str().unwrap();
        assert!(told.starts_with(&format!("error: {message}")), "{told}\n{usage}");
    }

    // What cannot be printed is not done: nobody is asked.
    let mut alone = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
    alone.env("OVN_PEERD_SOCKET", "/nonexistent/control.sock");
    let no_list = alone.args(["reload", "--format", "csv"]).output().unwrap();
    let told = String::from_utf8(no_list.stderr.clone()).unwrap();
    assert!(told.contains("--format json"), "{no_list:?}");
    assert_eq!(no_list.status.code(), Some(1), "{no_list:?}");
    let mut alone = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
    alone.env("OVN_PEERD_SOCKET", "/nonexistent/control.sock");
    let silent = error(alone.args(["status", "--format", "json"]).output().unwrap(), 4);
    assert_eq!(silent["code"], "no-daemon", "{silent}");
    assert!(silent["message"].as_str().unwrap().contains("/nonexistent/"), "{silent}");
    let mut asks = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
    asks.env("OVN_PEERD_SOCKET", served.socket());
    assert!(asks.arg("list").output().unwrap().status.success());
}

/// What stands below each heading of a table, by the columns at which headings begin.
fn columns(table: &str) -> Vec<BTreeMap<String, String>> {
    let (head, rows) = table.split_once('\n').unwrap();
    let starts: Vec<usize> = (0..head.len())
        .filter(|at| !head[*at..].starts_with(' ') && (*at == 0 || head[..*at].ends_with("  ")))
        .collect();
    let cells = |row: &str| {
        let characters: Vec<char> = row.chars().collect();
        let cell = |(index, start): (usize, &usize)| {
            let end = starts.get(index + 1).copied().unwrap_or(usize::MAX).min(characters.len());
            let text: String = characters[(*start).min(end)..end].iter().collect();
            let end = starts.get(index + 1).copied().unwrap_or(head.len());
            (head[*start..end].trim().to_owned(), text.trim().to_owned())
        };
        starts.iter().enumerate().map(cell).collect()
    };
    rows.lines().map(cells).collect()
}

#[test]
fn each_value_of_a_list_stands_below_its_own_heading_in_80_columns() {
    let served = Served::start();
    let table = String::from_utf8(served.ctl(&["list"]).stdout).unwrap();
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    let rows = columns(&table);
    for (row, (half, state)) in rows.iter().zip([
        ("blue/web/to-db", "active"),
        ("blue/web/a/b c", "pending-peer"),
        ("red/web/to-db", "active"),
    ]) {
        for (heading, value) in [
            ("HALF", half),
            ("TARGET", "green/db"),
            ("STATE", state),
            ("OUT", "2"),
            ("IN", "1"),
            ("AGE", "2h"),
        ] {
            assert_eq!(row[heading], value, "{heading} of\n{table}");
        }
    }
}

/// A process that is stopped takes connections and answers none: who asks it learns that soon.
#[test]
fn a_daemon_that_does_not_answer_is_said_to_be_so_soon() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let _silent = UnixListener::bind(&path).unwrap();
    for command in ["status", "plan"] {
        let begun = Instant::now();
        let mut ctl = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
        let output = ctl.arg("--socket").arg(&path).arg(command).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("within 10 s") && said.contains("journalctl"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
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
    use std::os::unix::net::UnixStream;
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
