//! Every kind of result that a transaction can have.

use ovn_peerd::ovsdb::client::TransactError;
use ovn_peerd::ovsdb::{
    ColumnId, Datum, Mutator, Operation, OperationResult, TransactionError, Until, Value, Where,
};
use uuid::Uuid;

use crate::follower::{Follower, Outcome, PORT, SWITCH, config};
use crate::rows::{raw_switch, switch};
use crate::server::Server;

const SWITCHES: &str = "Logical_Switch";
const PORTS: &str = "Logical_Switch_Port";

fn port(uuid_name: &str, name: &str) -> Operation {
    Operation::Insert {
        table: PORTS,
        uuid_name: Some(uuid_name.into()),
        row: vec![("name", name.into()), ("addresses", Datum::strings(["dynamic", "unknown"]))],
    }
}

/// Puts ports on a switch.
fn attach(row_uuid: Uuid, names: &[&str]) -> Operation {
    let ports = names.iter().map(|name| Datum::NamedUuid((*name).into())).collect();
    Operation::Mutate {
        table: SWITCHES,
        selection: Where::Uuid(row_uuid),
        mutations: vec![("ports", Mutator::Insert, Datum::Set(ports))],
    }
}

fn rejected(outcome: Outcome) -> TransactionError {
    match outcome {
        Err(TransactError::Rejected(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn with_a_switch() -> (Server, Follower, Uuid) {
    let server = Server::start();
    let mut follower = Follower::start(config(server.remote())).await;
    let results = follower.transact(0, vec![switch("s")]).await.unwrap();
    let OperationResult::Inserted(uuid) = results[0] else { panic!("{results:?}") };
    (server, follower, uuid)
}

#[tokio::test]
async fn each_operation_does_what_it_says() {
    let (server, mut follower, uuid) = with_a_switch().await;
    let operations = vec![
        Operation::Wait {
            table: SWITCHES,
            selection: Where::Uuid(uuid),
            columns: vec!["name", "external_ids"],
            until: Until::Equal,
            rows: vec![vec![("name", "s".into()), ("external_ids", Datum::map([("k", "v")]))]],
        },
        port("one", "p1"),
        attach(uuid, &["one"]),
        Operation::Update {
            table: SWITCHES,
            row_uuid: uuid,
            row: vec![("name", "t".into()), ("other_config", Datum::map([("a", "b"), ("c", "d")]))],
        },
        Operation::Mutate {
            table: SWITCHES,
            selection: Where::Equal(vec![("name", "t".into())]),
            mutations: vec![(
                "other_config",
                Mutator::Delete,
                Datum::strings(["a", "never there"]),
            )],
        },
        Operation::Comment("why".into()),
        Operation::Select { table: SWITCHES, selection: Where::All, columns: vec!["name"] },
    ];
    let results = follower.transact(1, operations).await.unwrap();
    assert_eq!((&results[0], &results[2]), (&OperationResult::Empty, &OperationResult::Count(1)));
    assert_eq!((&results[4], &results[5]), (&OperationResult::Count(1), &OperationResult::Empty));
    let OperationResult::Rows(rows) = &results[6] else { panic!("{results:?}") };
    assert_eq!(rows[0]["name"], Value::from("t"));
    let OperationResult::Inserted(port) = results[1] else { panic!("{results:?}") };
    let row = follower.replica().row(SWITCH, uuid).unwrap();
    assert_eq!(row.get(ColumnId(1)).uuids().collect::<Vec<_>>(), [port]);
    assert_eq!(row.get(ColumnId(4)).entries().collect::<Vec<_>>(), [("c", "d")]);
    assert!(server.history().contains("why"));

    let delete = Operation::Delete { table: SWITCHES, row_uuid: uuid };
    assert_eq!(follower.transact(2, vec![delete]).await.unwrap(), [OperationResult::Count(1)]);
    // The port goes with the last reference to it.
    assert_eq!((follower.replica().len(SWITCH), follower.replica().len(PORT)), (0, 0));
}

#[tokio::test]
async fn a_failed_wait_undoes_everything() {
    let (server, mut follower, uuid) = with_a_switch().await;
    let wait = Operation::Wait {
        table: SWITCHES,
        selection: Where::Uuid(uuid),
        columns: vec!["name"],
        until: Until::NotEqual,
        rows: vec![vec![("name", "s".into())]],
    };
    let error = rejected(follower.transact(1, vec![switch("x"), wait, switch("y")]).await);
    assert_eq!(error.index, Some(1));
    assert!(error.error == "timed out" && error.is_retryable(), "{error}");
    server.raw().assert_same(follower.replica());
    assert_eq!(follower.names(SWITCH), ["s"]);
}

#[tokio::test]
async fn a_commit_may_fail_after_all_operations_have_succeeded() {
    let (server, mut follower, uuid) = with_a_switch().await;
    let operations = vec![port("one", "same"), port("two", "same"), attach(uuid, &["one", "two"])];
    let error = rejected(follower.transact(1, operations).await);
    assert_eq!((error.index, error.error.as_str()), (None, "constraint violation"));
    assert!(error.details.as_ref().is_some_and(|d| d.contains("same")) && !error.is_retryable());

    let dangling = Operation::Update {
        table: SWITCHES,
        row_uuid: uuid,
        row: vec![("ports", Datum::Uuid(Uuid::from_u128(7)))],
    };
    let error = rejected(follower.transact(2, vec![dangling]).await);
    assert_eq!((error.index, error.error.as_str()), (None, "referential integrity violation"));
    assert!(error.is_retryable());
    server.raw().assert_same(follower.replica());
}

#[tokio::test]
async fn nonsense_is_refused_with_its_place() {
    let (server, mut follower, _) = with_a_switch().await;
    let unknown = Operation::Insert { table: "Nonsense", uuid_name: None, row: vec![] };
    let error = rejected(follower.transact(1, vec![switch("x"), unknown]).await);
    assert!(error.details.is_some_and(|details| details.contains("Nonsense")), "{:?}", error.error);
    let tag = Operation::Insert { table: PORTS, uuid_name: None, row: vec![("tag", 4096.into())] };
    assert_eq!(rejected(follower.transact(2, vec![tag]).await).error, "constraint violation");
    // A NUL would cost the connection.
    let outcome = follower.transact(3, vec![switch("a\0b")]).await;
    assert_eq!(outcome, Err(TransactError::Nul));
    assert!(!outcome.unwrap_err().is_retryable());
    follower.transact(4, vec![switch("ok")]).await.unwrap();
    server.raw().assert_same(follower.replica());
}

/// Whatever comes in between: when a transaction's end is told, its own changes are in the replica.
#[tokio::test]
async fn own_changes_come_before_the_end_of_a_transaction() {
    let (server, mut follower, _) = with_a_switch().await;
    let socket = server.socket();
    let noise = std::thread::spawn(move || {
        let mut raw = crate::server::Raw::connect(&socket).unwrap();
        for number in 0..500 {
            raw.transact(&[raw_switch(&format!("noise{number}"))]);
        }
    });
    for id in 1..=500u64 {
        follower.client.submit(id, vec![switch(&format!("own{id}"))]).unwrap();
        if id % 50 == 0 {
            while follower.outcomes.len() < usize::try_from(id).unwrap() {
                follower.step().await;
                for (id, outcome) in &follower.outcomes {
                    let Ok([OperationResult::Inserted(uuid)]) = outcome.as_deref() else {
                        panic!("{outcome:?}")
                    };
                    let row = follower.replica().row(SWITCH, *uuid).expect("its row came before");
                    assert_eq!(row.get(ColumnId(0)).string(), format!("own{id}"));
                }
            }
        }
    }
    noise.join().unwrap();
    follower.until("all rows", |f| f.replica().len(SWITCH) == 1001).await;
    server.raw().assert_same(follower.replica());
}
