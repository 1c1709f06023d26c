//! Clients that others have written, at the network API: UpCloud's own, and one that sends whatever the description allows,
//! and what it does not.
//!
//! `tests/clients` installs them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::api_site::{Site, network};

const LEAST_CASES: usize = 2000;

fn program(name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(target);
    let path = root.join("clients/bin").join(name);
    assert!(path.exists(), "there is no {}: run `tests/clients` first", path.display());
    path
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[test]
fn upclouds_own_client_works_here() {
    let site = Site::start("");
    let networks = json!({"web": network("blue", "web"), "db": network("green", "db")});
    let mut client = Command::new(program("python"));
    client.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/upcloud_client.py"));
    client.arg(format!("http://{}", site.http.address)).arg(networks.to_string());
    let output = client.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stdout == b"done\n", "{}", text(&output));
}

#[test]
fn whatever_the_description_allows_and_forbids_is_answered_as_it_says() {
    let site = Site::start("");
    let (web, db) = (network("blue", "web"), network("green", "db"));
    site.create("blue", "first", &web, &db);
    let directory = tempfile::TempDir::new().unwrap();
    let mut client = Command::new(program("schemathesis"));
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service");
    client.env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").env("PYTHONPATH", here);
    client.env("PYTHONDONTWRITEBYTECODE", "1").env("OWN_NETWORK", &web);
    client.args(["--config-file", &format!("{here}/schemathesis.toml"), "run"]);
    client.args(["--checks", "all", "--seed", "1", "--generation-database", "none"]);
    client.args(["--header", "Authorization: Bearer blue", "--header", "Connection: close"]);
    client.args(["--max-failures", "20", "--workers", "2"]);
    client.arg(format!("http://{}/openapi.json", site.http.address));
    let output = client.current_dir(directory.path()).stdin(Stdio::null()).output().unwrap();
    let said = text(&output);
    println!("{said}");
    assert!(output.status.success(), "{said}");
    let cases =
        said.split_once(" generated, ").and_then(|(before, _)| before.split_whitespace().last());
    let cases: usize = cases.and_then(|number| number.parse().ok()).unwrap_or_default();
    assert!(cases >= LEAST_CASES, "only {cases} cases");
    // The daemon lives, and has what it had.
    assert_eq!(site.ask("blue", "GET", "/1.3/account").status, 200);
    let log = site.daemon.log();
    assert!(!log.contains("panicked"), "{log}");
}
