//! Decides which load balancers cross a link: those that one half exports and the other one uses.
//!
//! What is wrong with an export only its own side is told, whether the other side uses it or not:
//! so nobody learns from it who uses a balancer. What is in the way at the users' side only that
//! side is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{Cover, NetworkKey};
use crate::northbound::owner::balancer_name;
use crate::northbound::special::special;
use crate::northbound::{Backend, Balancer, BalancerFacts, End, Endpoint, Vip};

use super::balancer_copies::BalancerCopy;
use super::facts::PairFacts;
use super::local::Ready;
use super::outcome::{Link, Verdict};

/// Words that programs can search for.
const NOT_FOUND: &str = "balancer-not-found";
const NOT_OWNED: &str = "vip-not-owned";
const IN_USE: &str = "vip-in-use";
const OUTSIDE: &str = "backend-outside";

/// Of the problems of each end this many are listed.
const MOST_LISTED: usize = 8;

/// Adds the load balancers to a link, and what is wrong with them to the verdicts.
pub(super) fn balance(
    pair: &PairFacts,
    (a, b): (&Ready, &Ready),
    link: &mut Link,
    [at_a, at_b]: &mut [Verdict; 2],
) {
    for (provider, own, other) in [(End::A, a, b), (End::B, b, a)] {
        let names = exported(pair, provider);
        if names.is_empty() {
            continue;
        }
        let mut offer = Offer::new(pair, provider, own, link);
        offer.read(names);
        let (mine, theirs) = match provider {
            End::A => (&mut *at_a, &mut *at_b),
            End::B => (&mut *at_b, &mut *at_a),
        };
        mine.degraded.extend(listed(std::mem::take(&mut offer.flaws)));
        let used = uses(pair, provider.other()).then(|| Use::of(&offer, other));
        let here = link.end_mut(provider).balancing.get_or_insert_default();
        here.exported = names.to_vec();
        here.rows = offer.rows;
        if let Some(used) = used {
            theirs.degraded.extend(listed(used.clashes));
            let there = link.end_mut(provider.other()).balancing.get_or_insert_default();
            there.claimed = used.claimed;
            there.copies = used.copies;
            there.switches = used.switches;
        }
    }
}

/// The balancers that an end's half exports to the other one.
fn exported<'a>(pair: &PairFacts<'a>, end: End) -> &'a [String] {
    pair.end(end).terms().map(|terms| terms.load_balancers.names.as_slice()).unwrap_or_default()
}

/// Whether guests of an end use what the other one exports.
fn uses(pair: &PairFacts, end: End) -> bool {
    pair.end(end).terms().is_some_and(|terms| terms.use_load_balancers.wanted)
}

/// The first of some problems, and how many more there are.
fn listed(mut problems: Vec<String>) -> Vec<String> {
    let more = problems.len().saturating_sub(MOST_LISTED);
    problems.truncate(MOST_LISTED);
    problems.extend(
        (more > 0).then(|| format!("{more} more virtual addresses or backends like these")),
    );
    problems
}

/// What one end offers to the other one.
struct Offer<'p, 'a> {
    pair: &'p PairFacts<'a>,
    provider: End,
    ready: &'p Ready,
    /// The prefixes that a virtual address may be in.
    owned: Cover,
    /// The prefixes that a backend may be in: those that cross.
    crossing: Cover,
    /// Virtual addresses that are offered already, each with its protocol.
    taken: BTreeSet<(Option<&'static str>, Endpoint)>,
    rows: Vec<Uuid>,
    copies: Vec<BalancerCopy>,
    /// What is wrong with it, for its own side.
    flaws: Vec<String>,
}

impl<'p, 'a> Offer<'p, 'a> {
    fn new(pair: &'p PairFacts<'a>, provider: End, ready: &'p Ready, link: &Link) -> Self {
        let crossing = &link.end(provider).prefixes;
        Self {
            pair,
            provider,
            ready,
            owned: Cover::of(&[&**crossing, &*ready.network.may_export].concat()),
            crossing: Cover::of(crossing),
            taken: BTreeSet::new(),
            rows: Vec::new(),
            copies: Vec::new(),
            flaws: Vec::new(),
        }
    }

    fn network(&self) -> &'p NetworkKey {
        self.pair.end(self.provider).network
    }

    /// Reads the balancers with these names: a row's name, or its UUID.
    fn read(&mut self, names: &[String]) {
        let by_uuid = |uuid: Uuid| names.iter().any(|name| name.parse() == Ok(uuid));
        let by_name = |name: &str| names.iter().any(|it| *it == *name);
        let facts = BalancerFacts::of(self.pair.northbound);
        let found =
            facts.with_names(&self.ready.router, |name, uuid| by_name(name) || by_uuid(uuid));
        for name in names {
            let uuid: Option<Uuid> = name.parse().ok();
            let is_it = |it: &Balancer| *it.name == **name || uuid.is_some() && it.row == uuid;
            if !found.iter().any(is_it) {
                self.flaws.push(format!(
                    "{NOT_FOUND}: no load balancer {name} is on the router of {} or on its switches",
                    self.network()
                ));
            }
        }
        // Several may have one name: Octavia makes one for each protocol.
        let mut alike: BTreeMap<(Arc<str>, Option<&str>), usize> = BTreeMap::new();
        for balancer in found {
            self.rows.extend(balancer.row);
            let key = (Arc::clone(&balancer.name), balancer.protocol);
            let before = alike.entry(key).and_modify(|before| *before += 1).or_insert(0);
            let uuid = balancer.row.filter(|_| balancer.name.is_empty());
            let protocol = balancer.protocol.unwrap_or_default();
            let uuid = uuid.map(|uuid| uuid.to_string()).unwrap_or_default();
            let parts = [&*balancer.name, &*uuid, protocol, &before.to_string()];
            let name = balancer_name(self.pair.id, self.provider, &parts);
            let content = self.crossing(balancer);
            if !content.vips.is_empty() {
                self.copies.push(BalancerCopy { name, content });
            }
        }
    }

    /// What of a balancer may cross.
    fn crossing(&mut self, balancer: Balancer) -> Balancer {
        let vips = balancer.vips.iter().filter_map(|vip| self.vip(vip, &balancer)).collect();
        for text in &balancer.unreadable {
            self.flaws.push(format!(
                "{NOT_OWNED}: the virtual address {text} of {} cannot be read",
                shown(&balancer)
            ));
        }
        Balancer { vips, row: None, unreadable: Vec::new(), ..balancer }
    }

    fn vip(&mut self, vip: &Vip, balancer: &Balancer) -> Option<Vip> {
        let (at, name) = (vip.at, shown(balancer));
        let remote = self.pair.end(self.provider.other()).network;
        let prefix = IpNet::from(at.address);
        if !self.owned.contains(&prefix) || special(&prefix).is_some() {
            self.flaws.push(format!(
                "{NOT_OWNED}: the virtual address {at} of {name} is neither in what crosses from {} to {remote} nor \
                 within its may_export",
                self.network()
            ));
            return None;
        }
        let is_ok = |backend: &&Backend| self.crossing.contains(&backend.at.address.into());
        let backends: Vec<Backend> = vip.backends.iter().filter(is_ok).cloned().collect();
        let left_out = vip.backends.iter().filter(|backend| !is_ok(backend));
        let left_out = left_out.map(|backend| backend.at.to_string());
        for backend in left_out.chain(vip.unreadable.iter().cloned()).collect::<Vec<_>>() {
            self.flaws.push(format!(
                "{OUTSIDE}: the backend {backend} of {at} of {name} is not in what crosses from {} to {remote}",
                self.network()
            ));
        }
        if backends.is_empty() {
            return None;
        }
        let protocol = at.port.map(|_| balancer.protocol.unwrap_or("tcp"));
        if !self.taken.insert((protocol, at)) {
            self.flaws.push(format!(
                "{IN_USE}: the virtual address {at} of {name} is one of another balancer that is exported, too"
            ));
            return None;
        }
        Some(Vip { at, backends, unreadable: Vec::new(), check: vip.check.clone() })
    }
}

/// A balancer as its owner knows it.
fn shown(balancer: &Balancer) -> String {
    match balancer.row.filter(|_| balancer.name.is_empty()) {
        Some(row) => row.to_string(),
        None => balancer.name.to_string(),
    }
}

/// What the other end makes of an offer.
struct Use {
    claimed: Vec<IpAddr>,
    copies: Vec<BalancerCopy>,
    switches: Vec<Uuid>,
    /// What is in the way, for the side that uses it.
    clashes: Vec<String>,
}

impl Use {
    fn of(offer: &Offer<'_, '_>, ready: &Ready) -> Self {
        let switches = BalancerFacts::of(offer.pair.northbound).inward_switches(&ready.router);
        let vips = offer.copies.iter().flat_map(|copy| &copy.content.vips);
        let claimed: BTreeSet<IpAddr> = vips.map(|vip| vip.at.address).collect();
        let mut held = BTreeSet::new();
        let mut clashes = Vec::new();
        for address in &claimed {
            let Some(by) = holder(offer, ready, &switches, *address) else { continue };
            held.insert(*address);
            clashes.push(format!(
                "{IN_USE}: the virtual address {address} of {} is {by}; guests do not get it",
                offer.network()
            ));
        }
        let copies = offer.copies.iter().filter_map(|copy| {
            let mut copy = copy.clone();
            copy.content.vips.retain(|vip| !held.contains(&vip.at.address));
            (!copy.content.vips.is_empty()).then_some(copy)
        });
        Self {
            copies: copies.collect(),
            claimed: claimed.into_iter().collect(),
            switches: switches.into_iter().collect(),
            clashes,
        }
    }
}

/// Who has an address already where it is to be used, in words.
fn holder(
    offer: &Offer<'_, '_>,
    ready: &Ready,
    switches: &BTreeSet<Uuid>,
    address: IpAddr,
) -> Option<String> {
    let router = &ready.router;
    let has = |prefix: &&IpNet| prefix.contains(&address);
    if let Some(prefix) = ready.prefixes.iter().find(has) {
        return Some(format!("in this network's own {prefix}"));
    }
    // An uplink may be shared with the other side: LXD's forwards have addresses there.
    let outward = router.outward.iter().filter(|net| !router.uplinks.contains(&net.port));
    if let Some(prefix) = outward.map(|net| &net.prefix).find(has) {
        return Some(format!("in {prefix}, which is connected to this network's router"));
    }
    if router.outward.iter().any(|net| net.address == address) {
        return Some("an address of this network's router".to_owned());
    }
    let facts = BalancerFacts::of(offer.pair.northbound);
    if facts.translates(router.uuid, address) {
        return Some("an external address of this network's router".to_owned());
    }
    if let Some(name) = facts.with_address(address, router.uuid, switches) {
        return Some(format!("one of this network's own load balancer {name}"));
    }
    let rival = (offer.pair.vip_rival)(offer.provider.other(), address)?;
    Some(format!("in use by its peer {rival}"))
}
