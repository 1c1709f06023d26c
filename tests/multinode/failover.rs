//! The host that writes fails: another goes on, no packet is lost, and the one that comes back does no harm.

use std::time::{Duration, Instant};

use crate::hosts::{Declared, Hosts, assert_none_lost, routing};
use crate::lab::Lab;

mod everywhere {
    use super::the_writer_is_killed;
    use crate::on_several_chassis;

    on_several_chassis!(the_writer_is_killed);
}

mod by_probes {
    use super::{the_writer_freezes, the_writer_is_cut_off};
    use crate::on_fake_multinode;

    on_fake_multinode!(the_writer_freezes, the_writer_is_cut_off);
}

/// How long OVN's servers may take to notice silence. (ovn-fake-multinode sets three minutes.)
const SILENCE: Duration = Duration::from_secs(5);

fn the_writer_is_killed(lab: &Lab) {
    let hosts = active(lab);
    let first = hosts.writer();
    replaced(
        lab,
        &hosts,
        first,
        || hosts.daemons[first].kill9(),
        || hosts.daemons[first].start_again(),
    );
}

/// SIGSTOP: its connection stays, and it answers nothing.
fn the_writer_freezes(lab: &Lab) {
    lab.notice_silence_within(SILENCE);
    let hosts = active(lab);
    let first = hosts.writer();
    let process = hosts.daemons[first].process();
    replaced(lab, &hosts, first, || process.pause(), || process.resume());
}

/// Nothing that it or its chassis sends reaches the central nodes, and nothing says so; tunnels go on.
fn the_writer_is_cut_off(lab: &Lab) {
    lab.notice_silence_within(SILENCE);
    let hosts = active(lab);
    let first = hosts.writer();
    let netns = lab.all_chassis()[first].netns();
    let central = lab.cluster().expect("on nodes only").central_addresses();
    let routes = |verb: &str| -> Vec<String> {
        central.iter().map(|a| format!("route {verb} blackhole {a}")).collect()
    };
    replaced(lab, &hosts, first, || netns.ip(&routes("add")), || netns.ip(&routes("del")));
}

/// The halves of both, declared on every host, are active.
fn active(lab: &Lab) -> Hosts<'_> {
    let hosts = Hosts::start(lab, &[0, 1, 2]);
    let Declared { blue, green } = Declared::EVERYWHERE;
    hosts.assert_apart();
    hosts.blue_declares(blue);
    hosts.green_declares(green);
    hosts.wait(Some("active"), Some("active"));
    hosts.assert_joined();
    hosts
}

/// `fail` takes away the host that writes: another writes, and does what is declared meanwhile; then the first one is
/// back by `mend`, and neither writes nor undoes anything.
fn replaced(lab: &Lab, hosts: &Hosts<'_>, first: usize, fail: impl Fn(), mend: impl Fn()) {
    let rows = routing(lab);
    let streams = hosts.streams();
    let start = Instant::now();
    fail();
    hosts.leave_out(Some(first));
    let second = hosts.writer();
    println!("hv{} writes {:?} after hv{} was taken away", second + 1, start.elapsed(), first + 1);
    assert_ne!(first, second);
    hosts.wait(Some("active"), Some("active"));
    routing(lab).assert_same_as(&rows);
    println!("{} packets, none lost", assert_none_lost(streams));
    hosts.green_withdraws(Declared::EVERYWHERE.green);
    hosts.wait(Some("disconnected"), None);
    hosts.wait_linked(false);
    let rows = routing(lab);
    mend();
    hosts.leave_out(None);
    assert_eq!(hosts.writer(), second, "the one that came back disturbs");
    hosts.assert_apart();
    routing(lab).assert_same_as(&rows);
    hosts.green_declares(Declared::EVERYWHERE.green);
    hosts.wait(Some("active"), Some("active"));
    hosts.assert_joined();
}
