//! `Load_Balancer_Health_Check`: whether OVN asks the backends of a virtual address how they are.

use super::spec::{Ours, TableSpec};
use super::{LOAD_BALANCER, load_balancer};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// The virtual address, as in the balancer's `vips`.
    VIP = "vip";
    /// `interval`, `timeout`, `success_count`, `failure_count`.
    OPTIONS = "options";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Load_Balancer_Health_Check", columns: COLUMNS, condition: None },
    parent: Some((LOAD_BALANCER, load_balancer::HEALTH_CHECK)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[VIP],
        distinction: None,
        named: None,
        unread: &[],
    }),
    summary: |row| format!("of {}", row.get(VIP).string()),
};
