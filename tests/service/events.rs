//! Events: what happens reaches those who listen, once, in order, and over a restart of the daemon;
//! and whoever listens costs nobody else anything.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ovn_peerd::control::{MAX_CONNECTIONS, MAX_STREAMS_PER_USER};
use ovn_peerd::view::{Audience, Event, EventKind, State};
use serde_json::Value;

use crate::listener::Listener;
use crate::running::{BLUE, Process, Running, Start, directory, peered, place, wait_for};
use crate::served::{Served, access, as_user, ctl, curl, parse};

fn is(kind: &str, name: &str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == kind && event["name"] == name
}

fn is_state(name: &str, state: &str) -> impl Fn(&Value) -> bool {
    move |event| is("half-state", name)(event) && event["state"] == state
}

fn disabled() -> String {
    format!("{BLUE}configured_status = \"disabled\"\n")
}

#[test]
fn what_happens_is_an_event_and_a_listener_resumes_behind_each() {
    let (mut northbound, running) = peered(&Start::default());
    let mut listener = Listener::start(&running.socket(), None);
    let begin = listener.last.clone().unwrap();
    place(running.path(), "peerings.d/b.toml", &disabled());
    let declared = listener.next("declaration", is("half-declared", "to-db"));
    assert_eq!(declared["message"], "its declaration changed", "{declared}");
    let state = listener.next("state", is("half-state", "to-db"));
    assert_eq!((&state["previous"], &state["state"]), (&"active".into(), &"disabled".into()));
    assert_eq!(state["reason"], "administratively-down", "{state}");
    listener.next("the other side's state", is_state("to-web", "peer-disabled"));

    place(running.path(), "peerings.d/b.toml", BLUE);
    listener.next("active", is_state("to-db", "active"));
    northbound.nbctl(&["lrp-add", "green-lr", "more", "0a:00:00:00:00:03", "10.3.0.1/24"]);
    let prefixes = listener.next("prefixes", is("prefixes", "to-db"));
    assert_eq!(prefixes["imported"]["gained"], serde_json::json!(["10.3.0.0/24"]), "{prefixes}");
    northbound.nbctl(&["lr-policy-del", "blue-lr"]);
    listener.next("repair", |event| event["type"] == "drift");
    let red = "[[network]]\nproject = \"red\"\nname = \"db\"\nrouter = \"red-lr\"\n";
    place(running.path(), "networks.d/red.toml", red);
    place(running.path(), "peerings.d/w.toml", &BLUE.replace("to-db", "w").replace("green", "red"));
    let asked = listener.next("request", |event| event["type"] == "request");
    assert_eq!((&asked["project"], &asked["from_project"]), (&"red".into(), &"blue".into()));
    fs::remove_file(running.path().join("peerings.d/w.toml")).unwrap();
    let over = listener.next("end of the request", |event| event["type"] == "request");
    assert_eq!(over["over"], true, "{over}");
    let gone = listener.next("withdrawal", is_state("w", "deleted"));
    assert_eq!(gone["previous"], "pending-peer", "{gone}");
    place(running.path(), "peerings.d/x.toml", "nonsense = 1\n");
    let bad = listener.next("diagnostic", |event| event["type"] == "diagnostic");
    assert_eq!(bad["diagnostics"][0]["code"], "unknown-key", "{bad}");
    northbound.restart();
    listener.next("loss", |event| event["type"] == "northbound" && event.get("over").is_none());
    listener.next("return", |event| event["type"] == "northbound" && event["over"] == true);

    // Behind each of them, the same ones follow.
    let is_last = |event: &Value| event["over"] == true && event["type"] == "northbound";
    let all = Listener::start(&running.socket(), Some(&begin)).until("all", is_last);
    assert!(all.len() > 10 && all.iter().all(|event| event["type"] != "gap"), "{all:?}");
    for (index, event) in all.iter().enumerate().take(all.len() - 1) {
        let id = event["id"].as_str().unwrap();
        let rest = Listener::start(&running.socket(), Some(id)).until("the rest", is_last);
        assert_eq!(rest, all[index + 1..]);
    }
    let (status, refused) = parse(
        &curl(&running.socket(), &["-H", "Last-Event-ID: x"], "/v1/events").output().unwrap(),
    );
    assert_eq!((status, &refused["error"]["code"]), (400, &"bad-request".into()));
}

/// Each command that changes something is one event and one line, with who gave it and what came of
/// it.
#[test]
fn every_write_is_an_event_and_a_line_with_actor_and_result() {
    let (_northbound, running) = peered(&Start::default());
    let mut listener = Listener::start(&running.socket(), None);
    let socket = running.socket();
    let begin = listener.last.clone().unwrap();
    for (arguments, words) in [
        (&["reload"][..], "reload: the settings are applied"),
        (&["confirm", "00000000000000000000"], "refused: other withdrawals are held"),
        (&["host", "forget", "nowhere"], "host forget nowhere: refused: no host nowhere"),
        (&["create", "blue/web/w", "red/x"], "store of project blue: stored: blue/web/w"),
        (&["create", "blue/web/w", "red/x"], "refused: there is a half blue/web/w already"),
        (&["reject", "green/db", "red/scan"], "store of project green: "),
        (&["delete", "blue/web/w"], "store of project blue: "),
        (&["create", "blue/web/to-db", "red/x"], "refused: blue/web/to-db is kept in a file"),
    ] {
        running.ctl(arguments);
        let write = listener.next(words, |event| event["type"] == "write");
        assert_eq!(write["actor"], "root", "{write}");
        let message = write["message"].as_str().unwrap();
        assert!(message.contains(words), "{arguments:?}: {message}");
        wait_for("the line", || running.log().contains(message).then_some(()));
    }
    running.daemon.signal("HUP");
    let write = listener.next("signal", |event| event["type"] == "write");
    assert_eq!(write["actor"], "SIGHUP", "{write}");
    let is_last = |event: &Value| event["actor"] == "SIGHUP";
    let all = Listener::start(&socket, Some(&begin)).until("all", is_last);
    let writes = all.iter().filter(|event| event["type"] == "write");
    assert_eq!(writes.count(), 9, "one for each: {all:?}");
}

/// A request that is refused before the engine has it is reported all the same: an operator's, and a
/// tenant's who may not ask for it. Whoever floods the daemon with them does not flood the journal.
#[test]
fn every_refused_write_is_an_event_and_a_line_and_a_flood_of_them_is_none() {
    let settings = "[[project]]\nname = \"red\"\nowner = \"20001\"\n";
    let (_northbound, running) = peered(&Start { settings, ..Start::default() });
    fs::set_permissions(running.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut listener = Listener::start(&running.socket(), None);
    let ask = |uid: &str, arguments: &[&str], path: &str| {
        let (status, body) =
            parse(&as_user(uid, uid, &curl(&running.socket(), arguments, path)).output().unwrap());
        assert!((400..500).contains(&status), "{status} {body}");
    };
    let store = "/v1/store";
    let wrong = r#"{"project":"blue","declarations":"project = \"blue\"\nnonsense = 1\n"}"#;
    let own = &wrong.replace("blue", "red");
    let long = format!(r#"{{"project":"blue","{}":1}}"#, "x".repeat(100_000));
    for (uid, arguments, path, words) in [
        ("0", &["--json", "{"][..], store, "POST /v1/store: refused: the request cannot be"),
        ("0", &["--json", r#"{"project":"blue","colour":1}"#], store, "unknown field `colour`"),
        ("0", &["--json", &long], store, "type: xxx"),
        ("0", &["--json", wrong], store, "store of project blue: refused: the declarations have"),
        ("0", &["--json", "{}"], "/v1/withdrawals/confirm", "confirm: refused: the request"),
        ("0", &["-X", "DELETE"], "/v1/halves", "DELETE /v1/halves: refused: "),
        ("20001", &["--json", r#"{"project":"green"}"#], store, "project green is not yours"),
        ("20001", &["-X", "POST"], "/v1/reload", "reload: refused: /v1/reload is for operators"),
        ("20001", &["--json", own], store, "store of project red: refused: the declarations have"),
    ] {
        ask(uid, arguments, path);
        let write = listener.next(words, |event| event["type"] == "write");
        let actor = if uid == "0" { "root" } else { "uid 20001" };
        assert_eq!(write["actor"], actor, "{write}");
        let message = write["message"].as_str().unwrap();
        assert!(message.starts_with(actor) && message.contains(words), "{words}: {message}");
        assert!(message.len() < 1000, "{message}");
        wait_for("the line", || running.log().contains(message).then_some(()));
    }
    ask("20001", &[], "/v1/status");
    for _ in 0..30 {
        ask("20001", &["-X", "POST"], "/v1/reload");
    }
    running.ctl(&["reload"]);
    listener.next("what comes after", |event| event["actor"] == "root");
    let lines = running.log().lines().filter(|line| line.contains("uid 20001: ")).count();
    assert_eq!(lines, 10, "{}", running.log());
}

fn monitor(running: &Running, arguments: &[&str], to: &str) -> Process {
    let mut command = ctl(&running.socket(), &[&["monitor"], arguments].concat());
    command.stdout(fs::File::create(running.path().join(to)).unwrap());
    command.stderr(fs::File::create(running.path().join(format!("{to}-errors"))).unwrap());
    Process(command.stdin(Stdio::null()).spawn().unwrap())
}

#[test]
fn monitor_prints_events_and_goes_on_after_a_restart() {
    let (_northbound, mut running) = peered(&Start::default());
    let _monitors = [
        monitor(&running, &[], "all"),
        monitor(&running, &["blue/web/to-db", "--type", "half-state"], "half"),
        monitor(&running, &["--format", "json"], "json"),
        monitor(&running, &["--format", "yaml"], "yaml"),
        monitor(&running, &["--format", "csv"], "csv"),
    ];
    let path = running.path().to_owned();
    let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
    // Each has begun once it prints one of these.
    wait_for("all monitors", || {
        running.ctl(&["reload"]);
        ["all", "json", "yaml", "csv"].iter().all(|it| read(it).contains("root")).then_some(())
    });
    wait_for("the monitor of a half", || {
        place(&path, "peerings.d/b.toml", &disabled());
        running.wait_for_state("to-db", State::Disabled);
        place(&path, "peerings.d/b.toml", BLUE);
        running.wait_for_state("to-db", State::Active);
        read("half").contains("active").then_some(())
    });
    for line in read("half").lines() {
        let (time, rest) = line.split_once("  ").unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(rest.starts_with("half-state        blue/web/to-db: "), "{line}");
    }
    let disabled = "half-state        blue/web/to-db: active -> disabled: ";
    assert!(read("half").contains(disabled), "{}", read("half"));
    let first = read("json").lines().next().unwrap().to_owned();
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["type"], &first["actor"]), (&"write".into(), &"root".into()), "{first}");
    assert!(read("csv").starts_with("id,time,type,project,network,name,state,reason,"));
    assert!(read("yaml").starts_with("---\nid: "), "{}", read("yaml"));

    running.daemon.signal("TERM");
    running.daemon.ended();
    running.start_again();
    wait_for("word of what is lost", || {
        ["all", "half", "json"].iter().all(|it| read(it).contains("gap")).then_some(())
    });
    running.wait_for_state("to-db", State::Active);
    place(&path, "peerings.d/b.toml", &self::disabled());
    let count = |text: &str| text.matches("active -> disabled").count();
    let before = count(&read("half"));
    wait_for("events of the new daemon", || (count(&read("half")) > before).then_some(()));
    assert!(read("half-errors").contains("waiting for it"), "{}", read("half-errors"));

    // Where nobody is, nobody is waited for.
    let alone = ctl(Path::new("/nonexistent/c.sock"), &["monitor"]).output().unwrap();
    assert_eq!(alone.status.code(), Some(4), "{alone:?}");
}

#[test]
fn listeners_take_nobody_elses_connection_and_end_with_their_rights() {
    let served = Served::start();
    let listeners: Vec<Listener> =
        (0..MAX_CONNECTIONS + 8).map(|_| Listener::start(&served.socket(), None)).collect();
    assert!(listeners.iter().all(|listener| listener.last.is_some()));
    assert_eq!(served.curl(&[], "/v1/status").0, 200);

    // A tenant has a share.
    let own: Vec<Process> = (0..MAX_STREAMS_PER_USER)
        .map(|_| {
            let mut curl = as_user("20001", "20001", &curl(&served.socket(), &[], "/v1/events"));
            Process(curl.stdout(Stdio::null()).spawn().unwrap())
        })
        .collect();
    let refused = wait_for("a refusal", || {
        let (status, body) = served.curl_as("20001", "20001", &["--max-time", "1"], "/v1/halves");
        assert_eq!(status, 200, "{body}");
        let mut more =
            as_user("20001", "20001", &curl(&served.socket(), &["--max-time", "1"], "/v1/events"));
        let text = String::from_utf8(more.output().unwrap().stdout).unwrap();
        text.contains("too-many-streams").then_some(text)
    });
    assert!(refused.contains("ovn-peerctl monitor"), "{refused}");
    drop(own);

    // What a stranger may not ask, it may not listen to; nor whoever is one from now on.
    let (status, body) = served.curl_as("20002", "20002", &[], "/v1/events");
    assert_eq!((status, &body["error"]["code"]), (403, &"not-operator".into()));
    let output = served.directory.path().join("events");
    let mut tenant = as_user("20001", "20001", &curl(&served.socket(), &["-N"], "/v1/events"));
    let mut tenant = Process(tenant.stdout(fs::File::create(&output).unwrap()).spawn().unwrap());
    wait_for("the stream", || fs::read_to_string(&output).unwrap().contains("id:").then_some(()));
    served.access.send_replace(access("[[project]]\nname = \"red\"\nowner = \"20001\"\n"));
    tenant.ended();
}

/// A tenant gets its own project's events, and nothing of another one's.
#[test]
fn a_tenant_gets_the_events_of_its_own_projects() {
    let served = Served::start();
    served.events.keep_for(&["blue".into(), "green".into()].into());
    let of = |project: &str, text: &str| {
        let audience = Audience::OwnersOf(vec![project.into()]);
        (audience, Event::new(EventKind::HalfState, text))
    };
    let output = served.directory.path().join("events");
    let mut listens = as_user("20001", "20001", &curl(&served.socket(), &["-N"], "/v1/events"));
    let _tenant = Process(listens.stdout(fs::File::create(&output).unwrap()).spawn().unwrap());
    let read = || fs::read_to_string(&output).unwrap();
    wait_for("the stream", || read().contains("id:").then_some(()));
    let all = Event::new(EventKind::Northbound, "to all");
    let secret = Event::new(EventKind::Write, "secret");
    served.events.publish(
        vec![
            of("green", "secret"),
            (Audience::Operators, secret),
            of("blue", "own"),
            (Audience::AllOwners, all),
        ],
        jiff::Timestamp::now(),
    );
    wait_for("both events", || (read().contains("own") && read().contains("to all")).then_some(()));
    assert!(!read().contains("secret"), "{}", read());
    let ids: Vec<String> =
        read().lines().filter(|it| it.starts_with("id:")).map(Into::into).collect();
    assert!(ids[1].ends_with("-0") && ids[2].ends_with("-1"), "others do not count: {ids:?}");
}

fn status(process: &Process, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How often the daemon's threads went to sleep.
fn sleeps(process: &Process) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.0.id())).unwrap();
    let of = |task: std::path::PathBuf| {
        let text = fs::read_to_string(task.join("status")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    tasks.filter_map(|task| of(task.unwrap().path())).sum()
}

/// An idle daemon wakes no more often because somebody listens.
#[test]
fn a_hundred_idle_listeners_wake_nobody() {
    let (_northbound, running) = peered(&Start::default());
    let _listeners: Vec<Listener> =
        (0..100).map(|_| Listener::start(&running.socket(), None)).collect();
    // What has happened at the start is over.
    let long = Duration::from_secs(10);
    let quiet = || {
        let before = sleeps(&running.daemon);
        std::thread::sleep(long);
        sleeps(&running.daemon) - before
    };
    let most = u64::from(long.as_secs() as u32);
    let woken = wait_for("a calm daemon", || Some(quiet()).filter(|woken| *woken <= most));
    println!("woken {woken} times in {long:?}");
}

/// Enough files may be open for all listeners, however the daemon was started.
#[test]
fn a_daemon_that_a_shell_starts_may_open_files_for_all_listeners() {
    let root = directory();
    for name in ["networks.d", "peerings.d"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    let settings = format!("[control]\nsocket = \"{}/c.sock\"\n", root.path().display());
    place(root.path(), "ovn-peerd.toml", &settings);
    let start = |limit: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--nofile={limit}")).arg(env!("CARGO_BIN_EXE_ovn-peerd"));
        prlimit.arg("--config").arg(root.path().join("ovn-peerd.toml"));
        let log = fs::File::create(root.path().join("log")).unwrap();
        let daemon = Process(prlimit.stderr(log).spawn().unwrap());
        wait_for("the socket", || UnixStream::connect(root.path().join("c.sock")).ok());
        daemon
    };
    let daemon = start("1024:20000");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().nth(3), Some("4096"), "{line}");
    drop(daemon);
    let _daemon = start("1024:2048");
    let log = fs::read_to_string(root.path().join("log")).unwrap();
    assert!(log.contains("the system allows 2048, and 4096 are wanted"), "{log}");
}

/// A thousand listeners that read nothing: memory is bounded, and everybody else is answered as
/// before.
#[test]
fn a_thousand_slow_listeners_cost_nobody_anything() {
    let settings = "[policy]\nmax_withdrawals = { halves = 1000, percent = 100 }\n";
    let (_northbound, running) = peered(&Start { settings, ..Start::default() });
    let list = || {
        let begun = Instant::now();
        assert!(running.ctl(&["list"]).status.success());
        begun.elapsed()
    };
    let median = || {
        let mut times: Vec<Duration> = (0..15).map(|_| list()).collect();
        times.sort();
        times[7]
    };
    let many: String = (0..500)
        .map(|number| {
            let half = BLUE.replace("project = \"blue\"\n", "");
            half.replace("to-db", &format!("n{number}")).replace("green", &format!("g{number}"))
        })
        .collect();
    let many = format!("project = \"blue\"\n{many}");
    let mut reader = Listener::start(&running.socket(), None);
    // Some 2,000 events: more than the sockets of listeners take.
    let mut round = || {
        let begun = Instant::now();
        place(running.path(), "peerings.d/many.toml", &many);
        reader.next("the last half", is_state("n499", "pending-peer"));
        fs::remove_file(running.path().join("peerings.d/many.toml")).unwrap();
        reader.next("its end", is_state("n499", "deleted"));
        println!("a round: {:?}", begun.elapsed());
        begun.elapsed()
    };
    round();
    let alone = (round(), median());
    let memory = status(&running.daemon, "VmRSS");
    let listeners: Vec<UnixStream> = (0..1000)
        .map(|_| {
            let mut stream = UnixStream::connect(running.socket()).unwrap();
            stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let mut newest = Listener::start(&running.socket(), None);
    let filling = round();
    let among = (round(), median());
    let grown = status(&running.daemon, "VmRSS").saturating_sub(memory);
    println!("changes, list: {alone:?} alone, {among:?} among them; {filling:?}; {grown} KiB more");
    newest.next("what the newest one gets", is_state("n499", "deleted"));
    assert!(among.0 < alone.0 * 2 + Duration::from_secs(1), "{alone:?}, {among:?}");
    assert!(among.1 < alone.1 * 2 + Duration::from_millis(50), "{alone:?}, {among:?}");
    assert!(grown < 128 * 1024, "{grown} KiB");
    drop(listeners);
}
