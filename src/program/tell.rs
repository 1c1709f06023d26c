//! What guests are told, as texts in cells that are lent to us (northbound.md section 8).

use crate::peering::Told;

use super::lent::Loan;

/// The cells that are to tell guests of routes.
#[must_use]
pub fn tell_loans(told: Told) -> Vec<Loan> {
    let loan = |lesson: crate::peering::Lesson| Loan {
        ours: lesson.syntax.added(lesson.before.as_deref(), &lesson.routes),
        cell: lesson.cell,
        before: lesson.before,
    };
    told.lessons.into_iter().map(loan).collect()
}
