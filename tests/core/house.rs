//! Invariants of the house that are read from its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn sources(room: &str) -> Vec<(PathBuf, String)> {
    files_below(&format!("src/{room}"))
}

fn files_below(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(path) = waiting.pop() {
        // What cargo builds there is not ours, and may go at any moment.
        if path.ends_with("tests/fuzz/target") {
            continue;
        }
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!found.is_empty(), "no source below {directory}");
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
    let pure = [
        "declare",
        "northbound",
        "discover",
        "peering",
        "traffic",
        "reach",
        "program",
        "engine",
        "metrics",
    ];
    let protocol = sources("ovsdb").into_iter().filter(|(path, _)| {
        !path.components().any(|part| part.as_os_str() == "client") && !path.ends_with("client.rs")
    });
    for (path, text) in pure.into_iter().flat_map(sources).chain(protocol) {
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
        (
            "traffic",
            &[
                "declare",
                "ovsdb",
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
        (
            "reach",
            &[
                "declare", "peering", "traffic", "program", "engine", "daemon", "control", "ctl",
                "view",
            ],
        ),
        (
            "northbound",
            &["reach", "peering", "program", "engine", "daemon", "control", "ctl", "view"],
        ),
        (
            "discover",
            &[
                "peering", "traffic", "reach", "program", "engine", "daemon", "listen", "api",
                "control", "ctl", "view",
            ],
        ),
        (
            "peering",
            &["discover", "reach", "program", "engine", "daemon", "control", "ctl", "view"],
        ),
        ("program", &["reach", "engine", "daemon", "control", "ctl"]),
        ("engine", &["discover", "daemon", "control", "ctl", "metrics"]),
        ("metrics", &["ovsdb", "northbound", "peering", "program", "daemon", "control", "ctl"]),
        (
            "listen",
            &[
                "peering",
                "program",
                "engine",
                "daemon",
                "control",
                "ctl",
                "ovsdb",
                "northbound",
                "view",
            ],
        ),
        ("pem", &["declare", "listen", "daemon", "control", "ctl", "ovsdb", "northbound", "view"]),
        ("ctl", &["engine", "northbound", "peering", "reach", "program", "ovsdb"]),
        (
            "control",
            &["engine", "northbound", "peering", "reach", "program", "ovsdb", "daemon", "ctl"],
        ),
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
    for (path, text) in ["src", "tests", "benches"].into_iter().flat_map(files_below) {
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

/// The paths that code names, each in parts, with groups written out.
fn paths(code: &str) -> Vec<Vec<&str>> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (mut tokens, mut rest) = (Vec::new(), code);
    while let Some(letter) = rest.chars().next() {
        let length = if is_word(letter) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            letter.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if !token.starts_with("//") && !token.trim().is_empty() {
            tokens.push(token);
        }
        rest = after;
    }
    let (mut all, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        at = path(&tokens, at, &[], &mut all).max(at + 1);
    }
    all
}

/// Reads the path that begins at a token; returns where it ends.
fn path<'t>(
    tokens: &[&'t str],
    mut at: usize,
    before: &[&'t str],
    all: &mut Vec<Vec<&'t str>>,
) -> usize {
    let mut parts = before.to_vec();
    while let Some(word) = tokens.get(at).filter(|token| token.starts_with(char::is_alphanumeric)) {
        parts.push(word);
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
        if tokens.get(at) == Some(&"{") {
            while !matches!(tokens.get(at), None | Some(&"}")) {
                at = path(tokens, at + 1, &parts, all);
                // What follows `as` is another name of the same.
                while !matches!(tokens.get(at), None | Some(&"," | &"}")) {
                    at += 1;
                }
            }
            return at + 1;
        }
    }
    if parts.len() > before.len() {
        all.push(parts);
    }
    at
}

/// Which files of a room use which, by their paths in the room, without their unit tests.
fn uses(room: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let module = |path: &Path| {
        let path = path.strip_prefix(&root).unwrap().with_extension("");
        let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect::<Vec<String>>()
    };
    let files: BTreeMap<Vec<String>, String> =
        sources(room).iter().map(|(path, text)| (module(path), code(text).to_owned())).collect();
    let used = |file: &Vec<String>, path: &[&str]| {
        let (mut at, mut path) = (file.clone(), path);
        match path {
            ["crate", of, rest @ ..] if *of == room => (at, path) = (Vec::new(), rest),
            ["self", rest @ ..] => path = rest,
            ["super", ..] if path.last() != Some(&"super") => {}
            [first, _, ..] if files.contains_key(&[&at[..], &[(*first).to_owned()]].concat()) => {}
            _ => return None,
        }
        for part in path {
            let inner = [&at[..], &[(*part).to_owned()]].concat();
            match *part {
                "super" => drop(at.pop()),
                _ if files.contains_key(&inner) => at = inner,
                _ => break,
            }
        }
        // The first file of a room hands on what the others have.
        (at != *file && !at.is_empty()).then(|| at.join("::"))
    };
    let all = files.iter().filter(|(file, _)| !file.is_empty());
    all.map(|(file, code)| {
        (file.join("::"), paths(code).iter().filter_map(|path| used(file, path)).collect())
    })
    .collect()
}

#[test]
fn the_files_of_a_room_form_no_circle() {
    // Only the client's own may: a session has to do with its connection, its keys and its errors.
    let rooms = [
        ("declare", "local", "local::guard"),
        ("declare", "terms::export", "terms::prefix_filter"),
        ("ovsdb", "replica", "update"),
        ("northbound", "index::switch", "index::outlets"),
        ("peering", "decide", "linking"),
        ("traffic", "compile", "product"),
        ("reach", "walk", "policies"),
        ("discover", "links", "found"),
        ("program", "contributors::link_routes", "contributors::contributor"),
        ("engine", "submit", "batch"),
        ("engine", "why::operator", "why::follow"),
        ("daemon", "watch::watcher", "files"),
        ("control", "server", "access"),
        ("metrics", "exposition", "recorder"),
        ("ctl", "client", "error"),
    ];
    for (room, file, other) in rooms {
        let uses = uses(room);
        assert!(uses[file].contains(other), "{file} of {room} uses {:?}", uses[file]);
        let in_circle = |file: &&String| {
            let (mut reached, mut left) = (BTreeSet::new(), vec![*file]);
            while let Some(next) = left.pop() {
                left.extend(uses[next].iter().filter(|used| reached.insert(*used)));
            }
            reached.contains(file)
        };
        let allowed = |file: &&String| room == "ovsdb" && file.split("::").next() == Some("client");
        let circles: Vec<&String> =
            uses.keys().filter(in_circle).filter(|file| !allowed(file)).collect();
        assert!(circles.is_empty(), "these of {room} use each other: {circles:#?}");
    }
}

/// The files in which each type of a room has methods, but for those of traits. Types of one name
/// in several files are not one type; of the files that define one of that name, one is here.
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
            let defines = ["struct", "enum"].iter().any(|kind| {
                let definition = format!("{kind} {name}");
                code(&text).match_indices(&definition).any(|(at, _)| {
                    !text[at + definition.len()..].starts_with(|next: char| next.is_alphanumeric())
                })
            });
            let path = if defines { PathBuf::from("its own") } else { path.clone() };
            files.entry(name).or_default().insert(path);
        }
    }
    files
}

#[test]
fn a_type_has_its_methods_in_one_file() {
    let two = [
        // The public calls, and what it does with an event.
        "Engine",
        // The rows, and what the rules read from those of a link.
        "Northbound",
        // The values, and the reading of the file.
        "Settings",
        // The faults of a text, and its typed values.
        "TomlReader",
    ];
    let rooms = [
        ("declare", 30),
        ("ovsdb", 30),
        ("northbound", 30),
        ("discover", 3),
        ("peering", 20),
        ("reach", 5),
        ("program", 5),
        ("engine", 20),
        ("daemon", 10),
        ("control", 5),
        ("metrics", 3),
        ("ctl", 2),
    ];
    for (room, types) in rooms {
        let mut files = methods(room);
        assert!(files.len() > types, "{room} has only {}", files.len());
        files.retain(|name, of| of.len() > 1 + usize::from(two.contains(&name.as_str())));
        assert!(files.is_empty(), "{files:?}");
    }
}
