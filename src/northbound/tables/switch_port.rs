//! `Logical_Switch_Port`: all ports except those of VMs, whose type is empty; and all of ours,
//! whatever their type. A port of a switch that is not among these is a VM's, so we know of it
//! without reading it.

use super::super::owner;
use super::spec::{Named, Ours, TAGGED, TableSpec};
use super::{LOGICAL_SWITCH, logical_switch};
use crate::ovsdb::{Clause, Condition, Constant, Function, Wanted};

columns! {
    /// Tags.
    EXTERNAL_IDS = "external_ids";
    /// `router`, `localnet` and others.
    TYPE = "type";
    /// `router-port` names the router port at the other end.
    OPTIONS = "options";
    /// Unique in the northbound.
    NAME = "name";
    /// `router` means the addresses of the router port.
    ADDRESSES = "addresses";
    /// Administratively enabled; unset means enabled.
    ENABLED = "enabled";
    /// The name of the port at the other end, of a port of type `switch`; OVN 25.03 and later.
    PEER = "peer";
    /// The source addresses that the port may use.
    PORT_SECURITY = "port_security";
    /// The mirrors that copy its packets.
    MIRROR_RULES = "mirror_rules";
    /// The health checks of the guest behind it; OVN 26.03 and later.
    HEALTH_CHECKS = "health_checks";
}

/// The table.
pub const TABLE: TableSpec = TableSpec {
    wanted: Wanted {
        table: "Logical_Switch_Port",
        columns: COLUMNS,
        condition: Some(Condition(&[
            Clause { column: "type", function: Function::NotEqual, value: Constant::String("") },
            TAGGED,
        ])),
    },
    parent: Some((LOGICAL_SWITCH, logical_switch::PORTS)),
    ours: Some(Ours {
        tags: EXTERNAL_IDS,
        identity: &[NAME],
        distinction: None,
        named: Some(Named {
            column: NAME,
            ours: owner::peering_of_link_switch_port,
            taken: owner::peering_of_link_port,
        }),
        // They have no effect on a port to a router, or ovn-northd writes them.
        unread: &[
            "dhcpv4_options",
            "dhcpv6_options",
            "dynamic_addresses",
            "ha_chassis_group",
            "parent_name",
            "tag",
            "tag_request",
            "up",
        ],
    }),
    summary: |row| {
        let to = row.get(OPTIONS).get("router-port").unwrap_or_default();
        format!("{} to {to}", row.get(NAME).string())
    },
};
