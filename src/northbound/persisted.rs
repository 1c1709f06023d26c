//! What of a verdict must outlast the moment at which it was made, beside the state itself.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Part of a half's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persisted {
    /// When the request expired, unless it was renewed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Timestamp>,
    /// The network's address space as it was frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Box<Frozen>>,
    /// The same of the other network, where this half stands for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_remote: Option<Box<Frozen>>,
    /// A mark of the half's terms, where they are not the default: where hosts differ, those that
    /// stand go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<u32>,
}

/// An address space at the moment at which a peering was activated or renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// That moment.
    pub at: Timestamp,
    /// The prefixes.
    pub prefixes: Vec<IpNet>,
}
