//! Views as the API shows them.

use ipnet::IpNet;

use super::wire::{
    ConfiguredStatus, DhcpRoute, Family, IpNetwork, IpNetworks, Label, LocalNetwork, Network,
    NetworkAddresses, NetworkExtension, PeerNetwork, Peering, PeeringExtension, PeeringState,
    Servers, Subnet, YesNo,
};
use crate::view::{LABEL_PREFIX, OwnNetworkView, PeeringView, Reason, State, SubnetView};

/// A peering as its owner sees it.
pub(super) fn peering(view: PeeringView) -> Peering {
    let half = view.half;
    let consent = !view.remote_prefixes.is_empty();
    Peering {
        uuid: half.uuid,
        name: half.name,
        configured_status: match view.is_disabled {
            true => ConfiguredStatus::Disabled,
            false => ConfiguredStatus::Active,
        },
        state: state(half.state, half.reason, view.is_disabled),
        labels: labels(view.config),
        network: LocalNetwork {
            uuid: view.network_uuid,
            ip_networks: ip_networks(&view.local_prefixes),
        },
        peer_network: PeerNetwork {
            uuid: view.peer_uuid,
            ip_networks: consent.then(|| ip_networks(&view.remote_prefixes)),
        },
        ovn_peerd: PeeringExtension {
            project: half.project,
            network: half.network,
            state: half.state.as_str(),
            reason: half.reason,
            explanation: half.explanation,
            next_step: half.next_step,
            since: half.since,
            degraded: half.degraded,
        },
    }
}

/// A network as its owner sees it.
pub(super) fn network(view: OwnNetworkView) -> Network {
    Network {
        uuid: view.uuid,
        name: view.network,
        kind: view.kind,
        zone: view.zone.unwrap_or_default(),
        router: view.router,
        labels: Vec::new(),
        servers: Servers { server: Vec::new() },
        ip_networks: NetworkAddresses { ip_network: view.subnets.iter().map(subnet).collect() },
        ovn_peerd: NetworkExtension { project: view.project },
    }
}

fn subnet(subnet: &SubnetView) -> Subnet {
    let route = |prefix: &IpNet| DhcpRoute {
        route: prefix.to_string(),
        nexthop: subnet.gateway.to_string(),
        auto_populated: YesNo::Yes,
        source: "network-peering",
    };
    Subnet {
        address: subnet.prefix.to_string(),
        family: family(&subnet.prefix),
        gateway: subnet.gateway.to_string(),
        dhcp: if subnet.dhcp.is_empty() { YesNo::No } else { YesNo::Yes },
        dhcp_default_route: YesNo::No,
        dhcp_dns: Vec::new(),
        dhcp_effective_routes: subnet.dhcp.iter().map(route).collect(),
    }
}

/// The labels of a half's `config`.
pub(super) fn labels(config: impl IntoIterator<Item = (String, String)>) -> Vec<Label> {
    let label = |(key, value): (String, String)| {
        let key = key.strip_prefix(LABEL_PREFIX)?.to_owned();
        Some(Label { key, value })
    };
    config.into_iter().filter_map(label).collect()
}

fn family(prefix: &IpNet) -> Family {
    match prefix {
        IpNet::V4(_) => Family::IPv4,
        IpNet::V6(_) => Family::IPv6,
    }
}

/// At least one: clients read the first without a look.
fn ip_networks(prefixes: &[IpNet]) -> IpNetworks {
    let shown = |prefix: &IpNet| IpNetwork { address: prefix.to_string(), family: family(prefix) };
    let mut all: Vec<IpNetwork> = prefixes.iter().map(shown).collect();
    if all.is_empty() {
        all.push(IpNetwork { address: String::new(), family: Family::IPv4 });
    }
    IpNetworks { ip_network: all }
}

/// The state in UpCloud's words. A half that its owner has disabled is `disabled`, whatever else is
/// wrong with it, so that clients may delete it; but not before its rows are gone.
fn state(state: State, reason: Option<Reason>, is_disabled: bool) -> PeeringState {
    if is_disabled && state != State::Active {
        return PeeringState::Disabled;
    }
    match state {
        State::PendingPeer => PeeringState::PendingPeer,
        State::Provisioning => PeeringState::Provisioning,
        State::Active => PeeringState::Active,
        State::Disabled => PeeringState::Disabled,
        State::PeerDisabled => PeeringState::PeerDisabled,
        State::Disconnected => PeeringState::DeletedPeerNetwork,
        State::Failed if reason == Some(Reason::ConflictSubnet) => PeeringState::ConflictSubnet,
        State::Failed if reason == Some(Reason::MissingLocalRouter) => {
            PeeringState::MissingLocalRouter
        }
        State::Failed if reason == Some(Reason::MissingPeerRouter) => {
            PeeringState::MissingPeerRouter
        }
        State::Failed | State::Rejected | State::Expired | State::Deleted => PeeringState::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_word_of_upclouds() {
        let word = |shown: PeeringState| serde_json::to_value(shown).unwrap();
        for (state_, reason, expected) in [
            (State::PendingPeer, Some(Reason::AwaitingPeer), "pending-peer"),
            (State::Provisioning, Some(Reason::AwaitingCommit), "provisioning"),
            (State::Active, None, "active"),
            (State::Disabled, Some(Reason::AdministrativelyDown), "disabled"),
            (State::PeerDisabled, Some(Reason::PeerAdministrativelyDown), "peer-disabled"),
            (State::Disconnected, Some(Reason::PeerWithdrew), "deleted-peer-network"),
            (State::Failed, Some(Reason::ConflictSubnet), "conflict-subnet"),
            (State::Failed, Some(Reason::MissingLocalRouter), "missing-local-router"),
            (State::Failed, Some(Reason::MissingPeerRouter), "missing-peer-router"),
            (State::Failed, Some(Reason::ZoneMismatch), "error"),
            (State::Failed, Some(Reason::Quota), "error"),
            (State::Rejected, Some(Reason::PeerRejected), "error"),
            (State::Expired, Some(Reason::RequestExpired), "error"),
            (State::Deleted, Some(Reason::Withdrawn), "error"),
        ] {
            assert_eq!(word(state(state_, reason, false)), expected);
            let disabled = if state_ == State::Active { "active" } else { "disabled" };
            assert_eq!(word(state(state_, reason, true)), disabled);
        }
    }

    #[test]
    fn clients_find_a_first_prefix_always() {
        assert_eq!(ip_networks(&[]).ip_network.len(), 1);
        let both = ["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
        let shown = serde_json::to_value(ip_networks(&both)).unwrap();
        assert_eq!(shown["ip_network"][1]["family"], "IPv6");
    }
}
