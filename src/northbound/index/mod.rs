//! The index of the replica: what a change concerns, and the rows that rules ask for.
//!
//! Each file has one index, of the rows of the tables that it names. All of them are applied by the
//! same call ([`change::Index`]), and none changes another. If a change concerns routers that only
//! another index can find, the index reports how to find them ([`change::Concerned`]). They are
//! looked up when all indexes have applied the change. The cost of a change follows its size,
//! whatever else there is.
//!
//! A new table needs a new file, its name here, and a line in `indexes!`.

pub(super) mod balancer;
pub(super) mod change;
mod counters;
pub(super) mod dhcp;
pub(super) mod dns;
mod global;
mod name;
mod nat;
pub(super) mod outlets;
mod parents;
pub(super) mod router;
pub(super) mod served;
pub(super) mod switch;
mod text;
mod unit;
mod version;

use std::collections::BTreeSet;

use uuid::Uuid;

use self::change::{Change, Concerned, Effects, Index, Rows, Touched};
use self::parents::Parents;
use crate::ovsdb::{Replica, RowChange};

/// Lists the indexes.
macro_rules! indexes {
    ($($field:ident: $index:ty;)*) => {
        /// All indexes, as one.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Indexes {
            $(pub(super) $field: $index,)*
        }

        impl Index for Indexes {
            fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
                $(self.$field.apply(change, effects);)*
            }
        }
    };
}

indexes! {
    global: global::GlobalIndex;
    units: unit::UnitIndex;
    versions: version::VersionIndex;
    counters: counters::CountersIndex;
    names: name::NameIndex;
    routers: router::RouterIndex;
    switches: switch::SwitchIndex;
    nat: nat::NatIndex;
    dhcp: dhcp::DhcpIndex;
    balancers: balancer::BalancerIndex;
    dns: dns::DnsIndex;
}

/// The index.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    /// The parents of rows.
    parents: Parents,
    pub(super) indexes: Indexes,
}

impl Inventory {
    /// Applies changes that the replica has applied.
    pub(super) fn apply(&mut self, replica: &Replica, changes: &[RowChange]) -> Touched {
        self.apply_all(replica, changes, Effects::default())
    }

    /// Applies rows of the first dump, without a report of what they concern.
    pub(super) fn begin(&mut self, replica: &Replica, rows: &[RowChange]) {
        self.apply_all(replica, rows, Effects { is_first: true, ..Effects::default() });
    }

    fn apply_all<'a>(
        &'a mut self,
        replica: &'a Replica,
        changes: &'a [RowChange],
        mut effects: Effects<'a>,
    ) -> Touched {
        // References first: a change concerns the router that has the row now.
        for change in changes {
            self.parents.apply(replica, change);
        }
        let rows = Rows { replica, parents: &self.parents };
        for RowChange { table, uuid, old, .. } in changes {
            let (table, uuid, old) = (*table, *uuid, old.as_ref());
            let change = Change { table, uuid, old, new: replica.row(table, uuid), rows };
            self.indexes.apply(&change, &mut effects);
            for concerned in effects.concerned.drain(..).filter(|_| !effects.is_first) {
                self.indexes.find(&concerned, rows, &mut effects.touched.routers);
            }
        }
        effects.touched
    }

    /// The rows of a replica, and the references between them.
    pub(super) fn rows<'a>(&'a self, replica: &'a Replica) -> Rows<'a> {
        Rows { replica, parents: &self.parents }
    }
}

impl Indexes {
    /// Finds the routers that a change concerns.
    fn find(&self, concerned: &Concerned<'_>, rows: Rows<'_>, found: &mut BTreeSet<Uuid>) {
        match concerned {
            Concerned::Port(name) => found.extend(self.routers.with_port(rows, name)),
            Concerned::Switch(switch) => self.find_on(*switch, rows, found),
            Concerned::Zones => {
                for switch in self.switches.between_zones(rows.replica) {
                    self.find_on(switch, rows, found);
                }
            }
            Concerned::Dhcp(served) => {
                found.extend(self.dhcp.routers(served, rows, &self.switches));
            }
        }
    }

    /// Finds the routers on a switch, and on those that are joined to it.
    fn find_on(&self, switch: Uuid, rows: Rows<'_>, found: &mut BTreeSet<Uuid>) {
        for name in self.switches.router_ports(rows, switch) {
            found.extend(self.routers.with_port(rows, name));
        }
    }
}
