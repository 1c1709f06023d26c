//! The host that writes fails: another goes on, and no packet is lost.

use std::time::Instant;

use crate::hosts::{Declared, Hosts, assert_none_lost, routing};
use crate::lab::Lab;
use crate::on_several_chassis;

on_several_chassis!(the_writer_is_killed);

fn the_writer_is_killed(lab: &Lab) {
    let hosts = Hosts::start(lab, &[0, 1, 2]);
    let Declared { blue, green } = Declared::EVERYWHERE;
    hosts.assert_apart();
    hosts.blue_declares(blue);
    hosts.green_declares(green);
    hosts.wait(Some("active"), Some("active"));
    hosts.assert_joined();
    let rows = routing(lab);
    let streams = hosts.streams();
    let first = hosts.writer();
    let start = Instant::now();
    hosts.daemons[first].kill9();
    let second = hosts.writer();
    println!("hv{} writes {:?} after hv{} was killed", second + 1, start.elapsed(), first + 1);
    assert_ne!(first, second);
    hosts.wait(Some("active"), Some("active"));
    routing(lab).assert_same_as(&rows);
    // The one that came back does not disturb, and what the other two say counts.
    hosts.daemons[first].start_again();
    assert_eq!(hosts.writer(), second);
    println!("{} packets, none lost", assert_none_lost(streams));
    hosts.green_withdraws(green);
    hosts.wait(Some("disconnected"), None);
    hosts.assert_apart();
}
