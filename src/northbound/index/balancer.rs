//! Load balancers: who refers to them, and the virtual addresses of those of others.
//!
//! References to a balancer are weak, so they do not make it a child ([`Parents`] has those). A
//! reference to a copy of ours concerns its unit, because all of them are ours; one to a balancer of
//! others concerns the routers that have it now.
//!
//! [`Parents`]: super::parents::Parents

use std::collections::BTreeSet;
use std::net::IpAddr;

use uuid::Uuid;

use super::super::endpoint::Endpoint;
use super::super::owner::UnitId;
use super::super::rows::{name_of, unit_of};
use super::super::tables::{
    BALANCER_GROUP, HEALTH_CHECK, LOAD_BALANCER, LOGICAL_ROUTER, LOGICAL_SWITCH, balancer_group,
    load_balancer, logical_router, logical_switch,
};
use super::change::{Change, Effects, Index};
use crate::ovsdb::{ColumnId, Row, TableId};

/// References to balancers and groups, and virtual addresses.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct BalancerIndex {
    /// A balancer or a group, with the table and the row that refers to it.
    holders: BTreeSet<(Uuid, TableId, Uuid)>,
    /// The virtual addresses of balancers of others.
    addresses: BTreeSet<(IpAddr, Uuid)>,
}

/// The columns of a table that refer to balancers and to groups, each with the table referred to.
pub(in crate::northbound) fn references(table: TableId) -> &'static [(ColumnId, TableId)] {
    match table {
        LOGICAL_SWITCH => &[
            (logical_switch::LOAD_BALANCER, LOAD_BALANCER),
            (logical_switch::LOAD_BALANCER_GROUP, BALANCER_GROUP),
        ],
        LOGICAL_ROUTER => &[
            (logical_router::LOAD_BALANCER, LOAD_BALANCER),
            (logical_router::LOAD_BALANCER_GROUP, BALANCER_GROUP),
        ],
        BALANCER_GROUP => &[(balancer_group::LOAD_BALANCER, LOAD_BALANCER)],
        _ => &[],
    }
}

impl Index for BalancerIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        match change.table {
            LOAD_BALANCER => self.balancer(change, effects),
            HEALTH_CHECK => {
                let foreign = change.map(|row| unit_of(HEALTH_CHECK, row).is_none());
                if !effects.is_first && foreign.contains(&Some(true)) {
                    effects.touched.balancers.rows.extend(change.rows.parents.all(change.uuid));
                }
            }
            table => {
                for (column, referred) in references(table) {
                    self.holder(*column, *referred, change, effects);
                }
            }
        }
    }
}

impl BalancerIndex {
    fn balancer(&mut self, change: &Change<'_>, effects: &mut Effects<'_>) {
        let foreign =
            |row: Option<&'_ Row>| row.is_some_and(|row| unit_of(LOAD_BALANCER, row).is_none());
        let [old, new] = [change.old, change.new].map(|row| row.filter(|row| foreign(Some(row))));
        if old.is_none() && new.is_none() {
            return;
        }
        let [before, after] = [old, new].map(addresses);
        let differing: Vec<IpAddr> = before.symmetric_difference(&after).copied().collect();
        for address in &differing {
            let entry = (*address, change.uuid);
            if after.contains(address) {
                self.addresses.insert(entry);
            } else {
                self.addresses.remove(&entry);
            }
        }
        if effects.is_first {
            return;
        }
        let touched = &mut effects.touched.balancers;
        touched.rows.insert(change.uuid);
        touched.addresses.extend(differing);
        let names = [old, new].map(|row| name_of(row, load_balancer::NAME));
        let [before, after] = names;
        if before != after {
            touched.names.extend(names.into_iter().flatten().map(Into::into));
        }
    }

    fn holder(
        &mut self,
        column: ColumnId,
        referred: TableId,
        change: &Change<'_>,
        effects: &mut Effects<'_>,
    ) {
        let (lost, gained) = change.difference(column);
        let holder = (change.table, change.uuid);
        for row in &lost {
            self.holders.remove(&(*row, holder.0, holder.1));
        }
        self.holders.extend(gained.iter().map(|row| (*row, holder.0, holder.1)));
        if effects.is_first {
            return;
        }
        let mut concerns = false;
        for uuid in lost.into_iter().chain(gained) {
            let row = change.rows.replica.row(referred, uuid);
            match row.and_then(|row| unit_of(referred, row)) {
                Some(unit @ UnitId::Peering(_)) => drop(effects.touched.units.insert(unit)),
                Some(UnitId::Network(_)) => {}
                // A balancer that is gone says so itself.
                None => concerns |= row.is_some() || referred != LOAD_BALANCER,
            }
        }
        if concerns {
            self.touch(holder, effects);
        }
    }

    /// A router or a switch has other balancers than before.
    fn touch(&self, (table, row): (TableId, Uuid), effects: &mut Effects<'_>) {
        match table {
            LOGICAL_ROUTER => drop(effects.touched.routers.insert(row)),
            LOGICAL_SWITCH => effects.touch_switch(row),
            _ => self.holders(row).for_each(|holder| self.touch(holder, effects)),
        }
    }

    /// The rows that refer to a balancer or to a group.
    pub(in crate::northbound) fn holders(
        &self,
        row: Uuid,
    ) -> impl Iterator<Item = (TableId, Uuid)> + use<'_> {
        let from = self.holders.range((row, TableId(0), Uuid::nil())..);
        from.take_while(move |(of, ..)| *of == row).map(|(_, table, holder)| (*table, *holder))
    }

    /// The balancers of others with this virtual address.
    pub(in crate::northbound) fn with_address(
        &self,
        address: IpAddr,
    ) -> impl Iterator<Item = Uuid> {
        let from = self.addresses.range((address, Uuid::nil())..);
        from.take_while(move |(of, _)| *of == address).map(|(_, row)| *row)
    }
}

/// The virtual addresses of a balancer.
fn addresses(row: Option<&Row>) -> BTreeSet<IpAddr> {
    let vips = row.into_iter().flat_map(|row| row.get(load_balancer::VIPS).entries());
    vips.filter_map(|(vip, _)| vip.parse::<Endpoint>().ok()).map(|it| it.address).collect()
}
