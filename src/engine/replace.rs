//! The command that has peerings take the place of links of others: what it shows, how it begins, and
//! how it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::declare::{HalfKey, PeeringKey};
use crate::northbound::{End, Northbound, UnitId};
use crate::now::Now;
use crate::ovsdb::TransactError;
use crate::peering::{InTheWay, Node, Reason, State as Standing, Verdict, key_of_end};
use crate::program;
use crate::view::{RowView, TakeOverLink, TakeOverOutcome, TakeOverView};

use super::forget_link::commands;
use super::replacing::Stage;
use super::state::State;
use super::writer::Role;
use super::{Engine, Event};

/// Why no link is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReplaced {
    /// There is no such half.
    NoSuchHalf(HalfKey),
    /// No link of others is in the way of the half: its state, and why.
    NoLink(HalfKey, Standing, Option<Reason>),
    /// It is being taken over already.
    UnderWay(HalfKey),
    /// The northbound has not been read.
    NotSynced,
    /// A newer version has written to the northbound: this one writes nothing.
    Newer,
    /// Another instance holds the lock and writes.
    Standby,
}

/// Links of others, and peerings that take their place.
#[derive(Debug)]
pub struct TakeOver<'a>(pub(super) &'a mut Engine);

impl TakeOver<'_> {
    /// The links of others that are in the way of a half, or of any.
    ///
    /// # Errors
    /// None is in the way of that half.
    pub fn look(&self, half: Option<&HalfKey>) -> Result<TakeOverView, NotReplaced> {
        let engine = &*self.0;
        let northbound = engine.northbound.as_deref().ok_or(NotReplaced::NotSynced)?;
        let pairs = in_the_way(half, &engine.state)?;
        let links = pairs.iter().filter_map(|pair| link(pair, &engine.state, northbound));
        Ok(TakeOverView { dry_run: true, links: links.collect() })
    }

    /// Has peerings take the place of links. What becomes of it comes by [`TakeOver::take`] under the
    /// number that is returned.
    ///
    /// # Errors
    /// Nothing can be taken over now, and nothing is.
    pub fn begin(&mut self, half: Option<&HalfKey>, now: Now) -> Result<u64, NotReplaced> {
        let engine = &mut *self.0;
        if engine.gate.is_closed() {
            return Err(NotReplaced::Newer);
        }
        let northbound = engine.northbound.as_deref().filter(|_| engine.connection.synced);
        let northbound = northbound.ok_or(NotReplaced::NotSynced)?;
        if engine.writer.role != Some(Role::Active) || !engine.identity.may_write() {
            return Err(NotReplaced::Standby);
        }
        let mut pairs = in_the_way(half, &engine.state)?;
        let replacing = &engine.state.replacing;
        if let Some(half) = half.filter(|_| pairs.iter().any(|it| replacing.asked.contains_key(it)))
        {
            return Err(NotReplaced::UnderWay(half.clone()));
        }
        pairs.retain(|pair| !replacing.asked.contains_key(pair));
        let links = pairs
            .iter()
            .filter_map(|pair| Some((pair.clone(), link(pair, &engine.state, northbound)?)));
        let links: Vec<(PeeringKey, TakeOverLink)> = links.collect();
        let request = engine.state.replacing.mark(links, now.since_start);
        for pair in &pairs {
            engine.state.resolver.mark(pair);
        }
        engine.handle(Event::Tick, now);
        Ok(request)
    }

    /// What became of links since the last call.
    pub fn take(&mut self) -> Vec<(u64, TakeOverView)> {
        self.0.state.replacing.take_results()
    }
}

/// A transaction has ended.
pub(super) fn transacted(engine: &mut Engine, id: u64, error: Option<&TransactError>) {
    for pair in engine.state.replacing.with(id) {
        let replacing = &mut engine.state.replacing;
        match error {
            None => {
                engine.counters.links_taken_over += 1;
                replacing.end(&pair, TakeOverOutcome::TakenOver, Vec::new());
            }
            Some(TransactError::Unknown(_)) => replacing.lose(&pair),
            Some(error) => {
                let why = if error.is_outrun() {
                    "somebody has changed rows of that link meanwhile, or other routes of the two \
                     routers: nothing was done"
                        .to_owned()
                } else {
                    format!("the northbound refuses it: {error}")
                };
                replacing.end(&pair, TakeOverOutcome::NotTakenOver, vec![why]);
            }
        }
        // Without the mark that link is in the way again, if it is still there.
        engine.state.resolver.mark(&pair);
    }
}

/// Everything is decided: ends what will not be done, or what was done by others or without a reply.
pub(super) fn review(state: &mut State, northbound: &Northbound, now: Duration) {
    let (mut ended, mut released) = (Vec::new(), Vec::new());
    for (pair, asked) in &state.replacing.asked {
        let link = state.resolver.link(pair);
        let has_rows =
            || state.resolver.id(pair).is_some_and(|id| northbound.has_rows(UnitId::Peering(id)));
        let end = match asked.stage {
            Stage::Marked(_) if link.is_none() => {
                let outcome = match found(pair, state) {
                    Some(_) => TakeOverOutcome::NoParity,
                    None => TakeOverOutcome::NotTakenOver,
                };
                Some((outcome, explanations(pair, state)))
            }
            Stage::Marked(_) if link.is_some_and(|link| link.replaces.is_empty()) => {
                let why = "that link was gone already; the peering is as any other one";
                Some((TakeOverOutcome::NotTakenOver, vec![why.to_owned()]))
            }
            Stage::Marked(until) if until <= now => {
                released.push(pair.clone());
                let why = "it could not be written in time: nothing was done";
                Some((TakeOverOutcome::NotTakenOver, vec![why.to_owned()]))
            }
            Stage::Settling(_) if has_rows() => Some((TakeOverOutcome::TakenOver, Vec::new())),
            Stage::Settling(until) if until <= now => {
                let why = "the connection was lost before the server had done it: nothing was done";
                Some((TakeOverOutcome::NotTakenOver, vec![why.to_owned()]))
            }
            Stage::Marked(_) | Stage::Sent(_) | Stage::Lost | Stage::Settling(_) => None,
        };
        ended.extend(end.map(|(outcome, why)| (pair.clone(), outcome, why)));
    }
    for (pair, outcome, why) in ended {
        state.replacing.end(&pair, outcome, why);
    }
    released.iter().for_each(|pair| state.resolver.mark(pair));
}

/// All links of others that are in the way.
pub(super) fn links(state: &State, northbound: &Northbound) -> Vec<TakeOverLink> {
    let pairs = in_the_way(None, state).unwrap_or_default();
    pairs.iter().filter_map(|pair| link(pair, state, northbound)).collect()
}

/// The pairs with a link of others in the way: that of a half, or all.
fn in_the_way(half: Option<&HalfKey>, state: &State) -> Result<BTreeSet<PeeringKey>, NotReplaced> {
    let resolver = &state.resolver;
    let is_in_the_way = |pair: &&PeeringKey| found(pair, state).is_some();
    let Some(half) = half else {
        let halves = state.declarations.halves();
        let pairs = halves.iter().filter_map(|half| resolver.pair_of(half));
        return Ok(pairs.filter(is_in_the_way).cloned().collect());
    };
    let verdict = resolver.verdict(half).ok_or_else(|| NotReplaced::NoSuchHalf(half.clone()))?;
    match resolver.pair_of(half).filter(is_in_the_way) {
        Some(pair) => Ok(BTreeSet::from([pair.clone()])),
        None => {
            let standing = verdict.reason.map_or(Standing::Active, Reason::state);
            Err(NotReplaced::NoLink(half.clone(), standing, verdict.reason))
        }
    }
}

fn found<'a>(pair: &PeeringKey, state: &'a State) -> Option<&'a InTheWay> {
    state.resolver.resolution(pair)?.in_the_way.as_deref()
}

/// What is told of the link in the way of a pair.
fn link(pair: &PeeringKey, state: &State, northbound: &Northbound) -> Option<TakeOverLink> {
    let found = found(pair, state)?;
    let outcome = if found.parity { TakeOverOutcome::Ready } else { TakeOverOutcome::NoParity };
    let halves = state.resolver.halves_of(pair);
    let steps = || {
        let verdicts = halves_with_verdicts(pair, state);
        verdicts.filter_map(|(half, verdict)| Some(format!("{half}: {}", verdict.next_step?)))
    };
    Some(TakeOverLink {
        halves: halves.map(ToString::to_string).collect(),
        outcome,
        explanations: if found.parity { Vec::new() } else { explanations(pair, state) },
        next_steps: if found.parity { Vec::new() } else { steps().collect() },
        rows: rows(pair, found, state, northbound),
        forget: commands(pair, found, state),
    })
}

fn explanations(pair: &PeeringKey, state: &State) -> Vec<String> {
    let verdicts = halves_with_verdicts(pair, state);
    verdicts
        .filter_map(|(half, verdict)| Some(format!("{half}: {}", verdict.explanation?)))
        .collect()
}

fn halves_with_verdicts<'a>(
    pair: &'a PeeringKey,
    state: &'a State,
) -> impl Iterator<Item = (&'a HalfKey, Verdict)> {
    let halves = state.resolver.halves_of(pair);
    halves.filter_map(|half| Some((half, state.resolver.verdict(half)?)))
}

/// The rows of others that would go.
fn rows(
    pair: &PeeringKey,
    found: &InTheWay,
    state: &State,
    northbound: &Northbound,
) -> Vec<RowView> {
    let routers = End::BOTH.map(|end| {
        let node = state.resolver.networks().node(key_of_end(pair, end));
        node.and_then(Node::ready).map(|ready| &ready.router)
    });
    let ([Some(a), Some(b)], Some(id)) = (routers, state.resolver.id(pair)) else {
        return Vec::new();
    };
    let replaced = program::replaced(id, &found.ports, [a, b], northbound);
    replaced.map(|replaced| replaced.rows(northbound)).unwrap_or_default()
}
