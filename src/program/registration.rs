//! A network's registration: its two Address_Sets, and the records in the IPv4 one.

use std::collections::BTreeMap;

use ipnet::IpNet;
use uuid::Uuid;

use crate::northbound::owner::{
    Id, LABEL_KEY, OWNER_KEY, OWNER_VALUE, UNIT_KEY, address_set_name, is_remotes_set,
};
use crate::northbound::registration::NETWORK_KEY;
use crate::northbound::tables::{ADDRESS_SET, address_set, column_name, table_name};
use crate::northbound::{Family, Northbound, UnitId};
use crate::ovsdb::{Datum, Operation, Row, Until, Where};

use super::diff::value_of;

/// Entries of `external_ids` to set to a value, or to remove.
pub type Entries = BTreeMap<String, Option<String>>;

/// The part of a registration about the network itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The network in words.
    pub label: String,
    /// All prefixes of the network.
    pub prefixes: Vec<IpNet>,
    /// The network's record.
    pub record: String,
}

/// One Address_Set that differs from its desired state.
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
        /// The addresses, if they differ.
        addresses: Option<Datum>,
        /// The entries that differ.
        entries: Entries,
    },
    /// It is not desired.
    Delete {
        /// The row.
        uuid: Uuid,
        /// Its `external_ids`, if it may be deleted only while they are unchanged.
        unless_changed: Option<Vec<(String, String)>>,
    },
}

impl RegistrationDiff {
    /// The keys of the entries that it sets or removes.
    pub(super) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Insert { entries, .. } => entries.iter().map(|(key, _)| key.as_str()).collect(),
            Self::Update { entries, .. } => entries.keys().map(String::as_str).collect(),
            Self::Delete { .. } => Vec::new(),
        }
    }

    /// Whether OVN must act on it: only this daemon reads the records.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        match self {
            Self::Update { addresses, .. } => addresses.is_some(),
            Self::Insert { .. } | Self::Delete { .. } => true,
        }
    }
}

/// Compares a registration with the present rows: the part of the network itself, if `base` is
/// given, and the records named in `entries`.
#[must_use]
pub fn registration_diff(
    network: Id,
    base: Option<&Base>,
    entries: &Entries,
    northbound: &Northbound,
) -> Vec<RegistrationDiff> {
    let unit = UnitId::Network(network).tag();
    let of = |family| {
        let wanted = wanted_entries(&unit, family, base, entries);
        let addresses = base.map(|base| addresses(family, &base.prefixes));
        let name = address_set_name(network, family);
        match northbound.address_set(network, family) {
            Some((uuid, row)) => update(uuid, name, row, addresses, wanted),
            // Only a network whose base is known can be registered.
            None => addresses.map(|addresses| {
                let entries: BTreeMap<&str, &str> =
                    wanted.filter_map(|(key, value)| Some((key, value?))).collect();
                let entries = entries.into_iter();
                let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
                RegistrationDiff::Insert { name, addresses, entries: entries.collect() }
            }),
        }
    };
    let sets = Family::BOTH.into_iter().filter_map(of);
    sets.chain(base.into_iter().flat_map(|_| surplus(network, northbound))).collect()
}

/// Asserts that a registration is the row that was read, or that there is still none.
#[must_use]
pub fn same_registration(network: Id, northbound: &Northbound) -> Operation {
    let (table, name) = (table_name(ADDRESS_SET), column_name(ADDRESS_SET, address_set::NAME));
    let text = Datum::String(address_set_name(network, Family::Ip4));
    let (selection, rows) = match northbound.registration_row(network) {
        Some(row) => (Where::Uuid(row), vec![vec![(name, text)]]),
        None => (Where::Equal(vec![(name, text)]), Vec::new()),
    };
    Operation::Wait { table, selection, columns: vec![name], until: Until::Equal, rows }
}

/// Removes a whole registration.
#[must_use]
pub fn registration_removal(network: Id, northbound: &Northbound) -> Vec<RegistrationDiff> {
    let tags = |row: &Row| {
        let entries = row.get(address_set::EXTERNAL_IDS).entries();
        entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    sets(network, northbound)
        .map(|(uuid, row)| RegistrationDiff::Delete { uuid, unless_changed: Some(tags(row)) })
        .collect()
}

fn sets(network: Id, northbound: &Northbound) -> impl Iterator<Item = (Uuid, &Row)> {
    northbound
        .rows_of(UnitId::Network(network))
        .filter(|(table, _, row)| {
            *table == ADDRESS_SET && !is_remotes_set(row.get(address_set::NAME).string())
        })
        .map(|(_, uuid, row)| (uuid, row))
}

/// Sets of ours that have lost their name.
fn surplus(network: Id, northbound: &Northbound) -> Vec<RegistrationDiff> {
    let names = Family::BOTH.map(|family| address_set_name(network, family));
    sets(network, northbound)
        .filter(|(_, row)| !names.iter().any(|name| row.get(address_set::NAME).is_string(name)))
        .map(|(uuid, _)| RegistrationDiff::Delete { uuid, unless_changed: None })
        .collect()
}

/// The desired entries of the set of one family: the part of the network itself, if `base` is
/// given, and in the IPv4 set the records.
fn wanted_entries<'a>(
    unit: &'a str,
    family: Family,
    base: Option<&'a Base>,
    records: &'a Entries,
) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let first = family == Family::Ip4;
    let always = base.map(|_| [(OWNER_KEY, OWNER_VALUE), (UNIT_KEY, unit)]);
    let of_network = base.filter(|_| first);
    let of_network = of_network.map(|it| [(LABEL_KEY, &*it.label), (NETWORK_KEY, &*it.record)]);
    let said = always.into_iter().chain(of_network).flatten();
    let records = records.iter().filter(move |_| first);
    let records = records.map(|(key, value)| (key.as_str(), value.as_deref()));
    said.map(|(key, value)| (key, Some(value))).chain(records)
}

fn update<'a>(
    uuid: Uuid,
    name: String,
    row: &Row,
    addresses: Option<Datum>,
    wanted: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Option<RegistrationDiff> {
    let addresses = addresses.filter(|datum| row.get(address_set::ADDRESSES) != value_of(datum));
    let found = row.get(address_set::EXTERNAL_IDS);
    let differing = wanted.filter(|(key, value)| match value {
        Some(text) => !found.holds(key, text),
        None => found.has_key(key),
    });
    let entries: Entries =
        differing.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).collect();
    if addresses.is_none() && entries.is_empty() {
        return None;
    }
    Some(RegistrationDiff::Update { uuid, name, addresses, entries })
}

fn addresses(family: Family, prefixes: &[IpNet]) -> Datum {
    let prefixes = prefixes.iter().filter(|prefix| Family::of(prefix) == family);
    Datum::strings(prefixes.map(ToString::to_string))
}
