//! What README.md and the pages in `docs` say is true: their files are good, their commands run, their tables know every
//! state and reason. So is what tests/README.md says of tests.
//!
//! Owns: which kinds of blocks there are. `toml` blocks name their file in the first line; `sh` blocks run in their order;
//! `console` (installing, building: what `.ci/run` does anyway) and `text` are not run. README.md and the quick starts are
//! followed each by itself (`follow`), and the page of the network API (`api`); all other pages describe one installation.
//! May not: know what the pages are about beyond the names of their routers and switches.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod api;
mod blocks;
mod containers;
mod follow;
#[path = "../lab/mod.rs"]
mod lab;
mod manual;
mod peers;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use blocks::{Block, Kind, file_of};
use lab::Lab;
use lab::command::{output, poll};
use lab::daemon::{CONTROL, DAEMON, Daemon};

/// Where the pages put the configuration.
const CONFIGURATION: &str = "/etc/ovn-peerd/";
const SETTINGS: &str = "ovn-peerd.toml";

#[test]
fn every_settings_block_passes_the_check_with_all_other_files() {
    let files: Vec<_> = blocks::reference().iter().filter_map(file_of).collect();
    let (settings, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| f.0 == SETTINGS);
    assert!(settings.len() >= 2 && others.len() >= 3, "the pages show all kinds of files");
    for (_, text) in &settings {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in others.iter().chain([&(SETTINGS.to_owned(), text.clone())]) {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let config = dir.path().join(SETTINGS);
        let checked = output(Command::new(DAEMON).arg("check").arg("--config").arg(config));
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{said}\n{text}");
        assert_eq!(said, "ok: 0 errors, 0 warnings, 2 networks, 5 halves\n");
    }
}

/// The block that says "all keys, with their defaults" must not differ from an empty file.
#[test]
fn the_defaults_are_the_defaults() {
    let files: Vec<_> = blocks::reference().iter().filter_map(file_of).collect();
    let (_, text) = files.iter().find(|file| file.0 == SETTINGS).unwrap();
    let path = Path::new(CONFIGURATION).join(SETTINGS);
    let (shown, _) = ovn_peerd::declare::Settings::parse(&path, text);
    let (mut defaults, _) = ovn_peerd::declare::Settings::parse(&path, "");
    defaults.daemon.host = Some("hv1".to_owned());
    assert_eq!(shown, defaults);
}

#[test]
fn every_command_runs() {
    let lab = Lab::databases_only();
    lab.add_network("blue-web-lr", &["10.1.0.0/24 fd01::/64"]);
    lab.add_network("green-db-lr", &["10.2.0.0/24 fd02::/64"]);
    lab.nbctl(&["ls-add", "green-db"]);
    let daemon = Daemon::start(&lab);
    let blocks = blocks::reference();
    for (path, text) in blocks.iter().filter_map(file_of).filter(|file| file.0 != SETTINGS) {
        daemon.write(&path, &text);
    }
    daemon.wait_state("blue", "web", "to-db", "active");
    daemon.wait_state("green", "db", "to-web", "active");
    poll("nothing is left to write", Duration::from_secs(10), || {
        let plan = daemon.ctl(&["plan"]);
        if plan.status.success() { Ok(()) } else { Err(format!("{plan:?}")) }
    });
    let programs = shims(&daemon);
    let commands: Vec<_> = blocks.iter().filter(|block| block.kind == Kind::Shell).collect();
    assert!(commands.len() >= 3, "the pages show commands");
    for block in commands {
        let own = format!("{}/", daemon.dir().display());
        let script = block.text.replace(CONFIGURATION, &own);
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(lab.dir());
        let path = std::env::var("PATH").unwrap();
        shell.env("PATH", format!("{}:{path}", programs.display()));
        shell.env("OVN_NB_DB", lab.nb_remote());
        let ran = output(&mut shell);
        let said = [&ran.stdout[..], &ran.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let Block { page, line, .. } = block;
        assert!(ran.status.success(), "{page}:{line}: {script}\n{}\n{said}", ran.status);
        assert!(block.is_silent() || !said.trim().is_empty(), "{page}:{line} prints nothing");
    }
    let acl = lab.nbctl(&["acl-list", "green-db"]);
    assert!(acl.contains("ovn_peerd_") && acl.contains("_ip4"), "the ACL names the set: {acl}");
}

/// Reads the words of `as_str` from their one source, so that no word is forgotten here.
#[test]
fn every_state_and_reason_is_explained_and_no_other() {
    let rules = fs::read_to_string("src/peering/state.rs").unwrap();
    let words = |line: &str| {
        let word = line.trim().strip_prefix("Self::")?.split_once(" => \"")?.1;
        Some(word.split('"').next()?.to_owned())
    };
    let known: BTreeSet<String> = rules.lines().filter_map(words).collect();
    assert!(known.contains("pending-peer") && known.contains("conflict-subnet"));
    let page = fs::read_to_string("docs/states.md").unwrap();
    let table = page.split("| state | reason |").nth(1).expect("the table of states");
    let table = table.split("\n\n").next().unwrap();
    let cells = table.lines().skip(2).flat_map(|row| row.split('|').skip(1).take(2));
    let word = |cell: &str| cell.trim().strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    let told: BTreeSet<String> = cells.filter_map(word).collect();
    assert_eq!(told, known);
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for from in blocks::pages() {
        let text = fs::read_to_string(&from).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let page = match path {
                "" => Path::new(&from).to_owned(),
                path => Path::new(&from).with_file_name(path),
            };
            assert!(page.exists(), "{from}: no {link}");
            checked += 1;
            if !anchor.is_empty() {
                let text = fs::read_to_string(&page).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| blocks::anchor(line) == anchor);
                assert!(found, "{from}: no heading for {link}");
            }
        }
    }
    assert!(checked > 20, "the pages link to each other");
}

/// Each page is reached from README.md.
#[test]
fn every_page_is_listed() {
    let readme = fs::read_to_string("README.md").unwrap();
    for page in &blocks::pages()[1..] {
        assert!(readme.contains(&format!("]({page})")), "README.md does not lead to {page}");
    }
    assert!(readme.lines().count() <= 140, "README.md is an overview: a detail belongs in docs");
}

/// tests/README.md: its table names tests by file and function, and every test of a promise in `peering/`.
#[test]
fn the_tests_that_are_said_to_prove_something_are_there() {
    let page = fs::read_to_string("tests/README.md").unwrap();
    let table = page.split("| promise | test |").nth(1).expect("the table of promises");
    let mut told = BTreeSet::new();
    for row in table.split("\n\n").next().unwrap().lines().skip(2) {
        let mut source = String::new();
        let cell = row.rsplit(" | ").next().unwrap();
        for name in cell.split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                // Where the room's own tests prove it, the file in `src`.
                let path =
                    Path::new(if name.starts_with("src/") { "" } else { "tests" }).join(name);
                source =
                    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            } else {
                assert!(source.contains(&format!("fn {name}(")), "there is no {name}: {row}");
                told.insert(name.to_owned());
            }
        }
    }
    for file in fs::read_dir("tests/peering").unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in source.lines() {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            let promises = |n: &&str| {
                n.starts_with(['b', 's']) && n[1..].starts_with(|c: char| c.is_ascii_digit())
            };
            if let Some(name) = name.filter(promises) {
                assert!(told.contains(name), "tests/README.md does not tell what {name} proves");
            }
        }
    }
}

/// The programs as the pages call them: installed, and without naming a socket.
fn shims(daemon: &Daemon) -> std::path::PathBuf {
    let dir = daemon.dir().join("bin");
    fs::create_dir(&dir).unwrap();
    let socket = daemon.socket();
    let control = format!("exec {CONTROL} --socket {} \"$@\"", socket.display());
    let programs = [("ovn-peerctl", control), ("ovn-peerd", format!("exec {DAEMON} \"$@\""))];
    for (name, text) in programs {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
    }
    dir
}

impl Block {
    /// Whether it may print nothing: only what changes the northbound without asking it anything.
    fn is_silent(&self) -> bool {
        self.text.contains("acl-add")
    }
}
