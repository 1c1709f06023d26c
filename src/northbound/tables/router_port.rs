//! `Logical_Router_Port`: router ports.

use super::super::owner;
use super::spec::{Named, Ours, TableSpec, joined};
use super::{LOGICAL_ROUTER, logical_router};
use crate::ovsdb::Wanted;

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// Unique in the northbound.
    NAME = "name";
    /// Addresses with their prefix lengths.
    NETWORKS = "networks";
    /// Ethernet address.
    MAC = "mac";
    /// The name of the router port at the other end of a direct link.
    PEER = "peer";
    /// Makes it a distributed gateway port.
    GATEWAY_CHASSIS = "gateway_chassis";
    /// Makes it a distributed gateway port.
    HA_CHASSIS_GROUP = "ha_chassis_group";
    /// `route_table` among others.
    OPTIONS = "options";
    /// Administratively enabled; unset means enabled.
    ENABLED = "enabled";
    /// The content of router advertisements; without `address_mode` the port sends none.
    IPV6_RA_CONFIGS = "ipv6_ra_configs";
    /// The DHCP relay for requests of guests; OVN 24.03 and later.
    DHCP_RELAY = "dhcp_relay";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted { table: "Logical_Router_Port", columns: COLUMNS, condition: None },
    parent: Some((LOGICAL_ROUTER, logical_router::PORTS)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[NAME],
        distinction: None,
        named: Some(Named {
            column: NAME,
            ours: owner::peering_of_link_port,
            taken: owner::peering_of_link_switch_port,
        }),
        // ovn-northd writes these.
        unread: &["ipv6_prefix", "status"],
    }),
    summary: |row| {
        let peer = row.get(PEER).string();
        let peer = if peer.is_empty() { String::new() } else { format!(" peer {peer}") };
        format!("{} {}{peer}", row.get(NAME).string(), joined(row, NETWORKS))
    },
};
