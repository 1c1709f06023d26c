//! A server that stands still: what is told meanwhile is true of the packets, which pass as long as the rows are there.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ground::{Ground, seed};
use crate::lab::command::require_root_and_tools;
use crate::lab::scope::Scope;
use crate::server::Server;

#[test]
fn an_end_before_a_frozen_server_is_reported_when_its_rows_are_gone() {
    require_root_and_tools();
    let scope = Scope::new();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (2, 3)]);
    ground.converge(&server.remote(), "the start");
    // No ovn-northd is here to say that it has acted: somebody says so.
    crate::server::nbctl(&server.remote(), &["set", "NB_Global", ".", "sb_cfg=1000000"]);
    ground.daemon.wait_state("p0", "n", "to-1", "active");
    let heard = |status: &Value| status["northbound"]["heard_seconds_ago"].as_u64();
    let fresh = ground.status().expect("the daemon answers");
    assert!(heard(&fresh).is_some_and(|ago| ago < 7), "{fresh}");
    server.service.pause();
    let begin = Instant::now();
    ground.daemon.withdraw("p1");
    let half = ground.daemon.wait_until("it is to end", |halves| {
        let half = halves.into_iter().find(|half| half["project"] == "p0").ok_or("no half")?;
        if half["degraded"] == Value::Array(vec![]) { Err(half.to_string()) } else { Ok(half) }
    });
    assert_eq!((&half["state"], &half["reason"]), (&"active".into(), &Value::Null), "{half}");
    assert!(
        half["degraded"][0].as_str().is_some_and(|text| text.contains("disconnected")),
        "{half}"
    );
    let status = ground.status_that("the silence is told", |status| {
        status["northbound"]["error"]
            .as_str()
            .is_some_and(|error| error.contains("has not answered"))
    });
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(heard(&status).is_some_and(|ago| ago >= 10), "{status}");
    assert_eq!(ground.daemon.half("p0", "n", "to-1").expect("it is there")["state"], "active");
    server.service.resume();
    let half = ground.daemon.wait_state("p0", "n", "to-1", "disconnected");
    assert_eq!(half["degraded"], Value::Array(vec![]), "{half}");
    ground.pairs.remove(&(0, 1));
    ground.judge(&crate::lab::northbound::Dump::read(&server.remote())).expect("its rows are gone");
    ground.status_that("it is heard again", |status| status["northbound"]["error"].is_null());
}
