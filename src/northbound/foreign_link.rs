//! Links of others between two routers: the port at this router, its other end, and what leaves by
//! it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use uuid::Uuid;

use crate::ovsdb::Row;

use super::index::change::Rows;
use super::index::switch::SwitchIndex;
use super::tables::{LOGICAL_SWITCH, logical_switch, router_policy, router_port};

/// A port of somebody else that leads to another router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignLink {
    /// Its name.
    pub port: Arc<str>,
    /// Its other end.
    pub to: ForeignLinkTo,
    /// The networks of the port, link-local ones too: a next hop in one of them is behind it.
    pub networks: Box<[IpNet]>,
}

/// The other end of a link of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForeignLinkTo {
    /// The router port of this name. It counts only if that port names this one too.
    Port(Arc<str>),
    /// A switch with only these two routers' ports: its row and its name.
    Switch(Uuid, Arc<str>),
}

impl ForeignLink {
    /// The link that a port of somebody else makes to another router, if it does. An uplink makes
    /// none, although the uplinks of two routers may be on one switch.
    pub(super) fn read(row: &Row, rows: Rows<'_>, switches: &SwitchIndex) -> Option<Self> {
        if has_gateway(row) {
            return None;
        }
        let name = row.get(router_port::NAME).string();
        let peer = row.get(router_port::PEER).string();
        let to = if peer.is_empty() {
            let switch = switches.meeting(rows, name)?;
            let row = rows.replica.row(LOGICAL_SWITCH, switch)?;
            ForeignLinkTo::Switch(switch, row.get(logical_switch::NAME).string().into())
        } else {
            ForeignLinkTo::Port(peer.into())
        };
        let networks = row.get(router_port::NETWORKS).strings();
        let networks = networks.filter_map(|text| text.parse().ok());
        Some(Self { port: name.into(), to, networks: networks.collect() })
    }
}

pub(super) fn has_gateway(row: &Row) -> bool {
    !row.get(router_port::GATEWAY_CHASSIS).is_empty()
        || !row.get(router_port::HA_CHASSIS_GROUP).is_empty()
}

/// The ports of a router by which packets to a next hop leave, as far as they are links of others.
pub(super) struct Exits<'a> {
    links: &'a [ForeignLink],
    /// The networks of all other ports.
    others: Vec<IpNet>,
}

impl<'a> Exits<'a> {
    /// `connected` has the networks of all ports, each with its port.
    pub(super) fn new<'c>(
        links: &'a [ForeignLink],
        connected: impl Iterator<Item = (&'c Arc<str>, IpNet)>,
    ) -> Self {
        let is_link = |port: &Arc<str>| links.iter().any(|link| link.port == *port);
        let others = connected.filter(|(port, _)| !links.is_empty() && !is_link(port));
        Self { links, others: others.map(|(_, prefix)| prefix).collect() }
    }

    /// The port of the link by which a route leaves. Without an output port it is the one with the
    /// next hop in a network of it. If several ports have it, OVN takes any of them: then none does.
    pub(super) fn of(&self, nexthop: &str, output_port: &str) -> Option<Arc<str>> {
        if self.links.is_empty() {
            return None;
        }
        if !output_port.is_empty() {
            let named = self.links.iter().find(|link| *link.port == *output_port);
            return named.map(|link| Arc::clone(&link.port));
        }
        let nexthop: IpAddr = nexthop.parse().ok()?;
        let has = |networks: &[IpNet]| networks.iter().any(|net| net.contains(&nexthop));
        let mut behind = self.links.iter().filter(|link| has(&link.networks));
        let link = behind.next().filter(|_| !has(&self.others))?;
        behind.next().is_none().then(|| Arc::clone(&link.port))
    }

    /// The port of the link by which a reroute sends.
    pub(super) fn of_policy(&self, row: &Row) -> Option<Arc<str>> {
        if self.links.is_empty() {
            return None;
        }
        let port = row.get(router_policy::OUTPUT_PORT).string();
        let several = row.get(router_policy::NEXTHOPS).strings();
        let mut hops = several.chain([row.get(router_policy::NEXTHOP).string()]);
        hops.find_map(|hop| self.of(hop, port))
    }
}
