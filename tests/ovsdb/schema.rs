//! Schemas older and newer than wanted, and converted under way.

use std::process::Command;

use ovn_peerd::ovsdb::{ColumnId, TableId};
use serde_json::json;
use tempfile::TempDir;

use crate::follower::{Follower, PORT, SWITCH, Seen, config};
use crate::rows::{edited_schema, raw_switch, switch};
use crate::server::{Server, run};

#[tokio::test]
async fn what_the_schema_lacks_reads_as_empty() {
    let directory = TempDir::new().unwrap();
    let schema = edited_schema(directory.path(), "old.ovsschema", |schema| {
        schema["version"] = json!("5.0.0");
        let tables = schema["tables"].as_object_mut().unwrap();
        tables.remove("Address_Set");
        // What refers to it would not be a schema.
        for column in ["allowed_ext_ips", "exempted_ext_ips"] {
            tables["NAT"]["columns"].as_object_mut().unwrap().remove(column);
        }
        tables["Logical_Switch"]["columns"].as_object_mut().unwrap().remove("other_config");
    });
    let server = Server::with_schema(&schema);
    let mut raw = server.raw();
    raw.transact(&[raw_switch("a")]);
    let mut follower = Follower::start(config(server.remote())).await;
    follower.transact(1, vec![switch("b")]).await.unwrap();
    raw.assert_same(follower.replica());
    let layout = follower.replica().layout();
    assert!(!layout.has_table(TableId(2)) && !layout.has_column(SWITCH, ColumnId(4)));
    assert!(
        follower
            .replica()
            .rows(SWITCH)
            .all(|(_, row)| row.get(ColumnId(3)).is_empty() && row.get(ColumnId(4)).is_empty())
    );
}

#[tokio::test]
async fn a_conversion_is_survived() {
    let server = Server::start();
    let mut raw = server.raw();
    raw.transact(&[raw_switch("a")]);
    let mut follower = Follower::start(config(server.remote())).await;
    let before = std::sync::Arc::clone(follower.replica().layout());
    assert!(!before.has_column(SWITCH, ColumnId(3)) && before.has_column(PORT, ColumnId(5)));

    let directory = TempDir::new().unwrap();
    let newer = edited_schema(directory.path(), "new.ovsschema", |schema| {
        schema["version"] = json!("99.0.0");
        let tables = &mut schema["tables"];
        tables["Logical_Switch"]["columns"]["no_such_column"] = json!({"type": "string"});
        tables["Logical_Switch_Port"]["columns"]
            .as_object_mut()
            .unwrap()
            .remove("dynamic_addresses");
    });
    run(Command::new("ovsdb-client")
        .args(["convert", &format!("unix:{}", server.socket().display())])
        .arg(&newer));
    let reason = follower.reason().await;
    assert!(reason.contains("converted"), "{reason}");
    follower.reconnected().await;
    assert_eq!(follower.seen.last(), Some(&Seen::Snapshot));
    assert_eq!(&*follower.schema.as_ref().unwrap().version, "99.0.0");
    let after = follower.replica().layout();
    assert!(after.has_column(SWITCH, ColumnId(3)) && !after.has_column(PORT, ColumnId(5)));
    assert_eq!(follower.names(SWITCH), ["a"]);
    follower.transact(1, vec![switch("b")]).await.unwrap();
    // The first connection was dropped: it had not said that it bears a conversion.
    server.raw().assert_same(follower.replica());
}

#[tokio::test]
async fn a_missing_database_is_named_with_those_present() {
    let directory = TempDir::new().unwrap();
    let schema = edited_schema(directory.path(), "other.ovsschema", |schema| {
        schema["name"] = json!("Other");
    });
    let server = Server::with_database(&schema, "Other");
    let mut follower = Follower::new(config(server.remote()));
    let reason = follower.reason().await;
    assert!(reason.contains("no database OVN_Northbound (it has Other, _Server)"), "{reason}");
}
