//! What would be written: the rules applied from nothing to a copy of the declarations.
//!
//! It costs a full recompute, and another one of what is in effect, to name the halves whose state
//! would change. So it is made from what was in effect at one moment, wherever the caller likes:
//! the engine continues meanwhile. The northbound is shared until the engine changes its own, which
//! copies it once.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::declare::{Declarations, HalfKey, ParsedFile, PolicySettings, Reading};
use crate::northbound::{End, Northbound, UnitId};
use crate::now::Now;
use crate::peering::{Reason, Resolver, Verdict, key_of_end};
use crate::program::{
    RegistrationDiff, RowDiff, Served, Transaction, planned_borrowed, planned_registration,
    planned_row,
};
use crate::view::{self, PlanView, PlannedHalf, PlannedRow, VerifyView};

use super::batch::{Batch, Extent};
use super::held::names;
use super::replace::links;
use super::state::State;
use super::verify::verify;
use super::writer::{Role, Writer};

/// What was declared and what was there at one moment.
#[derive(Debug)]
pub struct PlanBasis {
    declarations: Declarations,
    policy: PolicySettings,
    northbound: Option<Arc<Northbound>>,
    now: Now,
}

impl PlanBasis {
    /// What is in effect now; without a northbound nothing would be written.
    pub(super) fn new(state: &State, northbound: Option<&Arc<Northbound>>, now: Now) -> Self {
        let (declarations, policy) = (state.declarations.clone(), state.policy().clone());
        Self { declarations, policy, northbound: northbound.map(Arc::clone), now }
    }

    /// What would be written for these files, or, without any, for the declarations in effect.
    #[must_use]
    pub fn plan(self, candidate: Option<Reading<ParsedFile>>) -> PlanView {
        let Self { mut declarations, policy, northbound, now } = self;
        let in_effect = declarations.clone();
        let local = &mut declarations.local;
        if let Some(reading) = candidate {
            local.apply(reading);
        }
        let mut plan = PlanView {
            diagnostics: local.diagnostics().cloned().collect(),
            held: local.held().map(|held| names(&held.withdrawals)).unwrap_or_default(),
            ..PlanView::default()
        };
        if let Some(northbound) = northbound.as_deref() {
            // What is held would be written once it is confirmed: that is what to look at.
            local.confirm(None);
            let before = decide(in_effect, policy.clone(), northbound, now);
            let mut after = decide(declarations, policy, northbound, now);
            plan.halves = changes(&before, &after, northbound);
            plan.links = links(&after, northbound);
            let all = Extent { role: Role::Active, most_groups: usize::MAX, whole: false };
            let batch = Batch::gather(&mut after, northbound, all, &Writer::default());
            if let Some(transaction) = batch.transaction(northbound) {
                let find = |unit, router| served(unit, router, &[&after, &before]);
                describe(&transaction, northbound, &find, &mut plan);
            }
        }
        plan
    }

    /// Looks for what should not be, of all peerings and of so many pairs that have not agreed;
    /// `None` without a northbound. With files, these are what is declared.
    #[must_use]
    pub fn verify(
        self,
        candidate: Option<Reading<ParsedFile>>,
        sample: usize,
    ) -> Option<VerifyView> {
        let Self { mut declarations, policy, northbound, now } = self;
        if let Some(reading) = candidate {
            declarations.local.apply(reading);
        }
        let northbound = northbound?;
        let mut state = decide(declarations, policy, &northbound, now);
        let rows = differing(&mut state, &northbound);
        Some(verify(&state, &northbound, rows, sample))
    }
}

/// The rows of ours that differ from what they shall be.
fn differing(state: &mut State, northbound: &Northbound) -> Vec<PlannedRow> {
    let all = Extent { role: Role::Active, most_groups: usize::MAX, whole: false };
    let batch = Batch::gather(state, northbound, all, &Writer::default());
    let Some(transaction) = batch.transaction(northbound) else { return Vec::new() };
    let find = |unit, router| served(unit, router, &[state]);
    transaction.rows.iter().map(|diff| planned_row(diff, northbound, &find).0).collect()
}

/// Everything decided anew.
fn decide(
    declarations: Declarations,
    policy: PolicySettings,
    northbound: &Northbound,
    now: Now,
) -> State {
    let mut state = State::with(declarations, policy);
    state.declare_all(northbound);
    state.resolver.mark_all(northbound);
    state.resolve(northbound, now.wall, usize::MAX);
    state
}

/// The halves whose state would change.
fn changes(before: &State, after: &State, northbound: &Northbound) -> Vec<PlannedHalf> {
    let verdicts = |state: &State| -> BTreeMap<HalfKey, Verdict> {
        let halves = state.declarations.halves().into_iter();
        halves.filter_map(|half| Some((half.clone(), state.resolver.verdict(&half)?))).collect()
    };
    let (was, mut becomes) = (verdicts(before), verdicts(after));
    let mut changes = Vec::new();
    let mut note = |half: &HalfKey, before: Option<view::State>, verdict: Option<&Verdict>| {
        let reason = verdict.map_or(Some(Reason::Withdrawn), |verdict| verdict.reason);
        let after = reason.map_or(view::State::Active, Reason::state);
        if before != Some(after) {
            changes.push(PlannedHalf {
                project: half.network.project.to_string(),
                network: half.network.name.to_string(),
                name: half.name.to_string(),
                before,
                after,
                reason,
            });
        }
    };
    for (half, verdict) in &was {
        let state = state_now(half, verdict, before, northbound);
        note(half, Some(state), becomes.remove(half).as_ref());
    }
    for (half, verdict) in &becomes {
        note(half, None, Some(verdict));
    }
    changes.sort_by(|one, other| {
        let key = |it: &PlannedHalf| (it.project.clone(), it.network.clone(), it.name.clone());
        key(one).cmp(&key(other))
    });
    changes
}

/// The present state of a half. A peering is active as long as its rows are there.
fn state_now(
    half: &HalfKey,
    verdict: &Verdict,
    state: &State,
    northbound: &Northbound,
) -> view::State {
    let id = state.resolver.pair_of(half).and_then(|pair| state.resolver.id(pair));
    let has_rows = id.is_some_and(|id| northbound.has_rows(UnitId::Peering(id)));
    if has_rows && (verdict.is_linked() || !stands(half, state)) {
        return view::State::Active;
    }
    verdict.reason.map_or(view::State::Provisioning, Reason::state)
}

/// Whether the peering of a half, which may be a surplus one, is to stand.
fn stands(half: &HalfKey, state: &State) -> bool {
    let pair = state.resolver.pair_of(half);
    pair.is_some_and(|pair| state.resolver.link(pair).is_some())
}

/// Whom the rows of a unit on a router serve. What one of these states does not know any more, or
/// not yet, another one may know: a half that is withdrawn, and its router.
fn served(unit: UnitId, router: Option<Uuid>, states: &[&State]) -> Served {
    let id = match unit {
        UnitId::Network(id) => {
            let local = states.iter().find_map(|state| state.network_of(id)).cloned();
            return Served { local, ..Served::default() };
        }
        UnitId::Peering(id) => id,
    };
    let pair = states.iter().find_map(|state| state.resolver.pair_with(id));
    let Some(pair) = pair else { return Served::default() };
    let is_at = |resolver: &Resolver, end: End| {
        let of_link = resolver.link(pair).map(|link| link.end(end).router);
        let of_network = resolver.networks().router_of(key_of_end(pair, end));
        router.is_some() && (of_link == router || of_network == router)
    };
    let end_in = |state: &&State| End::BOTH.into_iter().find(|end| is_at(&state.resolver, *end));
    let end = states.iter().find_map(end_in).unwrap_or(End::A);
    let local = key_of_end(pair, end);
    let half_in =
        |state: &&State| state.resolver.halves_of(pair).find(|it| it.network == *local).cloned();
    Served {
        local: Some(local.clone()),
        remote: Some(key_of_end(pair, end.other()).clone()),
        half: states.iter().find_map(half_in),
    }
}

fn describe(
    transaction: &Transaction,
    northbound: &Northbound,
    find: &dyn Fn(UnitId, Option<Uuid>) -> Served,
    plan: &mut PlanView,
) {
    for diff in &transaction.rows {
        let (row, route) = planned_row(diff, northbound, find);
        match diff {
            RowDiff::Insert(_) => plan.gained.extend(route),
            RowDiff::Delete { .. } => plan.lost.extend(route),
            RowDiff::Update { .. } => {}
        }
        plan.rows.push(row);
    }
    plan.rows.extend(transaction.borrowed.iter().map(planned_borrowed));
    plan.rows.extend(
        transaction
            .registrations
            .iter()
            .filter(|diff| RegistrationDiff::is_visible(diff))
            .map(|diff| planned_registration(diff, northbound, find)),
    );
    plan.rows.sort();
    plan.gained.sort();
    plan.lost.sort();
}
