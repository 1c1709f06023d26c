//! Withdrawals that are held: what is shown of them.

use crate::declare::{HalfKey, HeldPart, LocalDeclarations};
use crate::view::{HeldProject, HeldView};

/// What is held is not what the operator has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldElse;

/// The withdrawals that wait for the operator: all, or those that are released with a project's.
pub(super) fn view(local: &LocalDeclarations, project: Option<&str>) -> HeldView {
    let Some(held) = local.held() else { return HeldView::default() };
    let of = |part: &HeldPart| HeldProject {
        project: part.project.to_string(),
        halves: part.withdrawals.len(),
        seen: part.seen.clone(),
    };
    let parts = || held.parts.iter().filter(|part| project.is_none_or(|it| *it == *part.project));
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

/// `project/network/name` each.
pub(super) fn names(halves: &[HalfKey]) -> Vec<String> {
    halves.iter().map(ToString::to_string).collect()
}
