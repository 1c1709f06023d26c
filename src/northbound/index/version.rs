//! The version of registrations: the one gate between daemons of different versions.
//!
//! Every registration has the version of the format of its network's rows: the number `version` in
//! the record of its network. A daemon ignores and keeps keys and fields that it does not know, so
//! these need no higher number. A higher number means that an older daemon would misread or rewrite
//! rows. As long as one registration has it, an older daemon writes nothing at all. A daemon that
//! finds lower numbers raises them before it writes anything else. Any other value than a number is
//! damage, and is repaired like other damage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use uuid::Uuid;

use crate::ovsdb::Row;

use super::super::registration::{NETWORK_KEY, VERSION};
use super::super::tables::{ADDRESS_SET, address_set};
use super::change::{Change, Effects, Index};

/// The registrations of other versions than ours: nearly always none.
#[derive(Clone, Debug, Default)]
pub(in crate::northbound) struct VersionIndex {
    others: BTreeMap<u32, BTreeSet<Uuid>>,
}

impl Index for VersionIndex {
    fn apply<'a>(&mut self, change: &Change<'a>, _: &mut Effects<'a>) {
        if change.table == ADDRESS_SET {
            self.set(change.uuid, change.old, change.new);
        }
    }
}

impl VersionIndex {
    fn set(&mut self, set: Uuid, old: Option<&Row>, new: Option<&Row>) {
        let other = |row: &Row| version_of(row).filter(|version| *version != VERSION);
        let (before, after) = (old.and_then(other), new.and_then(other));
        if before == after {
            return;
        }
        if let Some(version) = before
            && let Some(sets) = self.others.get_mut(&version)
        {
            sets.remove(&set);
            if sets.is_empty() {
                self.others.remove(&version);
            }
        }
        if let Some(version) = after {
            self.others.entry(version).or_default().insert(set);
        }
    }

    /// The highest version, if it is higher than ours.
    pub(in crate::northbound) fn newer(&self) -> Option<u32> {
        self.others.last_key_value().map(|(version, _)| *version).filter(|it| *it > VERSION)
    }

    /// The registrations of a lower version.
    pub(in crate::northbound) fn older(&self) -> impl Iterator<Item = Uuid> {
        self.others.range(..VERSION).flat_map(|(_, sets)| sets.iter().copied())
    }
}

/// The version of a set; none if it is no registration, or damaged.
fn version_of(set: &Row) -> Option<u32> {
    /// The part of a network's record that all versions have.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let record = set.get(address_set::EXTERNAL_IDS).get(NETWORK_KEY)?;
    let record: Versioned = serde_json::from_str(record).ok()?;
    Some(record.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::{Atom, Value};

    fn set(record: &str) -> Row {
        let tags = Value::map(vec![(Atom::from(NETWORK_KEY), Atom::from(record))]);
        [tags].into_iter().collect()
    }

    fn newer(record: &str) -> Option<u32> {
        let mut versions = VersionIndex::default();
        versions.set(Uuid::nil(), None, Some(&set(record)));
        versions.newer()
    }

    #[test]
    fn only_a_higher_number_is_a_newer_version() {
        assert_eq!(newer(r#"{"version":70,"name":["not","as","now"]}"#), Some(70));
        let damaged = ["", "{}", "7", r#"{"version":"70"}"#, r#"{"version":-1}"#];
        for record in damaged.into_iter().chain([r#"{"version":1}"#, r#"{"version":0}"#]) {
            assert_eq!(newer(record), None, "{record}");
        }
    }

    #[test]
    fn a_version_counts_as_long_as_a_registration_has_it() {
        let sets: Vec<Row> =
            [0, VERSION, 70, 80].map(|it| set(&format!(r#"{{"version":{it}}}"#))).into();
        let [older, this, newer, newest] = sets.as_slice() else { panic!("four") };
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut versions = VersionIndex::default();
        versions.set(one, None, Some(older));
        versions.set(other, None, Some(newest));
        assert_eq!((versions.newer(), versions.older().collect()), (Some(80), vec![one]));
        versions.set(one, Some(older), Some(newer));
        versions.set(other, Some(newest), Some(this));
        assert_eq!((versions.newer(), versions.older().count()), (Some(70), 0));
        versions.set(one, Some(newer), None);
        assert_eq!((versions.newer(), versions.older().count()), (None, 0));
    }
}
