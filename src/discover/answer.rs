//! What the interfaces of LXD and Incus say of their networks: the northbound has only numbers of these.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use crate::declare::Tool;

/// The answer of a tool.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The tool.
    pub tool: Tool,
    /// Its networks in OVN, or why it does not say.
    pub networks: Result<Vec<Instance>, String>,
}

/// A network, as its tool knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its project.
    pub project: String,
    /// Its name there.
    pub name: String,
    /// What its owner has written about it.
    pub description: String,
    /// Its owner's own keys, `user.*`.
    pub config: BTreeMap<String, String>,
    /// The addresses of its router on the uplink.
    pub uplink: Vec<IpAddr>,
    /// The Ethernet address of its router's ports.
    pub mac: Option<String>,
    /// Its router, if the tool says that.
    pub router: Option<String>,
    /// Its peers.
    pub peers: Vec<Peer>,
}

/// One side of a peering of the tool's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Peer {
    /// Its name on this side.
    #[serde(default)]
    pub name: String,
    /// What its owner has written about it.
    #[serde(default)]
    pub description: String,
    /// Its owner's own keys.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// The other side's project.
    #[serde(default)]
    pub target_project: String,
    /// The other side.
    #[serde(default)]
    pub target_network: String,
    /// `CREATED` once both sides are there.
    #[serde(default)]
    pub status: String,
}

/// The projects that may have networks of their own, of the answer to `/1.0/projects?recursion=1`.
#[must_use]
pub fn project_names(metadata: &Value) -> Vec<String> {
    let all = metadata.as_array().into_iter().flatten();
    let own = all.filter(|project| {
        let name = project.get("name").and_then(Value::as_str);
        let feature = project.get("config").and_then(|it| it.get("features.networks"));
        name == Some("default") || feature.and_then(Value::as_str) == Some("true")
    });
    own.filter_map(|project| Some(project.get("name")?.as_str()?.to_owned())).collect()
}

/// The networks in OVN of a project, of the answer to `/1.0/networks?recursion=1`.
#[must_use]
pub fn listed(project: &str, metadata: &Value) -> Vec<Instance> {
    let all = metadata.as_array().into_iter().flatten();
    let networks = all.filter(|it| it.get("type").and_then(Value::as_str) == Some("ovn"));
    networks.filter_map(|network| instance(project, network)).collect()
}

/// One network.
#[must_use]
pub fn instance(project: &str, network: &Value) -> Option<Instance> {
    let text = |key: &str| network.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let config = network.get("config").and_then(Value::as_object)?;
    let set = |key: &str| config.get(key).and_then(Value::as_str);
    let uplink = ["volatile.network.ipv4.address", "volatile.network.ipv6.address"];
    let user = config.iter().filter(|(key, _)| key.starts_with("user."));
    Some(Instance {
        project: project.to_owned(),
        name: Some(text("name")).filter(|name| !name.is_empty())?,
        description: text("description"),
        config: user.filter_map(|(key, it)| Some((key.clone(), it.as_str()?.to_owned()))).collect(),
        uplink: uplink.iter().filter_map(|key| set(key)?.parse().ok()).collect(),
        ..Instance::default()
    })
}

impl Instance {
    /// Adds what the answer to `/1.0/networks/NAME/state` says.
    pub fn add_state(&mut self, state: &Value) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let ovn = state.get("ovn");
        self.mac = text(state.get("hwaddr")).filter(|mac| !mac.is_empty());
        self.router = text(ovn.and_then(|ovn| ovn.get("logical_router")));
        self.router = self.router.take().filter(|router| !router.is_empty());
    }
}

/// The answer to `/1.0/networks/NAME/peers?recursion=1`.
#[must_use]
pub fn peers(metadata: &Value) -> Vec<Peer> {
    let all = metadata.as_array().into_iter().flatten();
    all.filter_map(|peer| serde_json::from_value(peer.clone()).ok()).collect()
}
