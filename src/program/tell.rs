//! What guests are told, as texts in cells that are lent to us (northbound.md section 8).

use crate::peering::{GuestRoutes, RouteCell};

use super::lent::Loan;

/// The cells that are to tell guests of routes.
#[must_use]
pub fn tell_loans(routes: GuestRoutes) -> Vec<Loan> {
    let loan = |entry: RouteCell| Loan {
        ours: entry.syntax.added(entry.before.as_deref(), &entry.routes),
        cell: entry.cell,
        before: entry.before,
    };
    routes.cells.into_iter().map(loan).collect()
}
