//! `Load_Balancer`: those of others, which a half may export; and our copies, which the other
//! side's guests use. All rows are read, because which of them are exported is known later than
//! what we ask the server for.

use super::super::owner;
use super::spec::{Named, Ours, TableSpec};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// Not unique in OVN.
    NAME = "name";
    /// Backends by virtual address: `10.2.0.100:80` to `10.2.0.10:8080,10.2.0.11:8080`.
    VIPS = "vips";
    /// `tcp`, `udp` or `sctp`; without it, `tcp`.
    PROTOCOL = "protocol";
    /// Strong references to `Load_Balancer_Health_Check`.
    HEALTH_CHECK = "health_check";
    /// By backend, the port behind which it is and the source of the checks.
    IP_PORT_MAPPINGS = "ip_port_mappings";
    /// The fields by which packets are distributed.
    SELECTION_FIELDS = "selection_fields";
    /// `reject` and `affinity_timeout` among others.
    OPTIONS = "options";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Load_Balancer", columns: COLUMNS, condition: None },
    parent: None,
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[NAME],
        distinction: None,
        named: Some(Named { column: NAME, ours: owner::peering_of_balancer, taken: |_| None }),
        unread: &[],
    }),
    summary: |row| {
        let vips = row.get(VIPS).entries().map(|(vip, backends)| format!("{vip} -> {backends}"));
        let vips: Vec<String> = vips.collect();
        let protocol = row.get(PROTOCOL).string();
        let protocol = if protocol.is_empty() { "tcp" } else { protocol };
        format!("{} {protocol} {}", row.get(NAME).string(), vips.join("; "))
    },
};
