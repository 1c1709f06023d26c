//! The JSON of the API: what UpCloud's clients send and expect, and one extension, `ovn_peerd`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::view::Reason;

/// The answer about the token itself.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountAnswer {
    pub(super) account: Account,
}

/// The token.
#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    /// Nothing is paid for here: always 0.
    pub(super) credits: u32,
    /// The token's name.
    pub(super) username: String,
    pub(super) resource_limits: ResourceLimits,
}

/// What a project may have.
#[derive(Serialize, ToSchema)]
pub(super) struct ResourceLimits {
    /// Peerings; absent where there is no limit, and for operators' tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_peerings: Option<u32>,
}

/// A list of networks.
#[derive(Serialize, ToSchema)]
pub(super) struct NetworksAnswer {
    pub(super) networks: Networks,
}

/// Networks.
#[derive(Serialize, ToSchema)]
pub(super) struct Networks {
    pub(super) network: Vec<Network>,
}

/// One network.
#[derive(Serialize, ToSchema)]
pub(super) struct NetworkAnswer {
    pub(super) network: Network,
}

/// A network of the token's project.
#[derive(Serialize, ToSchema)]
pub(super) struct Network {
    pub(super) uuid: Uuid,
    pub(super) name: String,
    /// `private`, or a word of the operator's; only private networks peer.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Empty where the operator names none.
    pub(super) zone: String,
    /// The logical router.
    pub(super) router: String,
    pub(super) labels: Vec<Label>,
    pub(super) servers: Servers,
    pub(super) ip_networks: NetworkAddresses,
    pub(super) ovn_peerd: NetworkExtension,
}

/// What UpCloud's networks do not have.
#[derive(Serialize, ToSchema)]
pub(super) struct NetworkExtension {
    pub(super) project: String,
}

/// Servers are not known here: always empty.
#[derive(Serialize, ToSchema)]
pub(super) struct Servers {
    #[schema(max_items = 0)]
    pub(super) server: Vec<String>,
}

/// The subnets of a network.
#[derive(Serialize, ToSchema)]
pub(super) struct NetworkAddresses {
    pub(super) ip_network: Vec<Subnet>,
}

/// A subnet.
#[derive(Serialize, ToSchema)]
pub(super) struct Subnet {
    /// Its prefix.
    pub(super) address: String,
    pub(super) family: Family,
    /// The router's own address in it.
    pub(super) gateway: String,
    /// Whether ovn-peerd gives the guests routes to peers by DHCP.
    pub(super) dhcp: YesNo,
    pub(super) dhcp_default_route: YesNo,
    #[schema(max_items = 0)]
    pub(super) dhcp_dns: Vec<String>,
    pub(super) dhcp_effective_routes: Vec<DhcpRoute>,
}

/// A route that guests get by DHCP.
#[derive(Serialize, ToSchema)]
pub(super) struct DhcpRoute {
    pub(super) route: String,
    pub(super) nexthop: String,
    pub(super) auto_populated: YesNo,
    /// Always `network-peering`.
    pub(super) source: &'static str,
}

/// A word for a truth.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum YesNo {
    Yes,
    No,
}

/// The family of a prefix.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) enum Family {
    IPv4,
    IPv6,
}

/// A label: `user.KEY` of the half's `config`.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub(super) struct Label {
    pub(super) key: String,
    pub(super) value: String,
}

/// A list of peerings.
#[derive(Serialize, ToSchema)]
pub(super) struct PeeringsAnswer {
    pub(super) network_peerings: Peerings,
}

/// Peerings.
#[derive(Serialize, ToSchema)]
pub(super) struct Peerings {
    pub(super) network_peering: Vec<Peering>,
}

/// One peering.
#[derive(Serialize, ToSchema)]
pub(super) struct PeeringAnswer {
    pub(super) network_peering: Peering,
}

/// A peering: the half of the token's side.
#[derive(Serialize, ToSchema)]
pub(super) struct Peering {
    pub(super) uuid: Uuid,
    pub(super) name: String,
    pub(super) configured_status: ConfiguredStatus,
    pub(super) state: PeeringState,
    pub(super) labels: Vec<Label>,
    pub(super) network: LocalNetwork,
    pub(super) peer_network: PeerNetwork,
    pub(super) ovn_peerd: PeeringExtension,
}

/// What the owner wants.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConfiguredStatus {
    Active,
    Disabled,
}

/// Where the peering stands, in UpCloud's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PeeringState {
    /// The other side has not declared its half, or does not exist.
    PendingPeer,
    /// Both sides have; the link is being made.
    Provisioning,
    /// Packets pass.
    Active,
    /// This side is disabled.
    Disabled,
    /// The other side is disabled.
    PeerDisabled,
    /// The other side has withdrawn.
    DeletedPeerNetwork,
    /// Address spaces overlap.
    ConflictSubnet,
    /// The router of this side's network is not there.
    MissingLocalRouter,
    /// The router of the other side's network is not there.
    MissingPeerRouter,
    /// Something else: `ovn_peerd` has the reason.
    Error,
}

/// The network of this side.
#[derive(Serialize, ToSchema)]
pub(super) struct LocalNetwork {
    pub(super) uuid: Uuid,
    pub(super) ip_networks: IpNetworks,
}

/// The network of the other side.
#[derive(Serialize, ToSchema)]
pub(super) struct PeerNetwork {
    pub(super) uuid: Uuid,
    /// What it announces; absent until both sides have declared their halves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_networks: Option<IpNetworks>,
}

/// Prefixes.
#[derive(Serialize, ToSchema)]
pub(super) struct IpNetworks {
    /// At least one: clients read the first without a look. Where this side announces nothing, its
    /// address is empty.
    #[schema(min_items = 1)]
    pub(super) ip_network: Vec<IpNetwork>,
}

/// A prefix.
#[derive(Serialize, ToSchema)]
pub(super) struct IpNetwork {
    pub(super) address: String,
    pub(super) family: Family,
}

/// What UpCloud's peerings do not have.
#[derive(Serialize, ToSchema)]
pub(super) struct PeeringExtension {
    pub(super) project: String,
    /// The name of the network of this side.
    pub(super) network: String,
    /// The state in ovn-peerd's words, as `ovn-peerctl list` has it.
    #[schema(value_type = String)]
    pub(super) state: &'static str,
    /// Why it is not active, in one word.
    #[schema(value_type = Option<String>)]
    pub(super) reason: Option<Reason>,
    /// The same in a sentence.
    pub(super) explanation: Option<String>,
    /// What to do about it.
    pub(super) next_step: Option<String>,
    /// Since when, in RFC 3339.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) since: Option<jiff::Timestamp>,
    /// Problems of a peering that is up.
    pub(super) degraded: Vec<String>,
}

/// The body of `POST`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what `body` reads, which gives each fault its own code")]
pub(super) struct NewPeeringBody {
    network_peering: NewPeering,
}

/// A new peering.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above")]
pub(super) struct NewPeering {
    /// Unique among the peerings of its network.
    #[schema(schema_with = super::openapi::name)]
    name: String,
    #[schema(schema_with = super::openapi::configured_status)]
    configured_status: Option<String>,
    network: NetworkReference,
    peer_network: NetworkReference,
    #[schema(schema_with = super::openapi::labels)]
    labels: Option<Vec<Label>>,
}

/// A network by its UUID.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above")]
pub(super) struct NetworkReference {
    uuid: Uuid,
}

/// The body of `PATCH`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above")]
pub(super) struct PeeringChangeBody {
    network_peering: PeeringChange,
}

/// What is to be changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as above")]
pub(super) struct PeeringChange {
    #[schema(schema_with = super::openapi::name)]
    name: Option<String>,
    #[schema(schema_with = super::openapi::configured_status)]
    configured_status: Option<String>,
    /// All labels, in the place of those that are there.
    #[schema(schema_with = super::openapi::labels)]
    labels: Option<Vec<Label>>,
}
