//! What a peering costs northd and the chassis.

use crate::lab::Lab;
use crate::rows::{self, Naming};

#[test]
fn a_dual_stack_peering_costs_54_logical_flows() {
    let lab = Lab::databases_only();
    let nets: Vec<_> = (1..5)
        .map(|n| lab.add_network(&format!("n{n}"), &[&format!("10.{n}.0.0/24 fd0{n}::/64")]))
        .collect();
    let (hub, spokes) = nets.split_first().expect("a hub");
    let count = || {
        lab.sync();
        lab.logical_flows().rows
    };
    let mut before = count();
    for (n, spoke) in spokes.iter().enumerate() {
        rows::link(&lab, hub, spoke);
        let linked = count();
        rows::guard(&lab, hub, spoke, Naming::Literals);
        let guarded = count();
        eprintln!("peering {n}: {} + {}", linked - before, guarded - linked);
        // The first peering of a database also brings the flows for addresses to be resolved.
        assert!(linked - before <= if n == 0 { 50 } else { 48 });
        assert!(guarded - linked <= 6);
        before = guarded;
    }
    let [a, b] = [("x", 5), ("y", 7)].map(|(name, n)| {
        let subnet = |n| format!("10.{n}.0.0/24 fd0{n}::/64");
        lab.add_network(name, &[&subnet(n), &subnet(n + 1)])
    });
    let before = count();
    rows::link(&lab, &a, &b);
    let linked = count();
    eprintln!("two subnets a side: {}", linked - before);
    assert!(linked - before <= 54, "a further subnet costs its routes, not a port's address");
}
