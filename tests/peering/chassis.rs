//! Across chassis: the same as inside one network, in reach and in speed (S1.9, S2.12, S2.13).

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::host::{Host, Ping};
use crate::lab::probe::RoundTrip;
use crate::on_several_chassis;
use crate::tenants::Tenants;

/// A peered path may take so many times the time of the switched one between the same chassis.
const LATENCY_RATIO: f64 = 10.0;
/// A peered path carries at least this part of what the switched one carries.
const THROUGHPUT_RATIO: f64 = 0.1;
const BYTES: u64 = 3_000_000;

on_several_chassis!(across_chassis_as_inside_one_network);

fn across_chassis_as_inside_one_network(lab: &Lab) {
    let tenants = Tenants::new(lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest(&tenants.a, "a2", 1);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    let b2 = lab.add_guest(&tenants.b, "b2", 0);
    lab.settle();
    let apart = || {
        lab.sync();
        a1.assert_reaches(&a2);
        b1.assert_reaches(&b2);
        Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1), (&a1, &b2), (&b2, &a2)]);
    };
    apart();
    tenants.peer();
    lab.sync();
    for (one, other) in [(&a1, &b1), (&b1, &a1), (&a1, &b2), (&a2, &b2), (&b2, &a2)] {
        one.assert_reaches(other);
        one.assert_tcp(other);
    }
    a1.assert_reach_all(&tenants.b.router_addresses());
    lab.assert_all_matches_parse();
    for is_of in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
        let of = |host: &Host| *host.addresses.iter().find(|a| is_of(a)).expect("an address");
        let (to_peer, to_own) = ((&b1, of(&b1)), (&a2, of(&a2)));
        // At the same time, so that both meet the same load.
        let (peered, switched) = std::thread::scope(|threads| {
            let peered = threads.spawn(|| round_trip(&a1, to_peer.1));
            let switched = round_trip(&a1, to_own.1);
            (peered.join().expect("pings"), switched)
        });
        let ratio = peered.median / switched.median;
        println!("round trips: {peered:?}, in one network {switched:?}: {ratio:.2}");
        assert!(ratio < LATENCY_RATIO, "round trips take {ratio:.2} times as long");
        let carried = |(server, to): (&Host, IpAddr)| a1.tcp_throughput(server, to, BYTES);
        let (peered, switched) = alternately(|| carried(to_peer), || carried(to_own));
        let [peered, switched] = [peered, switched].map(|all| all.into_iter().fold(0.0, f64::max));
        let ratio = peered / switched;
        println!("TCP: {peered:.0} Mbit/s, in one network {switched:.0} Mbit/s: {ratio:.2}");
        assert!(ratio > THROUGHPUT_RATIO, "TCP carries {ratio:.2} of what it does in one network");
    }
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    apart();
}

/// Measures both several times, by turns: the machine has other work, now more and now less.
fn alternately(one: impl Fn() -> f64, other: impl Fn() -> f64) -> (Vec<f64>, Vec<f64>) {
    (0..3).map(|_| (one(), other())).unzip()
}

fn round_trip(from: &Host, to: IpAddr) -> RoundTrip {
    let interval = Duration::from_millis(5);
    let report = from.ping(to, Ping { count: 200, interval, ..Ping::default() });
    report.rtt_ms.unwrap_or_else(|| panic!("{to} is silent: {report:?}"))
}
