//! The northbound's schema is converted while the daemon is connected: newer, older, and of another OVN release.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::ground::{DEADLINE, Ground, foreign, is_own, own, seed};
use crate::lab::command::{poll, require_root_and_tools, run};
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::server::{SCHEMA, Server, nbctl};

/// Names a directory with another OVN release in it (`tests/release/root` makes one).
const NEWER: &str = "NEWER_OVN_ROOT";

/// OVN's schema with an edit, as a file.
fn edited(dir: &Path, name: &str, edit: impl Fn(&mut Value)) -> PathBuf {
    let text = fs::read_to_string(SCHEMA).expect("OVN's schema");
    let mut schema: Value = serde_json::from_str(&text).expect("JSON");
    edit(&mut schema);
    let path = dir.join(name);
    fs::write(&path, schema.to_string()).expect("written");
    path
}

fn version(schema: &Path) -> String {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(schema).expect("a schema")).expect("JSON");
    schema["version"].as_str().expect("a version").to_owned()
}

/// Converts under the connected daemon, and changes what is declared meanwhile.
#[track_caller]
fn convert(server: &Server, ground: &mut Ground, schema: &Path, change: (usize, usize)) {
    let version = version(schema);
    let begin = Instant::now();
    ground.toggle(change);
    run("ovsdb-client", ["convert", &server.remote(), &schema.display().to_string()]);
    ground.status_that("the other schema", |status| {
        status["northbound"]["schema"] == version.as_str()
    });
    ground.converge(&server.remote(), &version);
    println!("at schema {version} {:?} after the conversion began", begin.elapsed());
}

/// Columns and tables that are not known, columns that are missing: those that the daemon reads and does not write, and
/// those that it neither reads nor writes. CI has only one OVN, so it is its schema that is edited.
#[test]
fn an_edited_schema_and_back() {
    require_root_and_tools();
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (2, 3)]);
    ground.converge(&server.remote(), "the start");
    let rows = own(&Dump::read(&server.remote()));
    let newer = edited(scope.dir(), "newer", |schema| {
        schema["version"] = json!("99.0.0");
        let text = json!({"type": {"key": "string", "min": 0, "max": "unlimited"}});
        for table in ["Logical_Router", "Logical_Router_Port", "Logical_Router_Policy"] {
            schema["tables"][table]["columns"]["of_tomorrow"] = text.clone();
        }
        schema["tables"]["Of_Tomorrow"] = json!({"columns": {"name": text}, "isRoot": true});
    });
    let older = edited(scope.dir(), "older", |schema| {
        schema["version"] = json!("6.9.0");
        let tables = &mut schema["tables"];
        for (table, columns) in [
            ("Logical_Router_Static_Route", ["bfd", "route_table"]),
            ("Logical_Router_Policy", ["nexthops", "options"]),
            ("Logical_Router", ["copp", "load_balancer_group"]),
        ] {
            for column in columns {
                let columns = tables[table]["columns"].as_object_mut().expect("columns");
                assert!(columns.remove(column).is_some(), "{table}.{column}");
            }
        }
    });
    for schema in [&newer, Path::new(SCHEMA), &older, Path::new(SCHEMA), &newer, &older] {
        convert(&server, &mut ground, schema, (4, 5));
    }
    convert(&server, &mut ground, Path::new(SCHEMA), (0, 5));
    ground.toggle((0, 5));
    ground.converge(&server.remote(), "as it was");
    // A network that came and went so often may wait before its registration goes.
    poll("no more rows than at the start", DEADLINE, || {
        let now = own(&Dump::read(&server.remote())).len();
        if now == rows.len() { Ok(()) } else { Err(format!("{now} rows")) }
    });
}

/// A column without which nothing can be written: told, and all goes on when it is back.
#[test]
fn a_schema_that_lacks_what_is_written() {
    require_root_and_tools();
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1)]);
    ground.converge(&server.remote(), "the start");
    let ancient = edited(scope.dir(), "ancient", |schema| {
        schema["version"] = json!("1.0.0");
        let columns = schema["tables"]["Logical_Router_Policy"]["columns"].as_object_mut();
        columns.expect("columns").remove("external_ids");
    });
    run("ovsdb-client", ["convert", &server.remote(), &ancient.display().to_string()]);
    ground.status_that("the other schema", |status| status["northbound"]["schema"] == "1.0.0");
    ground.toggle((2, 3));
    let told = ground.daemon.wait_until("it is told", |halves| {
        let text = format!("{halves:?}");
        if text.contains("external_ids") { Ok(text) } else { Err(text) }
    });
    println!("{told}");
    run("ovsdb-client", ["convert", &server.remote(), SCHEMA]);
    ground.converge(&server.remote(), "the schema is back");
}

/// What OVN 24.03 to 26.03 added to tables in which rows are ours, as far as it changes what a row means; and what a later
/// release may add.
fn add_columns_of_newer_releases(schema: &mut Value) {
    let text = json!({"type": {"key": "string", "min": 0, "max": 1}});
    let texts = json!({"type": {"key": "string", "min": 0, "max": "unlimited"}});
    let reference = |table: &str, kind: &str| {
        let key = json!({"type": "uuid", "refTable": table, "refType": kind});
        json!({"type": {"key": key, "min": 0, "max": 1}})
    };
    schema["version"] = json!("7.18.0");
    let tables = &mut schema["tables"];
    tables["DHCP_Relay"] = json!({"columns": {"name": {"type": "string"}}, "isRoot": true});
    for (table, column, kind) in [
        ("Logical_Router_Policy", "chain", text.clone()),
        ("Logical_Router_Policy", "jump_chain", text),
        ("Logical_Router_Policy", "output_port", reference("Logical_Router_Port", "weak")),
        ("Logical_Router_Static_Route", "selection_fields", texts.clone()),
        ("Logical_Router_Port", "dhcp_relay", reference("DHCP_Relay", "strong")),
        ("Logical_Router_Port", "of_tomorrow", texts),
    ] {
        tables[table]["columns"][column] = kind;
    }
}

/// A policy of ours in a chain that nothing jumps to is none: it must not stay there because an older OVN knows no chains. A
/// column that the daemon does not know is reported.
#[test]
fn what_others_set_in_columns_of_newer_releases_is_repaired() {
    require_root_and_tools();
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let newer = edited(scope.dir(), "newer", add_columns_of_newer_releases);
    run("ovsdb-client", ["convert", &server.remote(), &newer.display().to_string()]);
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let ground = Ground::start(scope.dir(), &settings, None, &[(0, 1)]);
    ground.converge(&server.remote(), "the start");
    let rows = own(&Dump::read(&server.remote()));
    let dump = Dump::read(&server.remote());
    let mut ours = dump.rows().filter(|(table, _, row)| is_own(table, row));
    let port = ours.find(|(table, ..)| *table == "Logical_Router_Port");
    let (_, port, _) = port.expect("a port of ours");

    let update =
        |table: &str, row: Value| json!({"op": "update", "table": table, "where": [], "row": row});
    let of_drops = |row: Value| {
        let condition = json!([["priority", "==", 32_100]]);
        json!({"op": "update", "table": "Logical_Router_Policy", "where": condition, "row": row})
    };
    let relay =
        json!({"op": "insert", "table": "DHCP_Relay", "row": {"name": "x"}, "uuid-name": "relay"});
    let of_port = |row: Value| {
        let condition = json!([["_uuid", "==", ["uuid", port]]]);
        json!({"op": "update", "table": "Logical_Router_Port", "where": condition, "row": row})
    };
    for (what, damage) in [
        ("chain", json!([of_drops(json!({"chain": "off"}))])),
        ("jump_chain", json!([of_drops(json!({"jump_chain": "elsewhere"}))])),
        ("output_port", json!([of_drops(json!({"output_port": ["uuid", port]}))])),
        (
            "selection_fields",
            json!([update(
                "Logical_Router_Static_Route",
                json!({"selection_fields": ["set", ["ip_src", "ip_dst"]]}),
            )]),
        ),
        ("dhcp_relay", json!([relay, of_port(json!({"dhcp_relay": ["named-uuid", "relay"]}))])),
    ] {
        let mut operations = vec![json!("OVN_Northbound")];
        operations.extend(damage.as_array().expect("operations").iter().cloned());
        let result =
            run("ovsdb-client", ["transact", &server.remote(), &json!(operations).to_string()]);
        assert!(!result.contains("error"), "{what}: {result}");
        poll(what, DEADLINE, || {
            let found: Vec<_> = own(&Dump::read(&server.remote()));
            let altered: Vec<_> = found.iter().filter(|row| !rows.contains(row)).collect();
            if found == rows {
                Ok(())
            } else {
                Err(format!("{what} is not repaired: {altered:#?}"))
            }
        });
        ground.converge(&server.remote(), what);
    }
    let log = ground.daemon.log();
    let reported: Vec<_> = log.lines().filter(|line| line.contains("does not know")).collect();
    assert!(
        matches!(reported.as_slice(), [line] if line.contains("(Logical_Router_Port.of_tomorrow)")),
        "{reported:#?}"
    );
}

/// The schema of another release, up and down, under the connected daemon; then that release's own server.
#[test]
fn another_release_up_and_down() {
    let Some(root) = std::env::var_os(NEWER).map(PathBuf::from) else {
        println!("SKIPPED: {NEWER} is not set to a root that tests/release/root made");
        return;
    };
    require_root_and_tools();
    let schema = root.join("usr/share/ovn/ovn-nb.ovsschema");
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let before = foreign(&Dump::read(&server.remote()));
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (2, 3)]);
    ground.converge(&server.remote(), "the start");
    convert(&server, &mut ground, &schema, (4, 5));
    convert(&server, &mut ground, Path::new(SCHEMA), (4, 5));
    convert(&server, &mut ground, &schema, (0, 5));
    // As after an upgrade of the packages: the newer server on the same file, at the same socket.
    server.kill();
    let newer = server.of_release(&root);
    newer.start();
    ground.toggle((1, 2));
    ground.converge(&newer.remote(), "the newer server");
    nbctl(&newer.remote(), &["lr-route-add", "r5", "192.0.2.0/24", "10.5.0.9"]);
    ground.converge(&newer.remote(), "a change by others");
    nbctl(&newer.remote(), &["lr-route-del", "r5", "192.0.2.0/24"]);
    // And back: the schema first, as the older server would not know the newer one's columns.
    convert(&newer, &mut ground, Path::new(SCHEMA), (1, 4));
    newer.kill();
    server.start();
    ground.toggle((1, 4));
    ground.converge(&server.remote(), "the older server again");
    assert!(
        ground.status_that("the schema", |_| true)["northbound"]["schema"]
            == version(Path::new(SCHEMA)).as_str()
    );
    assert_eq!(foreign(&Dump::read(&server.remote())), before);
}
