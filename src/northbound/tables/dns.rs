//! `DNS`: the names of guests, which OVN answers on the switches that refer to the row; and our rows
//! with names of peers' guests. All rows are read, because whose names are told is known later than
//! what we ask the server for.

use super::spec::{Ours, TableSpec};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// By name, its addresses; by the name of an address in `in-addr.arpa` or `ip6.arpa`, a name.
    RECORDS = "records";
    /// `ovn-owned`; OVN 24.09 and later.
    OPTIONS = "options";
}

/// So many records are in the summary of a row.
const MOST_SHOWN: usize = 8;

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "DNS", columns: COLUMNS, condition: None },
    parent: None,
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        // A row has no name: its tag says for which end of the peering it is.
        identity: &[EXTERNAL_IDS],
        distinction: None,
        named: None,
        unread: &[],
    }),
    summary: |row| {
        let mut records = row.get(RECORDS).entries();
        let first = records.by_ref().take(MOST_SHOWN);
        let mut shown: Vec<String> = first.map(|(name, to)| format!("{name} -> {to}")).collect();
        let more = records.count();
        shown.extend((more > 0).then(|| format!("{more} more")));
        format!("names {}", shown.join("; "))
    },
};
