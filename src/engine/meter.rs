//! What metrics are made from.
//!
//! Numbers of all halves are kept as the stream of changes is drawn; those of each half come in parts, so that
//! the event loop does other work between them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::declare::{HalfKey, PerHalf};
use crate::now::Now;
use crate::peering::{Reason, State};
use crate::view::{HalfSample, HalfSamples, MetricsView, StatusView, Viewer};

use super::changes::Known;
use super::damping::Cause;
use super::stopwatch::Measured;
use super::{Engine, MOST_AT_ONCE};

/// So many halves are looked at for a part, if few of them are in it.
const MOST_LOOKED_AT: usize = 4096;

/// What metrics are made from.
#[derive(Debug)]
pub struct Meter<'a>(pub(super) &'a mut Engine);

impl Meter<'_> {
    /// The files of the reading that is handled next changed at that moment.
    pub fn files_changed(&mut self, at: Duration) {
        self.0.changes.stopwatch.noticed(at);
    }

    /// What was measured since the last call.
    pub fn measured(&mut self) -> Vec<Measured> {
        self.0.changes.stopwatch.take()
    }

    /// The numbers of all halves, and of the daemon, whose status this is.
    #[must_use]
    pub fn view(&self, status: StatusView, per_half: PerHalf, now: Now) -> MetricsView {
        let engine = &*self.0;
        let declarations = &engine.state.declarations;
        let mut failed = BTreeMap::new();
        if engine.northbound.is_some() {
            for ((state, reason), count) in engine.changes.counts(&engine.standings()).each() {
                if let (State::Failed, Some(reason)) = (state, reason) {
                    *failed.entry(reason).or_default() += count;
                }
            }
            let unbelieved = declarations.unbelieved_halves(None).len();
            *failed.entry(Reason::UntrustedHost).or_default() += unbelieved;
        }
        let damped = engine.writer.damping.damped();
        let contested = damped.filter(|(_, cause)| *cause == Cause::Contested);
        MetricsView {
            at: now.wall,
            status,
            failed,
            degraded: engine.changes.degraded(),
            contested_units: contested.count(),
            northd_lag: engine.northd.lag(now.since_start),
            hosts: declarations.hosts().len(),
            networks: declarations.count_networks(),
            mesh_depth: engine.state.resolver.depths().deepest().unwrap_or_default(),
            mesh_depth_limit: engine.state.policy().max_mesh_depth,
            certificates: Vec::new(),
            per_half,
        }
    }

    /// Some of the halves that a viewer sees, behind one of them, in order: all, or only those that are not
    /// active or are degraded.
    #[must_use]
    pub fn halves(
        &self,
        viewer: &Viewer,
        selection: PerHalf,
        after: Option<&HalfKey>,
    ) -> HalfSamples {
        let changes = &self.0.changes;
        let mut part = HalfSamples::default();
        for (looked_at, (half, known, degraded)) in changes.known_after(after).enumerate() {
            if looked_at == MOST_LOOKED_AT || part.samples.len() == MOST_AT_ONCE {
                part.more = true;
                return part;
            }
            part.last = Some(half.clone());
            let (state, _) = known.standing;
            let is_wanted = match selection {
                PerHalf::All => state != State::Deleted,
                PerHalf::Troubled => !matches!(state, State::Active | State::Deleted) || degraded,
            };
            if is_wanted && viewer.sees(&half.network.project) {
                part.samples.push(self.sample(half, known, degraded));
            }
        }
        part.samples.extend(self.unbelieved(viewer));
        part
    }

    fn sample(&self, half: &HalfKey, known: &Known, degraded: bool) -> HalfSample {
        let state = &self.0.state;
        let (standing, reason) = known.standing;
        let pair = state.resolver.pair_of(half).filter(|_| reason == Some(Reason::AwaitingPeer));
        let resolution = pair.and_then(|pair| state.resolver.resolution(pair));
        HalfSample {
            half: half.clone(),
            state: standing,
            reason,
            degraded,
            since: state.since(half),
            expires: resolution.and_then(|resolution| resolution.due),
            prefixes: known.crossing.as_ref().map(|[out, into]| (out.len(), into.len())),
        }
    }

    /// Those that no host declares that may: they are few.
    fn unbelieved(&self, viewer: &Viewer) -> impl Iterator<Item = HalfSample> {
        let state = &self.0.state;
        let halves = state.declarations.unbelieved_halves(None).into_iter();
        let seen = halves.filter(|half| viewer.sees(&half.network.project));
        seen.map(|half| HalfSample {
            state: State::Failed,
            reason: Some(Reason::UntrustedHost),
            degraded: false,
            since: state.history.get(&half).map(|record| record.since),
            expires: None,
            prefixes: None,
            half,
        })
    }
}
