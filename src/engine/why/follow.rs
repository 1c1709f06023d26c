//! Follows packets from one network to another, and their answers back, by the rows that are there.

use std::num::NonZeroU16;

use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::NetworkKey;
use crate::northbound::{BalancerFacts, Vip};
use crate::peering::end_of;
use crate::reach::{self, Ending, Packet, Start, Truth, Way};

use super::ground::Ground;

/// The ways of one packet.
#[derive(Debug)]
pub(in crate::engine) struct Ways {
    /// The packet.
    pub(in crate::engine) packet: Packet,
    /// Where it starts.
    pub(in crate::engine) start: Start,
    /// Its ways, each with whether it ends where it should.
    pub(in crate::engine) all: Vec<(Way, Truth)>,
}

/// A virtual address of a load balancer, and where its packets go.
#[derive(Debug)]
pub(in crate::engine) struct Balanced {
    /// The virtual address.
    pub(in crate::engine) vip: Vip,
    /// Whether the balancer is a copy of ours: it comes by a peering.
    pub(in crate::engine) is_ours: bool,
}

/// Packets that were followed there and back.
#[derive(Debug, Default)]
pub(in crate::engine) struct Followed {
    pub(in crate::engine) balanced: Option<Balanced>,
    pub(in crate::engine) there: Vec<Ways>,
    pub(in crate::engine) back: Vec<Ways>,
    /// Whether the source is behind the router of its network.
    pub(in crate::engine) has_start: bool,
}

impl Ways {
    pub(in crate::engine) fn truth(&self) -> Truth {
        Truth::agreed(self.all.iter().map(|(_, arrives)| *arrives)).unwrap_or(Truth::No)
    }
}

impl Followed {
    /// Whether the opening arrives, and the answer too.
    pub(in crate::engine) fn truth(&self) -> [Truth; 2] {
        let of = |ways: &[Ways]| Truth::agreed(ways.iter().map(Ways::truth)).unwrap_or(Truth::No);
        let there = of(&self.there);
        // Of an end that cannot be told, neither can be the answer.
        let is_open = there == Truth::Maybe && self.back.is_empty();
        [there, if is_open { Truth::Maybe } else { of(&self.back) }]
    }

    /// Whether both do.
    pub(in crate::engine) fn passes(&self) -> Truth {
        let [there, back] = self.truth();
        there.and(back)
    }
}

/// Follows what is opened from one network to another.
pub(in crate::engine) fn follow(
    ground: &Ground<'_>,
    (from, to): (&NetworkKey, &NetworkKey),
    packet: &Packet,
) -> Followed {
    let mut followed = Followed::default();
    let Some(router) = ground.router_of(from) else { return followed };
    let Some(port) = reach::port_of(ground.northbound, router, &packet.source) else {
        return followed;
    };
    followed.has_start = true;
    let found = balanced(ground, &port, packet);
    let packets = found.as_ref().map_or_else(|| vec![packet.clone()], |it| it.packets(packet));
    followed.balanced = found;
    for packet in packets {
        let start =
            Start { router, port: port.clone(), opens: true, is_own: false, only_first: false };
        let ways = walk(ground, start, packet, |ending, packet, hops| {
            arrives(ground, (from, to), ending, packet, hops)
        });
        for (way, truth) in &ways.all {
            if *truth != Truth::No
                && let Some(back) = answer(ground, from, way, &ways.packet)
                && !followed
                    .back
                    .iter()
                    .any(|other| other.start == back.start && other.packet == back.packet)
            {
                followed.back.push(back);
            }
        }
        followed.there.push(ways);
    }
    followed
}

pub(in crate::engine) fn walk(
    ground: &Ground<'_>,
    start: Start,
    packet: Packet,
    arrives: impl Fn(&Ending, &Packet, &[reach::Hop]) -> Truth,
) -> Ways {
    let ways = reach::ways(ground.northbound, &start, &packet);
    let all = ways
        .into_iter()
        .map(|way| {
            let truth = arrives(&way.ending, &packet, &way.hops);
            // A guest on the way may forward it or not.
            let guests = way.hops.iter().any(|hop| hop.through.is_some());
            let truth = if guests { truth.and(Truth::Maybe) } else { truth };
            (way, truth)
        })
        .collect();
    Ways { packet, start, all }
}

/// The ways of the answer to a packet that has arrived.
fn answer(ground: &Ground<'_>, from: &NetworkKey, way: &Way, packet: &Packet) -> Option<Ways> {
    let last = way.hops.last()?;
    let (router, port, is_own) = match &way.ending {
        Ending::Arrives { router, port, .. } | Ending::Leaves { router, port } => {
            (*router, port.clone(), false)
        }
        Ending::AtRouter(router) => (*router, last.inport.clone(), true),
        Ending::Dropped(_) | Ending::Unknown(_) => return None,
    };
    let outside = matches!(way.ending, Ending::Leaves { .. });
    let is_translated = way.hops.iter().any(|hop| hop.translated.is_some());
    let home = ground.router_of(from);
    let start = Start { router, port, opens: false, is_own, only_first: false };
    let back = walk(ground, start, packet.reply(), |ending, packet, _| match ending {
        Ending::Arrives { router, next_hop, .. } if Some(*router) == home => {
            is_home(ground, *router, &packet.destination, next_hop.is_some())
        }
        Ending::Unknown(_) => Truth::Maybe,
        Ending::Arrives { .. }
        | Ending::AtRouter(_)
        | Ending::Leaves { .. }
        | Ending::Dropped(_) => Truth::No,
    });
    let all = back.all.into_iter().map(|(way, truth)| {
        // The outside needs a route back, unless the router's own address stands for the guest; and
        // inside, what is translated answers to another address.
        let unsure = outside != is_translated;
        (way, if unsure { truth.and(Truth::Maybe) } else { truth })
    });
    Some(Ways { all: all.collect(), ..back })
}

/// Whether a packet that arrives on a subnet of a router arrives where its address is.
fn is_home(ground: &Ground<'_>, router: Uuid, net: &IpNet, by_guest: bool) -> Truth {
    if !by_guest {
        return Truth::Yes;
    }
    // Given to another guest although it is in a subnet of the router itself.
    Truth::from(!reach::is_connected(ground.northbound, router, net))
}

fn arrives(
    ground: &Ground<'_>,
    (from, to): (&NetworkKey, &NetworkKey),
    ending: &Ending,
    packet: &Packet,
    hops: &[reach::Hop],
) -> Truth {
    let target = ground.router_of(to);
    let net = &packet.destination;
    match ending {
        Ending::Arrives { router, next_hop, .. } if Some(*router) == target => {
            is_home(ground, *router, net, next_hop.is_some())
        }
        Ending::Arrives { .. } => {
            let by_target = hops.iter().any(|hop| Some(hop.router) == target);
            (by_target && is_reached(ground, from, to, net)).into()
        }
        Ending::AtRouter(router) if Some(*router) == target => {
            if packet.protocol.is_none() {
                Truth::Maybe
            } else {
                Truth::Yes
            }
        }
        Ending::Leaves { router, .. } if Some(*router) == target => {
            reach::port_of(ground.northbound, *router, net).is_none().into()
        }
        Ending::AtRouter(_) | Ending::Leaves { .. } | Ending::Dropped(_) => Truth::No,
        Ending::Unknown(_) => Truth::Maybe,
    }
}

/// Whether one network reaches an address through appliances of the other one.
fn is_reached(ground: &Ground<'_>, from: &NetworkKey, to: &NetworkKey, net: &IpNet) -> bool {
    let pair = crate::declare::PeeringKey::new(from.clone(), to.clone());
    let link = pair.as_ref().and_then(|pair| Some((ground.link(pair)?, end_of(pair, from))));
    link.is_some_and(|(link, end)| link.reached(end).any(|prefix| prefix.contains(net)))
}

/// The load balancer on the switches of a port that takes a packet.
fn balanced(ground: &Ground<'_>, port: &str, packet: &Packet) -> Option<Balanced> {
    let exact = packet.destination.prefix_len() == packet.destination.max_prefix_len();
    let switches = ground.northbound.switches_of(port);
    let found = exact.then(|| {
        BalancerFacts::of(ground.northbound).on_switches(&switches, packet.destination.addr())
    })?;
    found.into_iter().find_map(|(balancer, is_ours)| {
        let protocol = balancer.protocol;
        let vip = balancer.vips.into_iter().find(|vip| {
            vip.at.address == packet.destination.addr() && takes(vip, protocol, packet)
        })?;
        Some(Balanced { vip, is_ours })
    })
}

/// Whether the port of a virtual address, if it has one, is that of a packet.
pub(super) fn takes(vip: &Vip, protocol: Option<&str>, packet: &Packet) -> bool {
    let Some(port) = vip.at.port else { return true };
    let number = match protocol {
        Some("udp") => reach::UDP,
        Some("sctp") => reach::SCTP,
        _ => reach::TCP,
    };
    packet.to_ports == (port.get(), port.get()) && packet.protocol == Some(number)
}

impl Balanced {
    /// The packet as each backend gets it.
    fn packets(&self, packet: &Packet) -> Vec<Packet> {
        let backends = self.vip.backends.iter().map(|backend| {
            let port = backend.at.port.map(NonZeroU16::get);
            Packet {
                destination: backend.at.address.into(),
                to_ports: port.map_or(packet.to_ports, |port| (port, port)),
                ..packet.clone()
            }
        });
        backends.collect()
    }
}
