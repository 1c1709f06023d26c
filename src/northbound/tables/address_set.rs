//! `Address_Set`: we read only our own sets, of any version. The one with the counters of hosts is
//! known by its name, because a lost tag must not look like lost counters.

use super::super::counters::COUNTERS_NAME;
use super::spec::{Ours, TAGGED, TableSpec, joined};
use crate::ovsdb::{Clause, Condition, Constant, Function, Wanted};

columns! {
    /// Tags and records.
    EXTERNAL_IDS = "external_ids";
    /// Unique in the northbound.
    NAME = "name";
    /// Addresses and prefixes.
    ADDRESSES = "addresses";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted {
        table: "Address_Set",
        columns: COLUMNS,
        condition: Some(Condition(&[
            TAGGED,
            Clause {
                column: "name",
                function: Function::Equal,
                value: Constant::String(COUNTERS_NAME),
            },
        ])),
    },
    parent: None,
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[NAME],
        distinction: None,
        named: None,
        unread: &[],
    }),
    summary: |row| format!("{} {{{}}}", row.get(NAME).string(), joined(row, ADDRESSES)),
};
