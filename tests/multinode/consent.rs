//! Two halves, wherever they are declared, become a path between chassis, and one alone does not.

use crate::hosts::{Declared, Hosts};
use crate::lab::Lab;
use crate::on_several_chassis;

on_several_chassis!(
    both_halves_on_one_chassis,
    each_half_on_a_chassis_of_its_own,
    each_half_on_a_chassis_and_another_one_writes,
    the_same_halves_on_every_chassis,
    a_host_that_is_gone_is_forgotten,
);

fn both_halves_on_one_chassis(lab: &Lab) {
    comes_and_goes(lab, Declared::TOGETHER);
}

fn each_half_on_a_chassis_of_its_own(lab: &Lab) {
    comes_and_goes(lab, Declared::APART);
}

fn each_half_on_a_chassis_and_another_one_writes(lab: &Lab) {
    comes_and_goes(lab, Declared::ELSEWHERE);
}

fn the_same_halves_on_every_chassis(lab: &Lab) {
    comes_and_goes(lab, Declared::EVERYWHERE);
}

/// What it declared stands while it is away, and goes when somebody says so; it declares it anew when it returns.
fn a_host_that_is_gone_is_forgotten(lab: &Lab) {
    let hosts = Hosts::active(lab, Declared::APART);
    let before = hosts.foreign();
    hosts.daemons[1].kill9();
    hosts.leave_out(Some(1));
    hosts.assert_joined();
    hosts.wait(Some("active"), Some("active"));
    let forgotten = hosts.daemons[0].ctl(&["host", "forget", "hv2"]);
    assert!(forgotten.status.success(), "{forgotten:?}");
    hosts.wait(Some("disconnected"), None);
    hosts.wait_linked(false);
    hosts.assert_apart();
    hosts.daemons[1].start_again();
    hosts.leave_out(None);
    hosts.wait(Some("active"), Some("active"));
    hosts.assert_joined();
    hosts.foreign().assert_same_as(&before);
}

/// Nothing passes before, with one half alone, and after; everything in between; nobody else's row changes; and every
/// host tells the same.
fn comes_and_goes(lab: &Lab, declared: Declared) {
    let hosts = Hosts::start(lab, declared);
    let before = hosts.foreign();
    hosts.assert_apart();
    hosts.blue_declares(declared.blue);
    hosts.wait(Some("pending-peer"), None);
    hosts.assert_apart();
    hosts.green_declares(declared.green);
    let took = hosts.wait(Some("active"), Some("active"));
    println!("{declared:?}: every host says active after {took:?}");
    hosts.assert_joined();
    lab.assert_all_matches_parse();
    hosts.green_withdraws(declared.green);
    hosts.wait(Some("disconnected"), None);
    hosts.wait_linked(false);
    hosts.assert_apart();
    hosts.green_declares(declared.green);
    hosts.wait(Some("active"), Some("active"));
    hosts.assert_joined();
    hosts.foreign().assert_same_as(&before);
}
