//! The guests that a row of `DHCP_Options` serves.
//!
//! Its subnet alone does not identify them, because two tenants may use the same one. Its
//! `external_ids` name their owner: the router port ([`PORT_KEY`], for rows made by hand), the
//! switch (LXD, Incus, Kube-OVN), or the ID of the subnet, which the router port has as well
//! (Neutron).

use ipnet::Ipv4Net;

use super::super::tables::{dhcp_options, router_port};
use crate::ovsdb::Row;

/// The key in a DHCP_Options row's `external_ids` that names the router port whose subnet it
/// serves.
pub const PORT_KEY: &str = "ovn-peerd-router-port";
/// The keys that name the switch: of LXD, Incus and Kube-OVN.
const SWITCH_KEYS: [&str; 3] = ["lxd_switch", "incus_switch", "ls"];
/// The key with the ID of Neutron's subnet.
const SUBNET_KEY: &str = "subnet_id";
/// The key of a router port's `external_ids` with the IDs of Neutron's subnets, separated by
/// spaces.
const SUBNETS_KEY: &str = "neutron:subnet_ids";

/// The subnet that a row serves, and the owner of its guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::northbound) struct Served {
    pub(super) owner: Owner,
    pub(super) subnet: Ipv4Net,
}

/// The owner that a row names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    Port(Box<str>),
    Switch(Box<str>),
    Subnet(Box<str>),
    Unnamed(Ipv4Net),
}

impl Served {
    pub(super) fn of(row: &Row) -> Option<Self> {
        let subnet: Ipv4Net = row.get(dhcp_options::CIDR).string().parse().ok()?;
        let (subnet, tags) = (subnet.trunc(), row.get(dhcp_options::EXTERNAL_IDS));
        let port = || tags.get(PORT_KEY).map(|name| Owner::Port(name.into()));
        let switch = || SWITCH_KEYS.iter().find_map(|key| tags.get(key));
        let switch = || switch().map(|name| Owner::Switch(name.into()));
        let id = || tags.get(SUBNET_KEY).map(|id| Owner::Subnet(id.into()));
        let owner = port().or_else(switch).or_else(id).unwrap_or(Owner::Unnamed(subnet));
        Some(Self { owner, subnet })
    }
}

/// The IDs of a router port's Neutron subnets.
pub(super) fn neutron_subnets(port: &Row) -> Vec<Box<str>> {
    let ids = port.get(router_port::EXTERNAL_IDS).get(SUBNETS_KEY).unwrap_or_default();
    ids.split_whitespace().map(Into::into).collect()
}
