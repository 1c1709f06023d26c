//! Whether the addresses of a question are among the prefixes that cross.

use ipnet::IpNet;

use crate::declare::NetworkKey;
use crate::peering::Link;
use crate::peering::report::report;
use crate::reach::Packet;
use crate::view::{Passes, WhyFact, WhyStep};

use super::ground::{Ground, ends_of, step};

/// The steps of both prefixes of a packet, as far as they are told.
pub(super) fn crossing(
    ground: &Ground<'_>,
    link: &Link,
    from: &NetworkKey,
    packet: &Packet,
) -> Vec<WhyStep> {
    let (opener, opened) = ends_of(&link.key, from);
    let (local, remote) = (link.end(opener), link.end(opened));
    let one = |end: &crate::peering::LinkEnd, other: &NetworkKey, net: &IpNet| {
        let prefix = Ground::prefix_with(&end.prefixes, net);
        let because =
            if prefix.is_none() { because(ground, link, &end.network, net) } else { None };
        let passes = if prefix.is_some() { Passes::Yes } else { Passes::No };
        step(
            passes,
            WhyFact::Crosses {
                network: end.network.to_string(),
                to: other.to_string(),
                address: *net,
                prefix,
                crossing: if prefix.is_some() { Vec::new() } else { end.prefixes.to_vec() },
                because,
            },
        )
    };
    let source = one(local, &remote.network, &packet.source);
    let destination = one(remote, &local.network, &packet.destination);
    vec![source, destination]
}

/// Why a prefix with an address does not cross, from the half of the network that has it.
fn because(ground: &Ground<'_>, link: &Link, network: &NetworkKey, net: &IpNet) -> Option<String> {
    let half = ground.half_of(&link.key, network).and_then(|half| ground.said(half))?;
    let report = report(&ground.state.resolver, half, &ground.state.declarations);
    let mut held = report.held_back.into_iter();
    held.find(|(prefix, _)| prefix.contains(net)).map(|(_, why)| why)
}
