//! What was found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ipnet::IpNet;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::answer::Peer;
use super::rows::{Router, Rows};
use crate::declare::{Tool, ToolNetwork, name_fault};
use crate::northbound::special::is_link_local;

/// Who has made a router: a tool, or somebody by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    /// A tool.
    Tool(Tool),
    /// Nobody that is known, by ovn-nbctl say.
    Plain,
}

impl Serialize for Maker {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Maker {
    const PLAIN: &'static str = "ovn";

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Tool::ALL.into_iter().map(Self::Tool).chain([Self::Plain])
    }

    /// Its word on command lines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tool(tool) => tool.word(),
            Self::Plain => Self::PLAIN,
        }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tool(tool) => tool.title(),
            Self::Plain => "plain OVN",
        })
    }
}

/// Something that the rows do not say, and why this was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guess {
    /// Which key of the network.
    pub key: &'static str,
    /// Why, and what to do.
    pub why: String,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundNetwork {
    /// Who has made it.
    pub tool: Maker,
    /// Its project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Its router's name, or its UUID if several routers have the name.
    pub router: String,
    /// Its router's row.
    pub router_uuid: Uuid,
    /// What the tool calls it, if that stays when the network is made again.
    pub tool_network: Option<String>,
    /// Its subnets.
    pub prefixes: Vec<IpNet>,
    /// What its owner has written about it.
    pub description: String,
    /// Its owner's own keys.
    pub config: BTreeMap<String, String>,
    /// What is not certain.
    pub guesses: Vec<Guess>,
    /// The sides of the tool's own peerings.
    #[serde(skip)]
    pub peers: Vec<Peer>,
}

/// A port of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FoundPort {
    /// Its name.
    pub name: String,
    /// Its row.
    pub uuid: Uuid,
}

/// A route of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FoundRoute {
    /// What it matches.
    pub prefix: String,
    /// Its row.
    pub uuid: Uuid,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkEnd {
    /// The network's project.
    pub project: String,
    /// The network's name.
    pub network: String,
    /// Its router.
    pub router: String,
    /// The router's row.
    pub router_uuid: Uuid,
    /// The router's ports of the link.
    pub ports: Vec<FoundPort>,
    /// The router's routes over the link.
    pub routes: Vec<FoundRoute>,
    /// What the tool calls this side of its peering.
    pub peer: Option<String>,
}

/// A link between the routers of two networks that ovn-peerd has not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundLink {
    /// Who has made it.
    pub tool: Maker,
    /// Both ends, by router.
    pub ends: [LinkEnd; 2],
    /// What is between the two routers: a switch or a router.
    pub through: Option<String>,
}

/// All that was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Found {
    /// By tool, project and name.
    pub networks: Vec<FoundNetwork>,
    /// By routers.
    pub links: Vec<FoundLink>,
    /// Tools that did not answer, and why.
    pub faults: BTreeMap<Tool, String>,
    /// The tools that were asked.
    #[serde(skip)]
    pub(super) asked: BTreeSet<Tool>,
    /// All routers of the northbound, by name.
    #[serde(skip)]
    pub(super) routers: Vec<(String, Uuid)>,
}

impl Found {
    /// The networks that a tool's network is: one, or its name does not tell them apart.
    pub fn named<'a>(&'a self, of: &'a ToolNetwork) -> impl Iterator<Item = &'a FoundNetwork> + 'a {
        self.networks.iter().filter(move |network| {
            network.tool == Maker::Tool(of.tool)
                && network.tool_network.as_deref() == Some(&*of.name)
        })
    }

    /// What a network can be bound by so that the binding stays when its tool makes it again.
    #[must_use]
    pub fn binding(&self, network: &FoundNetwork) -> Option<ToolNetwork> {
        let Maker::Tool(tool) = network.tool else { return None };
        let name = network.tool_network.as_deref().filter(|name| name_fault(name).is_none())?;
        let of = ToolNetwork { tool, name: name.into() };
        (self.named(&of).count() == 1).then_some(of)
    }

    /// Whether a tool has said what it has, if it is one that must be asked.
    pub(super) fn answers(&self, tool: Tool) -> bool {
        !tool.is_numbered() || (self.asked.contains(&tool) && !self.faults.contains_key(&tool))
    }

    /// Whether the northbound has exactly one router of this name, or one with this UUID.
    pub(super) fn router(&self, text: &str) -> Option<Uuid> {
        let mut named = self.routers.iter().filter(|(name, uuid)| {
            name == text || text.parse::<Uuid>().is_ok_and(|text| text == *uuid)
        });
        let first = named.next()?;
        named.next().is_none().then_some(first.1)
    }

    /// Keeps what one maker has made.
    pub(super) fn keep(&mut self, only: Maker) {
        self.networks.retain(|network| network.tool == only);
        self.links.retain(|link| link.tool == only);
        self.faults.retain(|tool, _| Maker::Tool(*tool) == only);
    }
}

/// What a tool's file says of a router of its own.
#[derive(Clone, Debug)]
pub(super) enum Claim {
    /// It is a network.
    Network(Box<Named>),
    /// It is a part of something else.
    Part,
}

/// A router as a network.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) tool: Maker,
    pub(super) project: String,
    pub(super) name: String,
    pub(super) tool_network: Option<String>,
    pub(super) description: String,
    pub(super) config: BTreeMap<String, String>,
    pub(super) peers: Vec<Peer>,
    pub(super) guesses: Vec<Guess>,
}

impl Named {
    pub(super) fn new(tool: Maker, project: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            tool,
            project: project.into(),
            name: name.into(),
            tool_network: None,
            description: String::new(),
            config: BTreeMap::new(),
            peers: Vec::new(),
            guesses: Vec::new(),
        }
    }

    pub(super) fn guess(mut self, key: &'static str, why: impl Into<String>) -> Self {
        self.guesses.push(Guess { key, why: why.into() });
        self
    }
}

/// Makes networks of what is claimed, each with names of its own.
pub(super) fn collect(rows: &Rows, claims: BTreeMap<usize, Claim>) -> Found {
    let mut found = Found {
        routers: rows.routers.iter().map(|it| (it.name.clone(), it.uuid)).collect(),
        ..Found::default()
    };
    for (index, claim) in claims {
        let (Claim::Network(named), Some(router)) = (claim, rows.routers.get(index)) else {
            continue;
        };
        let network = network(*named, router, rows, &found);
        found.networks.push(network);
    }
    let place = |network: &FoundNetwork| {
        (network.tool, network.project.clone(), network.name.clone(), network.router_uuid)
    };
    found.networks.sort_by_key(place);
    tell_apart(&mut found.networks);
    found
}

fn network(named: Named, router: &Router, rows: &Rows, found: &Found) -> FoundNetwork {
    let Named { tool, project, name, tool_network, description, config, peers, mut guesses } =
        named;
    let mut usable = |key, text: String, other: &str| match name_fault(&text) {
        None => text,
        Some((fault, _)) => {
            let why = format!("the name that {tool} has {fault}; choose another one");
            guesses.push(Guess { key, why });
            other.to_owned()
        }
    };
    let project = usable("project", project, tool.word());
    let name = usable("name", name, &router.uuid.to_string());
    let is_plain = found.router(&router.name).is_some() && name_fault(&router.name).is_none();
    let prefixes = rows.inward(router).flat_map(|port| &port.networks).map(IpNet::trunc);
    let mut prefixes: Vec<IpNet> = prefixes.filter(|it| !is_link_local(it.addr())).collect();
    prefixes.sort();
    prefixes.dedup();
    FoundNetwork {
        tool,
        project,
        name,
        router: if is_plain { router.name.clone() } else { router.uuid.to_string() },
        router_uuid: router.uuid,
        tool_network,
        prefixes,
        description,
        config,
        guesses,
        peers,
    }
}

/// No two networks of ovn-peerd have the same names: of those that would, all but the first get another.
fn tell_apart(networks: &mut [FoundNetwork]) {
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    for network in networks {
        let key = (network.project.clone(), network.name.clone());
        let count = taken.entry(key).or_default();
        *count += 1;
        if *count > 1 {
            let why = format!(
                "another router was found as {}/{}; choose names that tell the two apart",
                network.project, network.name
            );
            network.name = format!("{}-{count}", network.name);
            network.guesses.push(Guess { key: "name", why });
        }
    }
}
