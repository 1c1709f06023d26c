//! What is shown beside the halves: networks, projects, requests, and what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::declare::{
    HalfKey, NetworkKey, RejectionKey, STORE, ShowRequests, Source, uuid_of_network, written,
};
use crate::northbound::stored::etag;
use crate::peering::{Node, Reason};
use crate::view::{NetworkView, ProjectView, RequestView, StoreView, StoredView, Viewer};

use super::state::State;

/// The networks that some host binds.
pub(super) fn networks(state: &State, viewer: &Viewer) -> Vec<NetworkView> {
    let declarations = &state.declarations;
    let view = |key: &NetworkKey| {
        let said = declarations.network(key, || None)?;
        Some(NetworkView {
            project: key.project.to_string(),
            network: key.name.to_string(),
            uuid: uuid_of_network(said.value),
            router: said.value.router.to_string(),
            halves: state.resolver.networks().node(key).map_or(0, |node| node.halves().len()),
            hosts: declarations.hosts_of_network(key).iter().map(ToString::to_string).collect(),
        })
    };
    bound(state, viewer).iter().filter_map(view).collect()
}

pub(super) fn bound(state: &State, viewer: &Viewer) -> BTreeSet<NetworkKey> {
    match viewer {
        Viewer::Operator => state.declarations.networks(),
        Viewer::Tenant(own) => {
            own.iter().flat_map(|it| state.declarations.networks_of_project(it)).collect()
        }
    }
}

/// The projects that have networks or halves; to an owner also its own that have none yet.
pub(super) fn projects(state: &State, viewer: &Viewer) -> Vec<ProjectView> {
    let declarations = &state.declarations;
    let mut networks: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for network in bound(state, viewer) {
        *networks.entry(Arc::clone(&network.project)).or_default() += 1;
    }
    let own: BTreeSet<Arc<str>> = match viewer {
        Viewer::Operator => {
            let halves = declarations.halves().into_iter();
            halves.map(|half| Arc::clone(&half.network.project)).collect()
        }
        Viewer::Tenant(own) => (**own).clone(),
    };
    let all: BTreeSet<Arc<str>> = own.into_iter().chain(networks.keys().cloned()).collect();
    let view = |project: &Arc<str>| ProjectView {
        project: project.to_string(),
        networks: networks.get(project).copied().unwrap_or_default(),
        halves: declarations.halves_of_project(project).len(),
        max_halves: state.policy().quotas.per_project,
    };
    all.iter().map(view).collect()
}

/// The halves of other networks that ask one of the viewer's networks, and have no answer: neither a
/// half nor a rejection.
pub(super) fn requests(state: &State, viewer: &Viewer) -> Vec<RequestView> {
    match (state.policy().show_requests, viewer) {
        (ShowRequests::Targets, _) | (ShowRequests::Operators, Viewer::Operator) => {}
        (ShowRequests::Operators, Viewer::Tenant(_)) => return Vec::new(),
    }
    let networks = bound(state, viewer);
    networks.iter().flat_map(|network| requests_to(state, network)).collect()
}

fn requests_to(state: &State, network: &NetworkKey) -> Vec<RequestView> {
    let said = state.declarations.network(network, || None);
    let by_uuid = said.map(|said| NetworkKey::of_uuid(uuid_of_network(said.value)));
    let names = [network].into_iter().chain(by_uuid.as_ref());
    let nodes = names.filter_map(|name| state.resolver.networks().node(name));
    let unanswered = nodes.flat_map(Node::pairs).filter_map(|pair| {
        let mut halves = state.resolver.halves_of(pair).peekable();
        let from = halves.peek().map(|half| half.network.clone())?;
        let rejection = RejectionKey { network: network.clone(), from };
        let (own, theirs): (Vec<&HalfKey>, Vec<&HalfKey>) =
            halves.partition(|half| half.network == *network);
        if !own.is_empty() || state.declarations.rejects(&rejection) {
            return None;
        }
        theirs.into_iter().find_map(|half| request(state, network, half))
    });
    unanswered.collect()
}

/// A half that waits for an answer, and for nothing else.
fn request(state: &State, network: &NetworkKey, half: &HalfKey) -> Option<RequestView> {
    let verdict = state.resolver.verdict(half)?;
    let said = state.resolver.said(half, &state.declarations)?;
    (verdict.reason == Some(Reason::AwaitingPeer)).then(|| RequestView {
        project: network.project.to_string(),
        network: network.name.to_string(),
        from_project: half.network.project.to_string(),
        from_network: half.network.name.to_string(),
        description: said.value.description.clone(),
        since: state.since(half),
    })
}

/// What is stored of a project.
pub(super) fn store(state: &State, project: &str) -> StoreView {
    let (halves, rejections) = state.declarations.stored_of_project(project);
    let halves = halves.into_iter().map(|stored| &stored.value);
    let declarations = written(project, halves, &rejections);
    StoreView { project: project.to_owned(), declarations }
}

/// Who stored a half, if somebody did.
pub(super) fn stored(state: &State, key: &HalfKey) -> Option<StoredView> {
    let by_host = state.declarations.stored_half(key)?;
    let Source::Store(stored) = &by_host.source else { return None };
    let hosts = state.declarations.hosts_of_half(key);
    Some(StoredView {
        by: stored.by.clone(),
        at: stored.at,
        etag: etag(&by_host.value),
        in_effect: hosts.iter().any(|host| **host == *STORE),
    })
}
