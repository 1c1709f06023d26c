//! The Address_Set that holds the counters of hosts.

use uuid::Uuid;

use crate::ovsdb::Row;

use super::super::counters::COUNTERS_NAME;
use super::super::tables::{ADDRESS_SET, address_set};
use super::change::{Change, Effects, Index};

/// The row, if it exists.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct CountersIndex {
    pub(in crate::northbound) row: Option<Uuid>,
}

impl Index for CountersIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        if change.table != ADDRESS_SET {
            return;
        }
        let named = |row: &Row| row.get(address_set::NAME).is_string(COUNTERS_NAME);
        let [before, after] = change.map(named).map(|named| named == Some(true));
        if after {
            self.row = Some(change.uuid);
        } else if self.row == Some(change.uuid) {
            self.row = None;
        }
        effects.touched.counters |= before || after;
    }
}
