//! Names of guests: which switches refer to which rows of `DNS`.
//!
//! The references are weak, as those to load balancers are. One to a row of ours concerns its unit,
//! because all of them are ours; one to a row of others concerns the names on the switch.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::owner::UnitId;
use super::super::rows::unit_of;
use super::super::tables::{DNS, LOGICAL_SWITCH, logical_switch};
use super::change::{Change, Effects, Index};

/// The references to rows of `DNS`.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct DnsIndex {
    /// A row, with a switch that refers to it.
    holders: BTreeSet<(Uuid, Uuid)>,
}

impl Index for DnsIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        match change.table {
            DNS => {
                let foreign = change.map(|row| unit_of(DNS, row).is_none());
                if !effects.is_first && foreign.contains(&Some(true)) {
                    effects.touched.named.extend(self.holders(change.uuid));
                }
            }
            LOGICAL_SWITCH => self.switch(change, effects),
            _ => {}
        }
    }
}

impl DnsIndex {
    fn switch(&mut self, change: &Change<'_>, effects: &mut Effects<'_>) {
        let (lost, gained) = change.difference(logical_switch::DNS_RECORDS);
        for row in &lost {
            self.holders.remove(&(*row, change.uuid));
        }
        self.holders.extend(gained.iter().map(|row| (*row, change.uuid)));
        if effects.is_first {
            return;
        }
        for uuid in lost.into_iter().chain(gained) {
            let row = change.rows.replica.row(DNS, uuid);
            match row.and_then(|row| unit_of(DNS, row)) {
                Some(unit @ UnitId::Peering(_)) => drop(effects.touched.units.insert(unit)),
                Some(UnitId::Network(_)) => {}
                // Of a row that is gone nobody knows any more whose it was.
                None => drop(effects.touched.named.insert(change.uuid)),
            }
        }
    }

    /// The switches that refer to a row.
    pub(in crate::northbound) fn holders(&self, row: Uuid) -> impl Iterator<Item = Uuid> + use<'_> {
        let from = self.holders.range((row, Uuid::nil())..);
        from.take_while(move |(of, _)| *of == row).map(|(_, switch)| *switch)
    }
}
