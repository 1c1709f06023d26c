//! The parts of a decision, beside the state, that must outlast it.

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
    /// The same of the other network, if no half is declared there and this record serves both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_remote: Option<Box<Frozen>>,
    /// A digest of the half's terms, unless they are the default. If hosts declare different terms,
    /// those of the existing link stay in effect.
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
