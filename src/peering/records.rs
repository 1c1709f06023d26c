//! What the northbound records of each half, as last read.
//!
//! Owns one copy of each record, and which of them are to be read again. Invariant: a record that
//! somebody deletes is not forgotten as long as the half is declared.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::declare::{HalfKey, NetworkKey};
use crate::northbound::{HalfRecord, Id, Northbound, RecordedState};

use super::inputs::is_linked;

/// The records of the halves that are declared.
#[derive(Debug, Default)]
pub(super) struct Records {
    read: HashMap<HalfKey, Arc<HalfRecord>>,
    /// Halves whose record is no longer what was read.
    altered: BTreeSet<HalfKey>,
}

impl Records {
    /// What was recorded of a half, whatever its target was then.
    pub(super) fn get(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.read.get(half)
    }

    /// The record of a half that is recorded as linked.
    pub(super) fn linked(&self, half: &HalfKey) -> Option<&HalfRecord> {
        self.get(half).map(|record| &**record).filter(|record| is_linked(record))
    }

    /// Reads the record of a half of which none is known. The target's name is shared with it.
    pub(super) fn find(&mut self, half: &HalfKey, target: &NetworkKey, northbound: &Northbound) {
        if !self.read.contains_key(half) {
            self.read(half, target, northbound);
        }
    }

    /// The record of a half is no longer what was read.
    pub(super) fn altered(&mut self, half: HalfKey) {
        self.altered.insert(half);
    }

    /// Reads a record again that was altered.
    pub(super) fn read_again(
        &mut self,
        half: &HalfKey,
        target: &NetworkKey,
        northbound: &Northbound,
    ) {
        if self.altered.remove(half) {
            self.read(half, target, northbound);
        }
    }

    /// Nobody declares a half any more.
    pub(super) fn forget(&mut self, half: &HalfKey) {
        self.read.remove(half);
        self.altered.remove(half);
    }

    fn read(&mut self, half: &HalfKey, target: &NetworkKey, northbound: &Northbound) {
        let network = Id::of_network(&half.network);
        let record = northbound.half_record(network, &half.name);
        // What ended does not count for what is declared anew.
        if let Some(record) = record.filter(|record| record.state != RecordedState::Deleted) {
            self.read.insert(half.clone(), Arc::new(record.sharing(target)));
        }
    }
}
