//! From what shall stand to what is sent: desired rows, the difference, one guarded transaction.
//!
//! Owns row shapes, a file per kind, and the assembly of operations. Decides nothing: a link says
//! everything. Invariants: a row enters a transaction only here; only rows of ours are changed;
//! desired equal to present gives no operation at all.

mod diff;
mod guard;
mod link;
mod matches;
mod registration;
mod row;
mod summary;
mod transaction;

pub use diff::{RowDiff, diff};
pub use guard::guard_rows;
pub use link::link_rows;
pub use registration::{Base, Entries, RegistrationDiff, registration_diff, registration_removal};
pub use row::{DesiredRow, RouterRow};
pub use summary::{planned_registration, planned_row, summarise};
pub use transaction::{Transaction, drop_entries, tag_registrations};
