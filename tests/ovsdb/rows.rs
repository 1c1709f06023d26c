//! Operations and JSON that several tests write.

use std::path::PathBuf;

use ovn_peerd::ovsdb::{Datum, Operation};
use serde_json::{Value as Json, json};

use crate::server::SCHEMA;

/// Inserts a switch, by the client.
pub(crate) fn switch(name: &str) -> Operation {
    Operation::Insert {
        table: "Logical_Switch",
        uuid_name: None,
        row: vec![("name", name.into()), ("external_ids", Datum::map([("k", "v")]))],
    }
}

/// Inserts a switch, past the client.
pub(crate) fn raw_switch(name: &str) -> Json {
    json!({"op": "insert", "table": "Logical_Switch", "row": {"name": name}})
}

/// Inserts an address set of this many addresses, past the client.
pub(crate) fn raw_set(name: &str, addresses: usize) -> Json {
    let addresses: Vec<_> =
        (0..addresses).map(|n| format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)).collect();
    json!({"op": "insert", "table": "Address_Set", "row": {"name": name, "addresses": ["set", addresses]}})
}

/// OVN's northbound schema, edited, as a file in `directory`.
pub(crate) fn edited_schema(
    directory: &std::path::Path,
    name: &str,
    edit: impl Fn(&mut Json),
) -> PathBuf {
    let mut schema: Json = serde_json::from_str(&std::fs::read_to_string(SCHEMA).unwrap()).unwrap();
    edit(&mut schema);
    let path = directory.join(name);
    std::fs::write(&path, schema.to_string()).unwrap();
    path
}
