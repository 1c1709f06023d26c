//! The index over the replica: from a row to the router that it concerns, and to the unit it serves.
//!
//! Owns the reverse references that OVSDB does not keep. Folding the changes of one update costs
//! what changed, and says what they touched; whom that concerns is for the engine to know.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use hashbrown::{HashMap, HashSet};
use uuid::Uuid;

use crate::ovsdb::{ColumnId, Replica, Row, RowChange, TableId, ValueRef};

use super::beyond::{Beyond, Outlet};
use super::declared::Entry;
use super::index::Index;
use super::leases::Leases;
use super::members::{Members, members, remove};
use super::owner::{Id, UNIT_KEY, UnitId};
use super::parents::Parents;
use super::registration;
use super::router::{OwnFacts, cell};
use super::switches::leads_to;
use super::tables::{
    ADDRESS_SET, DHCP_OPTIONS, LOGICAL_ROUTER, LOGICAL_SWITCH, NAT, NB_GLOBAL, Named,
    ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT, address_set, children_of,
    logical_router, nat, router_port, spec,
};
use super::units::Units;
use super::version::Versions;
use super::zones::Zones;

/// What some changes touched.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Routers whose facts may differ, by row.
    pub routers: BTreeSet<Uuid>,
    /// Names that a router gained or lost: what a declaration binds may differ.
    pub router_names: BTreeSet<Box<str>>,
    /// Units of which a row appeared, changed or went.
    pub units: BTreeSet<UnitId>,
    /// Halves whose record changed, or what a host declares of them: the network's identity and the
    /// half's name.
    pub records: BTreeSet<(Id, Box<str>)>,
    /// Networks of which hosts declare something else than before.
    pub declared: BTreeSet<Id>,
    /// Whether the configuration sequence numbers moved.
    pub sequence: bool,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    routers_by_name: Index,
    /// Router port, static route, policy or NAT -> router.
    pub(super) router_of: Parents,
    ports_by_name: Index,
    /// Switch port -> switch.
    pub(super) switch_of: Parents,
    /// Name of a router port -> the switch ports that lead to it.
    pub(super) switch_ports_to: Index,
    /// Ports of switches that lead beyond them.
    pub(super) beyond: Beyond,
    /// Switches with a VM's port at least.
    pub(super) inhabited: HashSet<Uuid>,
    /// Address_Set -> the NAT rows that it exempts destinations from.
    exempting: HashMap<Uuid, Members<Uuid>>,
    pub(super) leases: Leases,
    units: Units,
    versions: Versions,
    /// Peering -> ports of others that have a name of its ports: router and switch ports share one
    /// namespace in the southbound.
    namesakes: BTreeMap<Id, Members<(TableId, Uuid)>>,
}

impl Inventory {
    /// Folds changes that the replica has already taken.
    pub fn fold(&mut self, replica: &Replica, changes: &[RowChange]) -> Touched {
        let mut touched = Touched::default();
        // Parents first: a child's change is then told to the router that has it now.
        for change in changes {
            match change.table {
                LOGICAL_ROUTER => self.fold_router(replica, change, &mut touched),
                LOGICAL_SWITCH => self.fold_switch(replica, change, &mut touched),
                _ => {}
            }
        }
        for change in changes {
            match change.table {
                ROUTER_PORT => self.fold_router_port(replica, change, &mut touched),
                STATIC_ROUTE | ROUTER_POLICY => self.fold_child(replica, change, &mut touched),
                SWITCH_PORT => self.fold_switch_port(replica, change, &mut touched),
                ADDRESS_SET => self.fold_address_set(replica, change, &mut touched),
                NAT => self.fold_nat(replica, change, &mut touched),
                DHCP_OPTIONS => touched.routers.extend(self.fold_lease(replica, change)),
                NB_GLOBAL => self.fold_global(replica, change, &mut touched),
                _ => {}
            }
        }
        touched
    }

    /// The routers of this name: OVN does not keep names unique.
    pub fn routers_named(&self, replica: &Replica, name: &str) -> Vec<Uuid> {
        let routers = self.routers_by_name.candidates(name);
        let named = |router: &Uuid| {
            let row = replica.row(LOGICAL_ROUTER, *router);
            row.is_some_and(|row| cell(row, logical_router::NAME).is_string(name))
        };
        routers.as_slice().iter().copied().filter(named).collect()
    }

    /// The router that has this port, route, policy or NAT.
    #[must_use]
    pub fn router_of(&self, child: Uuid) -> Option<Uuid> {
        self.router_of.get(child)
    }

    /// All routers that have this port, route, policy or NAT: OVSDB allows several.
    pub fn routers_of(&self, child: Uuid) -> impl Iterator<Item = Uuid> {
        self.router_of.all(child)
    }

    /// The rows that refer to this one: routers, or switches.
    pub fn parents_of(&self, child: Uuid) -> impl Iterator<Item = Uuid> {
        self.router_of.all(child).chain(self.switch_of.all(child))
    }

    /// The NAT rows whose `exempted_ext_ips` is this Address_Set.
    pub fn exempting(&self, set: Uuid) -> impl Iterator<Item = Uuid> {
        members(self.exempting.get(&set)).iter().copied()
    }

    /// The router port of this name.
    #[must_use]
    pub fn port_named(&self, replica: &Replica, name: &str) -> Option<Uuid> {
        let ports = self.ports_by_name.candidates(name);
        let named = |port: &Uuid| {
            let row = replica.row(ROUTER_PORT, *port);
            row.is_some_and(|row| cell(row, router_port::NAME).is_string(name))
        };
        ports.as_slice().iter().copied().find(named)
    }

    /// The switches that a router port is on.
    pub(super) fn switches_of(&self, replica: &Replica, router_port: &str) -> Members<Uuid> {
        let mut switches = Members::default();
        for port in self.switch_ports_to.candidates(router_port).as_slice() {
            if replica.row(SWITCH_PORT, *port).and_then(leads_to).as_deref() == Some(router_port)
                && let Some(switch) = self.switch_of.get(*port)
            {
                switches.insert(switch);
            }
        }
        switches
    }

    /// Which switches a router port is on, with those that are joined with them.
    pub(super) fn reach_of(&self, replica: &Replica, router_port: &str) -> BTreeSet<Uuid> {
        let switches = self.switches_of(replica, router_port);
        let switches = switches.as_slice().iter().copied();
        self.beyond.joined(replica, &self.switch_of, switches)
    }

    /// Whether one of some switches leads there.
    pub(super) fn leads(&self, replica: &Replica, reach: &BTreeSet<Uuid>, to: Outlet) -> bool {
        self.beyond.leads(replica, reach, to)
    }

    /// Whether one of some switches has a VM's port.
    pub(super) fn is_inhabited(&self, reach: &BTreeSet<Uuid>) -> bool {
        reach.iter().any(|switch| self.inhabited.contains(switch))
    }

    /// The rows of ours that serve a unit.
    pub fn rows_of(&self, unit: UnitId) -> impl Iterator<Item = (TableId, Uuid)> {
        self.units.rows_of(unit)
    }

    /// Ports of others that have the name of one of a peering's ports.
    pub fn namesakes(&self, peering: Id) -> impl Iterator<Item = (TableId, Uuid)> {
        members(self.namesakes.get(&peering)).iter().copied()
    }

    /// All units of which a row is there.
    pub fn units(&self) -> impl Iterator<Item = UnitId> {
        self.units.all()
    }

    /// The IPv4 Address_Set of a network: its registration.
    #[must_use]
    pub fn registration_of(&self, network: Id) -> Option<Uuid> {
        self.units.registration(network)
    }

    /// The highest version of a registration, if it is a newer one.
    #[must_use]
    pub fn newer(&self) -> Option<u32> {
        self.versions.newer()
    }

    /// The registrations of older versions.
    pub fn older(&self) -> impl Iterator<Item = Uuid> {
        self.versions.older()
    }

    fn fold_global(&mut self, replica: &Replica, change: &RowChange, touched: &mut Touched) {
        touched.sequence = true;
        let zones = |row: Option<&Row>| row.and_then(Zones::of_deployment);
        if zones(change.old.as_ref()) != zones(replica.row(NB_GLOBAL, change.uuid)) {
            for switch in self.beyond.between_zones(replica) {
                self.touch_routers_on(replica, switch, touched);
            }
        }
    }

    fn fold_router(&mut self, replica: &Replica, change: &RowChange, touched: &mut Touched) {
        let old = change.old.as_ref();
        let new = replica.row(LOGICAL_ROUTER, change.uuid);
        let (before, after) =
            (name_of(old, logical_router::NAME), name_of(new, logical_router::NAME));
        if before != after {
            if let Some(name) = before.as_deref() {
                self.routers_by_name.remove(name, change.uuid);
                touched.router_names.insert(name.into());
            }
            if let Some(name) = after.as_deref() {
                self.routers_by_name.insert(name, change.uuid);
                touched.router_names.insert(name.into());
            }
        }
        if before != after || old.map(OwnFacts::of) != new.map(OwnFacts::of) {
            touched.routers.insert(change.uuid);
        }
        for (column, table) in children_of(LOGICAL_ROUTER) {
            let (lost, gained) = set_difference(old, new, column);
            if !lost.is_empty() {
                // Foreign or ours: a row that only moved away is told here, one that went by itself.
                touched.routers.insert(change.uuid);
            }
            self.router_of.lose(change.uuid, &lost);
            self.router_of.gain(change.uuid, &gained);
            // What another router still has is there, and on one router too few.
            let left = lost.iter().filter_map(|child| unit_of(table, replica.row(table, *child)?));
            touched.units.extend(left);
            for child in gained {
                match replica.row(table, child).and_then(|row| unit_of(table, row)) {
                    Some(unit) => {
                        touched.units.insert(unit);
                    }
                    None => {
                        touched.routers.insert(change.uuid);
                    }
                }
            }
        }
        if new.is_none() {
            self.router_of.forget(change.uuid);
        }
    }

    fn fold_router_port(&mut self, replica: &Replica, change: &RowChange, touched: &mut Touched) {
        let old = change.old.as_ref();
        let new = replica.row(ROUTER_PORT, change.uuid);
        let (before, after) = (name_of(old, router_port::NAME), name_of(new, router_port::NAME));
        if before != after {
            if let Some(name) = before {
                self.ports_by_name.remove(&name, change.uuid);
            }
            if let Some(name) = after {
                self.ports_by_name.insert(&name, change.uuid);
            }
        }
        self.fold_namesake(replica, change, touched);
        let ports = self.leases.fold_port(change.uuid, old, new);
        touched.routers.extend(ports.into_iter().flat_map(|port| self.routers_of(port)));
        self.fold_child(replica, change, touched);
    }

    /// A port of somebody else with the name of a port of ours in the other table.
    pub(super) fn fold_namesake(
        &mut self,
        replica: &Replica,
        change: &RowChange,
        touched: &mut Touched,
    ) {
        let row = (change.table, change.uuid);
        if let Some(peering) = change.old.as_ref().and_then(|old| namesake_of(row.0, old)) {
            remove(&mut self.namesakes, &peering, &row);
            touched.units.insert(UnitId::Peering(peering));
        }
        let new = replica.row(change.table, change.uuid);
        if let Some(peering) = new.and_then(|new| namesake_of(row.0, new)) {
            self.namesakes.entry(peering).or_default().insert(row);
            touched.units.insert(UnitId::Peering(peering));
        }
    }

    /// A port, route or policy: ours serves a unit, another's is a fact of its router.
    fn fold_child(&mut self, replica: &Replica, change: &RowChange, touched: &mut Touched) {
        let table = change.table;
        let (old, new) = (change.old.as_ref(), replica.row(table, change.uuid));
        let units @ [before, after] = units_of(change, new);
        if old.is_some() && before.is_none() || new.is_some() && after.is_none() {
            touched.routers.extend(self.routers_of(change.uuid));
        }
        self.fold_unit(change, new, units, touched);
    }

    /// A NAT row is somebody else's: a fact of its router. What refers to a set of ours concerns
    /// that set's network, wherever the row is.
    fn fold_nat(&mut self, replica: &Replica, change: &RowChange, touched: &mut Touched) {
        touched.routers.extend(self.routers_of(change.uuid));
        let exempted = |row: Option<&Row>| cell(row?, nat::EXEMPTED_EXT_IPS).uuid();
        let before = exempted(change.old.as_ref());
        let after = exempted(replica.row(NAT, change.uuid));
        if before == after {
            return;
        }
        if let Some(set) = before {
            remove(&mut self.exempting, &set, &change.uuid);
        }
        if let Some(set) = after {
            self.exempting.entry(set).or_default().insert(change.uuid);
        }
        let sets = before.into_iter().chain(after);
        let sets = sets.filter_map(|set| replica.row(ADDRESS_SET, set));
        touched.units.extend(sets.filter_map(|row| unit_of(ADDRESS_SET, row)));
    }

    fn fold_address_set(&mut self, replica: &Replica, change: &RowChange, touched: &mut Touched) {
        let old = change.old.as_ref();
        let new = replica.row(ADDRESS_SET, change.uuid);
        self.versions.fold(change.uuid, old, new);
        let units @ [before, after] = units_of(change, new);
        let unit = if new.is_some() { after } else { before };
        let known = unit.is_some_and(|unit| touched.units.contains(&unit));
        self.fold_unit(change, new, units, touched);
        if old.is_some() != new.is_some() {
            // Whether what is exempted is ours is a fact of the routers that refer to it.
            let rows = self.exempting(change.uuid);
            touched.routers.extend(rows.flat_map(|row| self.routers_of(row)));
        }
        let Some(UnitId::Network(network)) = unit else { return };
        let mut by_hosts = old.is_some() && new.is_some();
        for key in changed_keys(old, new) {
            let entry = Entry::parse(key);
            by_hosts &= entry.is_some();
            touched.declared.extend(entry.is_some().then_some(network));
            let half = match entry {
                Some(Entry::Half(_, name)) => Some(name),
                Some(Entry::Host(_) | Entry::Rejection(..)) => None,
                None => key.strip_prefix(registration::HALF_PREFIX),
            };
            touched.records.extend(half.map(|name| (network, name.into())));
        }
        // What hosts declare is theirs to change: the registration itself is as it was.
        if by_hosts && !known && same_but_tags(old, new) {
            touched.units.remove(&UnitId::Network(network));
        }
    }

    /// A row served one unit and serves another, or the same.
    pub(super) fn fold_unit(
        &mut self,
        change: &RowChange,
        new: Option<&Row>,
        [before, after]: [Option<UnitId>; 2],
        touched: &mut Touched,
    ) {
        let (table, uuid) = (change.table, change.uuid);
        if let Some(unit) = before {
            self.units.remove(unit, table, uuid);
            touched.units.insert(unit);
        }
        if let Some((row, unit)) = new.zip(after) {
            self.units.add(unit, table, uuid, row);
            touched.units.insert(unit);
        }
    }
}

/// The unit that a changed row served, and the one that it serves now.
pub(super) fn units_of(change: &RowChange, new: Option<&Row>) -> [Option<UnitId>; 2] {
    [change.old.as_ref(), new].map(|row| row.and_then(|row| unit_of(change.table, row)))
}

/// The unit that a row serves; none if it is somebody else's. A port's name is ours as its tag is.
pub(crate) fn unit_of(table: TableId, row: &Row) -> Option<UnitId> {
    let ours = spec(table)?.ours.as_ref()?;
    let by_name = |named: &Named| (named.ours)(&cell(row, named.column).string());
    let by_tag = unit_by_tag(cell(row, ours.tags));
    by_tag.or_else(|| ours.named.as_ref().and_then(by_name).map(UnitId::Peering))
}

/// The peering of which somebody else's port has a name, though in the other table.
fn namesake_of(table: TableId, row: &Row) -> Option<Id> {
    let named = spec(table)?.ours.as_ref()?.named.as_ref()?;
    let peering = (named.taken)(&cell(row, named.column).string());
    peering.filter(|_| unit_of(table, row).is_none())
}

fn unit_by_tag(external_ids: ValueRef<'_>) -> Option<UnitId> {
    external_ids.get(UNIT_KEY).and_then(|tag| UnitId::parse(&tag))
}

/// A map's entries by key.
type Entries<'a> = BTreeMap<&'a str, Cow<'a, str>>;

/// The keys of `external_ids` that differ; costs one walk over both rows.
fn changed_keys<'a>(old: Option<&'a Row>, new: Option<&'a Row>) -> BTreeSet<&'a str> {
    let entries = |row: Option<&'a Row>| {
        let entries =
            row.into_iter().flat_map(|row| cell(row, address_set::EXTERNAL_IDS).entries());
        entries.collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (entries(old), entries(new));
    let differing = |one: &Entries<'a>, other: &Entries<'a>| {
        let keys = one.iter().filter(|(key, text)| other.get(*key) != Some(*text));
        keys.map(|(key, _)| *key).collect::<Vec<_>>()
    };
    differing(&old, &new).into_iter().chain(differing(&new, &old)).collect()
}

/// Whether two states of a set have the same name and addresses.
fn same_but_tags(old: Option<&Row>, new: Option<&Row>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    [address_set::NAME, address_set::ADDRESSES]
        .into_iter()
        .all(|column| cell(old, column) == cell(new, column))
}

fn name_of(row: Option<&Row>, column: ColumnId) -> Option<Cow<'_, str>> {
    row.map(|row| cell(row, column).string())
}

/// The members that a set lost and gained; costs one walk over both.
pub(super) fn set_difference(
    old: Option<&Row>,
    new: Option<&Row>,
    column: ColumnId,
) -> (Vec<Uuid>, Vec<Uuid>) {
    let members = |row: Option<&Row>| -> Vec<Uuid> {
        row.map(|row| cell(row, column).uuids().collect()).unwrap_or_default()
    };
    let same = match (old, new) {
        (Some(old), Some(new)) => cell(old, column) == cell(new, column),
        _ => false,
    };
    if same {
        return (Vec::new(), Vec::new());
    }
    // Both are sorted, as every set in the replica is.
    let (old, new) = (members(old), members(new));
    let lost = old.iter().filter(|uuid| new.binary_search(uuid).is_err()).copied().collect();
    let gained = new.iter().filter(|uuid| old.binary_search(uuid).is_err()).copied().collect();
    (lost, gained)
}
