//! Neutron: `neutron-<uuid>`, with `neutron:router_name`. Projects are on ports only, by their ids.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::answer::Answer;
use super::found::{Claim, Maker, Named};
use super::rows::{Router, Rows};
use crate::declare::Tool;

const ROUTER_NAME: &str = "neutron:router_name";
const PROJECT: &str = "neutron:project_id";
const IS_GATEWAY: &str = "neutron:is_ext_gw";
const MAKER: Maker = Maker::Tool(Tool::Neutron);

/// The router that Neutron makes for one of its own with this UUID.
pub(super) fn router_of(uuid: Uuid) -> String {
    format!("neutron-{uuid}")
}

/// Whether Neutron gives a router such a name.
pub(super) fn is_name(name: &str) -> bool {
    id(name).is_some()
}

fn id(name: &str) -> Option<Uuid> {
    name.strip_prefix("neutron-")?.parse().ok()
}

pub(super) fn claim(router: &Router, rows: &Rows, _: &[Answer]) -> Option<Claim> {
    let id = id(&router.name)?;
    let name = router.ids.get(ROUTER_NAME)?;
    let inner = router
        .ports
        .iter()
        .filter(|port| port.ids.get(IS_GATEWAY).is_none_or(|it| !it.eq_ignore_ascii_case("true")));
    let projects = inner.filter_map(|port| rows.behind(&port.name)?.1.ids.get(PROJECT));
    let projects: BTreeSet<&String> = projects.filter(|it| !it.is_empty()).collect();
    let mut projects = projects.into_iter();
    let named = match (projects.next(), projects.next()) {
        (Some(project), None) => {
            let named = Named::new(MAKER, project, name);
            Named { tool_network: Some(format!("{project}/{name}")), ..named }
        }
        (Some(_), Some(_)) => Named::new(MAKER, "neutron", name).guess(
            "project",
            format!(
                "its interfaces are of several projects; `openstack router show {id}` has its own"
            ),
        ),
        (None, _) => Named::new(MAKER, "neutron", name).guess(
            "project",
            format!(
                "Neutron names projects at interfaces only; `openstack router show {id}` has it"
            ),
        ),
    };
    let named = match name.is_empty() {
        false => named,
        true => Named { name: id.to_string(), tool_network: None, ..named }
            .guess("name", "the router has no name in Neutron: this is its UUID"),
    };
    Some(Claim::Network(Box::new(named)))
}
