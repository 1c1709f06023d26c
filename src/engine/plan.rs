//! What would be written: the rules applied from nothing to a copy of the declarations.
//!
//! It costs a full recompute. So it is made from what was in effect at one moment, wherever the
//! caller likes: the engine continues meanwhile. The northbound is shared until the engine changes
//! its own, which copies it once.

use std::sync::Arc;

use crate::declare::{Declarations, ParsedFile, PolicySettings, Reading};
use crate::northbound::Northbound;
use crate::now::Now;
use crate::program::{
    RegistrationDiff, RowDiff, Transaction, planned_borrowed, planned_registration, planned_row,
};
use crate::view::PlanView;

use super::batch::{Batch, Extent};
use super::held::names;
use super::state::State;
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
        let local = &mut declarations.local;
        if let Some(reading) = candidate {
            local.apply(reading);
        }
        let mut plan = PlanView {
            diagnostics: local.diagnostics().map(ToString::to_string).collect(),
            held: local.held().map(|held| names(&held.withdrawals)).unwrap_or_default(),
            ..PlanView::default()
        };
        if let Some(northbound) = northbound.as_deref() {
            // What is held would be written once it is confirmed: that is what to look at.
            local.confirm(None);
            let mut state = State::with(declarations, policy);
            if let Some(transaction) = recompute(&mut state, northbound, now) {
                describe(&transaction, northbound, &mut plan);
            }
        }
        plan
    }
}

/// Everything decided and compared anew.
fn recompute(state: &mut State, northbound: &Northbound, now: Now) -> Option<Transaction> {
    state.declare_all(northbound);
    state.resolver.mark_all(northbound);
    state.resolve(northbound, now.wall, usize::MAX);
    let all = Extent { role: Role::Active, most_groups: usize::MAX, whole: false };
    Batch::gather(state, northbound, all, &Writer::default()).transaction(northbound)
}

fn describe(transaction: &Transaction, northbound: &Northbound, plan: &mut PlanView) {
    for diff in &transaction.rows {
        let (row, route) = planned_row(diff, northbound);
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
            .map(|diff| planned_registration(diff, northbound)),
    );
    plan.rows.sort();
    plan.gained.sort();
    plan.lost.sort();
}
