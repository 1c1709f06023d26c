//! The stream of changes that nobody has drawn yet, and what it last said of each half.
//!
//! Pairs are noted here when something of them may have changed; how their halves stand is looked
//! at when the stream is drawn. The cost follows the pairs noted, not the halves there are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::declare::{
    Changed, Declarations, Diagnostic, HalfKey, HostProblem, LocalDeclarations, NetworkKey,
    PeeringKey,
};
use crate::northbound::UnitId;
use crate::ovsdb::{Inconsistent, TransactError};
use crate::peering::prefix::Prefixes;
use crate::peering::{Resolver, State, end_of};

use super::batch::pairs_with;
use super::causes::Causes;
use super::change::{Change, OfHalf, Outlook, PrefixChange};
use super::counts::{Counts, Standing};
use super::damped::name_of;
use super::damping::Cause;
use super::drift::Drift;
use super::shown::{Shown, Standings};
use super::state;
use super::stopwatch::Stopwatch;

/// So many causes of a lost connection are reported until there is one again: of several remotes
/// each may fail for a reason of its own, in turn.
const MOST_CAUSES: usize = 16;

/// So many problems of hosts are reported at a time: any writer of the northbound may invent hosts.
const MOST_HOST_PROBLEMS: usize = 32;

/// What has changed and was not drawn yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: Vec<Change>,
    pairs: BTreeSet<PeeringKey>,
    all: bool,
    /// Halves that are left to be compared.
    left: BTreeSet<HalfKey>,
    known: BTreeMap<HalfKey, Known>,
    /// What each half that is degraded was last said to suffer from.
    degraded: BTreeMap<HalfKey, Causes>,
    /// Whether all halves were compared once: what is declared until then is nothing new.
    begun: bool,
    /// How many halves are known to stand in each state for each reason.
    counts: Counts,
    /// How many halves of each project were found to be active: at a start, all that were left so.
    found: BTreeMap<Arc<str>, usize>,
    /// Halves that went out of effect; they may have come back since.
    withdrawn: BTreeSet<HalfKey>,
    diagnostics: BTreeSet<Diagnostic>,
    /// The files with diagnostics, and the projects of their owners.
    diagnosed: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    held: BTreeSet<HalfKey>,
    /// Why there was no connection, since there was one.
    disconnects: BTreeSet<String>,
    /// Columns of the schema that this version does not know.
    unknown_columns: Vec<String>,
    /// What was reported of other hosts and is not over.
    host_problems: BTreeSet<HostProblem>,
    /// What is measured of what is reported.
    pub(super) stopwatch: Stopwatch,
}

/// What the stream last said of a half.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) standing: Standing,
    /// What crosses its link: this side's prefixes, and the other side's.
    pub(super) crossing: Option<[Prefixes; 2]>,
    /// The network that it asks, as long as that has not answered.
    asks: Option<NetworkKey>,
}

impl Changes {
    pub(super) fn take(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn push(&mut self, change: Change) {
        self.waiting.push(change);
    }

    pub(super) fn pair(&mut self, pair: PeeringKey) {
        self.pairs.insert(pair);
    }

    pub(super) fn pairs(&mut self, pairs: impl IntoIterator<Item = PeeringKey>) {
        self.pairs.extend(pairs);
    }

    /// Something changed that every state depends on.
    pub(super) fn all_states(&mut self) {
        self.all = true;
    }

    /// Declarations changed: what is declared, and what is not any more, is to be reported.
    pub(super) fn declared(&mut self, changed: &Changed, declarations: &Declarations) {
        let at = self.stopwatch.reading();
        for half in &changed.halves {
            if !declarations.declares(half) {
                self.withdrawn.insert(half.clone());
            } else if self.begun {
                self.stopwatch.declared(half, at);
                let is_new = !self.known.contains_key(half);
                let own = declarations.local.half(half).is_some();
                let half = OfHalf { key: half.clone(), own };
                self.waiting.push(Change::Declared { half, is_new });
            }
        }
    }

    /// The local declarations were begun anew.
    pub(super) fn local_replaced(&mut self, declarations: &Declarations) {
        let gone = self.known.keys().filter(|half| !declarations.declares(half));
        self.withdrawn.extend(gone.cloned());
    }

    pub(super) fn connected(&mut self, remote: &str, schema: &str) {
        self.disconnects.clear();
        self.push(Change::Connected { remote: remote.to_owned(), schema: schema.to_owned() });
    }

    /// Columns of the schema that are not known, unless they were reported before.
    pub(super) fn unknown_columns(&mut self, columns: Vec<String>) {
        if self.unknown_columns == columns {
            return;
        }
        if !columns.is_empty() {
            self.push(Change::UnknownColumns { columns: columns.clone() });
        }
        self.unknown_columns = columns;
    }

    /// What is wrong with other hosts, when it comes and when it is over.
    pub(super) fn hosts(&mut self, declarations: &Declarations) {
        let before = std::mem::take(&mut self.host_problems).into_iter();
        let (stand, over): (BTreeSet<_>, BTreeSet<_>) =
            before.partition(|problem| declarations.has_problem(problem));
        self.host_problems = stand;
        let over = over.into_iter().map(|problem| Change::HostProblem { problem, over: true });
        self.waiting.extend(over);
        let room = MOST_HOST_PROBLEMS - self.host_problems.len();
        let new = declarations.host_problems().filter(|it| !self.host_problems.contains(it));
        for problem in new.take(room).collect::<Vec<_>>() {
            self.push(Change::HostProblem { problem: problem.clone(), over: false });
            self.host_problems.insert(problem);
        }
    }

    /// This host's rules apply from now on: that others have other ones is reported once more.
    pub(super) fn rules_apply(&mut self) {
        self.host_problems.retain(|it| !matches!(it, HostProblem::OtherRules { .. }));
    }

    /// Once for each cause, however often it is tried again.
    pub(super) fn disconnected(&mut self, error: &str) {
        if self.disconnects.len() < MOST_CAUSES && self.disconnects.insert(error.to_owned()) {
            self.push(Change::Disconnected { error: error.to_owned() });
        }
    }

    /// The certificates in the files cannot be used, or can again.
    pub(super) fn certificates(&mut self, problem: Option<&str>) {
        self.push(match problem {
            Some(problem) => Change::CertificatesRejected { error: problem.to_owned() },
            None => Change::CertificatesApplied,
        });
    }

    /// These units have to wait from now on.
    pub(super) fn damped(&mut self, units: &[(UnitId, Cause)], state: &state::State) {
        for (unit, cause) in units {
            let what = name_of(*unit, state);
            let (reason, explanation) = (cause.reason(), cause.explanation());
            let next_step = cause.next_step();
            self.push(Change::Damped { what, reason, explanation, next_step });
            self.pairs(pairs_with(*unit, &state.resolver));
        }
    }

    /// These were damped, and are not any more.
    pub(super) fn calm(&mut self, units: &[(UnitId, Cause)], state: &state::State) {
        for (unit, cause) in units {
            let what = name_of(*unit, state);
            self.push(Change::DampingEnded { what, reason: cause.reason() });
            self.pairs(pairs_with(*unit, &state.resolver));
        }
    }

    pub(super) fn expiry(&mut self, news: Vec<String>) {
        self.waiting.extend(news.into_iter().map(|what| Change::CertificateExpires { what }));
    }

    /// Whether a newer version has written to the northbound, and which.
    pub(super) fn newer(&mut self, version: Option<u32>) {
        self.push(Change::NewerVersion { version });
    }

    pub(super) fn inconsistent(&mut self, error: &Inconsistent) {
        self.push(Change::Inconsistent { error: error.to_string() });
    }

    /// What other clients altered is as it shall be again.
    pub(super) fn restored(&mut self, drift: &mut Drift) {
        self.waiting.extend(drift.restored());
        self.stopwatch.repaired(drift.take_rows());
    }

    /// Once for each trouble, however often it is tried again.
    pub(super) fn transaction_failed(&mut self, error: &TransactError) {
        let outlook = match (error.is_outrun(), error.is_retryable()) {
            (true, _) => Outlook::Outrun,
            (false, true) => Outlook::Passing,
            (false, false) => Outlook::Refused,
        };
        self.push(Change::TransactionFailed { error: error.to_string(), outlook });
    }

    /// Diagnostics that were not there before, files that have none any more, and what is held.
    pub(super) fn local(&mut self, local: &LocalDeclarations) {
        let current: BTreeSet<Diagnostic> = local.diagnostics().cloned().collect();
        let before = std::mem::take(&mut self.diagnostics);
        let mut new: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
        for diagnostic in current.difference(&before) {
            new.entry(&diagnostic.file).or_default().push(diagnostic);
        }
        for (file, found) in new {
            // One of a whole file may only say how many there are.
            let is_of_whole = found.first().is_some_and(|first| first.position.is_none());
            let first: Vec<Diagnostic> =
                found.iter().take(if is_of_whole { 2 } else { 1 }).copied().cloned().collect();
            let more = found.len() - first.len();
            let owners = local.projects_of_owner(file);
            self.diagnosed.insert(file.into(), owners.clone());
            self.push(Change::Diagnosed { file: file.to_owned(), first, more, owners });
        }
        let files = |of: &BTreeSet<Diagnostic>| -> BTreeSet<_> {
            of.iter().map(|diagnostic| diagnostic.file.clone()).collect()
        };
        let mended = files(&before).difference(&files(&current)).cloned().collect::<Vec<_>>();
        for file in mended {
            let owners = self.diagnosed.remove(&file).unwrap_or_default();
            self.push(Change::Mended { file: file.to_string(), owners });
        }
        self.diagnostics = current;
        self.hold(local);
    }

    /// What is held is reported whenever it is something else, if of the same size.
    fn hold(&mut self, local: &LocalDeclarations) {
        let held = local.held().map(|held| held.withdrawals.iter().cloned().collect());
        let held: BTreeSet<HalfKey> = held.unwrap_or_default();
        if held != self.held {
            let (before, after) = (by_project(&self.held), by_project(&held));
            let all: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).collect();
            let differs = all.into_iter().filter(|it| before.get(*it) != after.get(*it));
            let count = |it: &Arc<str>| after.get(it).copied().unwrap_or_default();
            let projects = differs.map(|it| (Arc::clone(it), count(it))).collect();
            self.push(match held.len() {
                0 => Change::WithdrawalsReleased { projects },
                halves => Change::WithdrawalsHeld { halves, projects },
            });
            self.held = held;
        }
    }

    /// Compares what was noted with what was last said of it; of so many halves at the most.
    pub(super) fn compare(&mut self, standings: &Standings<'_>, most: usize) {
        let state = standings.state;
        let left = std::mem::take(&mut self.left);
        self.left = self.with_noted(left, state);
        self.pairs.clear();
        self.all = false;
        for key in (0..most).map_while(|_| self.left.pop_first()).collect::<Vec<_>>() {
            if let Some(shown) = standings.in_log(&key) {
                let own = state.declarations.local.half(&key).is_some();
                let crossing = crossing(&key, &state.resolver);
                let asks = standings.asks(&key, &shown);
                self.asked(&key, asks.as_ref(), standings.discloses_requests());
                let to_owner = || standings.to_owner(&key);
                let key = key.clone();
                self.state(&OfHalf { key, own }, &shown, &to_owner, (crossing, asks));
            }
        }
        if self.is_left() {
            return;
        }
        self.begun |= standings.northbound.is_some();
        let projects = std::mem::take(&mut self.found);
        if !projects.is_empty() {
            self.push(Change::FoundActive { projects });
        }
        let withdrawn = std::mem::take(&mut self.withdrawn);
        self.stopwatch.withdrawn(&withdrawn);
        for half in withdrawn.into_iter().filter(|half| !state.declarations.declares(half)) {
            self.forget(half, standings.discloses_requests());
        }
    }

    /// Whether halves are left to be compared.
    pub(super) fn is_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// How many halves stand where now, whether that was drawn or not.
    pub(super) fn counts(&self, standings: &Standings<'_>) -> Counts {
        let mut counts = self.counts.clone();
        let known = |half: &HalfKey| Some(self.known.get(half)?.standing);
        for half in self.with_noted(self.left.clone(), standings.state) {
            if let Some(shown) = standings.in_log(&half) {
                counts.adjust(known(&half), Some((shown.state, shown.reason)));
            }
        }
        let declarations = &standings.state.declarations;
        for half in self.withdrawn.iter().filter(|half| !declarations.declares(half)) {
            counts.adjust(known(half), None);
        }
        counts
    }

    /// What was last said of each half behind one, in order, and whether it is degraded.
    pub(super) fn known_after(
        &self,
        after: Option<&HalfKey>,
    ) -> impl Iterator<Item = (&HalfKey, &Known, bool)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let known = self.known.range((from, Bound::Unbounded));
        known.map(|(half, known)| (half, known, self.degraded.contains_key(half)))
    }

    /// How many halves are degraded.
    pub(super) fn degraded(&self) -> usize {
        self.degraded.len()
    }

    /// These halves, and those of what was noted.
    fn with_noted(&self, mut halves: BTreeSet<HalfKey>, state: &state::State) -> BTreeSet<HalfKey> {
        if self.all {
            return state.declarations.halves();
        }
        for pair in &self.pairs {
            halves.extend(state.resolver.halves_of(pair).cloned());
        }
        halves
    }

    /// What a half asks is compared with what was last said of it.
    fn asked(&mut self, half: &HalfKey, target: Option<&NetworkKey>, disclosed: bool) {
        let before = self.known.get(half).and_then(|known| known.asks.clone());
        if before.as_ref() == target {
            return;
        }
        let asked =
            |target, over| Change::Requested { half: half.clone(), target, over, disclosed };
        self.waiting.extend(before.map(|target| asked(target, true)));
        self.waiting.extend(target.cloned().map(|target| asked(target, false)));
    }

    /// How a half stands is compared with what was last said of it.
    fn state(
        &mut self,
        half: &OfHalf,
        shown: &Shown,
        to_owner: &dyn Fn() -> Option<Shown>,
        (crossing, asks): (Option<[Prefixes; 2]>, Option<NetworkKey>),
    ) {
        let standing = (shown.state, shown.reason);
        let known = self.known.get(&half.key);
        let previous = known.map(|known| known.standing);
        let same = previous == Some(standing);
        self.stopwatch.stands(&half.key, previous.map(|(state, _)| state), shown.state);
        // Until all of it is done, what is degraded and what crosses is what it was.
        let in_progress = shown.in_progress.is_some();
        let mut crossing_before = known.and_then(|known| known.crossing.clone());
        if !same {
            self.counts.adjust(previous, Some(standing));
            self.changed_state(half, previous, shown, to_owner);
        }
        if !in_progress {
            if let (true, Some(before), Some(after)) = (same, &crossing_before, &crossing) {
                self.crossing(half, before, after);
            }
            crossing_before = crossing;
            self.degradation(half, same, &shown.degraded, to_owner);
        }
        self.known.insert(half.key.clone(), Known { standing, crossing: crossing_before, asks });
    }

    fn changed_state(
        &mut self,
        half: &OfHalf,
        previous: Option<Standing>,
        shown: &Shown,
        to_owner: &dyn Fn() -> Option<Shown>,
    ) {
        if previous.is_none() && half.own && shown.state == State::Active {
            // A state as before is no news: a change for each half would bury those that matter.
            *self.found.entry(Arc::clone(&half.key.network.project)).or_default() += 1;
            return;
        }
        self.push(Change::StateChanged {
            half: half.clone(),
            previous,
            state: shown.state,
            reason: shown.reason,
            explanation: shown.explanation.clone(),
            owner_explanation: to_owner().and_then(|shown| shown.explanation),
        });
    }

    fn crossing(&mut self, half: &OfHalf, before: &[Prefixes; 2], after: &[Prefixes; 2]) {
        let ([out_before, in_before], [out_after, in_after]) = (before, after);
        let exported = PrefixChange::between(out_before, out_after);
        let imported = PrefixChange::between(in_before, in_after);
        if !exported.is_empty() || !imported.is_empty() {
            self.push(Change::PrefixesChanged { half: half.clone(), exported, imported });
        }
    }

    /// What ends together with the state that it belongs to is no change of its own. What the owner
    /// reads follows from what operators read, so it is the same as long as that is.
    fn degradation(
        &mut self,
        half: &OfHalf,
        same_state: bool,
        causes: &[String],
        to_owner: &dyn Fn() -> Option<Shown>,
    ) {
        if causes.is_empty() && !self.degraded.contains_key(&half.key) {
            return;
        }
        let operators: BTreeSet<String> = causes.iter().cloned().collect();
        if self.degraded.get(&half.key).is_some_and(|before| before.operators == operators) {
            return;
        }
        let before = self.degraded.remove(&half.key).unwrap_or_default();
        let owner = to_owner().map(|shown| shown.degraded).unwrap_or_default();
        let after = Causes { operators, owner: owner.into_iter().collect() };
        for (cause, reader) in after.beyond(&before) {
            self.push(Change::Degraded { half: half.clone(), cause, reader });
        }
        for (cause, reader) in before.beyond(&after).into_iter().filter(|_| same_state) {
            self.push(Change::DegradationEnded { half: half.clone(), cause, reader });
        }
        if !after.operators.is_empty() {
            self.degraded.insert(half.key.clone(), after);
        }
    }

    fn forget(&mut self, half: HalfKey, disclosed: bool) {
        self.asked(&half, None, disclosed);
        self.degraded.remove(&half);
        if let Some(known) = self.known.remove(&half) {
            self.counts.adjust(Some(known.standing), None);
            self.push(Change::Withdrawn { half, previous: known.standing.0 });
        }
    }
}

fn by_project(halves: &BTreeSet<HalfKey>) -> BTreeMap<Arc<str>, usize> {
    let mut counts = BTreeMap::new();
    for half in halves {
        *counts.entry(Arc::clone(&half.network.project)).or_default() += 1;
    }
    counts
}

/// What crosses the link of a half: this side's prefixes, and the other side's.
fn crossing(key: &HalfKey, resolver: &Resolver) -> Option<[Prefixes; 2]> {
    let pair = resolver.pair_of(key)?;
    let (link, end) = (resolver.link(pair)?, end_of(pair, &key.network));
    Some([end, end.other()].map(|end| link.end(end).prefixes.clone()))
}
