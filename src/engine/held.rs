//! Withdrawals that are held: what is shown of them, and letting go what an operator has seen.

use std::collections::BTreeSet;

use crate::declare::{HalfKey, HeldPart};
use crate::now::Now;
use crate::view::{HeldProject, HeldView};

use super::{Engine, Event};

/// What is held is not what the operator has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldElse;

impl Engine {
    /// The withdrawals that wait for the operator: all, or those that are released with a project's.
    #[must_use]
    pub fn held_view(&self, project: Option<&str>) -> HeldView {
        let Some(held) = self.state.declarations.local.held() else { return HeldView::default() };
        let of = |part: &HeldPart| HeldProject {
            project: part.project.to_string(),
            halves: part.withdrawals.len(),
            seen: part.seen.clone(),
        };
        let parts =
            || held.parts.iter().filter(|part| project.is_none_or(|it| *it == *part.project));
        let (withdrawals, seen) = match project {
            None => (&*held.withdrawals, held.seen.clone()),
            Some(_) => match parts().next() {
                Some(part) => (&*part.withdrawals, part.seen.clone()),
                None => return HeldView::default(),
            },
        };
        HeldView {
            halves: withdrawals.len(),
            seen,
            projects: parts().map(of).collect(),
            withdrawals: names(withdrawals),
        }
    }

    /// Lets what is held take effect, of one project or all, if it is what `seen` names. Returns
    /// the halves that are withdrawn by that.
    ///
    /// # Errors
    /// More is held, or something else: nothing is released.
    pub fn confirm(
        &mut self,
        project: Option<&str>,
        seen: &str,
        now: Now,
    ) -> Result<Vec<String>, HeldElse> {
        let before = self.held_view(project);
        if before.seen != seen {
            return Err(HeldElse);
        }
        self.handle(Event::Confirm(project.map(str::to_owned)), now);
        let still: BTreeSet<String> = self.held_view(None).withdrawals.into_iter().collect();
        Ok(before.withdrawals.into_iter().filter(|half| !still.contains(half)).collect())
    }
}

/// `project/network/name` each.
pub(super) fn names(halves: &[HalfKey]) -> Vec<String> {
    halves.iter().map(ToString::to_string).collect()
}
