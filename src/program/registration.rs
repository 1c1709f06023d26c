//! A network's registration: its two Address_Sets, and the records that the IPv4 one carries.

use std::collections::BTreeMap;

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::{
    Id, LABEL_KEY, OWNER_KEY, OWNER_VALUE, UNIT_KEY, address_set_name, is_remotes_set,
};
use crate::northbound::registration::NETWORK_KEY;
use crate::northbound::tables::{ADDRESS_SET, address_set};
use crate::northbound::{Family, Northbound, UnitId};
use crate::ovsdb::{Datum, Row, ValueRef};

use super::diff::value_of;

/// Entries of `external_ids`: to be set to a value, or to be removed.
pub type Entries = BTreeMap<String, Option<String>>;

/// What a registration shall say of the network itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The network in words.
    pub label: String,
    /// All prefixes of the network.
    pub prefixes: Vec<IpNet>,
    /// The network's record.
    pub record: String,
}

/// One Address_Set that is not as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationDiff {
    /// It is missing.
    Insert {
        /// Its name.
        name: String,
        /// Its addresses.
        addresses: Datum,
        /// Its `external_ids`.
        entries: Vec<(String, String)>,
    },
    /// It differs.
    Update {
        /// The row.
        uuid: Uuid,
        /// Its name.
        name: String,
        /// The addresses, where they differ.
        addresses: Option<Datum>,
        /// The entries that differ.
        entries: Entries,
    },
    /// It is too much.
    Delete {
        /// The row.
        uuid: Uuid,
        /// Its `external_ids`, where it may only go if they are still these.
        unless_changed: Option<Vec<(String, String)>>,
    },
}

impl RegistrationDiff {
    /// Whether OVN has to act on it: records alone concern nobody but us.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        match self {
            Self::Update { addresses, .. } => addresses.is_some(),
            Self::Insert { .. } | Self::Delete { .. } => true,
        }
    }
}

/// Compares a registration with what is there: the network itself, if `base` is given, and the
/// records named in `entries`.
#[must_use]
pub fn registration_diff(
    network: Id,
    base: Option<&Base>,
    entries: &Entries,
    northbound: &Northbound,
) -> Vec<RegistrationDiff> {
    Family::BOTH
        .into_iter()
        .filter_map(|family| {
            let wanted = wanted_entries(network, family, base, entries);
            let addresses = base.map(|base| addresses(family, &base.prefixes));
            let name = address_set_name(network, family);
            match northbound.address_set(network, family) {
                Some((uuid, row)) => update(uuid, name, row, addresses, wanted),
                // Only a network whose base is known can be registered.
                None => addresses.map(|addresses| RegistrationDiff::Insert {
                    name,
                    addresses,
                    entries: wanted
                        .into_iter()
                        .filter_map(|(key, value)| value.map(|value| (key, value)))
                        .collect(),
                }),
            }
        })
        .chain(base.into_iter().flat_map(|_| surplus(network, northbound)))
        .collect()
}

/// Removes a registration whole.
#[must_use]
pub fn registration_removal(network: Id, northbound: &Northbound) -> Vec<RegistrationDiff> {
    let tags = |row: &Row| {
        let entries = cell(row, address_set::EXTERNAL_IDS).entries();
        entries.map(|(key, value)| (key.to_owned(), value.into_owned())).collect()
    };
    sets(network, northbound)
        .map(|(uuid, row)| RegistrationDiff::Delete { uuid, unless_changed: Some(tags(row)) })
        .collect()
}

fn sets(network: Id, northbound: &Northbound) -> impl Iterator<Item = (Uuid, &Row)> {
    northbound
        .rows_of(UnitId::Network(network))
        .filter(|(table, _, row)| {
            *table == ADDRESS_SET && !is_remotes_set(&cell(row, address_set::NAME).string())
        })
        .map(|(_, uuid, row)| (uuid, row))
}

/// Sets of ours that have lost their name.
fn surplus(network: Id, northbound: &Northbound) -> Vec<RegistrationDiff> {
    let names = Family::BOTH.map(|family| address_set_name(network, family));
    sets(network, northbound)
        .filter(|(_, row)| !names.iter().any(|name| *name == cell(row, address_set::NAME).string()))
        .map(|(uuid, _)| RegistrationDiff::Delete { uuid, unless_changed: None })
        .collect()
}

fn wanted_entries(network: Id, family: Family, base: Option<&Base>, records: &Entries) -> Entries {
    let mut wanted = Entries::new();
    if let Some(base) = base {
        let unit = UnitId::Network(network).tag();
        wanted.insert(OWNER_KEY.to_owned(), Some(OWNER_VALUE.to_owned()));
        wanted.insert(UNIT_KEY.to_owned(), Some(unit));
        if family == Family::Ip4 {
            wanted.insert(LABEL_KEY.to_owned(), Some(base.label.clone()));
            wanted.insert(NETWORK_KEY.to_owned(), Some(base.record.clone()));
        }
    }
    if family == Family::Ip4 {
        wanted.extend(records.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    wanted
}

fn update(
    uuid: Uuid,
    name: String,
    row: &Row,
    addresses: Option<Datum>,
    wanted: Entries,
) -> Option<RegistrationDiff> {
    let addresses = addresses.filter(|datum| cell(row, address_set::ADDRESSES) != value_of(datum));
    let found = cell(row, address_set::EXTERNAL_IDS);
    let entries: Entries = wanted
        .into_iter()
        .filter(|(key, value)| match value {
            Some(text) => !found.holds(key, text),
            None => found.get(key).is_some(),
        })
        .collect();
    if addresses.is_none() && entries.is_empty() {
        return None;
    }
    Some(RegistrationDiff::Update { uuid, name, addresses, entries })
}

fn addresses(family: Family, prefixes: &[IpNet]) -> Datum {
    let prefixes = prefixes.iter().filter(|prefix| Family::of(prefix) == family);
    Datum::strings(prefixes.map(ToString::to_string))
}

fn cell(row: &Row, column: crate::ovsdb::ColumnId) -> ValueRef<'_> {
    crate::northbound::router::cell(row, column)
}
