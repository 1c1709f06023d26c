//! Invariants of the house that are read from its sources.

use std::collections::{BTreeMap, BTreeSet};
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

/// Which files of a room use which: by `super::file::`, `super::super::file::` and
/// `super::{file, file}`, without their unit tests.
fn uses(room: &str) -> BTreeMap<String, BTreeSet<String>> {
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files = sources(room);
    let names: BTreeSet<String> = files.iter().map(|(path, _)| name(path)).collect();
    let first = |path: &str| {
        let mut words = path.trim_start().split(|at: char| !at.is_alphanumeric() && at != '_');
        words.next().map(str::to_owned)
    };
    let used = |text: &str| {
        let after = code(text).split("super::").skip(1);
        let paths = after.flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap().split(',').collect(),
            None => vec![rest],
        });
        paths.filter_map(first).collect()
    };
    let all = files.iter().filter(|(path, _)| name(path) != "mod");
    all.map(|(path, text)| {
        let used: BTreeSet<String> = used(text);
        (name(path), used.intersection(&names).cloned().collect())
    })
    .collect()
}

#[test]
fn the_files_of_a_room_form_no_circle() {
    let rooms = [
        ("peering", "decide", "linking"),
        ("engine", "submit", "batch"),
        ("daemon", "events", "log"),
    ];
    for (room, file, other) in rooms {
        let mut left = uses(room);
        assert!(left.len() > 20 && left[file].contains(other), "{left:?}");
        // Whoever uses nothing that is left is taken away, until nobody is.
        while let Some(free) =
            left.iter().find(|(_, used)| used.is_empty()).map(|(file, _)| file.clone())
        {
            left.remove(&free);
            for used in left.values_mut() {
                used.remove(&free);
            }
        }
        assert!(left.is_empty(), "these of {room} use each other: {left:?}");
    }
}

/// The files in which each type of a room has methods, but for those of traits.
fn methods(room: &str) -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut files = BTreeMap::<String, BTreeSet<PathBuf>>::new();
    for (path, text) in sources(room) {
        let headers = code(&text).lines().filter(|line| line.starts_with("impl"));
        for header in headers.filter(|line| !line.contains(" for ")) {
            let header = header.trim_end_matches(" {");
            let of = if header.starts_with("impl<") {
                header.split_once("> ").map_or(header, |(_, of)| of)
            } else {
                header.trim_start_matches("impl ")
            };
            let name = of.split('<').next().unwrap().to_owned();
            files.entry(name).or_default().insert(path.clone());
        }
    }
    files
}

#[test]
fn a_type_has_its_methods_in_one_file() {
    // The engine's public calls, and what it does with an event.
    let two = ["Engine"];
    for (room, types) in [("peering", 20), ("engine", 20), ("daemon", 10)] {
        let mut files = methods(room);
        assert!(files.len() > types, "{files:?}");
        files.retain(|name, of| of.len() > 1 + usize::from(two.contains(&name.as_str())));
        assert!(files.is_empty(), "{files:?}");
    }
}
