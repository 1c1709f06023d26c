//! The units as systemd judges them (systemd-analyze(1)).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::running::{directory, place};
use crate::served::as_user;

const UNITS: [&str; 3] = ["ovn-peerd.service", "ovn-peerd-access.service", "ovn-peerd-access.path"];

fn source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)).unwrap()
}

/// The value of a unit's key; the last one counts.
fn value(unit: &str, key: &str) -> String {
    let line = source(unit).lines().rev().find_map(|line| {
        line.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned)
    });
    line.unwrap_or_else(|| panic!("{unit} has no {key}"))
}

#[test]
fn systemd_finds_nothing_to_say_about_the_units() {
    let root = directory();
    // Verified where the daemon stands at the path that the unit names.
    for unit in UNITS {
        place(root.path(), unit, &source(unit).replace("/usr/sbin/ovn-peerd", "/bin/true"));
    }
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=one"])
        .args(UNITS.map(|unit| root.path().join(unit)))
        .output()
        .unwrap();
    assert!(verify.status.success(), "{verify:?}");
    assert_eq!(String::from_utf8(verify.stderr).unwrap(), "");
}

#[test]
fn the_daemon_is_exposed_to_less_than_two() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/ovn-peerd.service");
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=19", "--no-pager"])
        .arg(unit)
        .output()
        .unwrap();
    // The threshold is in tenths: above it the exit code is not 0.
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}

#[test]
fn the_files_of_the_package_name_the_same_things() {
    assert_eq!(value("ovn-peerd.service", "User"), "ovn-peerd");
    assert!(source("ovn-peerd.sysusers").lines().any(|line| line.starts_with("u ovn-peerd ")));
    let path = source("ovn-peerd-access.path");
    let watched = path.lines().filter_map(|line| line.strip_prefix("PathChanged="));
    let [socket, wanted] = watched.collect::<Vec<_>>()[..] else { panic!("{path}") };
    let grant = source("ovn-peerd.tmpfile");
    assert!(grant.contains(&format!("a+ {socket} - - - - u:ovn-peerd:rw")), "{grant}");
    let settings = ovn_peerd::declare::Settings::defaults(Path::new("/etc/ovn-peerd"));
    assert_eq!(settings.northbound.remotes, [format!("unix:{socket}")]);
    let runtime = format!("/run/{}", value("ovn-peerd.service", "RuntimeDirectory"));
    assert_eq!(settings.control.socket.parent().unwrap(), Path::new(&runtime));
    assert_eq!(wanted, format!("{runtime}/access-wanted"));
}

#[test]
fn a_grant_opens_the_northbounds_socket_to_one_user_alone() {
    use crate::running::{Northbound, run};
    let root = directory();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let northbound = Northbound::start(root.path());
    let asked = |user: &str| {
        let remote = format!("--db={}", northbound.remote());
        Command::new("setpriv")
            .args(["--reuid", user, "--regid", "nogroup", "--clear-groups"])
            .args(["ovn-nbctl", "--timeout=2", &remote, "show"])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(!asked("nobody"), "as ovsdb-server makes it, it is root's alone");
    let grant = source("ovn-peerd.tmpfile")
        .replace("/run/ovn/ovnnb_db.sock", &root.path().join("nb.sock").display().to_string())
        .replace("u:ovn-peerd:", "u:nobody:");
    place(root.path(), "grant.conf", &grant);
    run("systemd-tmpfiles", &["--create", root.path().join("grant.conf").to_str().unwrap()]);
    assert!(asked("nobody"));
    assert!(!asked("daemon"));
}

/// What systemd/service.md makes for a tenant: the daemon's user reads there, no operator does, and
/// nothing gets the operators' group.
#[test]
fn a_tenants_directory_is_open_to_the_daemons_user_alone() {
    let (alice, daemon, operators) = ("20001", "20077", "20009");
    let page = source("service.md");
    let block = page.split("```tmpfiles\n").nth(1).unwrap().split("```").next().unwrap();
    let root = directory();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let there = root.path().join("srv");
    let block = block
        .replace("/srv/ovn-peerd", there.to_str().unwrap())
        .replace("alice alice", &format!("{alice} {alice}"))
        .replace("u:ovn-peerd:", &format!("u:{daemon}:"));
    place(root.path(), "tenants.conf", &block);
    let conf = root.path().join("tenants.conf");
    let made = Command::new("systemd-tmpfiles").arg("--create").arg(conf).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let file = there.join("alice/blue.toml");
    let script = |text: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("umask 022; {text} {}", file.display())]);
        shell
    };
    let may = |uid: &str, gid: &str, text: &str| {
        as_user(uid, gid, &script(text)).output().unwrap().status.success()
    };
    assert!(may(alice, alice, "echo 'project = \"blue\"' >"));
    assert!(may(daemon, daemon, "cat"));
    assert!(!may(daemon, daemon, "echo >>"), "it only reads");
    assert!(!may("20003", operators, "cat") && !may("20002", "20002", "cat"));
    assert_eq!(fs::metadata(&file).unwrap().gid().to_string(), alice);
}
