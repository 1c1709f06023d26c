//! From what shall stand to what is sent: desired rows, the difference, one guarded transaction.
//!
//! Owns row shapes, a file per kind, and the assembly of operations. Decides nothing: a link says
//! everything. Invariants: a row enters a transaction only here; only rows of ours are changed, and
//! of others single cells that are lent to us (`lent`);
//! desired equal to present gives no operation at all.

mod diff;
mod exempt;
mod guard;
mod lent;
mod link;
mod matches;
mod registration;
mod row;
mod summary;
mod tell;
mod transaction;

pub use diff::{RowDiff, diff, identity_of};
pub use exempt::{exempt_loans, exempt_rows};
pub use guard::guard_rows;
pub use lent::{Cell, LentDiff, Loan, Written, lent_changes};
pub use link::link_rows;
pub use registration::{Base, Entries, RegistrationDiff, registration_diff, registration_removal};
pub use row::{DesiredRow, Parent, RouterRow};
pub use summary::{planned_lent, planned_registration, planned_row, summarise};
pub use tell::tell_loans;
pub use transaction::{Transaction, drop_entries, raise_versions, tag_registrations};
