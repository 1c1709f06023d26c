//! What is reached through appliances over a peering, as the owner of a half reads it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The chains over a peering.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThroughView {
    /// What this side reaches through appliances of the other side.
    pub reached: Vec<IpNet>,
    /// What the other side reaches through appliances of this side.
    pub chains: Vec<ChainView>,
    /// What the appliances need; only with such.
    pub hint: Option<String>,
}

/// What the other side reaches through an appliance of this side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainView {
    /// The addresses of the appliance.
    pub by: Vec<IpAddr>,
    /// Whose prefixes are reached; `None` for what lies behind the appliance.
    pub network: Option<String>,
    /// Which prefixes of the other side reach them.
    pub from: Vec<IpNet>,
    /// What is reached.
    pub to: Vec<IpNet>,
}
