//! Decides which names of one end's guests the guests of the other end are told: those that one half
//! offers and the other one asks for.
//!
//! A name crosses as the addresses do that it stands for: each must be in what crosses, and guests of
//! the other end must be let open something there. What is left of the records is all that the
//! other side can learn. Who asks for names, only its own side is told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::declare::{Cover, Domains};
use crate::northbound::special::special;
use crate::northbound::{Answer, BalancerFacts, End, NameFacts};
use crate::traffic::{Protocol, Rule};

use super::facts::PairFacts;
use super::local::Ready;
use super::outcome::{Link, Verdict};
use super::told_names::Naming;

/// A word that programs can search for.
const TOO_MANY: &str = "too-many-names";

/// So many names of the other side guests are told at most: each is written to the northbound, and
/// to the southbound, once for each peer.
const MOST_NAMES: usize = 1024;

/// Adds the names to a link, and what is wrong with them to the verdicts.
pub(super) fn name(
    pair: &PairFacts,
    (a, b): (&Ready, &Ready),
    link: &mut Link,
    [at_a, at_b]: &mut [Verdict; 2],
) {
    for (provider, own, other) in [(End::A, a, b), (End::B, b, a)] {
        let user = provider.other();
        let terms = |end: End| pair.end(end).terms();
        let Some(offer) = terms(provider).and_then(|it| it.offer_names.names.as_ref()) else {
            continue;
        };
        let switches = BalancerFacts::of(pair.northbound).inward_switches(&own.router);
        let mut names = NameFacts::of(pair.northbound).answers(&switches);
        let crossing = Crossing::of(link, provider);
        names.retain(|name, answer| among(offer, name, answer) && crossing.narrow(answer));
        let here = link.end_mut(provider).naming.get_or_insert_default();
        here.offered = Some(names.len());
        here.read.extend(switches);
        let Some(wanted) = terms(user).and_then(|it| it.tell_names.names.as_ref()) else {
            continue;
        };
        names.retain(|name, answer| among(wanted, name, answer));
        let verdict = if user == End::A { &mut *at_a } else { &mut *at_b };
        let count = names.len();
        if count > MOST_NAMES {
            verdict.degraded.push(format!(
                "{TOO_MANY}: {} tells {count} names; guests get {MOST_NAMES} of them",
                pair.end(provider).network
            ));
        }
        tell(pair, user, other, first(names), link.end_mut(user).naming.get_or_insert_default());
    }
}

/// Tells the guests of an end these names, unless somebody has them there.
fn tell(
    pair: &PairFacts,
    user: End,
    ready: &Ready,
    names: BTreeMap<Arc<str>, Answer>,
    there: &mut Naming,
) {
    let switches = BalancerFacts::of(pair.northbound).inward_switches(&ready.router);
    if switches.is_empty() {
        return;
    }
    let own = NameFacts::of(pair.northbound).names(&switches);
    for (name, answer) in names {
        there.claimed.insert(Arc::clone(&name));
        if own.contains(&*name) || (pair.name_rival)(user, &name) {
            there.taken.push(name);
        } else {
            there.told.insert(name, answer);
        }
    }
    there.read.extend(switches.iter().copied());
    there.switches.extend(switches);
}

/// Whether a half's key is about this name: about a guest's name, also where an address leads to it.
fn among(domains: &Domains, name: &str, answer: &Answer) -> bool {
    match answer {
        Answer::Addresses(_) => domains.contain(name),
        Answer::Name(_, guest) => domains.contain(guest),
    }
}

/// What crosses from the end that offers names.
struct Crossing<'a> {
    prefixes: Cover,
    /// What the other end may open there, each with whether it is about all its packets, of IPv4 and
    /// of IPv6; `None` for everything.
    openings: Option<Vec<(&'a Rule, [bool; 2])>>,
}

impl<'a> Crossing<'a> {
    fn of(link: &'a Link, provider: End) -> Self {
        let opener = provider.other();
        let sources = &link.end(opener).prefixes;
        let about_all = |rule: &Rule, ip4: bool| {
            let mut of_family = sources.iter().filter(|net| net.addr().is_ipv4() == ip4);
            let from = Cover::of(&rule.sources);
            rule.protocol == Protocol::Any && of_family.all(|net| from.contains(net))
        };
        let openings = link.traffic.as_deref().map(|traffic| {
            let rules = traffic.opened_by(opener).rules.iter();
            rules.map(|rule| (rule, [about_all(rule, true), about_all(rule, false)])).collect()
        });
        Self { prefixes: Cover::of(&link.end(provider).prefixes), openings }
    }

    /// Leaves of an answer what crosses; whether there is something.
    fn narrow(&self, answer: &mut Answer) -> bool {
        match answer {
            Answer::Addresses(addresses) => {
                addresses.retain(|address| self.has(*address));
                !addresses.is_empty()
            }
            Answer::Name(address, _) => self.has(*address),
        }
    }

    fn has(&self, address: IpAddr) -> bool {
        let host = address.into();
        self.prefixes.contains(&host) && special(&host).is_none() && self.is_open(address)
    }

    /// Whether the other end may open anything at an address.
    fn is_open(&self, address: IpAddr) -> bool {
        let Some(openings) = &self.openings else { return true };
        let about = |rule: &Rule| rule.destinations.iter().any(|net| net.contains(&address));
        for (rule, [all_ip4, all_ip6]) in openings.iter().filter(|(rule, _)| about(rule)) {
            let all = if address.is_ipv4() { *all_ip4 } else { *all_ip6 };
            if rule.allows() || all {
                return rule.allows();
            }
        }
        false
    }
}

/// As many as are told: guests before addresses, in order.
fn first(names: BTreeMap<Arc<str>, Answer>) -> BTreeMap<Arc<str>, Answer> {
    if names.len() <= MOST_NAMES {
        return names;
    }
    let (guests, addresses): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|(_, answer)| matches!(answer, Answer::Addresses(_)));
    guests.into_iter().chain(addresses).take(MOST_NAMES).collect()
}
