//! The host that writes fails: another does what is declared meanwhile, no packet is lost, and the one that comes back
//! does no harm.

use std::time::{Duration, Instant};

use crate::hosts::{Declared, Hosts, assert_none_lost, routing};
use crate::lab::Lab;

mod everywhere {
    use super::{the_writer_freezes, the_writer_is_killed};
    use crate::on_several_chassis;

    on_several_chassis!(the_writer_is_killed, the_writer_freezes);
}

mod nodes {
    use super::the_writer_is_cut_off;
    use crate::on_fake_multinode;

    on_fake_multinode!(the_writer_is_cut_off);
}

/// The host that goes on declaring.
const OTHER: usize = 1;
/// Within this a host that is well has taken over: ten times what it takes on a machine that is not busy.
const TAKEN_OVER: Duration = Duration::from_secs(20);

/// SIGKILL, of the host that declares one of the halves: what it has declared stands.
fn the_writer_is_killed(lab: &Lab) {
    let hosts = Hosts::active(lab, Declared::APART);
    let writer = &hosts.daemons[hosts.writer()];
    replaced(lab, &hosts, || writer.kill9(), || writer.start_again());
}

/// SIGSTOP: its connection stays, and it answers nothing.
fn the_writer_freezes(lab: &Lab) {
    let hosts = Hosts::active(lab, Declared::ELSEWHERE);
    let process = hosts.daemons[hosts.writer()].process();
    replaced(lab, &hosts, || process.pause(), || process.resume());
}

/// Nothing that it or its chassis sends reaches the central nodes, and nothing says so; tunnels go on.
fn the_writer_is_cut_off(lab: &Lab) {
    let hosts = Hosts::active(lab, Declared::ELSEWHERE);
    let netns = lab.all_chassis()[hosts.writer()].netns();
    let central = lab.cluster().expect("on nodes only").central_addresses();
    let routes = |verb: &str| -> Vec<String> {
        central.iter().map(|a| format!("route {verb} blackhole {a}")).collect()
    };
    replaced(lab, &hosts, || netns.ip(&routes("add")), || netns.ip(&routes("del")));
}

/// `fail` takes away the host that writes: another writes what is declared meanwhile; then the first one is back by
/// `mend`, and undoes nothing.
fn replaced(lab: &Lab, hosts: &Hosts<'_>, fail: impl Fn(), mend: impl Fn()) {
    let (first, rows) = (hosts.writer(), routing(lab));
    let streams = hosts.streams();
    let start = Instant::now();
    fail();
    hosts.leave_out(Some(first));
    hosts.red_joins(OTHER);
    hosts.wait_red(Some("active"));
    let took = start.elapsed();
    let second = hosts.writer();
    println!("hv{} has done it {took:?} after hv{} was taken away", second + 1, first + 1);
    let log = || hosts.daemons[second].log();
    assert!(second != first && took < TAKEN_OVER, "it took {took:?}:\n{}", log());
    hosts.red.guest.assert_reaches(&hosts.green.guest);
    hosts.wait(Some("active"), Some("active"));
    println!("{} packets, none lost", assert_none_lost(streams));

    let streams = hosts.streams();
    mend();
    hosts.leave_out(None);
    hosts.wait(Some("active"), Some("active"));
    hosts.wait_red(Some("active"));
    hosts.writer();
    hosts.red.guest.assert_reaches(&hosts.green.guest);
    hosts.red_leaves(OTHER);
    hosts.wait_red(None);
    lab.sync();
    hosts.red.guest.assert_isolated_from(&hosts.green.guest);
    println!("{} packets, none lost, while it came back", assert_none_lost(streams));
    routing(lab).assert_same_as(&rows);
    hosts.assert_joined();
    hosts.green_withdraws(&[OTHER]);
    hosts.wait(Some("disconnected"), None);
    hosts.wait_linked(false);
    hosts.assert_apart();
}
