//! Random transactions of both sides, compared with a fresh dump.

use ovn_peerd::ovsdb::client::TransactError;
use ovn_peerd::ovsdb::{Datum, Mutator, Operation, Where};
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::follower::{Follower, SET, SWITCH, config};
use crate::server::{DATABASE, Server};

struct Chance(TestRng);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0.random_range(0..limit)
    }

    fn word(&mut self) -> String {
        ["a", "b", "c", "d\"", "\u{e9}\\", "{}"][self.below(6)].to_owned()
    }

    fn words(&mut self) -> Vec<String> {
        (0..self.below(5)).map(|_| self.word()).collect()
    }

    fn pairs(&mut self) -> Vec<(String, String)> {
        (0..self.below(4)).map(|_| (self.word(), self.word())).collect()
    }

    fn pick(&mut self, uuids: &[Uuid]) -> Option<Uuid> {
        (!uuids.is_empty()).then(|| uuids[self.below(uuids.len())])
    }

    /// A set without duplicates, which the server would refuse.
    fn set(&mut self) -> Vec<String> {
        let mut words = self.words();
        words.sort();
        words.dedup();
        words
    }

    fn map(&mut self) -> Vec<(String, String)> {
        let mut pairs = self.pairs();
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs
    }

    /// A change of the client's.
    fn operation(&mut self, switches: &[Uuid]) -> Operation {
        let table = "Logical_Switch";
        let Some(row_uuid) = self.pick(switches) else {
            return Operation::Insert {
                table,
                uuid_name: None,
                row: vec![("name", self.word().into())],
            };
        };
        match self.below(5) {
            0 => Operation::Insert {
                table,
                uuid_name: None,
                row: vec![("name", self.word().into()), ("external_ids", Datum::Map(self.map()))],
            },
            1 => Operation::Delete { table, row_uuid },
            2 => Operation::Update {
                table,
                row_uuid,
                row: vec![("other_config", Datum::Map(self.map()))],
            },
            3 => Operation::Mutate {
                table,
                selection: Where::Uuid(row_uuid),
                mutations: vec![("external_ids", Mutator::Insert, Datum::Map(self.map()))],
            },
            _ => Operation::Mutate {
                table,
                selection: Where::All,
                mutations: vec![("external_ids", Mutator::Delete, Datum::strings(self.set()))],
            },
        }
    }

    /// A change of somebody else's, in tables with sets, optionals and references.
    fn foreign(&mut self, switches: &[Uuid]) -> Vec<Json> {
        let name = format!("n{}", self.below(6));
        let only = json!([["name", "==", name]]);
        match self.below(6) {
            0 => vec![
                json!({"op": "delete", "table": "Address_Set", "where": only}),
                json!({"op": "insert", "table": "Address_Set", "row": {"name": name, "addresses": ["set", self.set()]}}),
            ],
            1 => vec![json!({"op": "mutate", "table": "Address_Set", "where": [],
                "mutations": [["addresses", "insert", ["set", self.set()]], ["addresses", "delete", ["set", self.set()]]]})],
            2 => vec![json!({"op": "update", "table": "Logical_Switch_Port", "where": only,
                "row": {"tag": if self.below(2) == 0 { json!(["set", []]) } else { json!(self.below(9) + 1) },
                        "enabled": json!(self.below(2) == 0), "addresses": ["set", self.set()]}})],
            3 => vec![json!({"op": "update", "table": "Logical_Switch_Port", "where": only,
                "row": {"options": ["map", self.map()], "dynamic_addresses": ["set", []], "enabled": ["set", []]}})],
            4 => vec![json!({"op": "delete", "table": "Address_Set", "where": only})],
            _ => match self.pick(switches) {
                None => vec![],
                Some(uuid) => vec![
                    json!({"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": name}}),
                    json!({"op": "mutate", "table": "Logical_Switch", "where": [["_uuid", "==", ["uuid", uuid]]],
                        "mutations": [["ports", "insert", ["named-uuid", "p"]]]}),
                ],
            },
        }
    }
}

async fn run(seed: u8, habit: Option<crate::proxy::Habit>) {
    let mut chance = Chance(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let server = Server::start();
    let mut raw = server.raw();
    let proxy = habit.map(|habit| crate::proxy::Proxy::before(&server.socket(), habit));
    let remote = proxy.as_ref().map_or_else(|| server.remote(), |proxy| proxy.remote());
    let mut follower = Follower::start(config(remote)).await;
    let (mut done, mut refused) = (0, 0);
    for id in 0..300 {
        let switches: Vec<_> = follower.replica().rows(SWITCH).map(|(uuid, _)| uuid).collect();
        let foreign = chance.foreign(&switches);
        if !foreign.is_empty() {
            let mut params = vec![json!(DATABASE)];
            params.extend(foreign);
            // Some clash with an index, which is as good a test.
            raw.call("transact", &json!(params));
        }
        let count = chance.below(3) + 1;
        let operations = (0..count).map(|_| chance.operation(&switches)).collect();
        match follower.transact(id, operations).await {
            Ok(results) => {
                assert_eq!(results.len(), count);
                done += 1;
            }
            Err(TransactError::Rejected(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        if id % 25 == 24 {
            raw.assert_same(follower.replica());
        }
    }
    raw.assert_same(follower.replica());
    assert!(done > 200, "{done} done, {refused} refused");
    assert!(follower.replica().len(SET) > 0);
}

#[tokio::test]
async fn by_update3() {
    run(1, None).await;
    run(2, None).await;
}

#[tokio::test]
async fn by_update2() {
    run(3, Some(crate::proxy::Habit::Older(&["monitor_cond_since"]))).await;
}

#[tokio::test]
async fn by_update() {
    run(4, Some(crate::proxy::Habit::Ancient)).await;
}

#[tokio::test]
async fn byte_by_byte() {
    run(5, Some(crate::proxy::Habit::Dribble)).await;
}
