//! The links between the routers of networks that ovn-peerd has not made: two ports that name each other, or
//! what stands between two routers and nothing else: a switch with their ports alone, or the router
//! that OVN-Kubernetes puts there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::found::{FoundLink, FoundNetwork, FoundPort, FoundRoute, LinkEnd, Maker};
use super::ovn_kubernetes::CONNECT_ROUTER;
use super::rows::{Port, Router, Rows};
use crate::declare::Tool;

/// Two routers by their positions, and what is between them.
type Pair = (usize, usize, Option<String>);

/// The ports of a link, at the first and at the second router.
type Ports<'a> = [Vec<&'a Port>; 2];

/// All links, by routers.
pub(super) fn links(rows: &Rows, networks: &[FoundNetwork]) -> Vec<FoundLink> {
    let direct = direct(rows);
    let mut pairs: BTreeMap<Pair, Ports<'_>> = BTreeMap::new();
    for ((one, other), ports) in &direct {
        pairs.insert((*one, *other, None), ports.clone());
    }
    between(rows, &direct, &mut pairs);
    across_switches(rows, &mut pairs);
    let link = |((one, other, through), [ours, theirs]): (Pair, Ports<'_>)| {
        let (one, other) = (rows.routers.get(one)?, rows.routers.get(other)?);
        let network = |router: &Router| networks.iter().find(|it| it.router_uuid == router.uuid);
        let (near, far) = (network(one)?, network(other)?);
        let tool = maker([near, far], [one, other], [&ours, &theirs], through.as_deref());
        let near_end = end(one, near, far, &ours, &theirs, tool);
        let far_end = end(other, far, near, &theirs, &ours, tool);
        Some(FoundLink { tool, ends: [near_end, far_end], through })
    };
    pairs.into_iter().filter_map(link).collect()
}

/// The routers that are linked by ports that name each other.
fn direct(rows: &Rows) -> BTreeMap<(usize, usize), Ports<'_>> {
    let mut owners: BTreeMap<&str, (usize, &Port)> = BTreeMap::new();
    for (index, router) in rows.routers.iter().enumerate() {
        owners.extend(router.ports.iter().map(|port| (port.name.as_str(), (index, port))));
    }
    let mut pairs: BTreeMap<(usize, usize), Ports<'_>> = BTreeMap::new();
    for (index, port) in owners.values() {
        let Some((other, peer)) = port.peer.as_deref().and_then(|peer| owners.get(peer)) else {
            continue;
        };
        // Each pair once; OVN links two ports only if each names the other.
        if index >= other || peer.peer.as_ref() != Some(&port.name) {
            continue;
        }
        let [ours, theirs] = pairs.entry((*index, *other)).or_default();
        ours.push(port);
        theirs.push(peer);
    }
    pairs
}

/// Adds the pairs that a router of OVN-Kubernetes connects.
fn between<'a>(
    rows: &'a Rows,
    direct: &BTreeMap<(usize, usize), Ports<'a>>,
    pairs: &mut BTreeMap<Pair, Ports<'a>>,
) {
    for (index, router) in rows.routers.iter().enumerate() {
        if !router.name.starts_with(CONNECT_ROUTER) {
            continue;
        }
        let linked = direct.iter().filter_map(|((one, other), [ours, theirs])| {
            (*one == index)
                .then_some((*other, theirs))
                .or((*other == index).then_some((*one, ours)))
        });
        let mut linked: Vec<(usize, &Vec<&'a Port>)> = linked.collect();
        linked.sort_by_key(|(router, _)| *router);
        for (at, (one, ours)) in linked.iter().enumerate() {
            for (other, theirs) in linked.iter().skip(at + 1) {
                let pair = (*one, *other, Some(router.name.clone()));
                pairs.insert(pair, [(*ours).clone(), (*theirs).clone()]);
            }
        }
    }
}

/// Adds the pairs whose ports are all that a switch has.
fn across_switches<'a>(rows: &'a Rows, pairs: &mut BTreeMap<Pair, Ports<'a>>) {
    for switch in rows.switches.iter().filter(|switch| switch.others == 0) {
        let [near, far] = &switch.router_ports[..] else { continue };
        let place = |name: &str| {
            rows.routers.iter().enumerate().find_map(|(index, router)| {
                let port = router.ports.iter().find(|port| port.name == name)?;
                Some((index, port))
            })
        };
        let (Some(near), Some(far)) = (place(&near.router_port), place(&far.router_port)) else {
            continue;
        };
        let ((one, ours), (other, theirs)) = if near.0 < far.0 { (near, far) } else { (far, near) };
        if one != other {
            pairs.insert((one, other, Some(switch.name.clone())), [vec![ours], vec![theirs]]);
        }
    }
}

/// Who has made a link: the tool of both networks, if the names are those that it gives.
fn maker(
    networks: [&FoundNetwork; 2],
    routers: [&Router; 2],
    ports: [&[&Port]; 2],
    through: Option<&str>,
) -> Maker {
    let [near, far] = networks;
    let Maker::Tool(tool) = near.tool else { return Maker::Plain };
    let [one, other] = routers;
    let all = |name: fn(&str, &str) -> String| {
        let named = |ports: &[&Port], router: &Router, other: &Router| {
            ports.iter().all(|port| port.name.starts_with(&name(&router.name, &other.name)))
        };
        let [ours, theirs] = ports;
        named(ours, one, other) && named(theirs, other, one)
    };
    let fits = match tool {
        Tool::Lxd | Tool::Incus => {
            through.is_none() && all(|router, _| format!("{router}-lrp-peer-"))
        }
        Tool::KubeOvn => through.is_none() && all(|router, other| format!("{router}-{other}")),
        Tool::OvnKubernetes => through.is_some_and(|it| it.starts_with(CONNECT_ROUTER)),
        // It has no peerings.
        Tool::Neutron => false,
    };
    if fits && near.tool == far.tool { near.tool } else { Maker::Plain }
}

fn end(
    router: &Router,
    network: &FoundNetwork,
    far: &FoundNetwork,
    ports: &[&Port],
    theirs: &[&Port],
    tool: Maker,
) -> LinkEnd {
    let hops: BTreeSet<IpAddr> =
        theirs.iter().flat_map(|port| &port.networks).map(|it| it.addr()).collect();
    let is_over = |port: Option<&String>, hop: &str| match port {
        Some(port) => ports.iter().any(|it| it.name == *port),
        None => hop.parse().is_ok_and(|hop| hops.contains(&hop)),
    };
    let routes = router.routes.iter().filter(|it| is_over(it.port.as_ref(), &it.next_hop));
    let mut found: Vec<FoundPort> =
        ports.iter().map(|port| FoundPort { name: port.name.clone(), uuid: port.uuid }).collect();
    found.sort();
    let peer = network.peers.iter().filter(|_| tool != Maker::Plain).find(|peer| {
        let target = format!("{}/{}", peer.target_project, peer.target_network);
        far.tool_network.as_ref() == Some(&target)
    });
    LinkEnd {
        project: network.project.clone(),
        network: network.name.clone(),
        router: router.name.clone(),
        router_uuid: router.uuid,
        ports: found,
        routes: routes
            .map(|route| FoundRoute { prefix: route.prefix.clone(), uuid: route.uuid })
            .collect(),
        peer: peer.map(|peer| peer.name.clone()),
    }
}
