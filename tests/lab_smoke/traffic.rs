//! The probes for traffic filters tell what policies do that the test writes itself, between two routers that it joins.

use crate::lab::Lab;
use crate::lab::host::Host;
use crate::lab::topology::Network;
use crate::lab::traffic::{Asked, Flow, Outcome};
use crate::on_every_lab;

on_every_lab!(probes_tell_what_passes, a_flood_is_counted_packet_by_packet);

/// Two networks whose routers are joined by hand, with a guest each.
fn joined(lab: &Lab) -> [Host; 2] {
    let networks = [("a", "10.1.0.0/24 fd01::/64"), ("b", "10.2.0.0/24 fd02::/64")]
        .map(|(name, subnet)| lab.add_network(name, &[subnet]));
    let hosts = [lab.add_guest(&networks[0], "a1", 0), lab.add_guest(&networks[1], "b1", 1)];
    let mut rows = String::new();
    for (at, network) in networks.iter().enumerate() {
        let (mac, own, far) = (lab.fresh_mac(), at + 1, 2 - at);
        let (name, other) = (network.router(), networks[1 - at].router());
        rows += &format!(
            "lrp-add {name} {name}-x {mac} 169.254.9.{own}/30 fe90::{own}/64 peer={other}-x\n"
        );
        rows += &routes(&networks[1 - at], name, far);
    }
    lab.nbctl_batch(&rows);
    lab.settle();
    hosts[0].assert_reaches(&hosts[1]);
    hosts
}

fn routes(to: &Network, router: &str, far: usize) -> String {
    let route = |prefix: ipnet::IpNet| {
        let hop = if prefix.addr().is_ipv4() { "169.254.9." } else { "fe90::" };
        format!("lr-route-add {router} {prefix} {hop}{far} {router}-x\n")
    };
    to.prefixes().map(route).collect()
}

/// What comes in from `a` at `b`.
const AT: &str = "inport == \"b-x\"";

fn deny(lab: &Lab, what: &str) {
    lab.nbctl(&["lr-policy-add", "b", "32700", &format!("{AT} && {what}"), "drop"]);
}

fn clear(lab: &Lab) {
    lab.nbctl(&["lr-policy-del", "b"]);
    lab.sync_packets();
}

fn probes_tell_what_passes(lab: &Lab) {
    use Outcome::{Answered, Lost, Refused};
    let [a1, b1] = &joined(lab);
    let _serving = b1.serve_all(&[22, 80], &[53, 123]);
    let both = [b1.v4(), b1.v6()];
    let ask_all = |tcp22, udp53, closed| {
        let mut all = vec![];
        for to in both {
            all.extend([
                a1.ask_tcp(to, 80, 0, Answered),
                a1.ask_tcp(to, 22, 0, tcp22),
                a1.ask_tcp(to, 22, 5432, tcp22),
                a1.ask_tcp(to, 81, 0, closed),
                a1.ask_udp(to, 123, 0, Answered),
                a1.ask_udp(to, 53, 0, udp53),
                a1.ask_udp(to, 54, 0, closed),
                a1.ask_udp_with(to, 123, 0, 3000, Answered),
            ]);
        }
        Asked::assert_all(all);
    };
    ask_all(Answered, Answered, Refused);
    let ports = [(b1.v4(), 22), (b1.v6(), 22), (b1.v4(), 80), (b1.v6(), 80)];
    assert_eq!(a1.are_answered_in_fragments(&ports), [true; 4]);
    deny(lab, "(tcp.dst == {22, 81} || udp.dst == {53, 54})");
    lab.sync_packets();
    ask_all(Lost, Lost, Lost);
    // No fragment shows its ports.
    assert_eq!(a1.are_answered_in_fragments(&ports), [true; 4]);
    clear(lab);
    deny(lab, "tcp && (tcp.dst == 22 || ip.is_frag)");
    deny(lab, "udp && ip.is_frag");
    lab.sync_packets();
    assert_eq!(a1.are_answered_in_fragments(&ports), [false; 4]);
    let large = both.map(|to| a1.ask_udp_with(to, 123, 0, 3000, Lost));
    Asked::assert_all(large);
    clear(lab);
    let [held, kept] = [80, 22].map(|port| a1.hold(b1.v4(), port));
    let seen = b1.capture("tcp dst port 80 and tcp[13] = 2");
    deny(lab, "tcp.dst == 80");
    lab.sync_packets();
    Asked::assert_all([a1.ask_tcp(b1.v4(), 80, 0, Lost)]);
    let held = held.until_cut();
    assert!(held.cut && held.echoed > 0, "{held:?}");
    let kept = kept.finish();
    assert!(!kept.cut && kept.echoed > held.echoed, "{kept:?}");
    assert_eq!(seen.stop(), Vec::<String>::new(), "no opening arrives");
    clear(lab);
    let seen = b1.capture("tcp dst port 80 and tcp[13] = 2");
    Asked::assert_all([a1.ask_tcp(b1.v4(), 80, 0, Answered)]);
    assert_eq!(seen.stop().len(), 1, "an opening arrives");
    lab.assert_all_matches_parse();
}

fn a_flood_is_counted_packet_by_packet(lab: &Lab) {
    let [a1, b1] = &joined(lab);
    let flow = |number, protocol, v6, ports| {
        let [source, target] = if v6 { [a1.v6(), b1.v6()] } else { [a1.v4(), b1.v4()] };
        Flow { number, source, target, protocol, ports, flags: 2, kind: if v6 { 128 } else { 8 } }
    };
    let flows = [
        flow(0, 6, false, [40_000, 80]),
        flow(1, 6, true, [40_000, 81]),
        flow(2, 17, false, [40_000, 53]),
        flow(3, 17, true, [53, 40_000]),
        flow(4, 1, false, [0, 0]),
        flow(5, 58, true, [0, 0]),
        flow(6, 47, false, [0, 0]),
    ];
    deny(lab, "(tcp.dst == 81 || udp.src == 53)");
    lab.sync_packets();
    let watch = b1.watch(&flows);
    let flood = a1.flood(&flows, 1000);
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(3) {
        a1.assert_reaches(b1);
    }
    let (sent, arrived) = (flood.finish(), watch.finish());
    for flow in &flows {
        let sent = sent[&flow.number].len();
        let arrived = arrived.get(&flow.number).map_or(0, |numbers| numbers.len());
        let wanted = if [1, 3].contains(&flow.number) { 0 } else { sent };
        assert_eq!(arrived, wanted, "of {sent} of {flow:?}");
        assert!(sent > 300, "{sent} of {flow:?} in three seconds");
    }
}
