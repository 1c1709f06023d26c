//! Answers why packets pass between two networks, or do not, in terms of peering.
//!
//! For operators, packets are followed by the rows of all routers on the way (`reach`), and what is
//! found is put in terms of halves, prefixes and lists. A tenant gets what `show` tells of its own
//! halves, and what its own router does. Of the other side's router nothing is looked at for it, so
//! neither the text nor the time of an answer tells more.

mod crossing;
mod filters;
mod follow;
mod ground;
mod operator;
mod question;
mod steps;
mod tenant;

use crate::declare::{HalfKey, NetworkKey, PeeringKey};
use crate::view::{
    HalfView, Passes, State, Viewer, WhyEnd, WhyFact, WhyQuestion, WhyStep, WhyView,
};

use question::{Asked, stops_peering};

pub(super) use filters::first_rule;
pub(super) use follow::{follow, walk};
pub(super) use ground::Ground;
pub(super) use steps::of_way;

use super::shown::Standings;
use super::views;

/// The viewer owns neither network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeitherOwn;

/// Answers a question; of two names of one network there is nothing to say.
pub(super) fn why(
    standings: &Standings<'_>,
    viewer: &Viewer,
    question: &WhyQuestion,
) -> Result<WhyView, NeitherOwn> {
    let key = |end: &WhyEnd| NetworkKey::new(end.project.as_str(), end.network.as_str());
    let (from, to) = (key(&question.from), key(&question.to));
    if !viewer.sees(&from.project) && !viewer.sees(&to.project) {
        return Err(NeitherOwn);
    }
    let mut view = empty(question);
    let Some(pair) = PeeringKey::new(from.clone(), to.clone()) else {
        view.next_step = Some("ask about two networks: within one, no peering decides".to_owned());
        view.passes = Passes::Unsure;
        return Ok(view);
    };
    let asked = Asked { from, to, pair, question };
    let mut halves = Vec::new();
    for (network, target) in [(&asked.from, &asked.to), (&asked.to, &asked.from)] {
        if viewer.sees(&network.project) {
            halves.push(halves_towards(standings, viewer, (network, target), &asked.pair));
        }
    }
    let steps = halves.iter().zip(sides(&asked, viewer));
    view.there = steps.flat_map(|(halves, side)| half_steps(halves, side)).collect();
    note_state(&mut view, halves.iter().flatten());
    match viewer {
        Viewer::Operator => operator::answer(standings, &asked, &mut view),
        Viewer::Tenant(_) => tenant::answer(standings, viewer, &asked, &mut view),
    }
    if let Some(step) = &view.stopped_by
        && view.next_step.is_none()
    {
        view.next_step = next_step(step);
    }
    Ok(view)
}

fn empty(question: &WhyQuestion) -> WhyView {
    WhyView {
        from: question.from.clone(),
        to: question.to.clone(),
        opens: question.opens,
        passes: Passes::No,
        state: None,
        reason: None,
        stopped_by: None,
        next_step: None,
        there: Vec::new(),
        back: Vec::new(),
        reserves: Vec::new(),
        in_ovn: None,
        trace: None,
    }
}

/// The sides whose halves the viewer sees, each with its target.
fn sides<'a>(
    asked: &'a Asked<'_>,
    viewer: &Viewer,
) -> impl Iterator<Item = (&'a NetworkKey, &'a NetworkKey)> {
    let both = [(&asked.from, &asked.to), (&asked.to, &asked.from)];
    let viewer = viewer.clone();
    both.into_iter().filter(move |(network, _)| viewer.sees(&network.project))
}

/// The halves of one network that ask another one: declared ones first, the one that counts before
/// its surplus; else those that may not be declared; else those that ended.
fn halves_towards(
    standings: &Standings<'_>,
    viewer: &Viewer,
    (network, target): (&NetworkKey, &NetworkKey),
    pair: &PeeringKey,
) -> Vec<HalfView> {
    let state = standings.state;
    let declared = state.resolver.halves_of(pair).filter(|half| half.network == *network);
    let mut found: Vec<HalfKey> = declared.cloned().collect();
    if found.is_empty() && standings.northbound.is_none() {
        // Nothing is decided yet: what is declared is known all the same.
        let declared = state.declarations.halves_of_project(&network.project);
        found.extend(declared.into_iter().filter(|half| {
            let said = state.resolver.said(half, &state.declarations);
            half.network == *network && said.is_some_and(|said| said.value.target == *target)
        }));
    }
    if found.is_empty() {
        let unbelieved = state.declarations.unbelieved_halves(Some(&network.project));
        found.extend(unbelieved.into_iter().filter(|half| {
            let said = state.declarations.unbelieved_half(half);
            half.network == *network && said.is_some_and(|(half, _)| half.target == *target)
        }));
    }
    if found.is_empty() {
        let ended = state.history.of(network).filter(|(_, record)| record.targets(target));
        found.extend(ended.map(|(half, _)| half.clone()));
    }
    let views = found.iter().filter_map(|half| views::half_view(standings, half, viewer));
    let mut views: Vec<HalfView> = views.collect();
    views.sort_by_key(|half| half.reason == Some(crate::peering::Reason::PeeringConflict));
    views
}

fn half_steps(halves: &[HalfView], (network, target): (&NetworkKey, &NetworkKey)) -> Vec<WhyStep> {
    if halves.is_empty() {
        let (network, target) = (network.to_string(), target.to_string());
        let what = WhyFact::NoHalf { network, target };
        return vec![WhyStep { passes: Passes::No, what }];
    }
    let one = |half: &HalfView| WhyStep {
        passes: if half.state == State::Active { Passes::Yes } else { Passes::No },
        what: WhyFact::Half {
            half: format!("{}/{}/{}", half.project, half.network, half.name),
            state: half.state,
            reason: half.reason,
            explanation: half.explanation.clone(),
            degraded: half.degraded.clone(),
        },
    };
    halves.iter().map(one).collect()
}

/// The state that decides: that of the first half which is not active, if there is one.
fn note_state<'a>(view: &mut WhyView, halves: impl Iterator<Item = &'a HalfView>) {
    let conflict = Some(crate::peering::Reason::PeeringConflict);
    let mut halves: Vec<&HalfView> = halves.collect();
    halves.sort_by_key(|half| (half.reason == conflict, half.state == State::Active));
    if let Some(half) = halves.first() {
        view.state = Some(half.state);
        view.reason = half.reason;
        view.next_step = half.next_step.clone().filter(|_| half.state != State::Active);
    }
    view.stopped_by = view.there.iter().find(|step| stops_peering(step)).cloned();
}

/// What to do about what stops packets.
fn next_step(step: &WhyStep) -> Option<String> {
    let text = match &step.what {
        WhyFact::NoHalf { network, target } => {
            format!("declare a half: `ovn-peerctl create {network}/NAME {target}`")
        }
        WhyFact::Filter { half, network, list, entry, of_reply, .. } => {
            let of = half.as_ref().unwrap_or(network);
            match (entry, of_reply) {
                (_, true) => {
                    format!("put an entry that allows the reply before it in `{list}` of {of}")
                }
                (Some(entry), _) => {
                    format!("put an entry that allows it before entry {entry} of `{list}` of {of}")
                }
                (None, _) => format!("add an entry that allows it to `{list}` of {of}"),
            }
        }
        WhyFact::Crosses { network, to, because, prefix: None, .. } => match because {
            Some(_) => format!("change `export` of {network} or `import` of {to}"),
            None => format!("ask about an address that {network} announces to {to}"),
        },
        WhyFact::Route { row: Some(row), .. } => {
            format!("remove that route, or have it lead over the peering: row {row}")
        }
        WhyFact::Policy { row: Some(row), .. } => {
            format!("see that policy: `ovn-nbctl list Logical_Router_Policy {row}`")
        }
        WhyFact::NoRoute { at, .. } => format!("see the routes of {at}: `ovn-peerctl plan`"),
        WhyFact::Half { .. }
        | WhyFact::Crosses { .. }
        | WhyFact::Balancer { .. }
        | WhyFact::Route { .. }
        | WhyFact::Policy { .. }
        | WhyFact::Nat { .. }
        | WhyFact::Appliance { .. }
        | WhyFact::Gateway { .. }
        | WhyFact::Arrives { .. }
        | WhyFact::AtRouter { .. }
        | WhyFact::Ends { .. } => return None,
    };
    Some(text)
}
