//! The operators' tool at a control socket: what it prints in each format, how it ends, and what it says of a daemon that
//! does not answer. What a terminal shows is `shown`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use ovn_peerd::declare::{Diagnostic, DiagnosticCode};
use ovn_peerd::view::HalfView;
use serde_json::Value;
use tempfile::TempDir;

use crate::served::{Served, ctl};

#[test]
fn the_operators_tool_tells_success_absence_and_silence_apart() {
    let served = Served::start();
    let list = served.ctl(&["list", "--project", "blue", "--format", "json"]);
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let halves: Vec<HalfView> = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(halves.len(), 2);
    let table = String::from_utf8(served.ctl(&["list", "--state", "pending-peer"]).stdout).unwrap();
    assert_eq!(table.lines().count(), 4, "a half below headings, and a footer: {table}");
    assert!(table.contains("blue/web/a/b c") && table.contains("pending-peer"), "{table}");
    assert!(table.ends_with("\n1 half: 1 pending-peer\n"), "{table}");
    let count = |arguments: &[&str]| {
        let list = served.ctl(&[&["list", "--no-headers"], arguments].concat());
        String::from_utf8(list.stdout).unwrap().lines().count()
    };
    assert_eq!(count(&["--state", "pending-peer", "--state", "active"]), 3);
    assert_eq!(count(&["--state", "pending-peer,failed"]), 1);
    assert_eq!(count(&["--target", "green/db"]), 3);
    assert_eq!(count(&["--target", "db"]), 0, "a network of the half's own project");
    assert_eq!(count(&["--degraded"]), 0);
    let shown = served.ctl(&["show", "blue", "web", "a/b c"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("pending-peer"));

    let absent = served.ctl(&["show", "blue", "web", "none"]);
    assert_eq!(absent.status.code(), Some(3));
    let message = String::from_utf8(absent.stderr).unwrap();
    assert!(message.contains("blue/web/none") && message.contains("ovn-peerctl list"), "{message}");
    assert_eq!(served.ctl(&["plan"]).status.code(), Some(0));
    assert_eq!(served.ctl(&["reload"]).status.code(), Some(0));
    assert_eq!(served.ctl(&["list", "--state", "nonsense"]).status.code(), Some(1));

    let silent = ctl(Path::new("/nonexistent/control.sock"), &["status"]).output().unwrap();
    assert_eq!(silent.status.code(), Some(4));
    let message = String::from_utf8(silent.stderr).unwrap();
    assert!(message.contains("systemctl status ovn-peerd"), "{message}");
}

#[test]
fn an_answer_is_the_same_in_every_format() {
    let served = Served::start();
    let text = |arguments: &[&str]| {
        let output = served.ctl(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for command in [&["list"][..], &["show", "blue", "web", "to-db"], &["status"], &["plan"]] {
        let json = text(&[command, &["--format", "json"]].concat());
        let yaml = text(&[command, &["--format", "yaml"]].concat());
        let (mut json, mut yaml): (Value, Value) =
            (serde_json::from_str(&json).unwrap(), yaml_serde::from_str(&yaml).unwrap());
        // The halves here are always as old.
        for answer in [&mut json, &mut yaml] {
            let halves = answer.as_array_mut().into_iter().flatten();
            halves.for_each(|half| drop(half["since"].take()));
            answer.get_mut("since").map(Value::take);
        }
        assert_eq!(json, yaml);
        assert_eq!(text(&[command, &["--quiet"]].concat()), "");
    }
    let csv = text(&["list", "--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "project,network,name,target,state,reason,since,out,in,degraded,hosts,guests,description"
    );
    assert!(lines[2].starts_with("blue,web,a/b c,green/db,pending-peer,awaiting-peer,2"), "{csv}");
    assert_eq!(lines.len(), 4, "no footer: {csv}");
    let some = ["list", "--format", "csv", "--no-headers", "--columns", "half,in"];
    assert_eq!(text(&some), "blue/web/to-db,1\nblue/web/a/b c,1\nred/web/to-db,1\n");
    assert_eq!(
        text(&["diagnostics", "--format", "csv"]),
        "file,line,column,severity,code,message,hint\n\
         a/1.toml,,,error,unreadable,\"=x, \"\"y\"\"\",z\n\
         b/1.toml,,,error,unreadable,\"=x, \"\"y\"\"\",z\n"
    );
    assert_eq!(text(&["host", "list", "--format", "csv"]), "name,halves,networks,own\n");
    for list in ["requests", "networks", "projects"] {
        text(&[list, "--format", "csv"]);
    }
}

#[test]
fn errors_are_json_where_answers_are() {
    let served = Served::start();
    let error = |output: Output, code: i32| -> Value {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let body: Value = serde_json::from_slice(&output.stderr).unwrap();
        let next_step = body["error"]["next_step"].as_str().unwrap();
        assert!(!next_step.is_empty(), "{body}");
        body["error"].clone()
    };
    let json = ["--format", "json"];
    let absent = error(served.ctl(&[&["show", "blue", "web", "none"], &json[..]].concat()), 3);
    assert_eq!(absent["code"], "no-such-half", "{absent}");
    assert_eq!(absent["message"], "there is no half blue/web/none", "{absent}");
    assert_eq!(absent.get("diagnostics"), None, "{absent}");

    let file = served.directory.path().join("bad.toml");
    fs::write(&file, "project = \"blue\"\nnetwrk = 1\n").unwrap();
    let apply = ["apply", "--project", "blue", "--file", file.to_str().unwrap()];
    let bad = error(served.ctl(&[&apply, &json[..]].concat()), 1);
    assert_eq!(bad["code"], "bad-declarations", "{bad}");
    let found: Vec<Diagnostic> = serde_json::from_value(bad["diagnostics"].clone()).unwrap();
    assert_eq!(found[0].code, DiagnosticCode::UnknownKey, "{bad}");
    assert_eq!((&*found[0].file, found[0].position.unwrap().line), (file.to_str().unwrap(), 2));
    let told = String::from_utf8(served.ctl(&apply).stderr).unwrap();
    assert!(told.contains("bad.toml:2:1: error: unknown key `netwrk`"), "{told}");

    for wrong in [&["list", "--state", "nonsense"][..], &["lst"], &["show"]] {
        let usage = error(served.ctl(&[wrong, &json[..]].concat()), 1);
        assert_eq!(usage["code"], "usage", "{usage}");
        let told = String::from_utf8(served.ctl(wrong).stderr).unwrap();
        let message = usage["message"].as_str().unwrap();
        assert!(told.starts_with(&format!("error: {message}")), "{told}\n{usage}");
    }

    // What cannot be printed is not done: nobody is asked.
    let at = |socket: &Path, arguments: &[&str]| {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
        tool.env("OVN_PEERD_SOCKET", socket).args(arguments).output().unwrap()
    };
    let nobody = Path::new("/nonexistent/control.sock");
    let no_list = at(nobody, &["reload", "--format", "csv"]);
    let told = String::from_utf8(no_list.stderr.clone()).unwrap();
    assert!(told.contains("--format json"), "{no_list:?}");
    assert_eq!(no_list.status.code(), Some(1), "{no_list:?}");
    let silent = error(at(nobody, &["status", "--format", "json"]), 4);
    assert_eq!(silent["code"], "no-daemon", "{silent}");
    assert!(silent["message"].as_str().unwrap().contains("/nonexistent/"), "{silent}");
    assert!(at(&served.socket(), &["list"]).status.success());
}

/// What stands below each heading of a table, by the columns at which headings begin.
fn columns(table: &str) -> Vec<BTreeMap<String, String>> {
    let (head, rows) = table.split_once('\n').unwrap();
    let starts: Vec<usize> = (0..head.len())
        .filter(|at| !head[*at..].starts_with(' ') && (*at == 0 || head[..*at].ends_with("  ")))
        .collect();
    let cells = |row: &str| {
        let characters: Vec<char> = row.chars().collect();
        let cell = |(index, start): (usize, &usize)| {
            let end = starts.get(index + 1).copied().unwrap_or(usize::MAX).min(characters.len());
            let text: String = characters[(*start).min(end)..end].iter().collect();
            let end = starts.get(index + 1).copied().unwrap_or(head.len());
            (head[*start..end].trim().to_owned(), text.trim().to_owned())
        };
        starts.iter().enumerate().map(cell).collect()
    };
    rows.lines().map(cells).collect()
}

#[test]
fn each_value_of_a_list_stands_below_its_own_heading_in_80_columns() {
    let served = Served::start();
    let table = String::from_utf8(served.ctl(&["list"]).stdout).unwrap();
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    let rows = columns(&table);
    for (row, (half, state)) in rows.iter().zip([
        ("blue/web/to-db", "active"),
        ("blue/web/a/b c", "pending-peer"),
        ("red/web/to-db", "active"),
    ]) {
        for (heading, value) in [
            ("HALF", half),
            ("TARGET", "green/db"),
            ("STATE", state),
            ("OUT", "2"),
            ("IN", "1"),
            ("AGE", "2h"),
        ] {
            assert_eq!(row[heading], value, "{heading} of\n{table}");
        }
    }
}

/// A process that is stopped takes connections and answers none: who asks it learns that soon.
#[test]
fn a_daemon_that_does_not_answer_is_said_to_be_so_soon() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let _silent = UnixListener::bind(&path).unwrap();
    for command in ["status", "plan"] {
        let begun = Instant::now();
        let output = ctl(&path, &[command]).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("within 10 s") && said.contains("journalctl"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}
