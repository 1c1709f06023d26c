//! The log: text with fields on stderr, and the journal's native protocol where stderr is the
//! journal (systemd.journal-fields(7), "Native Journal Protocol").

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ovn_peerd::view::State;

use crate::running::{
    BLUE, NETWORKS, PATIENCE, Process, Start, directory, peered, place, wait_for,
};

#[test]
fn a_change_of_state_is_reported_once_with_its_half() {
    let (_northbound, running) = peered(&Start::default());
    let log = running.log();
    let active: Vec<&str> = log.lines().filter(|line| line.contains("state=\"active\"")).collect();
    assert_eq!(active.len(), 2, "{log}");
    assert!(active.iter().any(|line| line.contains("half=\"blue/web/to-db\"")), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours where there is no terminal: {log}");
    assert!(!log.contains("DEBUG"), "info is the default: {log}");
    fs::remove_file(running.path().join("peerings.d/g.toml")).unwrap();
    running.wait_for_state("to-db", State::Disconnected);
    let log = wait_for("withdrawal in the log", || {
        let log = running.log();
        log.contains("reason=\"peer-withdrew\"").then_some(log)
    });
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("peer-withdrew")));
}

#[test]
fn a_level_that_makes_no_sense_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"))
        .args(["--config", "/nonexistent", "--log-level", "daemon=nonsense"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--log-level"));
}

/// A word that means nothing never silences the log, wherever it stands.
#[test]
fn warning_is_a_level_and_other_words_are_errors() {
    let started = |arguments: &[&str], environment: Option<&str>| {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_ovn-peerd"));
        daemon.args(["--config", "/nonexistent"]).args(arguments).env_remove("RUST_LOG");
        daemon.envs(environment.map(|level| ("RUST_LOG", level)));
        String::from_utf8(daemon.output().unwrap().stderr).unwrap()
    };
    for said in [started(&["--log-level", "warning"], None), started(&[], Some("warning"))] {
        assert!(said.contains("cannot go on"), "an error is above a warning: {said}");
    }
    for said in [started(&["--log-level", "warnings"], None), started(&[], Some("warnings"))] {
        assert!(said.contains("`warnings` is no level") && said.lines().count() == 1, "{said}");
    }
}

/// The fields of one entry.
type Entry = BTreeMap<String, String>;

fn entry(datagram: &[u8]) -> Entry {
    let mut fields = Entry::new();
    let mut rest = datagram;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'=' | b'\n')) {
        let name = String::from_utf8(rest[..end].to_vec()).unwrap();
        let (value, after) = if rest[end] == b'=' {
            let value = &rest[end + 1..];
            let end = value.iter().position(|byte| *byte == b'\n').unwrap();
            (&value[..end], &value[end + 1..])
        } else {
            let (length, value) = rest[end + 1..].split_at(8);
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            (&value[..length], &value[length + 1..])
        };
        fields.insert(name, String::from_utf8(value.to_vec()).unwrap());
        rest = after;
    }
    fields
}

/// Starts the daemon in a mount namespace of its own, in which `journal` is journald's directory.
fn with_journal(root: &Path, journal: &Path) -> Process {
    let stderr = fs::File::create(root.join("log")).unwrap();
    let metadata = stderr.metadata().unwrap();
    let script = "set -e; mount -t tmpfs none /run; mkdir -p /run/systemd/journal; \
                  mount --bind \"$1\" /run/systemd/journal; exec \"$2\" --log-level debug --config \"$3\"";
    let child = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(journal)
        .arg(env!("CARGO_BIN_EXE_ovn-peerd"))
        .arg(root.join("ovn-peerd.toml"))
        .env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()))
        .env_remove("RUST_LOG")
        .stderr(stderr)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

#[test]
fn the_journal_gets_fields_of_its_own() {
    let root = directory();
    let journal = root.path().join("journal");
    fs::create_dir(&journal).unwrap();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o755)).unwrap();
    let socket = UnixDatagram::bind(journal.join("socket")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let settings = format!(
        "[northbound]\nremotes = [\"unix:{0}/nb.sock\"]\n[control]\nsocket = \"{0}/c.sock\"\n",
        root.path().display()
    );
    place(root.path(), "ovn-peerd.toml", &settings);
    place(root.path(), "networks.d/a.toml", NETWORKS);
    // A name may hold what separates names elsewhere.
    place(root.path(), "peerings.d/b.toml", &BLUE.replace("to-db", "a/b \u{fc}"));
    place(root.path(), "peerings.d/bad.toml", "nonsense = 1\n");
    let daemon = with_journal(root.path(), &journal);
    let mut entries = Vec::new();
    // The half's state, and what is wrong with the other file: whichever comes first.
    let of_half = |entry: &&Entry| entry.contains_key("OVN_PEERD_HALF");
    let refused = |entry: &&Entry| entry["MESSAGE"].contains("bad.toml:1:1");
    let deadline = Instant::now() + PATIENCE;
    while !(entries.iter().any(|it| of_half(&it)) && entries.iter().any(|it| refused(&it))) {
        assert!(Instant::now() < deadline, "{entries:?}");
        let mut buffer = [0; 65536];
        if let Ok(length) = socket.recv(&mut buffer)
            && length > 0
        {
            entries.push(entry(&buffer[..length]));
        }
    }
    for entry in &entries {
        assert_eq!(entry["SYSLOG_IDENTIFIER"], "ovn-peerd", "{entry:?}");
        assert!(!entry["MESSAGE"].is_empty(), "{entry:?}");
    }
    let starting = entries.iter().find(|entry| entry["MESSAGE"] == "starting").unwrap();
    assert_eq!(starting["PRIORITY"], "5", "info is journald's notice: {starting:?}");
    assert_eq!(entries.iter().find(refused).unwrap()["PRIORITY"], "4", "{entries:?}");
    let half = entries.iter().find(of_half).unwrap();
    assert!(half["MESSAGE"].starts_with("blue/web/a/b \u{fc}: "), "{half:?}");
    for (field, value) in [
        ("HALF", "blue/web/a/b \u{fc}"),
        ("PROJECT", "blue"),
        ("NETWORK", "web"),
        ("PEERING", "a/b \u{fc}"),
        ("STATE", "provisioning"),
        ("REASON", "northbound-unreachable"),
    ] {
        assert_eq!(half[&format!("OVN_PEERD_{field}")], value, "{half:?}");
    }
    assert_eq!(fs::read(root.path().join("log")).unwrap(), b"", "not twice");
    daemon.signal("TERM");
}
