//! The alert rules that ship, on a real daemon on real OVN that a real Prometheus scrapes: each fires when what it is about
//! happens, and is over when that is. The dashboard's queries give data meanwhile.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use ovn_peerd::view::State;

use crate::bridge;
use crate::metrics::{ask_for_the_dashboard, compare_with_documents};
use crate::prometheus::{Prometheus, free_port, shipped};
use crate::running::{Northbound, Running, Start, directory, place, run, wait_for};
use crate::series::Series;

/// Routers in a row: a path of 50 datapaths and more, and the limit that it is near.
const ROW: usize = 50;
const LIMIT: usize = 60;
/// A test has no minutes: whatever the rules count in minutes takes this part of it.
const HASTE: u32 = 120;

/// The rules with shorter times, and with a lag of ovn-northd that is as much shorter.
fn hastened(rules: &str) -> String {
    let mut text = rules.replace("northd_lag_seconds > 30\n", "northd_lag_seconds > 0.25\n");
    for minutes in [1, 2, 5, 10, 15] {
        let short = format!("{}ms", minutes * 60_000 / HASTE);
        text = text.replace(&format!("for: {minutes}m\n"), &format!("for: {short}\n"));
        text = text.replace(&format!("[{minutes}m]"), &format!("[{short}]"));
    }
    assert!(!text.contains("m\n    labels") && !text.contains("m]"), "all are shorter: {text}");
    text
}

/// A half, as a block.
fn half(network: &str, name: &str, target: (&str, &str)) -> String {
    let (project, to) = target;
    format!(
        "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"{project}\"\n\
         target_network = \"{to}\"\n"
    )
}

/// Both halves of a peering between the networks `n` of two projects, a file each.
fn peer(root: &Path, one: &str, other: &str) {
    for (project, target) in [(one, other), (other, one)] {
        let text = format!("project = \"{project}\"\n{}", half("n", "to-peer", (target, "n")));
        place(root, &format!("peerings.d/{project}.toml"), &text);
    }
}

/// A certificate that signs itself.
fn certificate(root: &Path, days: u32) {
    let (key, certificate) = (root.join("m.key"), root.join("m.crt"));
    let (new_key, new) = (root.join("m.key.new"), root.join("m.crt.new"));
    let days = days.to_string();
    let mut arguments =
        vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    arguments.extend(["-nodes", "-days", &days, "-subj", "/CN=metrics", "-addext"]);
    arguments.extend(["subjectAltName=IP:127.0.0.1", "-keyout", new_key.to_str().unwrap(), "-out"]);
    arguments.push(new.to_str().unwrap());
    run("openssl", &arguments);
    fs::rename(new_key, key).unwrap();
    fs::rename(new, certificate).unwrap();
}

/// The daemon's settings beyond its northbound and its socket.
fn settings(root: &Path, port: u16) -> String {
    format!(
        "[metrics]\nlisten = [\"127.0.0.1:{port}\"]\ncertificate = \"{0}/m.crt\"\n\
         private_key = \"{0}/m.key\"\n[policy]\nrequest_expiry = \"1h\"\nmax_mesh_depth = {LIMIT}\n\
         max_withdrawals = {{ halves = 0, percent = 0 }}\n",
        root.display()
    )
}

/// A router for the network `n` of a project of the same name, and the commands for `ovn-nbctl`.
fn network(name: &str, third: usize) -> (String, Vec<String>) {
    let binding =
        format!("[[network]]\nproject = \"{name}\"\nname = \"n\"\nrouter = \"{name}-lr\"\n");
    let mac = format!("0a:00:00:00:01:{third:02x}");
    let commands =
        format!("-- lr-add {name}-lr -- lrp-add {name}-lr {name}-in {mac} 10.1.{third}.1/24");
    (binding, commands.split(' ').map(str::to_owned).collect())
}

/// All networks: of pairs, of two that overlap, and of a row.
fn networks(northbound: &Northbound, root: &Path) {
    let row = (0..ROW).map(|at| (format!("row{at}"), at + 100));
    let named =
        [("blue", 1), ("green", 2), ("pink", 3), ("gray", 4), ("ask", 8), ("red", 9), ("teal", 9)];
    let named = named.map(|(name, third)| (name.to_owned(), third));
    let (mut bindings, mut commands) = (String::new(), Vec::new());
    for (name, third) in named.into_iter().chain(row) {
        let (binding, made) = network(&name, third);
        bindings.push_str(&binding);
        commands.extend(made);
    }
    place(root, "networks.d/all.toml", &bindings);
    northbound.nbctl(&commands.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The halves of the row.
fn row(root: &Path) {
    for at in 0..ROW {
        let mut text = format!("project = \"row{at}\"\n");
        for to in [at.checked_sub(1), Some(at + 1).filter(|to| *to < ROW)].into_iter().flatten() {
            text.push_str(&half("n", &format!("to-{to}"), (&format!("row{to}"), "n")));
        }
        place(root, &format!("peerings.d/row{at}.toml"), &text);
    }
}

/// Runs the operators' command; it must succeed.
fn ctl(running: &Running, arguments: &[&str]) {
    let output = running.ctl(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Shows the end of the daemon's log if the test fails.
struct Witness(PathBuf);

#[expect(clippy::print_stderr, reason = "a test that fails shows it")]
impl Drop for Witness {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(&self.0).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the daemon, the last first:\n{}", last.join("\n"));
        }
    }
}

/// Confirms the withdrawals that are held now.
fn confirm(running: &Running) {
    let held = running.ctl(&["confirm", "--format", "json"]).stdout;
    let held: serde_json::Value = serde_json::from_slice(&held).unwrap();
    ctl(running, &["confirm", held["seen"].as_str().unwrap()]);
}

/// Rows of twelve peerings go, once each: somebody has undone them, and is not at it again and again.
fn undo(northbound: &Northbound) {
    let mut commands = Vec::new();
    for at in 10..22 {
        commands.extend(["--".to_owned(), "lr-policy-del".to_owned(), format!("row{at}-lr")]);
    }
    northbound.nbctl(&commands.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn each_alert_fires_and_is_over_and_the_dashboard_has_data() {
    let directory = directory();
    let root = directory.path().to_owned();
    let mut northbound = Northbound::start(&root);
    networks(&northbound, &root);
    certificate(&root, 9);
    let port = free_port();
    let more = settings(&root, port);
    let mut running = Running::ready(directory, &Start { settings: &more, ..Start::default() });
    let _witness = Witness(root.join("log"));
    let rules = hastened(&shipped("config/alerts.yml"));
    let prometheus = Prometheus::start(&scrapes(&running, port), &rules);
    prometheus.wait("both are scraped", |it| it.query("up == 1").len() == 2);
    let mut seen = BTreeSet::new();

    // All is well: nothing fires.
    for (one, other) in [("blue", "green"), ("pink", "gray")] {
        peer(&root, one, other);
    }
    row(&root);
    wait_for("all halves", || {
        let active = running.halves().iter().filter(|half| half.state == State::Active).count();
        (active == 4 + 2 * (ROW - 1)).then_some(())
    });

    // What can happen at the same time happens at the same time.
    peer(&root, "red", "teal");
    northbound.nbctl(&["lrp-add", "gray-lr", "gray-2", "0a:00:00:00:02:01", "10.1.3.129/25"]);
    place(&root, "peerings.d/bad.toml", "project = \"blue\"\n[[peering]]\nname = 1\n");
    let request = format!("project = \"ask\"\n{}", half("n", "to-nobody", ("nobody", "n")));
    place(&root, "peerings.d/ask.toml", &request);
    let good = fs::read_to_string(root.join("ovn-peerd.toml")).unwrap();
    place(&root, "ovn-peerd.toml", &format!("{good}nonsense = true\n"));
    assert!(!running.ctl(&["reload"]).status.success());
    fs::remove_file(root.join("peerings.d/green.toml")).unwrap();
    undo(&northbound);
    let at_once = [
        "OvnPeerdHalfFailed",
        "OvnPeerdHalfDegraded",
        "OvnPeerdFilesWrong",
        "OvnPeerdReloadFailed",
        "OvnPeerdWithdrawalHeld",
        "OvnPeerdRequestExpires",
        "OvnPeerdCertificateExpires",
        "OvnPeerdMeshDeep",
        "OvnPeerdSomebodyUndoesIt",
    ];
    prometheus.fires(&["OvnPeerdSomebodyUndoesIt", "OvnPeerdHalfDegraded", "OvnPeerdMeshDeep"]);
    prometheus
        .fires(&at_once.into_iter().filter(|it| !it.ends_with("UndoesIt")).collect::<Vec<_>>());
    seen.extend(at_once);
    compare_with_documents(&Series::read(&running.socket()));
    ask_for_the_dashboard(&prometheus);

    // The other side withdraws, which an operator confirms.
    confirm(&running);
    prometheus.fires(&["OvnPeerdHalfLost"]);
    seen.insert("OvnPeerdHalfLost");

    // All of it is put right.
    peer(&root, "blue", "green");
    place(
        &root,
        "ovn-peerd.toml",
        &good.replace("halves = 0, percent = 0", "halves = 0, percent = 100"),
    );
    certificate(&root, 90);
    for name in ["bad", "ask", "red", "teal"] {
        fs::remove_file(root.join(format!("peerings.d/{name}.toml"))).unwrap();
    }
    ctl(&running, &["reload"]);
    northbound.nbctl(&["lrp-del", "gray-2"]);
    fs::remove_file(root.join("peerings.d/row25.toml")).unwrap();
    prometheus.resolves(&at_once);
    prometheus.resolves(&["OvnPeerdHalfLost"]);
    assert_eq!(prometheus.firing(), BTreeSet::new(), "nothing else fires");

    // OVN's own.
    northbound.northd.signal("STOP");
    peer(&root, "red", "gray");
    prometheus.fires(&["OvnPeerdNorthdLags"]);
    northbound.northd.signal("CONT");
    prometheus.resolves(&["OvnPeerdNorthdLags"]);
    northbound.let_grow(false);
    peer(&root, "red", "pink");
    prometheus.fires(&["OvnPeerdRefused"]);
    northbound.let_grow(true);
    prometheus.resolves(&["OvnPeerdRefused"]);
    northbound.stop();
    prometheus.fires(&["OvnPeerdNorthboundLost", "OvnPeerdNobodyWrites"]);
    northbound.restart();
    prometheus.resolves(&["OvnPeerdNorthboundLost", "OvnPeerdNobodyWrites"]);
    running.daemon.signal("KILL");
    prometheus.fires(&["OvnPeerdDown"]);
    running.start_again();
    prometheus.resolves(&["OvnPeerdDown"]);
    seen.extend(["OvnPeerdNorthdLags", "OvnPeerdRefused", "OvnPeerdNorthboundLost"]);
    seen.extend(["OvnPeerdNobodyWrites", "OvnPeerdDown"]);
    let seen: BTreeSet<String> = seen.into_iter().map(str::to_owned).collect();
    assert_eq!(prometheus.rules(), seen, "each of the rules that ship");
}

/// The daemon twice: by its port with TLS, and by its socket, where halves have names.
fn scrapes(running: &Running, port: u16) -> String {
    let mut text = String::new();
    let bridge = bridge::to(running.socket());
    for (job, scheme, port) in [("named", "http", bridge), ("sums", "https", port)] {
        let _ = write!(
            text,
            "- job_name: {job}\n  scheme: {scheme}\n  tls_config: {{insecure_skip_verify: true}}\n  \
             static_configs: [{{targets: [\"127.0.0.1:{port}\"], labels: {{deployment: {job}}}}}]\n  \
             relabel_configs: [{{target_label: job, replacement: ovn-peerd}}]\n"
        );
    }
    text
}
