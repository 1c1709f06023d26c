//! NAT rows of others that exempt destinations by a set of ours.

use hashbrown::HashMap;
use uuid::Uuid;

use super::super::members::{Members, members, remove};
use super::super::rows::unit_of;
use super::super::tables::{ADDRESS_SET, NAT, nat};
use super::change::{Change, Effects, Index};

/// NAT rows by the set that they refer to.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct NatIndex {
    /// Address_Set -> the NAT rows that refer to it.
    exempting: HashMap<Uuid, Members<Uuid>>,
}

impl Index for NatIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        match change.table {
            NAT => self.row(change, effects),
            // Whether the exempting set is ours is a fact about the routers with these NAT rows.
            ADDRESS_SET if change.is_whole() => {
                let routers =
                    self.exempting(change.uuid).flat_map(|it| change.rows.parents.all(it));
                effects.touched.routers.extend(routers);
            }
            _ => {}
        }
    }
}

impl NatIndex {
    /// A reference to a set of ours concerns that set's network, wherever the row is.
    fn row(&mut self, change: &Change<'_>, effects: &mut Effects<'_>) {
        let sets = change.map(|row| row.get(nat::EXEMPTED_EXT_IPS).uuid()).map(Option::flatten);
        let [before, after] = sets;
        if before == after {
            return;
        }
        if let Some(set) = before {
            remove(&mut self.exempting, &set, &change.uuid);
        }
        if let Some(set) = after {
            self.exempting.entry(set).or_default().insert(change.uuid);
        }
        let sets = sets.into_iter().flatten();
        let sets = sets.filter_map(|set| change.rows.replica.row(ADDRESS_SET, set));
        effects.touched.units.extend(sets.filter_map(|row| unit_of(ADDRESS_SET, row)));
    }

    /// The NAT rows whose `exempted_ext_ips` is this set.
    pub(in crate::northbound) fn exempting(&self, set: Uuid) -> impl Iterator<Item = Uuid> {
        members(self.exempting.get(&set)).iter().copied()
    }
}
