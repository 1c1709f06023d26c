//! Updates of every form, decoded and applied to a replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;

const WANTED: &[Wanted] = &[
    Wanted {
        table: "A",
        columns: &["name", "optional", "set", "map", "absent", "real"],
        condition: None,
    },
    Wanted { table: "B", columns: &["flag", "refs"], condition: None },
    Wanted { table: "Absent", columns: &["x"], condition: None },
];
const A: TableId = TableId(0);
const B: TableId = TableId(1);

fn layout() -> Arc<Layout> {
    let schema = json!({"name": "D", "tables": {
        "A": {"columns": {
            "name": {"type": "string"},
            "optional": {"type": {"key": "integer", "min": 0, "max": 1}},
            "set": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
            "map": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
            "real": {"type": "real"},
        }},
        "B": {"columns": {
            "flag": {"type": "boolean"},
            "refs": {"type": {"key": {"type": "uuid", "refTable": "A"}, "min": 0, "max": "unlimited"}},
        }},
    }});
    Arc::new(Layout::new(WANTED, &serde_json::from_value(schema).unwrap()))
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn reply(method: MonitorMethod, result: &serde_json::Value) -> Result<MonitorReply, DecodeError> {
    MonitorReply::decode(&layout(), method, result.to_string().as_bytes())
}

fn update(method: MonitorMethod, params: &serde_json::Value) -> Result<UpdateParams, DecodeError> {
    UpdateParams::decode(&layout(), method, params.to_string().as_bytes())
}

#[test]
fn a_first_dump_fills_the_replica() {
    let result = json!([false, id(9).to_string(), {
        "A": {id(1).to_string(): {"initial": {"name": "n", "set": ["set", ["b", "a"]],
            "map": ["map", [["k", "v"]]], "optional": 3, "real": 2, "unasked": ["set", [1]]}},
            id(2).to_string(): {"initial": {}}},
        "B": {id(3).to_string(): {"initial": {"flag": true, "refs": ["uuid", id(1).to_string()]}},
            id(4).to_string(): {"initial": {"refs": ["set", [["uuid", id(2).to_string()],
                ["uuid", id(1).to_string()]]]}}},
        "Unasked": {id(5).to_string(): {"initial": {}}},
    }]);
    let reply = reply(MonitorMethod::MonitorCondSince, &result).unwrap();
    assert_eq!((reply.found, reply.last_id, reply.updates.len()), (false, id(9), 4));
    let mut replica = Replica::new(layout());
    assert!(replica.is_empty());
    let changes = replica.adopt(dumped(vec![reply.updates.clone()]));
    assert_eq!(changes.len(), 4);
    assert!(changes.iter().all(|change| change.old.is_none() && change.present));
    let row = replica.row(A, id(1)).unwrap();
    assert_eq!(row.get(ColumnId(0)).string(), "n");
    assert_eq!(row.get(ColumnId(1)).integer(), Some(3));
    assert_eq!(row.get(ColumnId(2)).strings().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(row.get(ColumnId(3)).get("k"), Some("v"));
    assert!(row.get(ColumnId(4)).is_empty());
    assert_eq!(row.get(ColumnId(5)).real(), Some(2.0));
    assert_eq!(replica.row(A, id(2)).unwrap().get(ColumnId(0)), Value::from(""));
    assert_eq!(
        replica.cell(B, id(4), ColumnId(1)).unwrap().uuids().collect::<Vec<_>>(),
        [id(1), id(2)]
    );
    let there: BTreeSet<Uuid> = replica.rows(B).map(|(uuid, _)| uuid).collect();
    assert_eq!(there, BTreeSet::from([id(3), id(4)]));
    assert_eq!((replica.len(A), replica.len(TableId(2)), replica.len(TableId(9))), (2, 0, 0));
    assert_eq!(replica.adopt(dumped(vec![reply.updates])), []);
}

#[test]
fn modifications_are_differences() {
    let mut replica = Replica::new(layout());
    let one = id(1).to_string();
    let insert = json!(["m", id(1).to_string(), {"A": {&one: {"insert":
        {"name": "n", "set": ["set", ["a", "b"]], "map": ["map", [["k", "v"], ["l", "w"]]]}}}}]);
    let params = update(MonitorMethod::MonitorCondSince, &insert).unwrap();
    assert_eq!((&*params.monitor_id, params.last_id), ("\"m\"", id(1)));
    replica.apply(params.updates.clone()).unwrap();
    assert!(replica.apply(params.updates).is_err());

    let modify = json!(["m", {"A": {&one: {"modify": {"name": "o", "optional": 4,
        "set": ["set", ["b", "c"]], "map": ["map", [["k", "v"], ["l", "x"]]]}}}}]);
    let changes =
        replica.apply(update(MonitorMethod::MonitorCond, &modify).unwrap().updates).unwrap();
    assert_eq!(changes[0].old.as_ref().unwrap().get(ColumnId(0)).string(), "n");
    let row = replica.row(A, id(1)).unwrap();
    assert_eq!((row.get(ColumnId(0)).string(), row.get(ColumnId(1)).integer()), ("o", Some(4)));
    assert_eq!(row.get(ColumnId(2)).strings().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(row.get(ColumnId(3)).entries().collect::<Vec<_>>(), [("l", "x")]);

    let same = json!(["m", {"A": {&one: {"modify": {"name": "o"}}}}]);
    let changes =
        replica.apply(update(MonitorMethod::MonitorCond, &same).unwrap().updates).unwrap();
    assert_eq!(changes, []);

    let delete = json!(["m", {"A": {&one: {"delete": null}}}]);
    let delete = update(MonitorMethod::MonitorCond, &delete).unwrap().updates;
    assert!(!replica.apply(delete.clone()).unwrap()[0].present);
    let error = replica.apply(delete).unwrap_err().to_string();
    assert!(error.contains("deleted row") && error.contains("table A"), "{error}");
}

#[test]
fn the_oldest_form_says_old_and_new() {
    let one = id(1).to_string();
    let new = json!({"name": "n", "optional": ["set", []], "set": ["set", []], "map": ["map", []], "real": 0.5});
    let first = reply(MonitorMethod::Monitor, &json!({"A": {&one: {"new": new}}})).unwrap();
    let mut replica = Replica::new(layout());
    replica.adopt(dumped(vec![first.updates]));
    let changed =
        json!([null, {"A": {&one: {"old": {"name": "n"}, "new": {"name": "o", "real": 1}}}}]);
    let changes = replica.apply(update(MonitorMethod::Monitor, &changed).unwrap().updates).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(replica.row(A, id(1)).unwrap().get(ColumnId(0)).string(), "o");
    let gone = json!([null, {"A": {&one: {"old": {"name": "o"}}}}]);
    replica.apply(update(MonitorMethod::Monitor, &gone).unwrap().updates).unwrap();
    assert!(replica.is_empty());
}

#[test]
fn an_inconsistent_update_leaves_no_trace() {
    let mut replica = Replica::new(layout());
    let rows = json!(["m", {"A": {id(1).to_string(): {"insert": {"name": "n"}}}}]);
    replica.apply(update(MonitorMethod::MonitorCond, &rows).unwrap().updates).unwrap();
    let broken = json!(["m", {"A": {id(1).to_string(): {"modify": {"name": "o"}},
        id(2).to_string(): {"insert": {}}, id(3).to_string(): {"delete": null}}}]);
    assert!(replica.apply(update(MonitorMethod::MonitorCond, &broken).unwrap().updates).is_err());
    assert_eq!(replica.len(A), 1);
    assert_eq!(replica.row(A, id(1)).unwrap().get(ColumnId(0)).string(), "n");
}

#[test]
fn a_replacement_reports_true_differences_only() {
    let dump = |rows: serde_json::Value| {
        vec![reply(MonitorMethod::MonitorCond, &json!({"A": rows})).unwrap().updates]
    };
    let mut replica = Replica::new(layout());
    let before = json!({id(1).to_string(): {"initial": {"name": "same"}},
        id(2).to_string(): {"initial": {"name": "before"}}, id(3).to_string(): {"initial": {}}});
    replica.adopt(dumped(dump(before)));
    let after = json!({id(1).to_string(): {"initial": {"name": "same"}},
        id(2).to_string(): {"initial": {"name": "after"}}, id(0).to_string(): {"initial": {}}});
    let changes = replica.adopt(dumped(dump(after)));
    let brief: Vec<_> =
        changes.iter().map(|change| (change.uuid, change.old.is_some(), change.present)).collect();
    assert_eq!(brief, [(id(0), false, true), (id(2), true, true), (id(3), true, false)]);
}

/// A dump in these parts.
fn dumped(parts: Vec<Updates>) -> Replica {
    let mut fresh = Replica::new(layout());
    for part in parts {
        fresh.extend(part).unwrap();
    }
    fresh
}

#[test]
fn parts_of_a_dump_are_applied_one_after_the_other() {
    let part = |row: u128, form: serde_json::Value| {
        let rows = json!({"A": {id(row).to_string(): form}});
        update(MonitorMethod::MonitorCond, &json!([[], rows])).unwrap().updates
    };
    let mut replica = Replica::new(layout());
    let parts = vec![
        part(1, json!({"insert": {"name": "first"}})),
        part(2, json!({"insert": {"name": "second"}})),
        part(1, json!({"modify": {"name": "written meanwhile"}})),
        part(2, json!({"delete": null})),
    ];
    let changes = replica.adopt(dumped(parts));
    assert_eq!(changes.len(), 1);
    assert_eq!(replica.cell(A, id(1), ColumnId(0)).unwrap().string(), "written meanwhile");
    let mut fresh = dumped(vec![part(3, json!({"insert": {}}))]);
    assert!(fresh.extend(part(3, json!({"insert": {}}))).is_err());
}

#[test]
fn what_is_not_as_specified_is_refused() {
    let one = id(1).to_string();
    let since = MonitorMethod::MonitorCondSince;
    let nil = Uuid::nil().to_string();
    for cells in [
        json!({"name": 1}),
        json!({"optional": "x"}),
        json!({"map": "x"}),
        json!({"map": ["set", ["x"]]}),
        json!({"set": ["map", [["a", "b"]]]}),
        json!({"set": ["set", [["set", []]]]}),
        json!({"name": null}),
        json!({"real": true}),
        json!({"optional": 18446744073709551615u64}),
        json!({"name": ["uuid", one]}),
        json!({"map": ["map", [["a"]]]}),
        json!({"set": ["set"]}),
        json!({"set": ["set", [], 1]}),
        json!([]),
    ] {
        let result = json!([false, nil, {"A": {&one: {"initial": cells}}}]);
        let error = reply(since, &result).expect_err(&result.to_string());
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("of A"), "{error}");
    }
    for result in [
        json!([false, nil, {"A": {"x": {"initial": {}}}}]),
        json!([false, nil, {"A": {&one: {}}}]),
        json!([false, nil, {"A": {&one: {"delete": null}}}]),
        json!([false, nil, {"A": {&one: {"new": {}}}}]),
        json!([false, nil, {"A": {&one: {"initial": {}, "modify": {}}}}]),
        json!([false, nil]),
        json!([false, nil, {}, 1]),
        json!([0, nil, {}]),
        json!({}),
    ] {
        assert!(reply(since, &result).is_err(), "{result}");
    }
    assert!(MonitorReply::decode(&layout(), MonitorMethod::Monitor, b"{}{}").is_err());
}

/// A row's cells as a server would send them, and the whole value they mean.
fn cells() -> impl Strategy<Value = serde_json::Value> {
    (
        "[a-c\"\\\\\n\u{e9}]{0,3}",
        proptest::option::of(-3i64..3),
        proptest::collection::btree_set("[a-e]", 0..4),
        proptest::collection::btree_map("[a-e]", "[x-z]", 0..4),
    )
        .prop_map(|(name, optional, set, map)| {
            let optional = optional.map_or(json!(["set", []]), |integer| json!(integer));
            let pairs: Vec<_> = map.into_iter().collect();
            json!({"name": name, "optional": optional, "set": ["set", set], "map": ["map", pairs]})
        })
}

/// What a server sends to take `old` to `new`, by the definition of update2.
fn diff(old: &serde_json::Value, new: &serde_json::Value) -> serde_json::Value {
    let atoms = |row: &serde_json::Value, column: &str| -> Vec<serde_json::Value> {
        row[column][1].as_array().unwrap().clone()
    };
    let (old_set, new_set) = (atoms(old, "set"), atoms(new, "set"));
    let (old_map, new_map) = (atoms(old, "map"), atoms(new, "map"));
    let mut set: Vec<_> = old_set.iter().filter(|atom| !new_set.contains(atom)).cloned().collect();
    set.extend(new_set.iter().filter(|atom| !old_set.contains(atom)).cloned());
    let mut map: Vec<_> = old_map
        .iter()
        .filter(|pair| !new_map.iter().any(|new| new[0] == pair[0]))
        .cloned()
        .collect();
    map.extend(new_map.iter().filter(|pair| !old_map.contains(pair)).cloned());
    let mut cells = json!({"set": ["set", set], "map": ["map", map]});
    for column in ["name", "optional"] {
        if old[column] != new[column] {
            cells[column] = new[column].clone();
        }
    }
    cells
}

type Model = BTreeMap<Uuid, serde_json::Value>;

fn dump(model: &Model) -> Updates {
    let rows: serde_json::Map<_, _> =
        model.iter().map(|(uuid, row)| (uuid.to_string(), json!({"initial": row}))).collect();
    reply(MonitorMethod::MonitorCond, &json!({"A": rows})).unwrap().updates
}

proptest! {
    /// Incremental updates give the same rows as a fresh dump, in the old form and in the new one.
    #[test]
    fn applying_updates_equals_reading_afresh(
        steps in proptest::collection::vec((0u128..4, proptest::option::of(cells())), 1..24),
    ) {
        let (mut model, mut second) = (Model::new(), Replica::new(layout()));
        let mut first = Replica::new(layout());
        for (number, row) in steps {
            let uuid = id(number);
            let (one, two) = match (model.get(&uuid), row.as_ref()) {
                (None, None) => continue,
                (None, Some(row)) => (json!({"new": row}), json!({"insert": row})),
                (Some(old), Some(new)) => (json!({"old": old, "new": new}), json!({"modify": diff(old, new)})),
                (Some(old), None) => (json!({"old": old}), json!({"delete": null})),
            };
            let before = model.clone();
            match row {
                Some(row) => model.insert(uuid, row),
                None => model.remove(&uuid),
            };
            let params = |form: serde_json::Value| json!([[], {"A": {uuid.to_string(): form}}]);
            let by_first = first.apply(update(MonitorMethod::Monitor, &params(one)).unwrap().updates).unwrap();
            let by_second = second.apply(update(MonitorMethod::MonitorCond, &params(two)).unwrap().updates).unwrap();
            prop_assert_eq!(&by_first, &by_second);
            let mut afresh = Replica::new(layout());
            afresh.adopt(dumped(vec![dump(&before)]));
            prop_assert_eq!(&by_second, &afresh.adopt(dumped(vec![dump(&model)])));
            let rows = |replica: &Replica| replica.rows(A).map(|(uuid, row)| (uuid, row.clone())).collect::<BTreeMap<_, _>>();
            prop_assert_eq!(rows(&second), rows(&afresh));
        }
    }
}
