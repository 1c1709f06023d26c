//! What a row is for, in words of peering: for people who do not read matches.

use crate::declare::{HalfKey, NetworkKey};
use crate::northbound::owner::{is_inside_set, is_remotes_set};
use crate::northbound::priority;
use crate::northbound::tables::{
    ACL, ADDRESS_SET, DNS, HEALTH_CHECK, LOAD_BALANCER, LOGICAL_SWITCH, NAT, PORT_GROUP,
    ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT, acl, address_set, health_check,
    load_balancer, nat, router_policy, static_route,
};
use crate::ovsdb::{Row, TableId};
use crate::view::ServedView;

/// Whom a row serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The network whose router has it, or whose prefixes it holds.
    pub local: Option<NetworkKey>,
    /// The other network of the peering; `None` if the row serves a network alone.
    pub remote: Option<NetworkKey>,
    /// The half of the local network; `None` if it has none.
    pub half: Option<HalfKey>,
}

impl Served {
    /// For users.
    #[must_use]
    pub fn view(&self) -> Option<ServedView> {
        let network = self.half.as_ref().map(|half| &half.network).or(self.local.as_ref())?;
        Some(ServedView {
            project: network.project.to_string(),
            network: network.name.to_string(),
            name: self.half.as_ref().map(|half| half.name.to_string()),
        })
    }

    /// A row of a peering or of a network; none if the words would say no more than its columns.
    #[must_use]
    pub fn words(&self, table: TableId, row: &Row) -> Option<String> {
        let local = self.local.as_ref()?;
        let text = |column| row.get(column).string();
        if table == ADDRESS_SET {
            let name = text(address_set::NAME);
            let family = if name.ends_with("_ip4") { "IPv4" } else { "IPv6" };
            let of = if is_remotes_set(name) { "behind the peerings of" } else { "of" };
            if let Some(remote) = self.remote.as_ref().filter(|_| is_inside_set(name)) {
                return Some(format!("{family} prefixes to which {remote} is not translated"));
            }
            let addresses: Vec<_> = row.get(address_set::ADDRESSES).strings().collect();
            let addresses =
                if addresses.is_empty() { "none".to_owned() } else { addresses.join(", ") };
            return Some(format!("{family} prefixes {of} {local}: {addresses}"));
        }
        let priority = row.get(router_policy::PRIORITY).integer();
        let Some(remote) = &self.remote else {
            if table == STATIC_ROUTE {
                let prefix = text(static_route::IP_PREFIX);
                return Some(format!("route of {local} to {prefix} by an appliance"));
            }
            return match priority.filter(|_| table == ROUTER_POLICY)? {
                priority::PASS => Some(format!("allow replies of {local} at its uplinks")),
                priority::SPOOF => Some(format!("drop sources of {local} at its uplinks")),
                _ => None,
            };
        };
        match table {
            ROUTER_PORT => Some(format!("port to {remote}")),
            LOAD_BALANCER => Some(format!("{} between {local} and {remote}", balanced(row))),
            HEALTH_CHECK => {
                let vip = text(health_check::VIP);
                Some(format!("health check of {vip} between {local} and {remote}"))
            }
            DNS => Some(format!("names told between {local} and {remote}")),
            PORT_GROUP => Some(format!("switches that keep state between {local} and {remote}")),
            ACL if text(acl::ACTION) == "drop" => {
                Some(format!("drop what is no reply between {local} and {remote}"))
            }
            ACL => Some(format!("track connections between {local} and {remote}")),
            LOGICAL_SWITCH => Some(format!("switch between {local} and {remote}")),
            SWITCH_PORT => Some(format!("port of the switch between {local} and {remote}")),
            STATIC_ROUTE => {
                let (prefix, table) =
                    (text(static_route::IP_PREFIX), text(static_route::ROUTE_TABLE));
                let table =
                    if table.is_empty() { String::new() } else { format!(" in table {table}") };
                Some(format!("route {prefix}{table}"))
            }
            NAT => {
                let (from, to) = (text(nat::LOGICAL_IP), text(nat::EXTERNAL_IP));
                Some(format!("translate {from} of {remote} to {to}"))
            }
            ROUTER_POLICY => match priority? {
                priority::GATEWAY_LISTED | priority::GATEWAY_IN => {
                    Some(format!("allow what comes by the gateway of {remote}"))
                }
                priority::THROUGH => {
                    Some(format!("allow what comes through an appliance of {remote}"))
                }
                priority::TO_APPLIANCE_IP4 | priority::TO_APPLIANCE_IP6 => {
                    let hops: Vec<&str> = row.get(router_policy::NEXTHOPS).strings().collect();
                    Some(format!("send to appliance {} what {remote} sends on", hops.join(" ")))
                }
                priority::FROM_APPLIANCE => {
                    Some(format!("allow what {remote} has sent through an appliance"))
                }
                priority::GATEWAY_OUT => Some(format!("allow {remote} to leave by the uplinks")),
                priority::GATEWAY_REPLIES => {
                    Some(format!("allow replies of the router by the gateway of {remote}"))
                }
                priority::GATEWAY_OWN => {
                    Some(format!("drop sources of {local} and {remote} from that gateway"))
                }
                priority::ERRORS => Some(format!("allow ICMP errors of {local} and {remote}")),
                priority::OPENINGS => Some(format!("drop all else that {remote} opens")),
                rank if priority::is_forward(rank) => {
                    Some(format!("{} what {remote} opens", text(router_policy::ACTION)))
                }
                rank if priority::is_reply(rank) => {
                    Some(format!("{} replies of {remote}", text(router_policy::ACTION)))
                }
                priority::ALLOW => Some(format!("allow {local} <-> {remote}")),
                priority::PASS => Some(format!("allow {local} <-> {remote} over the other link")),
                priority::DROP | priority::GATEWAY_DROP => {
                    Some(format!("drop all else from {remote}"))
                }
                priority::SPOOF => Some(format!("drop sources of {remote} at other ports")),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The virtual addresses of a copy of a load balancer.
fn balanced(row: &Row) -> String {
    let vips: Vec<&str> = row.get(load_balancer::VIPS).entries().map(|(vip, _)| vip).collect();
    format!("load balancer {}", vips.join(", "))
}
