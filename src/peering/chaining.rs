//! Chains: what peers of a network reach through an appliance of that network, be it each other or
//! what lies behind it.
//!
//! A chain stands if three agree: the network that has the appliance, by the halves of both peers;
//! and each of the two peers, by a half that reaches through that network what the other one
//! announces there. Of those prefixes both directions stand, or neither. Each of the two pairs makes
//! this decision for itself, of the same facts, so both decide the same. The peerings stand with or
//! without it. What a half reaches through the other side are claims like any others; chains are
//! none, so the decisions do not form a circle.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::declare::{Appliance, Cover, Terms};
use crate::northbound::{End, Family, RouterFacts};

use super::facts::PairFacts;
use super::listed::Listed;
use super::local::Ready;
use super::outcome::{Link, LinkEnd};
use super::prefix::{Prefixes, overlap};
use super::through::{Chain, Hop, Offer, Through};

/// Something is in the way of what a half reaches through the other side.
const CONFLICT: &str = "conflict-subnet";
/// No port of the router leads to the appliance.
const NOT_CONNECTED: &str = "appliance-not-connected";
/// One of the peers has not agreed.
const AWAITING: &str = "awaiting-spoke";
/// The router drops it before it looks where the appliance is.
const NO_ROUTE: &str = "no-route-at-hub";
/// The prefixes of a chain cannot be told apart, or are not the network's to lead to.
const CHAIN_CONFLICT: &str = "chain-conflict";
/// The other side leads nothing through an appliance.
const NOT_LED: &str = "not-led-through";

/// What of chains there is, and what of them cannot be, for the owners of both ends.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) through: Option<Box<Through>>,
    pub(super) degraded: [Vec<String>; 2],
}

/// One peer of the network that has the appliance.
struct Spoke<'a> {
    /// Its end of its link.
    end: &'a LinkEnd,
    /// What its router may route through the other end.
    reach: &'a [IpNet],
    /// The other end of that link, which is the network's that has the appliance.
    hub: &'a LinkEnd,
}

/// Adds what each end reaches through the other one to the prefixes that it wants to route.
pub(super) fn add_reach(pair: &PairFacts, wanted: &mut [Prefixes; 2]) {
    for (end, wanted) in End::BOTH.into_iter().zip(wanted) {
        let reach = terms(pair, end).map(|terms| &terms.reach_through.prefixes);
        if let Some(reach) = reach.filter(|reach| !reach.is_empty()) {
            *wanted = wanted.iter().chain(reach).copied().collect();
        }
    }
}

/// What lies behind the appliances of one end's network, as its half says.
pub(super) fn behind(pair: &PairFacts, hub: End) -> Prefixes {
    let appliances = terms(pair, hub).map(|terms| &*terms.appliances.list).unwrap_or_default();
    appliances.iter().flat_map(|appliance| appliance.destinations.iter().copied()).collect()
}

/// Decides on the chains over a link.
pub(super) fn decide_through(pair: &PairFacts, link: &Link, (a, b): (&Ready, &Ready)) -> Decided {
    let takes_part = |end| {
        let has =
            |it: &Terms| !it.reach_through.prefixes.is_empty() || !it.appliances.list.is_empty();
        terms(pair, end).is_some_and(has)
    };
    let mut decided = Decided::default();
    if !End::BOTH.into_iter().any(takes_part) {
        return decided;
    }
    let Decided { degraded: [at_a, at_b], .. } = &mut decided;
    let mut through = Through::default();
    for (end, ready, own) in [(End::A, a, &mut *at_a), (End::B, b, &mut *at_b)] {
        let of = through.end_mut(end);
        (of.reach, of.tables) = reach(pair, link, (end, ready), own);
        of.offer = offer(pair, end);
    }
    for (hub, ready, own) in [(End::A, a, &mut *at_a), (End::B, b, &mut *at_b)] {
        let chains = Hub { pair, link, through: &through, end: hub, ready }.chains(own);
        through.end_mut(hub).chains = chains.into();
    }
    for (end, own) in [(End::A, at_a), (End::B, at_b)] {
        let remote = &link.end(end.other()).network;
        let chains = &through.end(end.other()).chains;
        let led = |prefix: &IpNet| {
            chains.iter().any(|chain| chain.there.iter().any(|there| overlap(there, prefix)))
        };
        let waiting = through.end(end).reach.iter().filter(|prefix| !led(prefix));
        own.extend(waiting.map(|prefix| {
            format!("{NOT_LED}: {remote} leads this network to nothing in {prefix} at present")
        }));
    }
    decided.through = Some(Box::new(through));
    decided
}

/// The terms of an end's half. A half that is enough for both sides agrees to nothing of the other
/// one.
fn terms<'a>(pair: &PairFacts<'a>, end: End) -> Option<&'a Terms> {
    pair.end(end).terms()
}

/// The appliances of an end's network, if its half has any.
fn offer(pair: &PairFacts, hub: End) -> Option<Offer> {
    let half = pair.end(hub).half?;
    let terms = half.terms.as_ref().filter(|terms| !terms.appliances.list.is_empty())?;
    Some(Offer { half: Arc::clone(&half.key.name), terms: Arc::clone(terms) })
}

/// What an end's router may route through the other end, in which tables, and why not the rest.
fn reach(
    pair: &PairFacts,
    link: &Link,
    (end, ready): (End, &Ready),
    degraded: &mut Vec<String>,
) -> (Prefixes, Arc<sorted_vec::SortedSet<Arc<str>>>) {
    let key = "reach_through";
    let list = Listed { pair, link, end, ready, key, word: CONFLICT };
    let asked = terms(pair, end).map(|terms| &*terms.reach_through.prefixes).unwrap_or_default();
    let tables = list.tables();
    // What crosses anyway needs no appliance.
    let crosses = Cover::of(&link.end(end.other()).prefixes);
    let mut routable = Vec::with_capacity(asked.len());
    for prefix in asked.iter().filter(|prefix| !crosses.contains(prefix)) {
        // The route will be to a part of it, and may meet one of others there.
        let routes = ready.router.routes.iter().filter(|route| route.link != Some(pair.id));
        let mut inside = routes.filter(|route| {
            let here = !route.by_source && tables.contains(&route.table);
            here && prefix.contains(&route.prefix)
        });
        match inside.next() {
            None => routable.push(*prefix),
            Some(route) => degraded.push(format!(
                "{CONFLICT}: {prefix} of {key} overlaps the static route {} of router {}, and is left out",
                route.text, ready.router.name
            )),
        }
    }
    (list.admit(&routable, degraded), tables)
}

/// The end of a link whose network may have appliances.
struct Hub<'a, 'f> {
    pair: &'a PairFacts<'f>,
    link: &'a Link,
    through: &'a Through,
    end: End,
    ready: &'a Ready,
}

impl Hub<'_, '_> {
    /// The chains of the peer at the other end.
    fn chains(&self, degraded: &mut Vec<String>) -> Vec<Chain> {
        let mut chains = Vec::new();
        let Some(offer) = &self.through.end(self.end).offer else { return chains };
        // An entry that does not name its own half is none that the other half could share.
        let is_at = |it: &&Appliance| it.between.iter().any(|name| **name == *offer.half);
        for appliance in offer.terms.appliances.list.iter().filter(is_at) {
            let hops = hops(appliance, &self.ready.router, degraded);
            if hops.is_empty() {
                continue;
            }
            for other in appliance.others(&offer.half) {
                match self.to_spoke(appliance, &hops, other) {
                    Ok(chain) => chains.push(chain),
                    Err(why) => degraded.push(why),
                }
            }
            if !appliance.destinations.is_empty() {
                chains.extend(self.to_behind(appliance, &hops, degraded));
            }
        }
        chains
    }

    /// The peer at the other end.
    fn own(&self) -> Spoke<'_> {
        let spoke = self.end.other();
        Spoke {
            end: self.link.end(spoke),
            reach: &self.through.end(spoke).reach,
            hub: self.link.end(self.end),
        }
    }

    /// The chain to the peer of another half, or why there is none.
    fn to_spoke(&self, appliance: &Appliance, hops: &[Hop], name: &str) -> Result<Chain, String> {
        let own = self.own();
        let partner = (self.pair.partner)(self.end, name);
        let agreed = partner.as_ref().and_then(|partner| {
            let through = partner.link.through.as_deref()?;
            let offer = through.end(partner.hub).offer.as_ref()?;
            offer.terms.appliances.list.contains(appliance).then_some((partner, through))
        });
        let Some((partner, through)) = agreed else {
            return Err(format!(
                "{AWAITING}: the half {name} is not linked, or has no such appliance"
            ));
        };
        let spoke = partner.hub.other();
        let other = Spoke {
            end: partner.link.end(spoke),
            reach: &through.end(spoke).reach,
            hub: partner.link.end(partner.hub),
        };
        let mut here = narrow(&own.end.prefixes, other.reach);
        let mut there = narrow(&other.end.prefixes, own.reach);
        for (from, to, prefixes) in [(&own, &other, &there), (&other, &own, &here)] {
            if prefixes.is_empty() {
                return Err(format!(
                    "{AWAITING}: {} does not reach through this network what {} announces here",
                    from.end.network, to.end.network
                ));
            }
        }
        // A chain of one direction alone would be lost at an appliance that keeps state.
        let both = |family: &Family| {
            let has = |prefixes: &[IpNet]| prefixes.iter().any(|it| Family::of(it) == *family);
            has(&here) && has(&there) && hops.iter().any(|hop| hop.family() == *family)
        };
        let families: Vec<Family> = Family::BOTH.into_iter().filter(both).collect();
        here.retain(|prefix| families.contains(&Family::of(prefix)));
        there.retain(|prefix| families.contains(&Family::of(prefix)));
        if families.is_empty() {
            let (one, other) = (&own.end.network, &other.end.network);
            return Err(format!(
                "{NOT_CONNECTED}: the appliance has no address of a family that {one} and {other} reach each other in"
            ));
        }
        if let Some((one, other)) = overlapping(&here, &there) {
            return Err(format!(
                "{CHAIN_CONFLICT}: {one} of {} overlaps {other} of {}",
                own.end.network,
                partner.link.end(spoke).network
            ));
        }
        unrouted(&own, &here, hops)
            .or_else(|| unrouted(&other, &there, hops))
            .map_or(Ok(()), Err)?;
        Ok(Chain {
            other: Some((partner.link.id, other.end.network.clone())),
            here: here.into(),
            there: there.into(),
            hops: hops.iter().filter(|hop| families.contains(&hop.family())).cloned().collect(),
            unrouted: Box::default(),
        })
    }

    /// The chain to what lies behind an appliance, or why there is none.
    fn to_behind(
        &self,
        appliance: &Appliance,
        hops: &[Hop],
        degraded: &mut Vec<String>,
    ) -> Option<Chain> {
        let own = self.own();
        let spoke = &own.end.network;
        let asked = narrow(&appliance.destinations, own.reach);
        if asked.is_empty() {
            degraded.push(format!(
                "{AWAITING}: {spoke} does not reach through this network what lies behind the appliance"
            ));
            return None;
        }
        let usable = |prefix: &IpNet| {
            let family = Family::of(prefix);
            let sent = own.end.prefixes.iter().any(|it| Family::of(it) == family);
            sent && hops.iter().any(|hop| hop.family() == family)
        };
        let mut there = Vec::new();
        for prefix in asked.into_iter().filter(usable) {
            match self.in_the_way(&prefix) {
                None => there.push(prefix),
                Some(why) => {
                    degraded.push(format!("{CHAIN_CONFLICT}: the destination {prefix} {why}"))
                }
            }
        }
        let families: BTreeSet<Family> = there.iter().map(Family::of).collect();
        let of = |family| families.contains(&family);
        let here: Prefixes =
            own.end.prefixes.iter().filter(|it| of(Family::of(it))).copied().collect();
        let routes = &self.ready.router.routes;
        let leads = |prefix: &IpNet| {
            let mut routes = routes.iter().filter(|route| route.is_main() && !route.discards);
            routes.any(|route| route.prefix.contains(prefix))
        };
        (!there.is_empty()).then(|| Chain {
            other: None,
            here,
            unrouted: there.iter().filter(|prefix| !leads(prefix)).copied().collect(),
            there: there.into(),
            hops: hops.iter().filter(|hop| of(hop.family())).cloned().collect(),
        })
    }

    /// Why the network cannot lead its peer to a destination.
    fn in_the_way(&self, prefix: &IpNet) -> Option<String> {
        let network = self.link.end(self.end);
        if !Cover::of(&self.ready.network.may_export).contains(prefix) {
            return Some(format!("is not within may_export of {}", network.network));
        }
        let router = &self.ready.router;
        let mut connected = router.inward.iter().chain(&router.outward);
        if let Some(own) = connected.find(|own| overlap(&own.prefix, prefix)) {
            return Some(format!("overlaps {}, connected on port {}", own.prefix, own.port));
        }
        let spoke = self.link.end(self.end.other());
        if let Some(own) = spoke.prefixes.iter().find(|own| overlap(own, prefix)) {
            return Some(format!("overlaps {own} of {}", spoke.network));
        }
        let claim = (self.pair.claimed)(self.end, prefix)?;
        Some(format!("overlaps {} of its peer {}", claim.prefix, claim.network))
    }
}

/// The addresses of an appliance that the router can send to.
fn hops(appliance: &Appliance, router: &RouterFacts, degraded: &mut Vec<String>) -> Vec<Hop> {
    let mut hops = Vec::new();
    for address in &appliance.address {
        match hop(*address, router) {
            Some(hop) => hops.push(hop),
            None => degraded.push(format!(
                "{NOT_CONNECTED}: {address} is no guest's address in a subnet of router {}",
                router.name
            )),
        }
    }
    hops
}

fn hop(address: IpAddr, router: &RouterFacts) -> Option<Hop> {
    if router.inward.iter().any(|own| own.address == address) {
        return None;
    }
    let net = router.inward.iter().find(|net| net.prefix.contains(&address))?;
    let table = router.port_tables.iter().find(|(port, _)| *port == net.port);
    let table = table.map(|(_, table)| Arc::clone(table)).unwrap_or_default();
    Some(Hop { address, port: Arc::clone(&net.port), table })
}

/// What one peer announces as far as the other one reaches it, sorted, no prefix inside another.
fn narrow(announced: &[IpNet], reach: &[IpNet]) -> Vec<IpNet> {
    let narrower = |one: &IpNet, other: &IpNet| {
        let inner = if one.contains(other) { other } else { one };
        overlap(one, other).then_some(*inner)
    };
    let both = announced.iter().flat_map(|one| reach.iter().filter_map(|it| narrower(one, it)));
    let mut narrowed: Vec<IpNet> = Vec::new();
    for prefix in both.collect::<BTreeSet<IpNet>>() {
        if !narrowed.last().is_some_and(|last| last.contains(&prefix)) {
            narrowed.push(prefix);
        }
    }
    narrowed
}

fn overlapping<'a>(here: &'a [IpNet], there: &'a [IpNet]) -> Option<(&'a IpNet, &'a IpNet)> {
    here.iter().find_map(|one| Some((one, there.iter().find(|other| overlap(one, other))?)))
}

/// The first prefix of a peer to which no route of the hub leads, neither for the other peer nor for
/// the appliance: OVN drops it before it looks at policies.
fn unrouted(spoke: &Spoke<'_>, prefixes: &[IpNet], hops: &[Hop]) -> Option<String> {
    let leads = |table: &Arc<str>, prefix: &IpNet| match &spoke.hub.routes {
        None => spoke.hub.tables.contains(table),
        Some(placed) => {
            placed.iter().any(|(in_table, to)| in_table == table && to.contains(prefix))
        }
    };
    let missing = |prefix: &IpNet| {
        let hop = hops.iter().find(|hop| hop.family() == Family::of(prefix));
        let tables = [Arc::default()].into_iter().chain(hop.map(|hop| Arc::clone(&hop.table)));
        tables.into_iter().find(|table| !leads(table, prefix))
    };
    prefixes.iter().find_map(|prefix| {
        let table = missing(prefix)?;
        let table = if table.is_empty() {
            "main route table".to_owned()
        } else {
            format!("route table {table}")
        };
        Some(format!(
            "{NO_ROUTE}: this network has no route to {prefix} of {} in its {table}",
            spoke.end.network
        ))
    })
}
