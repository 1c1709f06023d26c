//! Rows of ours that a newer version has written, and how they are told.
//!
//! A newer version may put further keys into `external_ids`, and further fields into what its hosts declare: an older one
//! passes over what it does not know, and keeps it. What an older one would write in another way is marked by a higher
//! number: in the tag of a row, or as the version of a registration, which holds for both of its sets and all peerings of
//! the network. An older one leaves all that alone, and says so. Anything else than a number is damage, and is repaired.

use serde::Deserialize;

use crate::ovsdb::{Clause, Constant, Function, TableId, ValueRef};

use super::owner::{OWNER_KEY, OWNER_VALUE};
use super::registration::{NETWORK_KEY, VERSION};
use super::tables::{
    ADDRESS_SET, LOGICAL_SWITCH, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT,
    address_set, logical_switch, router_policy, router_port, static_route, switch_port,
};

/// Address sets of ours, of this version and of all that are to come: a tag is one digit.
pub(super) const OURS: &[Clause] = &[
    tagged(&[(OWNER_KEY, OWNER_VALUE)]),
    tagged(&[(OWNER_KEY, "2")]),
    tagged(&[(OWNER_KEY, "3")]),
    tagged(&[(OWNER_KEY, "4")]),
    tagged(&[(OWNER_KEY, "5")]),
    tagged(&[(OWNER_KEY, "6")]),
    tagged(&[(OWNER_KEY, "7")]),
    tagged(&[(OWNER_KEY, "8")]),
    tagged(&[(OWNER_KEY, "9")]),
];

const fn tagged(tag: &'static [(&'static str, &'static str)]) -> Clause {
    Clause { column: "external_ids", function: Function::Includes, value: Constant::Map(tag) }
}

/// The column of tags, in tables in which rows may be ours.
#[must_use]
pub fn tags_of(table: TableId) -> Option<crate::ovsdb::ColumnId> {
    match table {
        ROUTER_PORT => Some(router_port::EXTERNAL_IDS),
        STATIC_ROUTE => Some(static_route::EXTERNAL_IDS),
        ROUTER_POLICY => Some(router_policy::EXTERNAL_IDS),
        ADDRESS_SET => Some(address_set::EXTERNAL_IDS),
        LOGICAL_SWITCH => Some(logical_switch::EXTERNAL_IDS),
        SWITCH_PORT => Some(switch_port::EXTERNAL_IDS),
        _ => None,
    }
}

/// Whether the server is asked for rows of ours by a tag: each row of such a table costs it, and whoever reads them, one entry
/// more.
#[must_use]
pub fn is_asked_for_by_tag(table: TableId) -> bool {
    matches!(table, ADDRESS_SET | SWITCH_PORT)
}

/// The version that a row's tags tell, if it is a newer one.
pub(super) fn newest(external_ids: ValueRef<'_>) -> Option<u32> {
    newer_tag(external_ids).max(newer_record(external_ids))
}

fn newer_tag(external_ids: ValueRef<'_>) -> Option<u32> {
    external_ids.get(OWNER_KEY)?.parse().ok().filter(|version| *version > VERSION)
}

fn newer_record(external_ids: ValueRef<'_>) -> Option<u32> {
    /// What the record of a network says in any version.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let record: Versioned = serde_json::from_str(&external_ids.get(NETWORK_KEY)?).ok()?;
    Some(record.version).filter(|version| *version > VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::{Atom, Value};

    fn version(key: &str, text: &str) -> Option<u32> {
        let tags = Value::map(vec![(Atom::from(key), Atom::from(text))]);
        newest(tags.view())
    }

    #[test]
    fn only_a_higher_number_is_a_newer_version() {
        assert_eq!(version(OWNER_KEY, "2"), Some(2));
        assert_eq!(version(NETWORK_KEY, r#"{"version":7,"name":["not","as","now"]}"#), Some(7));
        for text in ["1", "0", "-2", "x", "", "2x", "\"2\""] {
            assert_eq!(version(OWNER_KEY, text), None, "{text}");
        }
        for text in ["", "{}", "7", r#"{"version":"2"}"#, r#"{"version":1}"#, r#"{"version":-1}"#] {
            assert_eq!(version(NETWORK_KEY, text), None, "{text}");
        }
        assert_eq!(OWNER_VALUE.parse(), Ok(VERSION));
    }
}
