//! The Debian package, installed and run by a real systemd: access to OVN's socket as Debian makes
//! it, the sandbox, the watchdog, reload, the journal, removal.
//!
//! `tests/service/package` builds the package and runs this.

use std::env;
use std::path::Path;

use ovn_peerd::view::{HalfView, State};

use crate::machine::Machine;
use crate::running::{BLUE, GREEN, NETWORKS};

const UNIT: &str = "ovn-peerd.service";
const ACTIVE: &str = "active: 2 active; northbound unix:/run/ovn/ovnnb_db.sock";
/// Where tenants may look.
const PRIVATE: &str = "active; ovn-peerctl status shows operators more";

fn halves(machine: &Machine) -> Vec<HalfView> {
    serde_json::from_str(&machine.run(&["ovn-peerctl", "list", "--format", "json"])).unwrap()
}

fn dump(machine: &Machine) -> String {
    ["Logical_Router_Port", "Logical_Router_Static_Route", "Logical_Router_Policy", "Address_Set"]
        .map(|table| {
            let remote = "unix:/run/ovn/ovnnb_db.sock";
            machine.run(&["ovsdb-client", "dump", remote, "OVN_Northbound", table])
        })
        .concat()
}

/// Whether a command works for a user, with the groups that it has.
fn works_for(machine: &Machine, user: &str, command: &[&str]) -> bool {
    let group = machine.run(&["id", "-g", user]);
    let mut all = vec!["setpriv", "--reuid", user, "--regid", group.trim(), "--init-groups"];
    all.extend(command);
    machine.output(&all).status.success()
}

#[test]
fn the_package_serves_on_a_machine_run_by_systemd() {
    let Some(package) = env::var_os("OVN_PEERD_PACKAGE") else {
        println!("skipped: OVN_PEERD_PACKAGE names no package; run tests/service/package");
        return;
    };
    let machine = Machine::boot();
    let package = machine.copy(Path::new(&package));
    installs_and_waits(&machine, &package);
    is_let_in_as_its_own_user(&machine);
    peers_and_reloads(&machine);
    operators_may_ask(&machine);
    tenants_see_their_own(&machine);
    writes_fields_to_the_journal(&machine);
    finds_the_northbound_again(&machine);
    asks_again_for_access(&machine);
    is_restarted_when_it_hangs(&machine);
    leaves_the_data_plane(&machine, &package);
}

fn installs_and_waits(machine: &Machine, package: &str) {
    machine.run(&["dpkg", "--install", package]);
    assert_eq!(machine.property(UNIT, "ActiveState"), "active");
    assert_eq!(machine.property(UNIT, "UnitFileState"), "enabled");
    machine.wait_for_property(UNIT, "StatusText", |text| {
        text.starts_with("waiting for the northbound: no peerings")
    });
    let conffiles = machine.run(&["dpkg-query", "-W", "-f", "${Conffiles}", "ovn-peerd"]);
    assert!(conffiles.contains("/etc/ovn-peerd/ovn-peerd.toml"), "{conffiles}");
    let owner = machine.run(&["stat", "--format=%U:%G %a", "/etc/ovn-peerd"]);
    assert_eq!(owner, "root:ovn-peerd 750\n");
    machine.run(&["ovn-peerd", "check"]);
    for document in [
        "README.md",
        "changelog.gz",
        "systemd/service.md",
        "docs/trust.md",
        "docs/states.md",
        "docs/metrics.md",
        "docs/metrics.png",
        "examples/alerts.yml",
        "examples/grafana-dashboard.json",
        "copyright",
    ] {
        machine.run(&["test", "-s", &format!("/usr/share/doc/ovn-peerd/{document}")]);
    }
    for page in ["ovn-peerd", "ovn-peerctl", "ovn-peerd.toml", "ovn-peerd-peerings"] {
        machine.run(&["man", "-w", page]);
    }
}

fn is_let_in_as_its_own_user(machine: &Machine) {
    machine.run(&["systemctl", "start", "ovn-central"]);
    machine.wait_for_property(UNIT, "StatusText", |text| text.starts_with("active: no peerings"));
    let pid = machine.property(UNIT, "MainPID");
    let status = machine.run(&["cat", &format!("/proc/{pid}/status")]);
    let uid = machine.run(&["id", "-u", "ovn-peerd"]);
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), vec![uid.trim(); 4]);
    assert_eq!(field("CapEff:"), ["0000000000000000"]);
    assert_eq!(field("CapBnd:"), ["0000000000000000"]);
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    assert_eq!(field("Seccomp:"), ["2"]);
    // This socket and no other of OVN's.
    assert!(works_for(machine, "ovn-peerd", &["ovn-nbctl", "--timeout=5", "show"]));
    assert!(!works_for(machine, "ovn-peerd", &["ovn-sbctl", "--timeout=2", "show"]));
    assert!(!works_for(machine, "nobody", &["ovn-nbctl", "--timeout=2", "show"]));
}

fn peers_and_reloads(machine: &Machine) {
    for (router, mac, address) in [
        ("blue-lr", "0a:00:00:00:00:01", "10.1.0.1/24"),
        ("green-lr", "0a:00:00:00:00:02", "10.2.0.1/24"),
    ] {
        let port = format!("{router}-in");
        machine.run(&["ovn-nbctl", "lr-add", router, "--", "lrp-add", router, &port, mac, address]);
    }
    machine.place("/etc/ovn-peerd/networks.d/a.toml", NETWORKS);
    machine.place("/etc/ovn-peerd/peerings.d/b.toml", BLUE);
    machine.place("/etc/ovn-peerd/peerings.d/g.toml", GREEN);
    // Returns when the daemon says READY again: by then it has read them.
    machine.run(&["systemctl", "reload", UNIT]);
    assert_eq!(halves(machine).len(), 2);
    machine.wait_for("active halves", || {
        halves(machine).iter().all(|half| half.state == State::Active).then_some(())
    });
    machine.wait_for_property(UNIT, "StatusText", |text| text == ACTIVE);
    assert_eq!(machine.output(&["ovn-peerctl", "plan"]).status.code(), Some(0));
}

fn operators_may_ask(machine: &Machine) {
    machine.run(&["useradd", "--groups", "ovn-peerd", "olga"]);
    machine.run(&["useradd", "mallory"]);
    for command in ["list", "status", "reload"] {
        assert!(works_for(machine, "olga", &["ovn-peerctl", command]));
        assert!(!works_for(machine, "mallory", &["ovn-peerctl", command]));
    }
    let mode = machine.run(&["stat", "--format=%a", "/run/ovn-peerd/control.sock"]);
    assert_eq!(mode, "666\n", "the credentials keep her out, not the mode");
}

/// The operator welcomes a tenant as service.md says.
fn tenants_see_their_own(machine: &Machine) {
    machine.run(&["useradd", "alice"]);
    let guide = include_str!("../../systemd/service.md");
    let guide =
        guide.split("## Tenants on this host").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    let directories = guide.split("```tmpfiles\n").nth(1).unwrap().split("```").next().unwrap();
    machine.place("/etc/tmpfiles.d/ovn-peerd-tenants.conf", directories);
    machine.run(&["sh", "-ec", &commands.join("\n")]);
    machine.place("/mnt/blue.toml", BLUE);
    machine.run(&["chmod", "0644", "/mnt/blue.toml"]);
    let own = "/srv/ovn-peerd/alice/blue.toml";
    assert!(works_for(
        machine,
        "alice",
        &["sh", "-c", &format!("umask 027; cp /mnt/blue.toml {own}")]
    ));
    machine.run(&["rm", "/etc/ovn-peerd/peerings.d/b.toml"]);
    let pin = "[[project]]\nname = \"blue\"\nowner = \"alice\"\n";
    machine.place("/etc/ovn-peerd/ovn-peerd.toml", pin);
    // All but the registrations, which tell the file.
    let links = || dump(machine).split("Address_Set table").next().unwrap().to_owned();
    let before = links();
    machine.run(&["systemctl", "reload", UNIT]);
    machine.wait_for_property(UNIT, "StatusText", |text| text == PRIVATE);
    assert_eq!(halves(machine).len(), 2);
    let status = machine.run(&["ovn-peerctl", "status"]);
    assert!(!status.contains("Diagnostics") && !status.contains("Held"), "{status}");
    assert!(works_for(machine, "alice", &["ovn-peerctl", "show", "blue", "web", "to-db"]));
    for command in [
        &["ovn-peerctl", "show", "green", "db", "to-web"][..],
        &["ovn-peerctl", "status"],
        &["ovn-peerctl", "reload"],
        &["ls", "/etc/ovn-peerd"],
        &["cat", "/etc/ovn-peerd/networks.d/a.toml"],
        &["ls", "/srv/ovn-peerd"],
        &["sh", "-c", "journalctl --quiet --unit=ovn-peerd | grep ."],
    ] {
        assert!(!works_for(machine, "alice", command), "{command:?}");
        assert!(!works_for(machine, "mallory", command), "{command:?}");
    }
    machine.run(&["sh", "-c", "journalctl --quiet --unit=ovn-peerd | grep -q green"]);
    assert!(!works_for(machine, "mallory", &["ovn-peerctl", "list"]));
    assert_eq!(links(), before, "a half that moves between files is not cut");
}

fn writes_fields_to_the_journal(machine: &Machine) {
    let entry = machine.wait_for("entry in the journal", || {
        let query = ["journalctl", "-u", UNIT, "-o", "json", "OVN_PEERD_PROJECT=blue"];
        machine.run(&query).lines().last().map(str::to_owned)
    });
    let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
    assert_eq!(entry["OVN_PEERD_HALF"], "blue/web/to-db", "{entry}");
    assert_eq!(entry["OVN_PEERD_STATE"], "active", "{entry}");
    assert_eq!(entry["PRIORITY"], "5", "{entry}");
}

/// How often it found the northbound and was let write, by the journal: its status, told twice a
/// second at most, need not say that it waited in between.
fn found_northbound(machine: &Machine) -> usize {
    machine.run(&["journalctl", "--unit", UNIT]).matches("this instance writes").count()
}

fn finds_the_northbound_again(machine: &Machine) {
    let before = dump(machine);
    for restart in [
        &["systemctl", "restart", "ovn-ovsdb-server-nb"][..],
        // Crashed: systemd starts another, which makes a new socket.
        &["systemctl", "kill", "--signal=KILL", "ovn-ovsdb-server-nb"],
    ] {
        let found = found_northbound(machine);
        machine.run(restart);
        machine.wait_for("the northbound, found again", || {
            (found_northbound(machine) > found).then_some(())
        });
        machine.wait_for_property(UNIT, "StatusText", |text| text == PRIVATE);
    }
    assert_eq!(dump(machine), before);
    assert_eq!(machine.property(UNIT, "NRestarts"), "0");
}

/// systemd misses a socket that is made while the access unit runs: here, while its watch is stopped.
fn asks_again_for_access(machine: &Machine) {
    let forbidden = || {
        let journal = machine.run(&["journalctl", "--unit", UNIT]);
        journal.matches("this user may not open the socket").count()
    };
    let (found, before) = (found_northbound(machine), forbidden());
    machine.run(&["systemctl", "stop", "ovn-peerd-access.path"]);
    machine.run(&["systemctl", "restart", "ovn-ovsdb-server-nb"]);
    machine
        .wait_for("a line about the socket's permissions", || (forbidden() > before).then_some(()));
    assert_eq!(found_northbound(machine), found);
    machine.run(&["systemctl", "start", "ovn-peerd-access.path"]);
    machine.wait_for("the northbound, opened after a request", || {
        (found_northbound(machine) > found).then_some(())
    });
    machine.wait_for_property(UNIT, "StatusText", |text| text == PRIVATE);
}

fn is_restarted_when_it_hangs(machine: &Machine) {
    let before = dump(machine);
    machine.place("/run/systemd/system/ovn-peerd.service.d/w.conf", "[Service]\nWatchdogSec=2\n");
    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "restart", UNIT]);
    machine.wait_for_property(UNIT, "StatusText", |text| text == PRIVATE);
    // Longer than the watchdog allows: it is fed.
    let fed = machine.property(UNIT, "WatchdogTimestampMonotonic");
    machine.wait_for_property(UNIT, "WatchdogTimestampMonotonic", |again| again != fed);
    assert_eq!(machine.property(UNIT, "NRestarts"), "0");
    machine.run(&["systemctl", "kill", "--signal=STOP", UNIT]);
    machine.wait_for_property(UNIT, "NRestarts", |count| count == "1");
    // The status is the one before until it is started again.
    machine.wait_for_property(UNIT, "ActiveState", |state| state == "active");
    machine.wait_for_property(UNIT, "StatusText", |text| text == PRIVATE);
    assert_eq!(dump(machine), before);
}

fn leaves_the_data_plane(machine: &Machine, package: &str) {
    let before = dump(machine);
    machine.run(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.property(UNIT, "Result"), "success");
    assert_eq!(machine.property(UNIT, "ExecMainStatus"), "0");
    machine.run(&["test", "!", "-e", "/run/ovn-peerd"]);
    // Over itself, as an upgrade.
    machine.run(&["systemctl", "start", UNIT]);
    machine.run(&["dpkg", "--install", package]);
    machine.wait_for_property(UNIT, "StatusText", |text| text == PRIVATE);
    machine.run(&["dpkg", "--remove", "ovn-peerd"]);
    assert!(!machine.output(&["systemctl", "is-active", UNIT]).status.success());
    machine.run(&["test", "-e", "/etc/ovn-peerd/peerings.d/g.toml"]);
    assert_eq!(dump(machine), before);
}
