//! The daemon as systemd and operators meet it: readiness, reload, watchdog, leaving, its socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use ovn_peerd::view::{PlanView, Reason, State, StatusView};
use serde_json::Value;

use crate::running::{BLUE, GREEN, NETWORKS, Running, Start, directory, peered, place, wait_for};

fn json(running: &Running, path: &str) -> Value {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "20"])
        .arg("--unix-socket")
        .arg(running.socket())
        .arg(format!("http://localhost{path}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_is_ready_without_a_northbound_and_says_what_it_waits_for() {
    let directory = directory();
    place(directory.path(), "networks.d/a.toml", NETWORKS);
    place(directory.path(), "peerings.d/b.toml", BLUE);
    let running = Running::start(directory, &Start::default());
    let ready = running.notified.assignment("READY=1");
    // At once: the control socket answers, and the declarations are read.
    assert!(ready.contains("STATUS=waiting for the northbound: 1 "), "{ready}");
    let halves = json(&running, "/v1/halves");
    assert_eq!(halves[0]["name"], "to-db", "{halves}");
    let status: StatusView = serde_json::from_value(json(&running, "/v1/status")).unwrap();
    assert!(!status.northbound.synced && status.northbound.remote.is_none(), "{status:?}");
    let plan = running.ctl(&["plan"]);
    assert_eq!(plan.status.code(), Some(1), "there is nothing to compare with: {plan:?}");
}

#[test]
fn two_files_become_a_peering_and_the_status_says_so() {
    let (northbound, running) = peered(&Start::default());
    running
        .notified
        .next("status", |message| message.contains("STATUS=active: 2 active; northbound unix:"));
    assert!(northbound.dump().contains("10.2.0.0/24"));
    let show = running.ctl(&["show", "blue", "web", "to-db"]);
    let sheet = String::from_utf8(show.stdout).unwrap();
    for words in
        ["active", "10.1.0.0/24", "ago (20", "route 10.2.0.0/24", "allow blue/web <-> green/db"]
    {
        assert!(sheet.contains(words), "{words}: {sheet}");
    }
    assert!(!sheet.contains("Logical_Router") && !sheet.contains("inport"), "{sheet}");
    let rows = running.ctl(&["show", "blue", "web", "to-db", "--rows"]);
    let rows = String::from_utf8(rows.stdout).unwrap();
    assert!(rows.starts_with(&sheet) && rows.contains("Logical_Router_Port"), "{rows}");
    let detail = json(&running, "/v1/halves/blue/web/to-db");
    assert_eq!(detail["remote_prefixes"][0], "10.2.0.0/24", "{detail}");
}

#[test]
fn where_tenants_may_look_the_status_tells_nothing_of_their_neighbours() {
    let pin = "[[project]]\nname = \"blue\"\nowner = \"root\"\n";
    let (_northbound, running) = peered(&Start { settings: pin, ..Start::default() });
    let told = running.notified.next("status", |message| message.contains("STATUS=active"));
    assert!(told.contains("STATUS=active; ovn-peerctl status shows operators more"), "{told}");
    // No pins, no tenants.
    let settings = running.path().join("ovn-peerd.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace(pin, "")).unwrap();
    assert!(running.ctl(&["reload"]).status.success());
    running.notified.next("status", |message| message.contains("STATUS=active: 2 active"));
}

#[test]
fn a_reload_gives_and_takes_the_rights_of_operators_and_tenants() {
    let running = Running::ready(directory(), &Start::default());
    fs::set_permissions(running.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let asked = |route: &str| {
        let output = Command::new("setpriv")
            .args(["--reuid", "20001", "--regid", "20001", "--clear-groups", "curl", "--silent"])
            .args(["--max-time", "20", "--output", "/dev/null", "-w", "%{http_code}"])
            .arg("--unix-socket")
            .arg(running.socket())
            .arg(format!("http://localhost/v1/{route}"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let settings = running.path().join("ovn-peerd.toml");
    let before = fs::read_to_string(&settings).unwrap();
    let configure = |text: &str| {
        fs::write(&settings, text).unwrap();
        assert!(running.ctl(&["reload"]).status.success());
        ["halves", "status"].map(asked)
    };
    assert_eq!(configure(&before), ["403", "403"]);
    let pin = format!("{before}\n[[project]]\nname = \"blue\"\nowner = \"20001\"\n");
    assert_eq!(configure(&pin), ["200", "403"]);
    let operator = before.replace("[control]", "[control]\noperators = [\"20001\"]");
    assert_eq!(configure(&operator), ["200", "200"]);
    assert_eq!(configure(&before), ["403", "403"]);
    assert!(!running.log().contains("[control] take effect"), "{}", running.log());
}

#[test]
fn sighup_reads_everything_again_and_says_so() {
    let running = Running::ready(directory(), &Start::default());
    place(running.path(), "peerings.d/b.toml", BLUE);
    running.daemon.signal("HUP");
    let reloading = running.notified.assignment("RELOADING=1");
    let moment = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(moment.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    running.notified.assignment("READY=1");
    assert_eq!(running.halves().len(), 1);
}

#[test]
fn a_reload_over_the_socket_returns_when_its_reading_is_folded_in() {
    let running = Running::ready(directory(), &Start::default());
    // Each time anew: whichever reading is under way must not be taken for the one asked for.
    for count in 1..20 {
        let halves: String = (0..count)
            .map(|n| {
                format!(
                    "[[peering]]\nname = \"p{n}\"\nnetwork = \"web\"\n\
                     target_project = \"green\"\ntarget_network = \"n{n}\"\n"
                )
            })
            .collect();
        place(running.path(), "peerings.d/b.toml", &format!("project = \"blue\"\n{halves}"));
        let output = running.ctl(&["reload", "--format", "json"]);
        assert!(output.status.success(), "{output:?} {}", running.log());
        let reloaded: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(reloaded["halves"], count, "{output:?} {}", running.log());
        running.notified.assignment("RELOADING=1");
        running.notified.assignment("READY=1");
    }
}

#[test]
fn the_settings_that_want_a_restart_are_named_on_reload() {
    let running = Running::ready(directory(), &Start::default());
    let settings = running.path().join("ovn-peerd.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{text}\n[daemon]\nhost = \"other\"\n")).unwrap();
    let reload = running.ctl(&["reload"]);
    assert!(reload.status.success());
    assert!(String::from_utf8(reload.stdout).unwrap().contains("[daemon]"));
    assert!(running.log().contains("[daemon] take effect with the next restart"));
    fs::write(&settings, "nonsense = 1").unwrap();
    assert_eq!(running.ctl(&["reload"]).status.code(), Some(1));
    assert!(running.log().contains("the settings stay as they were"), "{}", running.log());
}

/// Whoever asks for what is wrong is given the same answer: a slip in the settings leaves a project without its pin
/// only for who does not look.
#[test]
fn reload_status_diagnostics_and_check_agree_about_settings_and_files() {
    let running = Running::ready(directory(), &Start::default());
    let settings = running.path().join("ovn-peerd.toml");
    let good = fs::read_to_string(&settings).unwrap();
    let pinned = format!("{good}\n[[project]]\nname = \"blue\"\nowner = \"20001\"\n");
    let check = || {
        let mut check = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"));
        check.args(["check", "--config"]).arg(&settings).output().unwrap()
    };
    let agree = |code: i32, words: &str| {
        let found = [
            running.ctl(&["reload"]),
            running.ctl(&["status"]),
            running.ctl(&["diagnostics"]),
            check(),
        ];
        for output in found {
            assert_eq!(output.status.code(), Some(code), "{words}: {output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(said.contains(words), "{words}: {said}");
        }
    };
    fs::write(&settings, &pinned).unwrap();
    agree(0, "");
    fs::write(&settings, pinned.replace("owner", "onwer")).unwrap();
    agree(1, "onwer");
    fs::remove_file(&settings).unwrap();
    agree(1, "cannot be read");
    // Those from before stand: blue is its owner's still, and what others say of it is an error.
    place(running.path(), "peerings.d/b.toml", BLUE);
    let halves = wait_for("word of the file", || {
        let found = running.ctl(&["diagnostics"]);
        let said = String::from_utf8(found.stdout).unwrap();
        said.contains("b.toml").then(|| running.halves())
    });
    assert!(halves.is_empty(), "{halves:?}");
    fs::write(&settings, &good).unwrap();
    agree(0, "");
    assert_eq!(running.halves().len(), 1);
    place(running.path(), "peerings.d/b.toml", "nonsense = 1\n");
    agree(1, "b.toml:1:1");
}

/// Each thing that an operator does is a line: who, what, and what came of it.
#[test]
fn what_operators_do_is_in_the_log() {
    let running = Running::ready(directory(), &Start::default());
    running.ctl(&["reload"]);
    running.ctl(&["confirm", "00000000000000000000"]);
    running.ctl(&["host", "forget", "nowhere"]);
    running.daemon.signal("HUP");
    for words in [
        "root: reload: the settings are applied",
        "root: confirm 00000000000000000000: refused: other withdrawals are held than those seen",
        "root: host forget nowhere: refused: ",
        "SIGHUP: reload: ",
    ] {
        wait_for(words, || running.log().contains(words).then_some(()));
    }
}

#[test]
fn signals_without_a_meaning_do_not_end_it() {
    let running = Running::ready(directory(), &Start::default());
    for signal in ["USR1", "USR2"] {
        running.daemon.signal(signal);
        wait_for("line about it", || running.log().contains(signal).then_some(()));
    }
    assert!(running.ctl(&["status"]).status.success());
}

#[test]
fn the_watchdog_is_fed_for_as_long_as_the_loop_runs() {
    let start = Start { watchdog: Some(Duration::from_millis(400)), ..Start::default() };
    let running = Running::ready(directory(), &start);
    running.notified.assignment("WATCHDOG=1");
    let begun = Instant::now();
    for _ in 0..5 {
        running.notified.assignment("WATCHDOG=1");
    }
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(800), "not fed for feeding's sake: {elapsed:?}");
    // Nothing but the loop feeds it: a process that is stopped says nothing.
    running.daemon.signal("STOP");
    running.notified.silence(Duration::from_millis(600));
    running.daemon.signal("CONT");
    running.notified.assignment("WATCHDOG=1");
}

#[test]
fn a_manager_that_reads_nothing_does_not_stop_the_loop() {
    let start = Start { watchdog: Some(Duration::from_millis(100)), ..Start::default() };
    let running = Running::ready(directory(), &start);
    // Its queue is full from here on; each turn of the watchdog finds it so.
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send_to(b"X=1", running.path().join("notify")).is_ok() {}
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert!(running.ctl(&["status"]).status.success());
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "each answer comes soon");
    // It is fed again as soon as it reads.
    running.notified.assignment("WATCHDOG=1");
}

#[test]
fn sigterm_leaves_the_data_plane_as_it_is() {
    let (northbound, mut running) = peered(&Start::default());
    let before = northbound.dump();
    running.daemon.signal("TERM");
    running.notified.assignment("STOPPING=1");
    assert_eq!(running.daemon.ended().code(), Some(0));
    assert!(!running.socket().exists());
    assert_eq!(northbound.dump(), before);
}

#[test]
fn sigint_leaves_too_without_a_northbound_and_at_once() {
    let mut running = Running::ready(directory(), &Start::default());
    let begun = Instant::now();
    running.daemon.signal("INT");
    assert_eq!(running.daemon.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_second_daemon_leaves_the_first_ones_socket_alone() {
    let running = Running::ready(directory(), &Start::default());
    let second = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"))
        .arg("--config")
        .arg(running.path().join("ovn-peerd.toml"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains("belongs to a live daemon (pid "), "{message}");
    assert!(running.ctl(&["status"]).status.success());
}

#[test]
fn a_killed_daemons_socket_is_taken_over() {
    let (northbound, mut running) = peered(&Start::default());
    let before = northbound.dump();
    running.daemon.signal("KILL");
    running.daemon.ended();
    assert!(running.socket().exists());
    let mut again = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"));
    again.arg("--config").arg(running.path().join("ovn-peerd.toml"));
    again.stderr(fs::File::create(running.path().join("log2")).unwrap());
    running.daemon = crate::running::Process(again.spawn().unwrap());
    wait_for("socket", || UnixStream::connect(running.socket()).ok());
    running.wait_for_state("to-db", State::Active);
    assert_eq!(northbound.dump(), before);
    let status: StatusView = serde_json::from_value(json(&running, "/v1/status")).unwrap();
    assert_eq!(status.counters.transactions, 0, "nothing changed, so nothing is written");
}

#[test]
fn a_restarted_northbound_is_reported_and_found_again() {
    let (mut northbound, running) = peered(&Start::default());
    northbound.stop();
    let half = wait_for("unreachable northbound", || {
        let status: StatusView = serde_json::from_value(json(&running, "/v1/status")).unwrap();
        (!status.northbound.synced).then(|| status.northbound.error.unwrap())
    });
    assert!(!half.is_empty());
    running.notified.next("status", |message| message.contains("waiting for the northbound"));
    northbound.restart();
    running.notified.next("status", |message| message.contains("STATUS=active: 2 active"));
}

#[test]
fn plan_tells_what_a_candidate_would_change_and_changes_nothing() {
    let (northbound, running) = peered(&Start::default());
    let before = northbound.dump();
    let plan = running.ctl(&["plan"]);
    assert_eq!(plan.status.code(), Some(0), "{plan:?}");

    let candidate = directory();
    place(candidate.path(), "ovn-peerd.toml", "");
    place(candidate.path(), "networks.d/a.toml", NETWORKS);
    place(candidate.path(), "peerings.d/b.toml", BLUE);
    fs::create_dir_all(candidate.path().join("peerings.d")).unwrap();
    let config = candidate.path().join("ovn-peerd.toml");
    let plan = running.ctl(&["plan", "--config", config.to_str().unwrap(), "--format", "json"]);
    assert_eq!(plan.status.code(), Some(2), "{plan:?}");
    let plan: PlanView = serde_json::from_slice(&plan.stdout).unwrap();
    assert!(plan.lost.iter().any(|it| it.router == "blue-lr"), "{plan:?}");
    let text = running.ctl(&["plan", "--config", config.to_str().unwrap()]);
    let text = String::from_utf8(text.stdout).unwrap();
    for words in [
        "blue/web/to-db: active -> disconnected\n",
        "  - route 10.2.0.0/24\n",
        "  - allow blue/web <-> green/db\n",
        "green/db/to-web: active -> deleted\n",
        "2 halves would change state.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("inport") && !text.contains("rows of others"), "{text}");
    assert_documented(&text, "blue/web/to-db: active -> disconnected");
    let (_, of_green) = text.split_once("green/db/to-web: active -> deleted\n").unwrap();
    assert!(of_green.contains("  - route 10.1.0.0/24\n"), "its own rows, not blue's: {text}");
    assert_eq!(northbound.dump(), before);

    // A half that nobody answers is new, and changes no row of its network's router.
    place(candidate.path(), "peerings.d/g.toml", GREEN);
    let waits = BLUE.replace("to-db", "waits").replace("\"green\"", "\"red\"");
    place(candidate.path(), "peerings.d/w.toml", &waits);
    let only_state = running.ctl(&["plan", "--config", config.to_str().unwrap()]);
    assert_eq!(only_state.status.code(), Some(2), "{only_state:?}");
    let text = String::from_utf8(only_state.stdout).unwrap();
    assert!(text.starts_with("blue/web/waits: new -> pending-peer\n"), "{text}");
    fs::remove_file(candidate.path().join("peerings.d/w.toml")).unwrap();

    let same = running.ctl(&["plan", "--config", config.to_str().unwrap()]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    fs::write(&config, "nonsense = 1").unwrap();
    let bad = running.ctl(&["plan", "--config", config.to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
}

/// What a page for operators shows of an output, from this line up to the next that is not
/// indented, is what is printed.
#[track_caller]
fn assert_documented(text: &str, first: &str) {
    let start = text.find(first).unwrap_or_else(|| panic!("no {first}: {text}"));
    let mut lines = text[start..].lines();
    let mut part = vec![lines.next().unwrap()];
    part.extend(lines.take_while(|line| line.starts_with(' ')));
    let block = format!("```text\n{}\n```", part.join("\n"));
    let docs = fs::read_dir("docs").unwrap().map(|page| page.unwrap().path());
    let pages = docs.chain(["README.md".into()]).filter_map(|page| fs::read_to_string(page).ok());
    assert!(pages.into_iter().any(|page| page.contains(&block)), "no page has\n{block}");
}

#[test]
fn a_mass_withdrawal_waits_for_its_confirmation() {
    let start = Start {
        settings: "[policy]\nmax_withdrawals = { halves = 0, percent = 0 }\n",
        ..Start::default()
    };
    let (northbound, running) = peered(&start);
    let before = northbound.dump();
    fs::remove_file(running.path().join("peerings.d/b.toml")).unwrap();
    running.notified.next("status", |message| message.contains("ovn-peerctl confirm"));
    assert_eq!(running.halves().len(), 2);
    assert_eq!(northbound.dump(), before);
    let status = String::from_utf8(running.ctl(&["status"]).stdout).unwrap();
    assert!(status.contains("blue/web/to-db"), "{status}");
    // What names something else, and the list, release nothing.
    let other = running.ctl(&["confirm", "00000000000000000000"]);
    assert_eq!(other.status.code(), Some(1));
    let list = running.ctl(&["confirm", "--format", "json"]);
    assert_eq!(list.status.code(), Some(1), "something is held");
    let held: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(held["withdrawals"], serde_json::json!(["blue/web/to-db"]));
    let seen = held["seen"].as_str().unwrap();
    assert!(status.contains(&format!("ovn-peerctl confirm {seen}")), "{status}");
    assert_eq!(running.halves().len(), 2);
    let confirmed = running.ctl(&["confirm", "--project", "blue", seen]);
    assert!(String::from_utf8(confirmed.stdout).unwrap().contains("blue/web/to-db"));
    let green = running.wait_for_state("to-web", State::Disconnected);
    assert_eq!(green.reason, Some(Reason::PeerWithdrew));
    wait_for("withdrawn route", || {
        (!northbound.nbctl(&["lr-route-list", "blue-lr"]).contains("10.2.0.0/24")).then_some(())
    });
}

#[test]
fn bad_settings_end_the_start_with_every_error_named() {
    let root = directory();
    place(root.path(), "ovn-peerd.toml", "nonsense = 1\n[northbound]\nremotes = [\"bogus\"]\n");
    let output = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"))
        .arg("--config")
        .arg(root.path().join("ovn-peerd.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("ovn-peerd.toml:1:1"), "{message}");
    assert!(message.contains("ovn-peerd.toml:3:"), "{message}");
}

#[test]
fn check_judges_offline_by_its_exit_code() {
    let root = directory();
    place(root.path(), "ovn-peerd.toml", "");
    place(root.path(), "networks.d/a.toml", NETWORKS);
    place(root.path(), "peerings.d/b.toml", BLUE);
    let check = |format: &str| {
        Command::new(env!("CARGO_BIN_EXE_ovn-peerd"))
            .args(["check", "--format", format, "--config"])
            .arg(root.path().join("ovn-peerd.toml"))
            .output()
            .unwrap()
    };
    assert_eq!(check("text").status.code(), Some(0), "{:?}", check("text"));
    place(root.path(), "peerings.d/g.toml", "project = \"green\"\n[[peering]]\nnam = \"x\"\n");
    let report = check("json");
    assert_eq!(report.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert!(report["diagnostics"][0]["line"].is_u64(), "{report}");
    assert!(String::from_utf8(check("text").stdout).unwrap().contains("g.toml:"));
}
