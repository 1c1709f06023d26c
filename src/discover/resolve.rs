//! The router of a tool's network now.

use uuid::Uuid;

use super::found::Found;
use super::neutron;
use crate::declare::{Tool, ToolNetwork};

/// The name of the router of a tool's network, or its UUID if several routers have that name.
///
/// # Errors
/// There is none, or the name fits several: why, and what to do.
pub fn resolve(of: &ToolNetwork, found: &Found) -> Result<String, String> {
    let tool = of.tool.title();
    if let Some(why) = found.faults.get(&of.tool) {
        return Err(format!("{tool} does not answer: {why}"));
    }
    if of.tool.is_numbered() && !found.asked.contains(&of.tool) {
        return Err(format!(
            "{tool} has no socket on this host; `[tools]` in the settings names it"
        ));
    }
    if let (Tool::Neutron, Ok(uuid)) = (of.tool, Uuid::try_parse(&of.name)) {
        let name = neutron::router_of(uuid);
        return match found.router(&name) {
            Some(_) => Ok(name),
            None => Err(format!("the northbound has no router {name}")),
        };
    }
    match &found.named(of).collect::<Vec<_>>()[..] {
        [] => Err(format!("{tool} has no network {} with a router in the northbound", of.name)),
        [one] => Ok(one.router.clone()),
        several => {
            let routers: Vec<&str> = several.iter().map(|it| it.router.as_str()).collect();
            Err(format!(
                "{tool} has {} routers that are {}: {}; bind one of them by its name",
                several.len(),
                of.name,
                routers.join(", ")
            ))
        }
    }
}
