//! The ways of a packet from router to router, until it arrives, ends or leaves.
//!
//! Where OVN may do either of several things, or a row cannot be read, every possible way is
//! followed. So an answer is certain if all ways end alike.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::{End, Id, guard_name, link_port_name};
use crate::northbound::tables::{ACL, PORT_GROUP, acl, port_group};
use crate::northbound::{BalancerFacts, Northbound, UnitId};

use super::matching::{Place, holds};
use super::packet::{ICMP, ICMP6, Packet};
use super::policies::{Action, Policy, decisions};
use super::router::{Port, Router, find_set, link_of};
use super::routes::{Route, RouteTo, routes};
use super::translations::{Translated, is_external, translations};
use super::truth::Truth;

/// Routers on one way, and ways of one packet, at the most.
const MOST_HOPS: usize = 24;
const MOST_WAYS: usize = 64;

/// What one router does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The router.
    pub router: Uuid,
    /// The port by which the packet enters.
    pub inport: String,
    /// The route that it takes; none if it goes no further, or is the router's own.
    pub route: Option<Route>,
    /// The policy that decides on it; none if none matches.
    pub policy: Option<Policy>,
    /// The translation of its source.
    pub translated: Option<Translated>,
    /// The port by which it leaves.
    pub outport: Option<String>,
    /// The guest that the router gives it to, to forward it: a policy says so.
    pub through: Option<IpAddr>,
}

/// How a way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// On the switches of a router's port.
    Arrives {
        /// The router.
        router: Uuid,
        /// Its port.
        port: String,
        /// The guest that is to take it further; none if it is for the guests there.
        next_hop: Option<IpAddr>,
    },
    /// It is for the router itself.
    AtRouter(Uuid),
    /// It leaves by an uplink.
    Leaves {
        /// The router.
        router: Uuid,
        /// Its uplink.
        port: String,
    },
    /// It is dropped.
    Dropped(Dropped),
    /// It cannot be told.
    Unknown(Unknown),
}

/// Why a packet is dropped; the last hop says where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// No route leads there.
    NoRoute,
    /// The route discards it.
    Discard,
    /// The policy of the last hop drops it.
    Policy,
    /// The router is disabled.
    RouterDisabled,
    /// A port is disabled, or leads nowhere.
    Port(String),
    /// The router itself answers nothing but pings.
    RouterIsSilent,
    /// Its source is an address of the router itself.
    OwnSource,
    /// An ACL that keeps state, of ours, on the switch where it would arrive.
    Guard(Uuid),
    /// It goes round in a circle.
    Loop,
}

/// Why the end of a way cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// A policy jumps to a chain.
    Chain,
    /// The destination belongs to a NAT row or a load balancer of the last router.
    Translated,
    /// There are too many ways.
    TooMany,
    /// The router learns routes that the northbound does not have.
    Learned,
}

/// One way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The routers on it.
    pub hops: Vec<Hop>,
    /// How it ends.
    pub ending: Ending,
}

/// Where a packet starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The router that it comes to first.
    pub router: Uuid,
    /// The port by which it enters.
    pub port: String,
    /// Whether it opens something: a guard drops nothing else.
    pub opens: bool,
    /// Whether the router itself sends it.
    pub is_own: bool,
    /// The routers that are asked: only the first one, or all on the way.
    pub only_first: bool,
}

/// All ways that a packet may take. With `only_first`, a way that leaves the first router ends as if it
/// had arrived behind the port by which it leaves.
#[must_use]
pub fn ways(northbound: &Northbound, start: &Start, packet: &Packet) -> Vec<Way> {
    let mut walker = Walker { northbound, start, found: Vec::new() };
    walker.enter(start.router, &start.port, packet.clone(), Vec::new(), start.is_own);
    walker.found
}

/// The inward port of a router behind which an address is: of a subnet, or of a guest that routes there.
#[must_use]
pub fn port_of(northbound: &Northbound, router: Uuid, net: &IpNet) -> Option<String> {
    let router = Router::find(northbound, router)?;
    let is_inward = |port: &Port<'_>| {
        link_of(port.name).is_none()
            && port.peer().is_empty()
            && !port.has_gateway()
            && !northbound.leads_outside(port.name)
    };
    let inside =
        |port: &Port<'_>| port.networks().any(|own| own.trunc().contains(net)) && is_inward(port);
    if let Some(port) = router.ports().find(inside) {
        return Some(port.name.to_owned());
    }
    let packet = Packet::opening(*net, *net, super::packet::Opening::Any);
    let found = routes(&router, "", &packet).into_iter().flatten();
    let mut ports = found.filter_map(|route| match route.to {
        RouteTo::Port { port, .. } if !route.by_source => router.port(&port),
        RouteTo::Port { .. } | RouteTo::Discard => None,
    });
    ports.find(is_inward).map(|port| port.name.to_owned())
}

/// Whether an address is in a subnet of a router's own ports.
#[must_use]
pub fn is_connected(northbound: &Northbound, router: Uuid, net: &IpNet) -> bool {
    let router = Router::find(northbound, router);
    let mut ports = router.iter().flat_map(Router::ports);
    ports.any(|port| {
        link_of(port.name).is_none() && port.networks().any(|own| own.trunc().contains(net))
    })
}

/// What ovn-trace needs of a port: its Ethernet address.
#[must_use]
pub fn mac_of(northbound: &Northbound, router: Uuid, port: &str) -> Option<String> {
    Router::find(northbound, router)?.port(port).map(|port| port.mac().to_owned())
}

struct Walker<'a> {
    northbound: &'a Northbound,
    start: &'a Start,
    found: Vec<Way>,
}

impl Walker<'_> {
    fn end(&mut self, hops: Vec<Hop>, ending: Ending) {
        self.found.push(Way { hops, ending });
    }

    fn enter(&mut self, uuid: Uuid, inport: &str, packet: Packet, hops: Vec<Hop>, is_own: bool) {
        if self.found.len() >= MOST_WAYS {
            return self.end(hops, Ending::Unknown(Unknown::TooMany));
        }
        let again = |hop: &Hop| hop.router == uuid && hop.inport == inport;
        if hops.len() >= MOST_HOPS || hops.iter().any(again) {
            return self.end(hops, Ending::Dropped(Dropped::Loop));
        }
        let hop = Hop {
            router: uuid,
            inport: inport.to_owned(),
            route: None,
            policy: None,
            translated: None,
            outport: None,
            through: None,
        };
        let with = |mut hops: Vec<Hop>, hop: &Hop| {
            hops.push(hop.clone());
            hops
        };
        let Some(router) = Router::find(self.northbound, uuid) else {
            return self.end(with(hops, &hop), Ending::Dropped(Dropped::RouterDisabled));
        };
        if let Some(ending) = self.received(&router, inport, &packet, is_own) {
            return self.end(with(hops, &hop), ending);
        }
        let table = router.port(inport).map(|port| port.table()).unwrap_or_default();
        for route in routes(&router, table, &packet) {
            let mut hop = hop.clone();
            let to = route.as_ref().map(|route| route.to.clone());
            hop.route = route;
            match to {
                None if router.learns() => {
                    self.end(with(hops.clone(), &hop), Ending::Unknown(Unknown::Learned));
                }
                None => self.end(with(hops.clone(), &hop), Ending::Dropped(Dropped::NoRoute)),
                Some(RouteTo::Discard) => {
                    self.end(with(hops.clone(), &hop), Ending::Dropped(Dropped::Discard));
                }
                Some(RouteTo::Port { port, next_hop }) => {
                    self.decide(&router, (hop, &port, next_hop), &packet, &hops);
                }
            }
        }
    }

    /// What becomes of a packet before it is routed, if it goes no further.
    fn received(
        &self,
        router: &Router<'_>,
        inport: &str,
        packet: &Packet,
        is_own: bool,
    ) -> Option<Ending> {
        if !router.is_enabled() {
            return Some(Ending::Dropped(Dropped::RouterDisabled));
        }
        if router.port(inport).is_none_or(|port| !port.is_enabled()) {
            return Some(Ending::Dropped(Dropped::Port(inport.to_owned())));
        }
        if is_own {
            return None;
        }
        if router.owns(&packet.source) {
            return Some(Ending::Dropped(Dropped::OwnSource));
        }
        if router.owns(&packet.destination) {
            let is_ping = packet.protocol.is_none_or(|it| it == ICMP || it == ICMP6);
            return Some(match is_ping {
                true => Ending::AtRouter(router.uuid),
                false => Ending::Dropped(Dropped::RouterIsSilent),
            });
        }
        let balanced = || {
            let address = packet.destination.addr();
            let balancers = BalancerFacts::of(self.northbound);
            balancers.with_address(address, router.uuid, &BTreeSet::new()).is_some()
        };
        let is_other = is_external(router, &packet.destination) || balanced();
        is_other.then_some(Ending::Unknown(Unknown::Translated))
    }

    /// The policies, after the route has given the port by which the packet is to leave.
    fn decide(
        &mut self,
        router: &Router<'_>,
        (hop, outport, next_hop): (Hop, &str, Option<IpAddr>),
        packet: &Packet,
        hops: &[Hop],
    ) {
        let place = Place { packet, inport: &hop.inport, outport };
        for policy in decisions(router, &place) {
            let mut hop = hop.clone();
            let action = policy.as_ref().map_or(Action::Allow, |policy| policy.action.clone());
            hop.policy = policy;
            let end = |walker: &mut Self, hop: Hop, ending| {
                walker.end(hops.iter().cloned().chain([hop]).collect(), ending);
            };
            match action {
                Action::Allow => {
                    self.leave(router, (hop, outport, next_hop, false), packet, hops);
                }
                Action::Drop => end(self, hop, Ending::Dropped(Dropped::Policy)),
                Action::Jump => end(self, hop, Ending::Unknown(Unknown::Chain)),
                Action::Reroute(to) => {
                    for next_hop in to {
                        let Some(port) = router.port_towards(next_hop) else { continue };
                        let to = (hop.clone(), port.name, Some(next_hop), true);
                        self.leave(router, to, packet, hops);
                    }
                }
            }
        }
    }

    fn leave(
        &mut self,
        router: &Router<'_>,
        (hop, outport, next_hop, rerouted): (Hop, &str, Option<IpAddr>, bool),
        packet: &Packet,
        hops: &[Hop],
    ) {
        let Some(out) = router.port(outport).filter(Port::is_enabled) else {
            let hops = hops.iter().cloned().chain([hop]).collect();
            return self.end(hops, Ending::Dropped(Dropped::Port(outport.to_owned())));
        };
        for translated in translations(router, &out, packet) {
            let mut packet = packet.clone();
            let mut hop = hop.clone();
            if let Some(translated) = &translated {
                packet.source = translated.to.into();
            }
            hop.translated = translated;
            hop.outport = Some(outport.to_owned());
            let hops: Vec<Hop> = hops.iter().cloned().chain([hop]).collect();
            self.forward(router, &out, (next_hop, rerouted), packet, hops);
        }
    }

    /// Out of a port: into another router, or onto a switch.
    fn forward(
        &mut self,
        router: &Router<'_>,
        out: &Port<'_>,
        (next_hop, rerouted): (Option<IpAddr>, bool),
        packet: Packet,
        mut hops: Vec<Hop>,
    ) {
        if self.start.only_first {
            let ending =
                Ending::Arrives { router: router.uuid, port: out.name.to_owned(), next_hop };
            return self.end(hops, ending);
        }
        let beside = self.beside(router, out);
        if let Some(beside) = beside {
            return match beside {
                Some((other, port)) => self.enter(other, &port, packet, hops, false),
                None => self.end(hops, Ending::Dropped(Dropped::Port(out.name.to_owned()))),
            };
        }
        let switches = self.northbound.switches_of(out.name);
        if switches.is_empty() {
            return self.end(hops, Ending::Dropped(Dropped::Port(out.name.to_owned())));
        }
        let to = next_hop.unwrap_or(packet.destination.addr());
        let exact = next_hop.is_some()
            || packet.destination.prefix_len() == packet.destination.max_prefix_len();
        let neighbour = switches
            .iter()
            .flat_map(|switch| self.northbound.router_ports_on(*switch))
            .filter(|name| *name != out.name && exact)
            .find_map(|name| self.router_at(name, to));
        if let Some((other, port)) = neighbour {
            return self.enter(other, &port, packet, hops, false);
        }
        if out.has_gateway() || self.northbound.leads_outside(out.name) {
            let ending = Ending::Leaves { router: router.uuid, port: out.name.to_owned() };
            return self.end(hops, ending);
        }
        let is_for_guest = next_hop.is_none_or(|hop| IpNet::from(hop) == packet.destination);
        if rerouted && !is_for_guest {
            // It is the guest's to forward, which comes back by the same port.
            if let Some(hop) = hops.last_mut() {
                hop.through = next_hop;
            }
            return self.enter(router.uuid, out.name, packet, hops, false);
        }
        let next_hop = next_hop.filter(|_| !is_for_guest);
        let guard = self.guard(&packet, &hops);
        let ending = Ending::Arrives { router: router.uuid, port: out.name.to_owned(), next_hop };
        match guard {
            Some((acl, Truth::Yes)) => self.end(hops, Ending::Dropped(Dropped::Guard(acl))),
            Some((acl, Truth::Maybe)) => {
                self.end(hops.clone(), Ending::Dropped(Dropped::Guard(acl)));
                self.end(hops, ending);
            }
            Some((_, Truth::No)) | None => self.end(hops, ending),
        }
    }

    /// The router port that a port is linked to without a switch of others: `None` if it is not;
    /// `Some(None)` if nothing passes there.
    fn beside(&self, router: &Router<'_>, out: &Port<'_>) -> Option<Option<(Uuid, String)>> {
        let peer = out.peer();
        if peer.is_empty() {
            let (peering, end) = link_of(out.name)?;
            // By the switch of ours between them.
            let other = link_port_name(peering, end.other());
            let there = self.northbound.routers_with(&other).next();
            return Some(there.map(|there| (there, other)));
        }
        let there = self.northbound.routers_with(peer).next();
        let found = there.and_then(|uuid| {
            let there = Router::find(self.northbound, uuid)?;
            // Both have to name each other, and neither may be bound to a chassis.
            let agrees = there.port(peer)?.peer() == out.name;
            let passes = agrees && !there.is_gateway() && !router.is_gateway();
            passes.then(|| (uuid, peer.to_owned()))
        });
        Some(found)
    }

    fn router_at(&self, port: &str, address: IpAddr) -> Option<(Uuid, String)> {
        let uuid = self.northbound.routers_with(port).next()?;
        let router = Router::find(self.northbound, uuid)?;
        router.port(port)?.has_address(address).then(|| (uuid, port.to_owned()))
    }

    /// The guard of ours on the switches where a packet arrives that came by a link.
    fn guard(&self, packet: &Packet, hops: &[Hop]) -> Option<(Uuid, Truth)> {
        let (peering, end): (Id, End) =
            link_of(&hops.last()?.inport).filter(|_| self.start.opens)?;
        let name = guard_name(peering, end);
        let rows = self.northbound.rows_of(UnitId::Peering(peering));
        let mut drops = rows.filter(|(table, uuid, row)| {
            let of_guard = |group: Uuid| {
                let row = self.northbound.replica().row(PORT_GROUP, group);
                row.is_some_and(|row| {
                    row.get(port_group::NAME).is_string(&name)
                        && !row.get(port_group::PORTS).is_empty()
                })
            };
            *table == ACL
                && row.get(acl::ACTION).is_string("drop")
                && self.northbound.parents_of(*uuid).any(of_guard)
        });
        let (_, uuid, row) = drops.next()?;
        let place = Place { packet, inport: "", outport: "" };
        let sets = |name: &str| find_set(self.northbound, name);
        Some((uuid, holds(row.get(acl::MATCH).string(), &place, &sets)))
    }
}
