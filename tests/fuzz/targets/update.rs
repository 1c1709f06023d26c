//! Decoding what a server says about rows, and applying it to a replica. Arbitrary messages must not
//! panic, break the replica's invariants, leave half of an update or change what they do not report;
//! valid ones must give what they mean, judged by [`model`].
#![no_main]
#![allow(dead_code, reason = "the rooms have more users than this")]

#[path = "../../../src/ovsdb/atom.rs"]
mod atom;
#[path = "../../../src/ovsdb/decode.rs"]
mod decode;
#[path = "../../../src/ovsdb/decode_message.rs"]
mod decode_message;
#[path = "../../../src/ovsdb/decode_value.rs"]
mod decode_value;
#[path = "../../../src/ovsdb/diff.rs"]
mod diff;
#[path = "../../../src/ovsdb/digits.rs"]
mod digits;
#[path = "../../../src/ovsdb/layout.rs"]
mod layout;
mod model;
#[path = "../../../src/ovsdb/packed.rs"]
mod packed;
#[path = "../../../src/ovsdb/replica.rs"]
mod replica;
#[path = "../../../src/ovsdb/row.rs"]
mod row;
#[path = "../../../src/ovsdb/schema.rs"]
mod schema;
#[path = "../../../src/ovsdb/update.rs"]
mod update;
#[path = "../../../src/ovsdb/value.rs"]
mod value;
#[path = "../../../src/ovsdb/wanted.rs"]
mod wanted;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use atom::Atom;
use layout::Layout;
use libfuzzer_sys::fuzz_target;
use model::{Cells, Model};
use replica::{Replica, RowChange};
use row::Row;
use serde_json::json;
use update::{MonitorMethod, MonitorReply, UpdateParams, Updates};
use uuid::Uuid;
use value::{Value, ValueRef};
use wanted::{TableId, Wanted};

const WANTED: &[Wanted] = &[
    Wanted {
        table: "A",
        columns: &["name", "optional", "set", "map", "absent", "real", "refs", "numbers"],
        condition: None,
    },
    Wanted { table: "B", columns: &["flag", "flags"], condition: None },
];
const A: TableId = TableId(0);

static LAYOUT: LazyLock<Arc<Layout>> = LazyLock::new(|| {
    let many = |key: &str| json!({"type": {"key": key, "min": 0, "max": "unlimited"}});
    let map = json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
    let schema = json!({"name": "D", "tables": {
        "A": {"columns": {
            "name": {"type": "string"},
            "optional": {"type": {"key": "integer", "min": 0, "max": 1}},
            "set": many("string"),
            "map": map,
            "real": {"type": "real"},
            "refs": many("uuid"),
            "numbers": many("integer"),
        }},
        "B": {"columns": {"flag": {"type": "boolean"}, "flags": many("real")}},
    }});
    Arc::new(Layout::new(WANTED, &serde_json::from_value(schema).expect("a schema")))
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    let method = match mode % 3 {
        0 => MonitorMethod::Monitor,
        1 => MonitorMethod::MonitorCond,
        _ => MonitorMethod::MonitorCondSince,
    };
    if mode & 0x80 == 0 { arbitrary(method, rest) } else { valid(method, rest) }
});

/// Messages of any bytes, a NUL between them: the first is a reply, the others are updates.
fn arbitrary(method: MonitorMethod, input: &[u8]) {
    let mut messages = input.split(|byte| *byte == 0);
    let mut replica = Replica::new(Arc::clone(&LAYOUT));
    let first = messages.next().unwrap_or_default();
    if let Ok(reply) = MonitorReply::decode(&LAYOUT, method, first) {
        if reply.found {
            apply(&mut replica, reply.updates);
        } else {
            let before = tables(&replica);
            let changes = replica.adopt(dumped(reply.updates));
            reported(&before, &tables(&replica), &changes);
        }
    }
    for message in messages {
        if let Ok(params) = UpdateParams::decode(&LAYOUT, method, message) {
            apply(&mut replica, params.updates);
        }
    }
}

/// All of an update is applied, or none of it.
fn apply(replica: &mut Replica, updates: Updates) {
    let before = tables(replica);
    let changes = replica.apply(updates).unwrap_or_default();
    reported(&before, &tables(replica), &changes);
}

type Tables = BTreeMap<(TableId, Uuid), Row>;

/// All rows, each of them as the replica's invariants have it.
fn tables(replica: &Replica) -> Tables {
    let mut tables = Tables::new();
    for id in LAYOUT.table_ids() {
        for (uuid, row) in replica.rows(id) {
            assert_eq!(row.cells().count(), LAYOUT.width(id));
            row.cells().for_each(canonical);
            tables.insert((id, uuid), row.clone());
        }
        assert_eq!(replica.rows(id).count(), replica.len(id));
    }
    tables
}

/// Made afresh of its atoms or pairs, a value is the same to the last byte.
fn canonical(value: ValueRef<'_>) {
    let pairs: Vec<_> = value.pairs().map(|(key, value)| (key.owned(), value.owned())).collect();
    let afresh = if pairs.is_empty() {
        Value::set(value.atoms().map(Atom::owned).collect())
    } else {
        Value::map(pairs)
    };
    let count = value.atoms().count() + value.pairs().count();
    assert!(value == afresh && value.len() == count && value.is_empty() == (count == 0));
}

/// The changes, applied by hand to what was, lead to what is; and each of them is one.
fn reported(before: &Tables, after: &Tables, changes: &[RowChange]) {
    let mut rows: BTreeMap<_, Option<&Row>> =
        before.iter().map(|(key, row)| (*key, Some(row))).collect();
    // A message may name a row twice: what it was in between is what the next change starts from.
    for (position, change) in changes.iter().enumerate() {
        let key = (change.table, change.uuid);
        assert_eq!(rows.get(&key).copied().flatten(), change.old.as_ref());
        let later = changes.get(position + 1..).unwrap_or_default();
        let next = later.iter().find(|later| (later.table, later.uuid) == key);
        let new = next.map_or(after.get(&key), |next| next.old.as_ref());
        assert_eq!(new.is_some(), change.present);
        assert_ne!(new, change.old.as_ref());
        rows.insert(key, new);
    }
    rows.retain(|_, row| row.is_some());
    assert!(rows.into_iter().eq(after.iter().map(|(key, row)| (*key, Some(row)))));
}

/// Valid messages, each of up to three rows that change. The replica follows the model.
fn valid(method: MonitorMethod, input: &[u8]) {
    let mut model = Model::new();
    let mut replica = Replica::new(Arc::clone(&LAYOUT));
    for message in input.chunks(9).take(8) {
        let mut new = model.clone();
        message.chunks_exact(3).for_each(|step| model::change(&mut new, step));
        let before = tables(&replica);
        let is_dump = message.first().is_some_and(|first| first & 0x40 != 0);
        let changes = if is_dump {
            replica.adopt(dumped(dump(method, &new)))
        } else {
            let update = model::update(method, &model, &new).to_string();
            let params = UpdateParams::decode(&LAYOUT, method, update.as_bytes());
            let updates = params.expect("it is valid").updates;
            twice(dump(method, &new), updates.clone());
            replica.apply(updates).expect("it follows")
        };
        let after = tables(&replica);
        reported(&before, &after, &changes);
        let is: Model = after.iter().map(|((_, uuid), row)| (*uuid, cells(row))).collect();
        assert_eq!(is, new);
        model = new;
    }
}

/// All rows of the model, as they come first.
fn dump(method: MonitorMethod, model: &Model) -> Updates {
    let dump = model::dump(method, model).to_string();
    let reply = MonitorReply::decode(&LAYOUT, method, dump.as_bytes()).expect("it is valid");
    assert!(!reply.found);
    reply.updates
}

/// The rows of a dump.
fn dumped(dump: Updates) -> Replica {
    let mut replica = Replica::new(Arc::clone(&LAYOUT));
    replica.extend(dump).expect("a dump fits");
    replica
}

/// An update comes once more. What it inserts or deletes does not follow then, and takes back what it
/// modifies.
fn twice(dump: Updates, updates: Updates) {
    apply(&mut dumped(dump), updates);
}

/// A row of the replica's, in the model's terms.
fn cells(row: &Row) -> Cells {
    let column = |name| {
        let id = LAYOUT.column_id(A, name).expect("it is wanted");
        row.get(id)
    };
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    assert!(column("absent").is_empty() && column("numbers").is_empty());
    Cells {
        name: column("name").string().to_owned(),
        optional: column("optional").integer(),
        set: column("set").strings().map(str::to_owned).collect(),
        map: column("map").entries().map(text).collect(),
        real: column("real").real().expect("one real"),
        refs: column("refs").uuids().collect(),
    }
}
