//! What passes although no list allows it, because policies keep no state.

use ipnet::IpNet;

use super::product::Rule;
use super::protocol::{Ports, Protocol};

/// For each rule on what this side may open: which packets of the other side pass that are no
/// replies to it. Replies of TCP are known by their flags, those of ICMP by their type; all others
/// by their source port alone, unless the switches keep state of them (`guarded`).
#[must_use]
pub fn inexact(inward: &[Rule], outward: &[Rule], guarded: bool) -> Vec<String> {
    let open = |rule: &Rule| {
        let above = Rule {
            sources: rule.destinations.clone(),
            destinations: rule.sources.clone(),
            protocol: rule.protocol.whole(),
            ..rule.clone()
        };
        inward.first().is_some_and(|first| first.allows() && first.covers(&above))
    };
    let rules = outward.iter().filter(|rule| rule.allows() && !open(rule));
    rules.filter_map(|rule| sentence(rule, guarded)).collect()
}

fn sentence(rule: &Rule, guarded: bool) -> Option<String> {
    let list = |nets: &[IpNet]| nets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ");
    let (from, to) = (list(&rule.destinations), list(&rule.sources));
    let of_ports = |name: &str, ports: &Ports| {
        let from_ports = if ports.ranges().is_empty() {
            "from any port".to_owned()
        } else {
            format!("from port{ports}")
        };
        format!("{name} {from_ports} of {from} to any port of {to}")
    };
    let packets = match &rule.protocol {
        Protocol::Tcp(_) | Protocol::Icmp(_) => return None,
        Protocol::Udp(_) | Protocol::Sctp(_) | Protocol::Number(_) if guarded => return None,
        Protocol::Any if guarded => {
            format!("every protocol but TCP, UDP, SCTP and ICMP from {from} to {to}")
        }
        Protocol::Udp(ports) => of_ports("UDP", ports),
        Protocol::Sctp(ports) => of_ports("SCTP", ports),
        Protocol::Any => format!("all but openings of TCP and ICMP from {from} to {to}"),
        Protocol::Number(number) => format!("protocol {number} from {from} to {to}"),
    };
    Some(format!("{packets} passes: it may be a reply"))
}
