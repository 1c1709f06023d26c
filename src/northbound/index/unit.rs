//! Units: the rows of ours that belong to each, and the declarations of hosts in registrations.
//!
//! Also holds the row of each network's registration. Nearly every comparison of a unit needs it,
//! and would search the unit's rows for it otherwise.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use hashbrown::HashMap;
use uuid::Uuid;

use super::super::declared::Entry;
use super::super::members::{Members, members, remove};
use super::super::owner::{Family, Id, UnitId, address_set_name};
use super::super::registration::{HALF_PREFIX, NETWORK_KEY};
use super::super::rows::unit_of;
use super::super::tables::{ADDRESS_SET, address_set};
use super::change::{Change, Effects, Index};
use crate::ovsdb::{Row, TableId};

/// The units with rows.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct UnitIndex {
    rows: BTreeMap<UnitId, Members<(TableId, Uuid)>>,
    /// Network -> its IPv4 Address_Set.
    registrations: HashMap<Id, Uuid>,
}

impl Index for UnitIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, effects: &mut Effects<'a>) {
        let (table, uuid, replica) = (change.table, change.uuid, change.rows.replica);
        let [before, after] = change.map(|row| unit_of(table, row)).map(Option::flatten);
        if let Some(unit) = before {
            self.remove(unit, table, uuid);
        }
        if let Some((row, unit)) = change.new.zip(after) {
            self.add(unit, table, uuid, row);
        }
        if effects.is_first {
            return;
        }
        let by_hosts = table == ADDRESS_SET && declared_alone(change, [before, after], effects);
        if !by_hosts {
            effects.touched.units.extend(before.into_iter().chain(after));
        }
        // A row that lost one of several parents still exists, and a row with a new one may have
        // one too many.
        for (child, lost, gained) in change.children() {
            let rows = lost.into_iter().chain(gained).filter_map(|it| replica.row(child, it));
            effects.touched.units.extend(rows.filter_map(|row| unit_of(child, row)));
        }
    }
}

impl UnitIndex {
    /// The rows of a unit.
    pub(in crate::northbound) fn rows_of(
        &self,
        unit: UnitId,
    ) -> impl Iterator<Item = (TableId, Uuid)> {
        members(self.rows.get(&unit)).iter().copied()
    }

    /// All units with at least one row.
    pub(in crate::northbound) fn all(&self) -> impl Iterator<Item = UnitId> {
        self.rows.keys().copied()
    }

    /// The IPv4 Address_Set of a network.
    pub(in crate::northbound) fn registration(&self, network: Id) -> Option<Uuid> {
        self.registrations.get(&network).copied()
    }

    fn add(&mut self, unit: UnitId, table: TableId, uuid: Uuid, row: &Row) {
        self.rows.entry(unit).or_default().insert((table, uuid));
        if let UnitId::Network(network) = unit
            && table == ADDRESS_SET
            && row.get(address_set::NAME).is_string(&address_set_name(network, Family::Ip4))
        {
            self.registrations.insert(network, uuid);
        }
    }

    fn remove(&mut self, unit: UnitId, table: TableId, uuid: Uuid) {
        remove(&mut self.rows, &unit, &(table, uuid));
        if let UnitId::Network(network) = unit
            && self.registrations.get(&network) == Some(&uuid)
        {
            self.registrations.remove(&network);
        }
    }
}

/// Notes the entries of a registration that differ. Returns whether nothing else differs and all of
/// them are declarations of hosts. Only hosts change those, so the registration itself is as
/// before.
fn declared_alone(
    change: &Change<'_>,
    [before, after]: [Option<UnitId>; 2],
    effects: &mut Effects<'_>,
) -> bool {
    let unit = if change.new.is_some() { after } else { before };
    let Some(UnitId::Network(network)) = unit else { return false };
    let mut by_hosts = !change.is_whole() && before == after;
    for key in changed_keys(change.old, change.new) {
        let entry = Entry::parse(key);
        by_hosts &= entry.is_some();
        if entry.is_some() {
            effects.touched.note_declared(network, (before == after).then_some(key));
        } else if key == NETWORK_KEY {
            // Until now we may not have known the network of the registration.
            effects.touched.note_declared(network, None);
        }
        let half = match entry {
            Some(Entry::Half(_, name)) => Some(name),
            Some(Entry::Host(_) | Entry::Rejection(..)) => None,
            None => key.strip_prefix(HALF_PREFIX),
        };
        effects.touched.records.extend(half.map(|name| (network, name.into())));
    }
    by_hosts && same_but_tags(change.old, change.new)
}

/// The keys of `external_ids` that differ. It walks once over both rows, whose entries are sorted.
fn changed_keys<'a>(old: Option<&'a Row>, new: Option<&'a Row>) -> Vec<&'a str> {
    let entries = |row: Option<&'a Row>| {
        let row = row.into_iter();
        row.flat_map(|row| row.get(address_set::EXTERNAL_IDS).entries()).peekable()
    };
    let (mut old, mut new) = (entries(old), entries(new));
    let mut changed = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changed,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((before, _)), Some((after, _))) => before.cmp(after),
        };
        let before = if order == Ordering::Greater { None } else { old.next() };
        let after = if order == Ordering::Less { None } else { new.next() };
        if before != after {
            changed.extend(before.or(after).map(|(key, _)| key));
        }
    }
}

/// Whether a set has the same name and addresses as before.
fn same_but_tags(old: Option<&Row>, new: Option<&Row>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    [address_set::NAME, address_set::ADDRESSES]
        .into_iter()
        .all(|column| old.get(column) == new.get(column))
}
