//! From decisions to a transaction: desired rows, the difference, one guarded transaction.
//!
//! Owns row shapes, a file per kind of row (`contributors`), and the assembly of operations.
//! Decides nothing: a link or a network contains all decisions. Invariants: only this room adds
//! rows to a transaction; it changes only rows of ours, and single fields of others (`borrowed`), and
//! deletes the rows of a link of others only where ours takes its place on command (`replaced`); it
//! gives no operation if desired and present rows are equal.

mod borrowed;
mod contributors;
mod counters;
mod diff;
mod matches;
mod packets;
mod registration;
mod replaced;
mod row;
mod summary;
mod transaction;
mod words;

pub use borrowed::{BorrowedDiff, BorrowedField, Written, borrowed_changes};
pub use contributors::{Network, Unit, Wants, wants};
pub use counters::{
    CounterDiff, drop_marks, insert_counters, raise_stored, same_counters, set_counters,
};
pub use diff::{Reference, RowDiff, diff, identity_of};
pub use registration::{
    Base, Entries, RegistrationDiff, registration_diff, registration_removal, same_registration,
};
pub use replaced::{Replaced, replaced};
pub use row::{DesiredRow, Parent, RouterRow};
pub use summary::{FindServed, planned_borrowed, planned_registration, planned_row, summarise};
pub use transaction::{Transaction, drop_entries, raise_versions, tag_registrations};
pub use words::Served;
