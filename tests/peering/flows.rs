//! Flows that a change does not concern lose no packet (S2.5).

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::host::{Host, Stream};
use crate::on_every_lab;
use crate::owned::linked_prefixes;
use crate::tenants::{Tenants, half};

on_every_lab!(no_packet_is_lost_while_others_change);

/// Echo requests a second, on each flow.
const RATE: u32 = 100;
/// So many are sent on each flow, at least.
const PACKETS: u32 = 1000;

/// A flow that is to lose nothing.
struct Flow {
    what: &'static str,
    stream: Stream,
}

impl Flow {
    fn start(what: &'static str, from: &Host, to: std::net::IpAddr) -> Flow {
        Flow { what, stream: from.stream(to, RATE) }
    }

    #[track_caller]
    fn finish(self) {
        let report = self.stream.finish();
        println!("{}: {} of {} lost", self.what, report.lost(), report.sent);
        assert!(report.sent >= PACKETS, "{}: only {} were sent", self.what, report.sent);
        assert_eq!(report.lost(), 0, "{}: {report:?}", self.what);
    }
}

/// S2.5: 1000 packets at 100 a second on this peering, on another one and inside a network, while subnets come and go
/// and while other networks peer, withdraw and peer again, and while the daemon ends, is
/// killed and starts.
fn no_packet_is_lost_while_others_change(lab: &Lab) {
    let mut tenants = Tenants::new(lab);
    let others: Vec<_> = [("c", 3), ("d", 4), ("e", 5)]
        .map(|(name, n)| lab.add_network(name, &[&format!("10.{n}.0.0/24 fd0{n}::/64")]))
        .into();
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest(&tenants.a, "a2", 1);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    let c1 = lab.add_guest(&others[0], "c1", 0);
    let d1 = lab.add_guest(&others[1], "d1", 1);
    let e1 = lab.add_guest(&others[2], "e1", 1);
    for (project, router) in [("red", "c"), ("grey", "d"), ("pink", "e")] {
        tenants.daemon.bind_network(project, "net", router);
    }
    let daemon = &tenants.daemon;
    daemon.declare("red", &half("to-grey", "net", "grey/net"));
    daemon.declare("grey", &half("to-red", "net", "red/net"));
    tenants.peer();
    lab.settle();
    for (from, to) in [(&a1, &b1), (&c1, &d1), (&a1, &a2)] {
        from.assert_reaches(to);
    }
    let start = std::time::Instant::now();
    let flows = [
        Flow::start("this peering, v4", &a1, b1.v4()),
        Flow::start("this peering, v6", &a1, b1.v6()),
        Flow::start("another peering, v4", &c1, d1.v4()),
        Flow::start("another peering, v6", &c1, d1.v6()),
        Flow::start("one switch, v4", &a2, a1.v4()),
    ];
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(11) || rounds < 2 {
        // An unrelated subnet of a peered network comes, ...
        let subnet = format!("10.{}.0.0/24 fd{}::/64", 50 + rounds, 50 + rounds);
        lab.add_subnet(&mut tenants.a, &subnet);
        let port = tenants.a.subnets.last().expect("a subnet").router_port.clone();
        tenants.daemon.wait_until("the subnet is carried over", |_| {
            let routed = linked_prefixes(&lab.dump(), "b");
            if routed.len() == 4 { Ok(()) } else { Err(format!("{routed:?}")) }
        });
        // ... another network peers with the same one, ...
        let both = half("to-db", "web", "green/db") + &half("to-pink", "web", "pink/net");
        tenants.daemon.declare("blue", &both);
        tenants.daemon.declare("pink", &half("to-web", "net", "blue/web"));
        tenants.daemon.wait_state("pink", "net", "to-web", "active");
        e1.assert_reaches(&a1);
        // ... both go, ...
        lab.nbctl(&["lrp-del", &port]);
        tenants.daemon.withdraw("pink");
        tenants.blue_declares();
        tenants.wait_active();
        // ... and the daemon is away for a while.
        if rounds % 2 == 0 {
            tenants.daemon.terminate()
        } else {
            tenants.daemon.kill9()
        }
        lab.sync();
        tenants.daemon.start_again();
        tenants.wait_active();
        lab.sync();
        rounds += 1;
    }
    println!("{rounds} rounds");
    flows.into_iter().for_each(Flow::finish);
}
