//! Invariants of the house that are read from its sources.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!found.is_empty(), "no source below src/{room}");
    found
}

/// Code without its unit tests, which stand last in a file.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

#[test]
fn pure_rooms_have_no_clock_no_io_no_environment_and_no_tokio() {
    let forbidden = [
        "tokio",
        "std::fs",
        "std::env",
        "std::net::Tcp",
        "std::os",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "Timestamp::now",
        "RandomState",
        "nix::",
        "notify::",
        "axum",
        "hyper",
        "println!",
        "eprintln!",
    ];
    let pure = ["declare", "northbound", "peering", "program", "engine"];
    for (path, text) in pure.into_iter().flat_map(sources) {
        for word in forbidden {
            let found = code(&text)
                .lines()
                .find(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert_eq!(found, None, "{} says {word}", path.display());
        }
    }
}

#[test]
fn arrows_run_only_as_drawn() {
    let drawn = [
        (
            "declare",
            &["peering", "program", "engine", "daemon", "control", "ctl", "ovsdb", "northbound"][..],
        ),
        (
            "ovsdb",
            &[
                "declare",
                "northbound",
                "peering",
                "program",
                "engine",
                "daemon",
                "control",
                "ctl",
                "view",
            ],
        ),
        ("northbound", &["peering", "program", "engine", "daemon", "control", "ctl", "view"]),
        ("peering", &["program", "engine", "daemon", "control", "ctl", "view"]),
        ("program", &["engine", "daemon", "control", "ctl"]),
        ("engine", &["daemon", "control", "ctl"]),
        ("ctl", &["engine", "northbound", "peering", "program", "ovsdb"]),
        ("control", &["engine", "northbound", "peering", "program", "ovsdb", "daemon", "ctl"]),
    ];
    for (room, absent) in drawn {
        for (path, text) in sources(room) {
            for other in absent {
                let arrow = format!("crate::{other}");
                assert!(!code(&text).contains(&arrow), "{} uses {arrow}", path.display());
            }
        }
    }
}

#[test]
fn the_ovsdb_room_knows_no_table_of_ovn() {
    for (path, text) in sources("ovsdb") {
        if path.ends_with("tests.rs") {
            continue;
        }
        for word in ["Logical_", "NB_Global", "Address_Set", "peering"] {
            let found = code(&text)
                .lines()
                .find(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert_eq!(found, None, "{} says {word}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_fits_a_reader() {
    for (path, text) in sources("") {
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}
