//! A first dump of some 50 MB.

use std::time::Instant;

use ovn_peerd::ovsdb::ColumnId;
use serde_json::json;

use crate::follower::{Follower, SWITCH, config};
use crate::rows::switch;
use crate::server::Server;

#[tokio::test]
async fn a_dump_of_50_megabytes() {
    const ROWS: usize = 60_000;
    let server = Server::start();
    let mut raw = server.raw();
    for first in (0..ROWS).step_by(2000) {
        let rows: Vec<_> = (first..first + 2000)
            .map(|number| {
                let pairs: Vec<_> = (0..16)
                    .map(|key| {
                        [format!("key-{key}-of-a-switch"), format!("value {number} \"{{}}\" {key}")]
                    })
                    .collect();
                json!({"op": "insert", "table": "Logical_Switch", "row":
                    {"name": format!("switch-{number}"), "external_ids": ["map", pairs]}})
            })
            .collect();
        raw.transact(&rows);
    }
    let began = Instant::now();
    let mut follower = Follower::start(config(server.remote())).await;
    println!("{ROWS} rows in {:?}", began.elapsed());
    assert_eq!(follower.replica().len(SWITCH), ROWS);
    follower.transact(1, vec![switch("one more")]).await.unwrap();
    raw.assert_same(follower.replica());
    let size: usize = follower
        .replica()
        .rows(SWITCH)
        .map(|(_, row)| {
            row.get(ColumnId(2))
                .entries()
                .map(|(key, value)| key.len() + value.len() + 9)
                .sum::<usize>()
                + 90
        })
        .sum();
    assert!(size > 45_000_000, "only {size} bytes");
}
