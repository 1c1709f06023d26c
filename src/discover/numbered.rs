//! LXD and Incus: `lxd-net<ID>-lr`, and the same of Incus. The northbound has numbers; their interfaces have
//! names. LXD joins the two by the router's address on the uplink, which is its own there, and by its
//! Ethernet address; Incus says the router's name.

use super::answer::{Answer, Instance};
use super::found::{Claim, Maker, Named};
use super::rows::{Router, Rows};
use crate::declare::Tool;

/// The tools of this kind, with what their names in the northbound begin with.
const TOOLS: [(Tool, &str); 2] = [(Tool::Lxd, "lxd"), (Tool::Incus, "incus")];

/// The number in the name of such a router.
fn number<'a>(name: &'a str, word: &str) -> Option<&'a str> {
    let number = name.strip_prefix(word)?.strip_prefix("-net")?.strip_suffix("-lr")?;
    number.bytes().all(|it| it.is_ascii_digit()).then_some(number).filter(|it| !it.is_empty())
}

/// Whether a tool of this kind gives a router such a name.
pub(super) fn is_name_of(tool: Tool, name: &str) -> bool {
    TOOLS.iter().any(|(it, word)| *it == tool && number(name, word).is_some())
}

pub(super) fn claim(router: &Router, rows: &Rows, answers: &[Answer]) -> Option<Claim> {
    let found = TOOLS
        .into_iter()
        .find_map(|(tool, word)| number(&router.name, word).map(|number| (tool, word, number)));
    let (tool, word, number) = found?;
    let said = answers.iter().find(|answer| answer.tool == tool);
    let known = said.and_then(|answer| answer.networks.as_ref().ok());
    let mut why = match said.map(|answer| &answer.networks) {
        None => format!("{} has no socket on this host", tool.title()),
        Some(Err(why)) => format!("{} does not answer: {why}", tool.title()),
        Some(Ok(_)) => format!("{} does not know this router", tool.title()),
    };
    if let Some(known) = known {
        match &fitting(router, known)[..] {
            [one] => return Some(Claim::Network(Box::new(named(tool, one)))),
            [] => {}
            several => {
                let names = several.iter().map(|it| format!("{}/{}", it.project, it.name));
                let names: Vec<String> = names.collect();
                why = format!("it may be one of {}", names.join(", "));
            }
        }
    }
    let group = rows.port_groups.get(&format!("{word}_net{number}"));
    let project = group.and_then(|ids| ids.get(&format!("{word}_project_id")));
    let project = project.map_or_else(|| word.to_owned(), |id| format!("{word}-project-{id}"));
    let why = format!("the northbound has only numbers of {}, and {why}", tool.title());
    let named = Named::new(Maker::Tool(tool), project, format!("net{number}"));
    Some(Claim::Network(Box::new(named.guess("project", why.clone()).guess("name", why))))
}

fn named(tool: Tool, instance: &Instance) -> Named {
    let name = format!("{}/{}", instance.project, instance.name);
    Named {
        tool_network: Some(name),
        description: instance.description.clone(),
        config: instance.config.clone(),
        peers: instance.peers.clone(),
        ..Named::new(Maker::Tool(tool), &*instance.project, &*instance.name)
    }
}

/// The networks that a router may be.
fn fitting<'a>(router: &Router, known: &'a [Instance]) -> Vec<&'a Instance> {
    if let Some(told) = known.iter().find(|it| it.router.as_ref() == Some(&router.name)) {
        return vec![told];
    }
    let outer = format!("{}-lrp-ext", router.name);
    let outer = router.ports.iter().filter(|port| port.name == outer);
    let addresses: Vec<_> = outer.flat_map(|port| &port.networks).map(|it| it.addr()).collect();
    let has_mac = |it: &Instance| {
        let is = |mac: &String| router.ports.iter().any(|port| port.mac.eq_ignore_ascii_case(mac));
        it.mac.as_ref().is_some_and(is)
    };
    // Where an address is known it decides; two uplinks may have the same addresses.
    let fits = known.iter().filter(|it| it.router.is_none()).filter(|it| match &it.uplink[..] {
        [] => has_mac(it),
        uplink => uplink.iter().any(|address| addresses.contains(address)),
    });
    let fits: Vec<&Instance> = fits.collect();
    if fits.len() < 2 {
        return fits;
    }
    let sure: Vec<&Instance> = fits.iter().copied().filter(|it| has_mac(it)).collect();
    if sure.is_empty() { fits } else { sure }
}
