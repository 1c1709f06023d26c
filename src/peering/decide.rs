//! The rules for one pair of networks: two halves, two routers, one verdict each.
//!
//! The only place that produces a [`Verdict`], with `alone` for halves that are not linked and
//! `linking` for two ends that agree.

use jiff::Timestamp;

use crate::northbound::End;

use super::alone::verdict_alone;
use super::chaining;
use super::facts::{EndFacts, PairFacts};
use super::gateway;
use super::inputs::User;
use super::linking::decide_link;
use super::local::{Local, Ready};
use super::outcome::{Resolution, Verdict, earlier};
use super::prefix::Prefixes;
use super::request::Request;
use super::space::offered;
use super::state::Reason;

/// The prefixes that each end's router is to route, if only conflicts can still prevent a link.
pub(super) fn wanted(pair: &PairFacts) -> [Prefixes; 2] {
    match candidate(pair) {
        Some((a, b)) => {
            let mut wanted = [offered(pair, End::B, b).prefixes, offered(pair, End::A, a).prefixes];
            gateway::add_listed(pair, (a, b), &mut wanted);
            chaining::add_reach(pair, &mut wanted);
            wanted
        }
        None => Default::default(),
    }
}

/// At each end, the prefixes that lie behind appliances there, if only conflicts can still prevent a
/// link: no claim of another pair may overlap them.
pub(super) fn watched(pair: &PairFacts) -> [Prefixes; 2] {
    candidate(pair).map(|_| End::BOTH.map(|end| chaining::behind(pair, end))).unwrap_or_default()
}

/// The end that may use the other end's gateway, if only another peering can still prevent it.
pub(super) fn user(pair: &PairFacts) -> Option<User> {
    candidate(pair).and_then(|ends| gateway::user(pair, ends))
}

/// Decides.
pub(super) fn decide(pair: &PairFacts) -> Resolution {
    let mut resolution = match candidate(pair) {
        Some((a, b)) => decide_link(pair, a, b),
        None => {
            let verdict = |end: End| {
                let half = pair.end(end).half?;
                Some(verdict_alone(pair, half, end).into())
            };
            Resolution { verdicts: [verdict(End::A), verdict(End::B)], ..Resolution::default() }
        }
    };
    let [at_a, at_b] = &mut resolution.verdicts;
    for (end, at) in [(&pair.a, at_a), (&pair.b, at_b)] {
        let Some(verdict) = at else { continue };
        verdict.persisted.expired = end.request.expired();
        resolution.due = earlier(resolution.due, due(end, verdict.reason));
        at.take_if(|verdict| **verdict == Verdict::linked());
    }
    resolution
}

/// Both networks, if both sides agree and are ready.
fn candidate<'a>(pair: &PairFacts<'a>) -> Option<(&'a Ready, &'a Ready)> {
    let ready = |end: &EndFacts<'a>| match end.local {
        Some(Local::Ready(ready))
            if end.is_willing()
                && !pair.lacks_workload(ready)
                && !pair.lacks_ownership(end, ready) =>
        {
            Some(ready.as_ref())
        }
        _ => None,
    };
    let (a, b) = (ready(&pair.a)?, ready(&pair.b)?);
    a.mismatch(b).is_none().then_some((a, b))
}

/// The moment at which time alone changes the verdict on a half.
fn due(end: &EndFacts, reason: Option<Reason>) -> Option<Timestamp> {
    match end.request {
        Request::Open { until } => until.filter(|_| reason == Some(Reason::AwaitingPeer)),
        // If the clock is put back, the request has not expired after all, so it is decided again
        // then.
        Request::Expired { renewed, .. } => Some(renewed.unwrap_or(Timestamp::MAX)),
    }
}
