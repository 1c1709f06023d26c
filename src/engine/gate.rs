//! The gate between daemons of different versions.
//!
//! As long as a registration in the northbound is of a newer version, this daemon writes nothing,
//! does not hold or wait for the lock, and goes by what other hosts declared before. Its own
//! registrations tell the same to older daemons, so it raises those of older versions before it
//! writes anything else; that needs no lock.

use crate::northbound::{NetworkRecord, Northbound};
use crate::ovsdb::Operation;
use crate::program;
use crate::view::NorthboundView;

use super::changes::Changes;

/// Registrations that are raised in one transaction at the most: ovsdb-server answers nobody else
/// meanwhile.
const MOST_RAISED: usize = 256;

/// Whether a newer version has written to the northbound, and which.
#[derive(Debug, Default)]
pub(super) struct Gate {
    newer: Option<u32>,
}

impl Gate {
    /// The version of the newer daemon.
    pub(super) fn newer(&self) -> Option<u32> {
        self.newer
    }

    /// Whether this instance writes nothing.
    pub(super) fn is_closed(&self) -> bool {
        self.newer.is_some()
    }

    /// Notes the highest version of a registration that is there, if it is a newer one. Returns
    /// whether there was a newer one and is none any more.
    pub(super) fn review(
        &mut self,
        newer: Option<u32>,
        connection: &mut NorthboundView,
        changes: &mut Changes,
    ) -> bool {
        let before = std::mem::replace(&mut self.newer, newer);
        if before != newer {
            changes.newer(newer);
            changes.all_states();
            connection.active &= newer.is_none();
        }
        before.is_some() && newer.is_none()
    }
}

/// What raises registrations of older versions.
pub(super) fn raise(northbound: &Northbound) -> Vec<Operation> {
    let older = northbound.older().take(MOST_RAISED);
    program::raise_versions(older.map(|(set, text, record)| {
        (set, text.to_owned(), NetworkRecord::new(&record.key(), record.router).to_text())
    }))
}
