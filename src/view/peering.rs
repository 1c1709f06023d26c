//! Views of the network API: a half, and a network, each with what its owner may know of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use uuid::Uuid;

use super::HalfView;

/// A label is a key of a half's `config` that begins so.
pub const LABEL_PREFIX: &str = "user.";

/// Which halves of a viewer are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeeringQuery {
    /// Only the one with this UUID.
    pub uuid: Option<Uuid>,
    /// Only those that have all of these labels: `KEY=VALUE`, or `KEY` with any value.
    pub labels: Vec<String>,
    /// Without so many, the first ones.
    pub offset: usize,
    /// At most so many.
    pub limit: Option<usize>,
}

/// The halves that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeeringPage {
    /// How many there are without `offset` and `limit`.
    pub total: usize,
    /// Those within `offset` and `limit`.
    pub peerings: Vec<PeeringView>,
}

impl PeeringQuery {
    /// Whether a half with this `config` is asked for.
    #[must_use]
    pub fn admits(&self, config: &BTreeMap<String, String>) -> bool {
        let mut labels = self.labels.iter();
        labels.all(|wanted| config.iter().any(|(key, value)| fits(key, value, wanted)))
    }
}

fn fits(key: &str, value: &str, wanted: &str) -> bool {
    let Some(key) = key.strip_prefix(LABEL_PREFIX) else { return false };
    let rest = wanted.strip_prefix(key);
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('=') == Some(value))
}

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
