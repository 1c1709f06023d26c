//! The ports by which a switch leads further: to a physical network, another switch, or another
//! availability zone.
//!
//! A switch has few of them. OVN 25.03 and later joins two switches by ports of type `switch` that
//! name each other as `peer`. Ports on either switch are then on both.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use uuid::Uuid;

use super::super::members::{Members, members, remove};
use super::super::tables::{SWITCH_PORT, switch_port};
use super::change::{Change, Effects, Rows};
use super::text::ByText;
use crate::ovsdb::{Replica, Row};

/// What a switch port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::northbound) enum Outlet {
    /// A physical network: the switch is an uplink.
    Physical,
    /// Another switch.
    Switch,
    /// Another availability zone, by OVN-IC.
    Zone,
}

impl Outlet {
    /// The outlet that a port is; none for a port to a router or a guest.
    pub(super) fn of(row: &Row) -> Option<Self> {
        match row.get(switch_port::TYPE).string() {
            "localnet" => Some(Self::Physical),
            "switch" => Some(Self::Switch),
            "remote" => Some(Self::Zone),
            _ => None,
        }
    }
}

/// All outlets.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlets {
    by_switch: HashMap<Uuid, Members<Uuid>>,
    /// Ports of type `switch`, by name.
    joining: ByText,
}

impl Outlets {
    /// Applies a change of a port. If it is or was an outlet, the change concerns the routers on
    /// both sides of a join, before and after.
    pub(super) fn apply(
        &mut self,
        change: &Change<'_>,
        switches: &[Uuid],
        effects: &mut Effects<'_>,
    ) {
        let [before, after] = change.map(Outlet::of).map(Option::flatten);
        if before.is_none() && after.is_none() {
            return;
        }
        let [old, new] = [change.old, change.new];
        let joins = |row: &&Row| Outlet::of(row) == Some(Outlet::Switch);
        let names = [old, new].map(|row| row.filter(joins));
        let names = names.map(|row| row.map(|row| row.get(switch_port::NAME).string()));
        self.joining.update(change.uuid, names);
        for switch in switches {
            match after {
                Some(_) => self.gain(*switch, change.uuid),
                None => self.lose(*switch, change.uuid),
            };
            effects.touch_switch(*switch);
        }
        for row in [old, new].into_iter().flatten().filter(joins) {
            self.named_by(change.rows, row).for_each(|switch| effects.touch_switch(switch));
        }
    }

    /// Notes that a switch has this outlet. Returns whether that is new.
    pub(super) fn gain(&mut self, switch: Uuid, port: Uuid) -> bool {
        self.by_switch.entry(switch).or_default().insert(port)
    }

    /// Notes that a switch lost a port. Returns whether the port was an outlet.
    pub(super) fn lose(&mut self, switch: Uuid, port: Uuid) -> bool {
        remove(&mut self.by_switch, &switch, &port)
    }

    /// An outlet of a switch, if it has any: the same one each time.
    pub(super) fn first(&self, switch: Uuid) -> Option<Uuid> {
        members(self.by_switch.get(&switch)).iter().min().copied()
    }

    /// Whether any of these switches has an outlet of this kind.
    pub(super) fn leads(
        &self,
        replica: &Replica,
        switches: &BTreeSet<Uuid>,
        outlet: Outlet,
    ) -> bool {
        let ports = switches.iter().flat_map(|switch| members(self.by_switch.get(switch)));
        let mut rows = ports.filter_map(|port| replica.row(SWITCH_PORT, *port));
        rows.any(|row| Outlet::of(row) == Some(outlet))
    }

    /// The switches with an outlet to another zone.
    pub(super) fn between_zones(&self, replica: &Replica) -> Vec<Uuid> {
        let leads = |switch: &&Uuid| self.leads(replica, &[**switch].into(), Outlet::Zone);
        self.by_switch.keys().filter(leads).copied().collect()
    }

    /// These switches, and all that are joined to them.
    pub(super) fn joined(
        &self,
        rows: Rows<'_>,
        switches: impl IntoIterator<Item = Uuid>,
    ) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<Uuid> = switches.into_iter().collect();
        while let Some(switch) = queue.pop() {
            if !found.insert(switch) {
                continue;
            }
            let ports = members(self.by_switch.get(&switch)).iter();
            let ports = ports.filter_map(|port| rows.replica.row(SWITCH_PORT, *port));
            let others = ports.filter_map(|row| self.other_side(rows.replica, row));
            queue.extend(others.flat_map(|port| rows.parents.all(port)));
        }
        found
    }

    /// The switches that a port would join to its own, whether or not the other port agrees.
    fn named_by<'a>(&self, rows: Rows<'a>, row: &Row) -> impl Iterator<Item = Uuid> + use<'a> {
        let port = self.port_named(rows.replica, row.get(switch_port::PEER).string());
        port.into_iter().flat_map(move |port| rows.parents.all(port))
    }

    /// The port on the other side, if the two name each other.
    fn other_side(&self, replica: &Replica, row: &Row) -> Option<Uuid> {
        if Outlet::of(row) != Some(Outlet::Switch) {
            return None;
        }
        let port = self.port_named(replica, row.get(switch_port::PEER).string())?;
        let back = replica.row(SWITCH_PORT, port)?.get(switch_port::PEER);
        back.is_string(row.get(switch_port::NAME).string()).then_some(port)
    }

    fn port_named(&self, replica: &Replica, name: &str) -> Option<Uuid> {
        let named = |port: &Uuid| {
            let row = replica.row(SWITCH_PORT, *port);
            row.is_some_and(|row| row.get(switch_port::NAME).is_string(name))
        };
        self.joining.candidates(name).as_slice().iter().copied().find(named)
    }
}
