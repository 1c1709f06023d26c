//! OVN-Kubernetes: a network has a router for the cluster, or one between its gateway routers where it is of
//! layer 2, and a gateway router on each node; `k8s.ovn.org/network` is on all of these.

use super::answer::Answer;
use super::found::{Claim, Maker, Named};
use super::rows::{Router, Rows};
use crate::declare::Tool;

const NETWORK: &str = "k8s.ovn.org/network";
/// The router of a network on all nodes.
const CLUSTER_ROUTER: &str = "ovn_cluster_router";
/// The same of a network of layer 2.
const TRANSIT_ROUTER: &str = "transit_router";
/// What the gateway routers' names begin with, each followed by a network and a node.
const GATEWAY: &str = "GR_";
/// What the names of routers between connected networks begin with.
pub(super) const CONNECT_ROUTER: &str = "connect_router_";
/// What the names of cluster-wide networks begin with.
const CLUSTER_WIDE: &str = "cluster_udn_";

/// What the names of a network's rows begin with.
fn prefix(network: &str) -> String {
    network.replace(['-', '/'], ".") + "_"
}

/// The network of a router.
fn network(router: &Router) -> Option<&str> {
    let is_default = router.name == CLUSTER_ROUTER;
    router.ids.get(NETWORK).map(String::as_str).or(is_default.then_some("default"))
}

pub(super) fn claim(router: &Router, rows: &Rows, _: &[Answer]) -> Option<Claim> {
    let is_part = |router: &Router| {
        router.name.starts_with(CONNECT_ROUTER)
            || (router.name.starts_with(GATEWAY) && has_cluster_router(rows))
    };
    let Some(network) = network(router) else {
        return is_part(router).then_some(Claim::Part);
    };
    let of = rows.routers.iter().filter(|it| self::network(it) == Some(network));
    let of: Vec<&Router> = of.collect();
    let prefix = if network == "default" { String::new() } else { prefix(network) };
    let main = [CLUSTER_ROUTER, TRANSIT_ROUTER].map(|name| format!("{prefix}{name}"));
    // Older ones have nothing between the gateway routers of a network of layer 2.
    let main = of.iter().find(|it| main.contains(&it.name)).or_else(|| match &of[..] {
        [one] => Some(one),
        _ => None,
    });
    let is_main = main.is_some_and(|main| main.uuid == router.uuid);
    if main.is_some() && !is_main {
        return Some(Claim::Part);
    }
    let named = named(network);
    let named = match is_main {
        true => Named { tool_network: Some(network.to_owned()), ..named },
        false => named.guess(
            "router",
            format!(
                "network {network} has a gateway router on each node and none for all: this is one"
            ),
        ),
    };
    Some(Claim::Network(Box::new(named)))
}

fn has_cluster_router(rows: &Rows) -> bool {
    rows.routers.iter().any(|router| router.name == CLUSTER_ROUTER)
}

fn named(network: &str) -> Named {
    let maker = Maker::Tool(Tool::OvnKubernetes);
    let whole = |name: &str| {
        Named::new(maker, "cluster", name)
            .guess("project", "the network is the cluster's own: it is of no namespace")
    };
    if let Some(name) = network.strip_prefix(CLUSTER_WIDE) {
        return whole(name);
    }
    // Neither a namespace nor a name contains an underscore.
    match &network.split('_').collect::<Vec<_>>()[..] {
        [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
            Named::new(maker, *namespace, *name)
        }
        _ => whole(network),
    }
}
