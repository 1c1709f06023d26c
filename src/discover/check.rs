//! What is bound, compared with what was found.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::found::{Found, Maker};
use super::resolve::resolve;
use super::written::router;
use super::{neutron, numbered};
use crate::declare::{Network, RouterRef, Tool};

/// A network of the operator's files.
#[derive(Clone, Debug)]
pub struct Bound<'a> {
    /// What it says.
    pub network: &'a Network,
    /// The name of its file.
    pub file: &'a str,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Nothing binds a network that was found.
    Unbound,
    /// The router of a binding is not there, or its name fits several.
    NoRouter,
    /// A network is bound to a router that is another network's in its tool.
    OtherRouter,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub kind: DifferenceKind,
    /// The network, `PROJECT/NAME`.
    pub network: String,
    /// The file that binds it.
    pub file: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, or first.
    pub next_step: String,
}

/// Compares what is bound with what was found of all makers, or of one.
#[must_use]
pub fn check(found: &Found, bound: &[Bound<'_>], only: Option<Maker>) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut routers: BTreeMap<Uuid, &Bound<'_>> = BTreeMap::new();
    for it in bound {
        let network = it.network;
        let (router, maker) = match (&network.of, &network.router) {
            (Some(of), _) => (resolve(of, found), Some(Maker::Tool(of.tool))),
            (None, router) => {
                let text = router.to_string();
                let maker = maker(found, router, &text);
                let why = format!("there is no router {text}, or several have that name");
                (found.router(&text).map(|_| text).ok_or(why), maker)
            }
        };
        let uuid = router.as_ref().ok().and_then(|router| found.router(router));
        if let Some(uuid) = uuid {
            routers.insert(uuid, it);
        }
        if only.is_some() && maker != only {
            continue;
        }
        match (router, uuid) {
            (Ok(_), Some(uuid)) => differences.extend(other(found, it, uuid)),
            (Ok(why), None) | (Err(why), _) => differences.push(missing(found, it, why)),
        }
    }
    let unbound = found.networks.iter().filter(|it| only.is_none_or(|only| it.tool == only));
    for network in unbound.filter(|it| !routers.contains_key(&it.router_uuid)) {
        let name = format!("{}/{}", network.project, network.name);
        differences.push(Difference {
            kind: DifferenceKind::Unbound,
            message: format!(
                "router {} of {} is bound to no network",
                network.router, network.tool
            ),
            next_step: format!("bind it: {}", router(found, network, false)),
            network: name,
            file: None,
        });
    }
    differences
}

/// What was found under the names of a binding, if it is another router.
fn other(found: &Found, bound: &Bound<'_>, uuid: Uuid) -> Option<Difference> {
    let key = &bound.network.key;
    // Names that are guessed prove nothing.
    let mut named = found
        .networks
        .iter()
        .filter(|it| it.guesses.is_empty() && it.project == *key.project && it.name == *key.name);
    let should = named.next().filter(|it| it.router_uuid != uuid)?;
    Some(Difference {
        kind: DifferenceKind::OtherRouter,
        network: key.to_string(),
        file: Some(bound.file.to_owned()),
        message: format!(
            "it is bound to {}, but {key} of {} has the router {}",
            bound.network.router, should.tool, should.router
        ),
        next_step: format!("if that is meant: {}", router(found, should, follows(bound))),
    })
}

fn missing(found: &Found, bound: &Bound<'_>, why: String) -> Difference {
    let key = &bound.network.key;
    let same = found.networks.iter().find(|it| it.project == *key.project && it.name == *key.name);
    Difference {
        kind: DifferenceKind::NoRouter,
        network: key.to_string(),
        file: Some(bound.file.to_owned()),
        message: why,
        next_step: match same {
            Some(same) => {
                let router = router(found, same, follows(bound));
                format!("bind it to what has its names: {router}")
            }
            None => match &bound.network.of {
                Some(of) if !found.answers(of.tool) => {
                    format!("have {} answer, or bind a router by its name", of.tool.title())
                }
                Some(_) | None => "correct `router`, or remove the network".to_owned(),
            },
        },
    }
}

/// Whether it is bound by a tool's name.
fn follows(bound: &Bound<'_>) -> bool {
    bound.network.of.is_some()
}

/// Who has made the router that a binding names, by its name if it is gone.
fn maker(found: &Found, router: &RouterRef, text: &str) -> Option<Maker> {
    if let Some(uuid) = found.router(text) {
        let network = found.networks.iter().find(|it| it.router_uuid == uuid);
        return network.map(|network| network.tool);
    }
    let RouterRef::Name(name) = router else { return None };
    let numbered = [Tool::Lxd, Tool::Incus].into_iter().find(|it| numbered::is_name_of(*it, name));
    let tool = numbered.or(neutron::is_name(name).then_some(Tool::Neutron));
    tool.map(Maker::Tool)
}
