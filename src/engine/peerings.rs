//! What the network API shows: halves and networks of a viewer.
//!
//! Only what the viewer owns is looked through, so that the time says nothing of the rest. What is not asked for is not
//! composed: the event loop answers.

use std::collections::BTreeSet;

use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{
    ConfiguredStatus, Half, HalfKey, NetworkKey, NetworkType, default_of_network, uuid_of_half,
    uuid_of_network,
};
use crate::northbound::stored::etag;
use crate::peering::report::report;
use crate::view::{OwnNetworkView, PeeringPage, PeeringQuery, PeeringView, SubnetView, Viewer};

use super::catalog::bound;
use super::shown::Standings;
use super::views::half_view;

/// The halves that are declared; those that only hosts declare that may not are none.
pub(super) fn peerings(
    standings: &Standings<'_>,
    viewer: &Viewer,
    query: &PeeringQuery,
) -> PeeringPage {
    let declarations = &standings.state.declarations;
    let halves: BTreeSet<HalfKey> = match viewer {
        Viewer::Operator => declarations.halves().into_iter().collect(),
        Viewer::Tenant(own) => {
            own.iter().flat_map(|project| declarations.halves_of_project(project)).collect()
        }
    };
    let (mut total, mut peerings) = (0, Vec::new());
    let page = query.offset..query.offset.saturating_add(query.limit.unwrap_or(usize::MAX));
    for key in &halves {
        let said = standings.state.resolver.said(key, declarations);
        let Some(half) = said.map(|said| said.value).filter(|half| is_asked(half, query)) else {
            continue;
        };
        if page.contains(&total) {
            peerings.extend(peering(standings, viewer, key, half));
        }
        total += 1;
    }
    PeeringPage { total, peerings }
}

fn is_asked(half: &Half, query: &PeeringQuery) -> bool {
    query.uuid.is_none_or(|uuid| uuid == uuid_of_half(half)) && query.admits(&half.config)
}

fn peering(
    standings: &Standings<'_>,
    viewer: &Viewer,
    key: &HalfKey,
    half: &Half,
) -> Option<PeeringView> {
    let (declarations, resolver) = (&standings.state.declarations, &standings.state.resolver);
    let report = report(resolver, half, declarations);
    let own_uuid = |network: &NetworkKey| {
        let bound = declarations.network(network, || None);
        bound.map(|said| uuid_of_network(said.value))
    };
    let has_consent = !report.taken.is_empty();
    let named = || default_of_network(&half.target);
    let peer_uuid = match half.target.uuid() {
        Some(uuid) => uuid,
        None if has_consent => own_uuid(&half.target).unwrap_or_else(named),
        None => named(),
    };
    Some(PeeringView {
        half: half_view(standings, key, viewer)?,
        is_disabled: half.configured_status == ConfiguredStatus::Disabled,
        config: half.config.clone(),
        network_uuid: own_uuid(&key.network).unwrap_or_else(|| default_of_network(&key.network)),
        peer_uuid,
        local_prefixes: report.announced,
        remote_prefixes: report.taken,
        etag: etag(half),
    })
}

/// The networks that some host binds.
pub(super) fn own_networks(
    standings: &Standings<'_>,
    viewer: &Viewer,
    only: Option<Uuid>,
) -> Vec<OwnNetworkView> {
    let networks = bound(standings.state, viewer);
    networks.iter().filter_map(|key| own_network(standings, key, only)).collect()
}

fn own_network(
    standings: &Standings<'_>,
    key: &NetworkKey,
    only: Option<Uuid>,
) -> Option<OwnNetworkView> {
    let state = standings.state;
    let said = state.declarations.network(key, || None)?;
    let network = said.value;
    let uuid = uuid_of_network(network);
    if only.is_some_and(|only| only != uuid) {
        return None;
    }
    let northbound = standings.northbound?;
    let router = northbound.routers(&network.router).next();
    let facts = router.and_then(|router| northbound.facts(router));
    let told = state.guests.view(key).map(|guests| guests.dhcp).unwrap_or_default();
    let is_like = |one: &IpNet, other: &IpNet| one.addr().is_ipv4() == other.addr().is_ipv4();
    let mut subnets: Vec<SubnetView> = Vec::new();
    for net in facts.iter().flat_map(|facts| facts.inward.iter()) {
        if subnets.last().is_none_or(|last| last.prefix != net.prefix) {
            let dhcp = told.iter().filter(|prefix| is_like(prefix, &net.prefix)).copied();
            let (prefix, gateway) = (net.prefix, net.address);
            subnets.push(SubnetView { prefix, gateway, dhcp: dhcp.collect() });
        }
    }
    subnets.sort_by_key(|subnet| subnet.prefix);
    Some(OwnNetworkView {
        project: key.project.to_string(),
        network: key.name.to_string(),
        uuid,
        kind: match &network.kind {
            NetworkType::Private => "private".to_owned(),
            NetworkType::Other(kind) => kind.to_string(),
        },
        zone: network.zone.as_ref().map(ToString::to_string),
        router: network.router.to_string(),
        has_router: facts.is_some(),
        subnets,
    })
}
