//! Kube-OVN: a Vpc is a router of its name, with `vendor`.

use super::answer::Answer;
use super::found::{Claim, Maker, Named};
use super::rows::{Router, Rows};
use crate::declare::Tool;

pub(super) fn claim(router: &Router, _: &Rows, _: &[Answer]) -> Option<Claim> {
    if router.ids.get("vendor").map(String::as_str) != Some("kube-ovn") {
        return None;
    }
    let named = Named::new(Maker::Tool(Tool::KubeOvn), &*router.name, &*router.name).guess(
        "project",
        "whose a Vpc is stands in Kubernetes only, as its `spec.namespaces`; this is its own name",
    );
    let named = Named { tool_network: Some(router.name.clone()), ..named };
    Some(Claim::Network(Box::new(named)))
}
