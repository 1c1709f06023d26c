//! The commands by which another tool forgets a link that was taken over. The names of its ports tell
//! which tool made it. The tool's own names of networks are taken to be those that are declared.

use crate::declare::PeeringKey;
use crate::northbound::End;
use crate::peering::{InTheWay, Node, key_of_end};

use super::state::State;

/// The commands, as far as they are known.
pub(super) fn commands(pair: &PeeringKey, found: &InTheWay, state: &State) -> Vec<String> {
    let routers = End::BOTH.map(|end| {
        let node = state.resolver.networks().node(key_of_end(pair, end));
        node.and_then(Node::ready).map(|ready| ready.router.name.as_ref()).unwrap_or_default()
    });
    found.ports.iter().flat_map(|[a, b]| of_link(pair, routers, [a, b], state)).collect()
}

fn of_link(
    pair: &PeeringKey,
    [router_a, router_b]: [&str; 2],
    [port_a, port_b]: [&str; 2],
    state: &State,
) -> Vec<String> {
    for (prefix, client) in [("lxd-net", "lxc"), ("incus-net", "incus")] {
        let is_peer = |port: &str| port.starts_with(prefix) && port.contains("-lr-lrp-peer-");
        if [port_a, port_b].into_iter().all(is_peer) {
            return End::BOTH.map(|end| peer_delete(client, pair, end, state)).into();
        }
    }
    let crossed = (format!("{router_a}-{router_b}"), format!("{router_b}-{router_a}"));
    if (port_a, port_b) == (&*crossed.0, &*crossed.1) {
        return vec![format!(
            "kubectl edit vpc {router_a} {router_b}  # remove each from spec.vpcPeerings of the other, and \
             the staticRoutes to it, of both at once"
        )];
    }
    Vec::new()
}

/// LXD and Incus delete a peering at each of its networks.
fn peer_delete(client: &str, pair: &PeeringKey, end: End, state: &State) -> String {
    let network = key_of_end(pair, end);
    let half = state.resolver.halves_of(pair).find(|half| half.network == *network);
    let (name, project) = (&network.name, &network.project);
    let peer = half.map_or("PEER", |half| &*half.name);
    format!(
        "{client} network peer delete {name} {peer} --project {project}  # if it is named so: {client} \
         network peer list {name} --project {project}"
    )
}
