//! The gate between daemons of different versions.
//!
//! As long as a registration in the northbound is of a newer version, this daemon writes nothing, does not hold or wait for
//! the lock, and goes by what other hosts declared before. Its own registrations tell the same to older daemons, so it
//! raises those of older versions before it writes anything else; that needs no lock.

use crate::northbound::{NetworkRecord, Northbound, Touched};
use crate::program;

use super::Engine;
use super::writer::{Submission, Work};

/// Registrations that are raised in one transaction at the most: ovsdb-server answers nobody else meanwhile.
const MOST_RAISED: usize = 256;

impl Engine {
    /// Whether this instance is to hold the lock, or to wait for it.
    #[must_use]
    pub fn contends(&self) -> bool {
        self.newer.is_none() && self.identity.contends()
    }

    /// Notes the highest version of a registration that is there, if it is a newer one. Whether there was a newer one and
    /// is none any more is returned.
    pub(super) fn review_version(&mut self, newer: Option<u32>) -> bool {
        let before = std::mem::replace(&mut self.newer, newer);
        if before != newer {
            self.changes.newer(newer);
            self.changes.all_states();
            self.connection.active &= newer.is_none();
        }
        before.is_some() && newer.is_none()
    }

    /// Takes over what other hosts declare now. A newer version may declare in another way: what was read before goes on
    /// until that is gone.
    pub(super) fn register(&mut self, touched: &Touched, northbound: &Northbound) {
        let opens = self.review_version(northbound.newer());
        let changed = match self.newer {
            Some(_) => return,
            None if opens => self.state.register_all(northbound),
            None => self.state.register(&touched.declared, northbound),
        };
        self.changes.declared(&changed, &self.state.declarations);
    }

    /// Raises registrations of older versions.
    pub(super) fn write_versions(&mut self, northbound: &Northbound) -> Option<Submission> {
        let older = northbound.older().take(MOST_RAISED);
        let raised = older.map(|(set, text, record)| {
            (set, text.into_owned(), NetworkRecord::new(&record.key(), record.router).to_text())
        });
        let operations = program::raise_versions(raised);
        (!operations.is_empty()).then(|| self.writer.submission(Work::Versions, operations))
    }
}
