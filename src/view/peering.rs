//! Views of the network API: a half, and a network, each with what its owner may know of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use uuid::Uuid;

use super::HalfView;

/// A half that is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeeringView {
    /// What the list shows.
    pub half: HalfView,
    /// Whether its owner has disabled it.
    pub is_disabled: bool,
    /// The `user.*` keys.
    pub config: BTreeMap<String, String>,
    /// The UUID of the local network.
    pub network_uuid: Uuid,
    /// The UUID of the other network as it was declared; if that was by names, what follows from
    /// them, and its own once both sides consent.
    pub peer_uuid: Uuid,
    /// What this side announces.
    pub local_prefixes: Vec<IpNet>,
    /// What the other side announces; empty until both sides consent.
    pub remote_prefixes: Vec<IpNet>,
    /// A tag that changes with the declaration.
    pub etag: String,
}

/// A network that some host binds, for its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnNetworkView {
    /// The project that owns it.
    pub project: String,
    /// Its name.
    pub network: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its type: `private`, or the operator's word.
    pub kind: String,
    /// Its zone, if it has one.
    pub zone: Option<String>,
    /// Its Logical_Router, as the operator wrote it.
    pub router: String,
    /// Whether that is in the northbound.
    pub has_router: bool,
    /// Its subnets.
    pub subnets: Vec<SubnetView>,
}

/// A subnet of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetView {
    /// Its prefix.
    pub prefix: IpNet,
    /// The router's own address in it.
    pub gateway: IpAddr,
    /// The routes to peers that guests get by DHCP.
    pub dhcp: Vec<IpNet>,
}

/// A token of the network API.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// The project that it speaks for; `None` for an operator's.
    pub project: Option<String>,
    /// Whether it may change nothing.
    pub read_only: bool,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Where it stands: the settings file and the line.
    pub place: String,
}
