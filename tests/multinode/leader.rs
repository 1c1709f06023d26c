//! The northbound is a cluster, and the node of its leader freezes: it still accepts connections, and answers nothing.

use std::time::{Duration, Instant};

use crate::hosts::{Declared, Hosts, assert_none_lost, routing};
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::on_fake_multinode;

on_fake_multinode!(the_leader_is_paused);

/// How long OVN itself may take to notice silence. (ovn-fake-multinode sets three minutes.)
const SILENCE: Duration = Duration::from_secs(5);

fn the_leader_is_paused(lab: &Lab) {
    let Some(cluster) = lab.cluster().filter(|c| c.is_raft()) else {
        println!("SKIPPED: this northbound is no cluster: `tests/multinode/run raft` has one");
        return;
    };
    lab.notice_silence_within(SILENCE);
    let declared = Declared::ELSEWHERE;
    let hosts = Hosts::active(lab, declared);
    let before = hosts.foreign();
    let rows = routing(lab);

    let streams = hosts.streams();
    let paused = cluster.leader().expect("the cluster has a leader");
    let start = Instant::now();
    cluster.pause(&paused);
    let leader = poll("another member leads", Duration::from_secs(30), || {
        cluster.leader().ok_or("none".to_owned())
    });
    println!("{leader} leads {:?} after {paused} was paused", start.elapsed());
    let writer = hosts.writer_elsewhere(cluster.remote_of(&paused));
    hosts.wait(Some("active"), Some("active"));
    println!("hv{} writes, and all is active, after {:?}", writer + 1, start.elapsed());
    routing(lab).assert_same_as(&rows);
    println!("{} packets, none lost", assert_none_lost(streams));
    hosts.assert_joined();

    // Work goes on with two members.
    hosts.green_withdraws(declared.green);
    hosts.wait(Some("disconnected"), None);
    let took = hosts.wait_linked(false);
    hosts.assert_apart();
    hosts.green_declares(declared.green);
    println!(
        "gone after {took:?}, active again after {:?}",
        hosts.wait(Some("active"), Some("active"))
    );
    hosts.assert_joined();

    // The old leader comes back, and nothing changes.
    let rows = routing(lab);
    let streams = hosts.streams();
    cluster.unpause(&paused);
    lab.sync();
    hosts.wait(Some("active"), Some("active"));
    routing(lab).assert_same_as(&rows);
    println!("{} packets, none lost", assert_none_lost(streams));
    hosts.green_withdraws(declared.green);
    hosts.wait(Some("disconnected"), None);
    hosts.wait_linked(false);
    hosts.assert_apart();
    hosts.foreign().assert_same_as(&before);
}
