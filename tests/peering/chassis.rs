//! Across chassis: the same as inside one network, in reach and in speed (S1.9, S2.12, S2.13).

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::host::{Host, Ping};
use crate::tenants::Tenants;

/// A peered path may take so many times the time of the switched one between the same chassis.
const LATENCY_RATIO: f64 = 10.0;
/// A peered path carries at least this part of what the switched one carries.
const THROUGHPUT_RATIO: f64 = 0.1;
const BYTES: u64 = 4_000_000;

#[test]
fn s1_9_s2_12_s2_13_across_chassis_as_inside_one_network() {
    let lab = Lab::two_chassis_and_gateway();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest(&tenants.a, "a2", 1);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    let b2 = lab.add_guest(&tenants.b, "b2", 0);
    lab.settle();
    let apart = || {
        lab.sync();
        a1.assert_reaches(&a2);
        b1.assert_reaches(&b2);
        for (one, other) in [(&a1, &b1), (&b1, &a1), (&a1, &b2), (&b2, &a2)] {
            one.assert_isolated_from(other);
        }
        a1.assert_no_tcp(&b1);
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
    for address in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
        let of = |host: &Host| *host.addresses.iter().find(|a| address(a)).expect("an address");
        let (peered, switched) = (median_ms(&a1, of(&b1)), median_ms(&a1, of(&a2)));
        let ratio = peered / switched;
        println!(
            "round trip to {}: {peered:.3} ms, same network {switched:.3} ms: {ratio:.2}",
            of(&b1)
        );
        assert!(ratio < LATENCY_RATIO, "round trips take {ratio:.2} times as long");
        let (peered, switched) = (throughput(&a1, &b1, of(&b1)), throughput(&a1, &a2, of(&a2)));
        let ratio = peered / switched;
        println!(
            "TCP to {}: {peered:.0} Mbit/s, same network {switched:.0} Mbit/s: {ratio:.2}",
            of(&b1)
        );
        assert!(ratio > THROUGHPUT_RATIO, "TCP carries {ratio:.2} of what it does in one network");
    }
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    apart();
}

fn median_ms(from: &Host, to: IpAddr) -> f64 {
    let interval = Duration::from_millis(5);
    let report = from.ping(to, Ping { count: 200, interval, ..Ping::default() });
    report.rtt_ms.unwrap_or_else(|| panic!("{to} is silent: {report:?}")).median
}

/// The better of three: the machine has other work.
fn throughput(from: &Host, server: &Host, to: IpAddr) -> f64 {
    (0..3).map(|_| from.tcp_throughput(server, to, BYTES)).fold(0.0, f64::max)
}
