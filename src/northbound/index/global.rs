//! `NB_Global`: the sequence numbers, and the options of OVN-IC.

use super::super::tables::NB_GLOBAL;
use super::super::zones::Zones;
use super::change::{Change, Concerned, Effects, Index};

/// Stores nothing, because there is only one row.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct GlobalIndex;

impl Index for GlobalIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        if change.table != NB_GLOBAL {
            return;
        }
        effects.touched.sequence = true;
        let [before, after] = change.map(Zones::of_deployment);
        if before.flatten() != after.flatten() {
            effects.concerned.push(Concerned::Zones);
        }
    }
}
