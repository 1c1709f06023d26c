//! Parity: whether a peering would carry all that a link of others carries. Then it can take the
//! place of that link, and no packet is lost.
//!
//! Each route over the link must lead to prefixes that the peering would route in the same table. What
//! is missing has two texts. The one for the owner of the router names the row. The one for the other
//! side names only prefixes of its own.

use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::declare::{Cover, NetworkKey};
use crate::northbound::{End, ForeignRoute};

use super::facts::PairFacts;
use super::local::Ready;
use super::outcome::{Link, Resolution, Verdict};
use super::prefix::overlap;

/// A text names at most this much of what is missing: more would not help.
const MOST_NAMED: usize = 8;

/// What is missing, of end A first.
#[derive(Debug, Default)]
pub(super) struct Parity {
    missing: bool,
    ends: [Told; 2],
}

/// What an end's owner is told.
#[derive(Debug, Default)]
struct Told {
    texts: Vec<String>,
    steps: Vec<String>,
}

/// One end of the two, with the ports of the links there.
#[derive(Clone, Copy)]
struct Side<'a> {
    end: End,
    network: &'a NetworkKey,
    ready: &'a Ready,
    ports: &'a [[Arc<str>; 2]],
}

impl Parity {
    /// `ports` are those of the links, and `instead` is the decision without these links.
    pub(super) fn of(
        pair: &PairFacts,
        (a, b): (&Ready, &Ready),
        ports: &[[Arc<str>; 2]],
        instead: &Resolution,
    ) -> Self {
        let mut parity = Self::default();
        let Some(link) = instead.link.as_deref() else {
            parity.missing = true;
            for end in End::BOTH {
                let Some(Verdict { explanation, next_step, .. }) = instead.verdict(end) else {
                    continue;
                };
                let told = parity.told(end);
                told.texts.extend(explanation.map(|why| format!("without it, {why}")));
                told.steps.extend(next_step);
            }
            return parity;
        };
        let side = |end: End, ready| Side { end, network: pair.end(end).network, ready, ports };
        let (at_a, at_b) = (side(End::A, a), side(End::B, b));
        parity.compare(link, at_a, at_b);
        parity.compare(link, at_b, at_a);
        parity
    }

    /// Whether nothing is missing.
    pub(super) fn holds(&self) -> bool {
        !self.missing
    }

    /// Adds to the verdict on one end's half what is missing and what to do.
    pub(super) fn explain(&self, end: End, verdict: &mut Verdict) {
        let [a, b] = &self.ends;
        let told = if end == End::A { a } else { b };
        if let Some(text) = verdict.explanation.as_mut().filter(|_| self.missing) {
            text.push_str("; it cannot be taken over");
            if !told.texts.is_empty() {
                text.push_str(": ");
                text.push_str(&named(&told.texts));
            }
        }
        let otherwise = verdict.next_step.take().unwrap_or_default();
        verdict.next_step = Some(if !self.missing {
            format!("an operator can take it over (`ovn-peerctl take-over`); or {otherwise}")
        } else if told.steps.is_empty() {
            otherwise
        } else {
            let steps = named(&told.steps);
            format!("{steps}; then an operator can take it over; or {otherwise}")
        });
    }

    /// Notes what leaves one end's router by the links and would not leave by the peering.
    fn compare(&mut self, link: &Link, here: Side<'_>, there: Side<'_>) {
        let router = &here.ready.router;
        for route in router.routes.iter().filter(|route| here.is_over(&route.over)) {
            if !carries(link, here, route) {
                self.lack(route, here, there);
            }
        }
        for policy in router.policies.iter().filter(|policy| here.is_over(&policy.over)) {
            self.missing = true;
            let told = self.told(here.end);
            told.texts.push(format!(
                "the reroute policy of priority {} ({}) of router {} sends over it",
                policy.priority, policy.text, router.name
            ));
            told.steps.push("remove that policy".to_owned());
        }
    }

    fn lack(&mut self, route: &ForeignRoute, here: Side<'_>, there: Side<'_>) {
        self.missing = true;
        let (router, prefix) = (&here.ready.router.name, &route.prefix);
        let told = self.told(here.end);
        if route.by_source {
            told.texts
                .push(format!("the source route {} of router {router} leads over it", route.text));
            told.steps.push("remove that route".to_owned());
            return;
        }
        let table = match &*route.table {
            "" => String::new(),
            table => format!(" in table {table}"),
        };
        told.texts.push(format!(
            "the peering would not route {prefix}{table}, where the static route {} of router {router} \
             leads over it",
            route.text
        ));
        let remote = there.network;
        told.steps.push(format!("have {prefix} cross from {remote}, or remove that route"));
        let unowned = there.ready.guests.as_ref().map(|guests| guests.unowned.as_slice());
        let is_of_guests = Cover::of(unowned.unwrap_or_default()).contains(prefix);
        let is_own = Cover::of(&there.ready.prefixes).contains(prefix);
        let told = self.told(there.end);
        let local = there.network;
        if is_of_guests {
            told.texts.push(format!("{prefix} leads to guests and is not announced"));
            told.steps.push(format!("the operator can add {prefix} to may_export of {local}"));
        } else if is_own {
            told.texts.push(format!("{prefix} would not cross{table} at {}", here.network));
            told.steps.push(format!("let {prefix} cross (export and import of the two halves)"));
        } else {
            let text = format!("{} routes over it what {local} does not have", here.network);
            if !told.texts.contains(&text) {
                told.texts.push(text);
            }
        }
    }

    fn told(&mut self, end: End) -> &mut Told {
        let [a, b] = &mut self.ends;
        if end == End::A { a } else { b }
    }
}

impl Side<'_> {
    /// Whether that is a port of the links here.
    fn is_over(&self, port: &Option<Arc<str>>) -> bool {
        let mut ports = self.ports.iter().map(|[a, b]| if self.end == End::A { a } else { b });
        port.as_ref().is_some_and(|port| ports.any(|of_link| of_link == port))
    }
}

/// Whether the peering would route all that a route leads over the links.
fn carries(link: &Link, here: Side<'_>, route: &ForeignRoute) -> bool {
    let prefix = &route.prefix;
    let ours: Vec<IpNet> = routes(link, here.end)
        .into_iter()
        .filter(|(table, own)| **table == *route.table && overlap(own, prefix))
        .map(|(_, own)| own)
        .collect();
    // A route of others may be narrower than ours, where it was wider than this one.
    let others = here.ready.router.routes.iter().filter(|other| !here.is_over(&other.over));
    let mut others = others.filter(|other| {
        !other.by_source && other.table == route.table && other.prefix.contains(prefix)
    });
    let diverts =
        |other: &ForeignRoute| ours.iter().any(|own| own.prefix_len() <= other.prefix.prefix_len());
    !route.by_source && Cover::of(&ours).contains(prefix) && !others.any(diverts)
}

/// All routes of the peering on one end's router, each with its table.
fn routes(link: &Link, end: End) -> Vec<(&str, IpNet)> {
    let (local, remote) = (link.end(end), link.end(end.other()));
    let own = local.routes_to(remote).chain(link.reached_by_table(end));
    let mut routes: Vec<(&str, IpNet)> = own.map(|(table, prefix)| (&**table, prefix)).collect();
    let Some(gateway) = link.used_by(end) else { return routes };
    let all = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    let to = gateway.listed.as_deref().unwrap_or(&all);
    let tables = gateway.tables.iter();
    routes.extend(tables.flat_map(|table| to.iter().map(move |prefix| (&**table, *prefix))));
    routes
}

fn named(texts: &[String]) -> String {
    texts.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join("; ")
}
