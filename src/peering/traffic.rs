//! Applies the traffic filters of two halves to their link.

use std::net::IpAddr;

use crate::declare::{Filters, TrafficList};
use crate::northbound::End;
use crate::traffic::{Crossing, Entry, Policies, TooComplex, compile, product};

use super::facts::PairFacts;
use super::local::Ready;
use super::outcome::{Link, Traffic};

/// The lists of one end; `None` lets everything open.
#[derive(Clone, Copy)]
struct Lists<'a> {
    inward: Option<&'a [Entry]>,
    outward: Option<&'a [Entry]>,
}

/// Which packets may cross a link; `None` for all.
pub(super) fn filtered(
    pair: &PairFacts,
    link: &Link,
    (a, b): (&Ready, &Ready),
) -> Result<Option<Box<Traffic>>, TooComplex> {
    let (of_a, of_b) = (lists(pair, End::A), lists(pair, End::B));
    if [of_a.inward, of_a.outward, of_b.inward, of_b.outward].iter().all(Option::is_none) {
        return Ok(None);
    }
    let all = [Entry::default()];
    let opened = |opener: Lists<'_>, opened: Lists<'_>, by: End| {
        let (from, to) = (link.end(by), link.end(by.other()));
        let (out, inward) = (opener.outward.unwrap_or(&all), opened.inward.unwrap_or(&all));
        product((out, &from.prefixes), (inward, &to.prefixes))
    };
    let (from_a, from_b) = (opened(of_a, of_b, End::A)?, opened(of_b, of_a, End::B)?);
    let policies = |end: End, ready: &Ready| -> Result<Policies, TooComplex> {
        let (inward, outward) = match end {
            End::A => (&from_b, &from_a),
            End::B => (&from_a, &from_b),
        };
        let (local, remote) = (link.end(end), link.end(end.other()));
        let own: Vec<IpAddr> = ready.router.inward.iter().map(|net| net.address).collect();
        compile(&Crossing {
            inward: &inward.rules,
            outward: &outward.rules,
            remote: &remote.prefixes,
            local: &local.prefixes,
            own: &own,
            stateful: is_stateful(pair, end),
        })
    };
    let (at_a, at_b) = (policies(End::A, a)?, policies(End::B, b)?);
    let anchors = |ready: &Ready, policies: &Policies| {
        if policies.guard.is_empty() { Box::default() } else { ready.router.anchors.clone() }
    };
    let anchors = [anchors(a, &at_a), anchors(b, &at_b)];
    Ok(Some(Box::new(Traffic::new([from_a, from_b], [at_a, at_b], anchors))))
}

/// Whether the switches of an end drop what is no reply.
fn is_stateful(pair: &PairFacts, end: End) -> bool {
    let side = pair.end(end);
    !side.implied && side.terms().is_some_and(|terms| terms.stateful.wanted)
}

/// The lists of an end. A half that is enough for both sides decides for both.
fn lists<'a>(pair: &PairFacts<'a>, end: End) -> Lists<'a> {
    let side = pair.end(end);
    if side.implied {
        return Lists { inward: None, outward: None };
    }
    let terms = side.terms();
    let declared = |list: Option<&'a TrafficList>| match (
        list.and_then(|list| list.0.as_deref()),
        pair.filters,
    ) {
        (None, Filters::Open) => None,
        (None, Filters::Closed) => Some(&[][..]),
        (list @ Some(_), _) => list,
    };
    Lists {
        inward: declared(terms.map(|terms| &terms.inward.list)),
        outward: declared(terms.map(|terms| &terms.outward.list)),
    }
}
