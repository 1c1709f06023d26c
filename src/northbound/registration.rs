//! The state of each half that must outlive the daemon, in the registration of its network.
//!
//! A registration is the pair of Address_Sets that hold a network's prefixes, one per family. The
//! `external_ids` of the IPv4 one hold a record of the network and a record per half. Only the
//! active instance writes these records. Beside them each host writes what it declares
//! ([`declared`](super::declared)). A new host with the same files continues where the last one
//! stopped. A record that does not parse counts as missing, and is written again.

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::declare::NetworkKey;
use crate::ovsdb::ValueRef;

use super::persisted::Persisted;

/// The key of the record of the network itself.
pub const NETWORK_KEY: &str = "ovn-peerd-network";
/// Before the half's name, the key of its record.
pub const HALF_PREFIX: &str = "ovn-peerd-half:";
/// The key of the record of the routes that the network's guests get.
pub const GUESTS_KEY: &str = "ovn-peerd-guests";
/// The version of the format of a registration and of the rows of its network (`version`).
///
/// 1: policies from priority 30090 to 30200. 2: from 32090 to 32200. 3: halves may have traffic
/// filters, which an older daemon would not read, and so open.
pub const VERSION: u32 = 3;

/// The key of a half's record.
#[must_use]
pub fn half_key(name: &str) -> String {
    format!("{HALF_PREFIX}{name}")
}

/// The record of the network itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// The version of the registration and of the network's rows.
    pub version: u32,
    /// The project.
    pub project: String,
    /// The network.
    pub name: String,
    /// The router that it is bound to, as written. If hosts bind it differently, this router stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
}

impl NetworkRecord {
    /// The record of a network and of the router that it is bound to.
    #[must_use]
    pub fn new(key: &NetworkKey, router: Option<String>) -> Self {
        let (project, name) = (key.project.to_string(), key.name.to_string());
        Self { version: VERSION, project, name, router }
    }

    /// The network of the registration.
    #[must_use]
    pub fn key(&self) -> NetworkKey {
        NetworkKey::new(self.project.as_str(), self.name.as_str())
    }
}

/// The state of a half, as far as it is recorded. `provisioning` and `active` are both `linked`:
/// the rows and `sb_cfg` say which of the two it is, so that a change from one to the other needs
/// no write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedState {
    /// The other side has not declared.
    Pending,
    /// The rows of the link exist, or the transaction with this record writes them.
    Linked,
    /// Disabled on this side.
    Disabled,
    /// Disabled on the other side.
    PeerDisabled,
    /// It was linked, and the other side withdrew.
    Disconnected,
    /// The other side rejects the request.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// Nobody declares the half any more.
    Deleted,
    /// Failed. The text is the word of the reason.
    Failed(String),
}

/// The recorded state of a half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfRecord {
    target: NetworkKey,
    /// The state.
    pub state: RecordedState,
    /// Since when.
    pub since: Timestamp,
    /// Whether it has ever been linked to this target. If the other side withdraws, a half that was
    /// linked is disconnected, and not pending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_linked: bool,
    /// The rest of the record.
    #[serde(flatten)]
    pub persisted: Persisted,
}

impl HalfRecord {
    /// The record of a half that is in `state` since `since`.
    #[must_use]
    pub fn new(
        target: &NetworkKey,
        state: RecordedState,
        since: Timestamp,
        was_linked: bool,
        persisted: Persisted,
    ) -> Self {
        Self {
            target: target.clone(),
            was_linked: was_linked || state == RecordedState::Linked,
            state,
            since,
            persisted,
        }
    }

    /// The record of the same half when nobody declares it any more.
    #[must_use]
    pub fn deleted(mut self, since: Timestamp) -> Self {
        self.state = RecordedState::Deleted;
        self.since = since;
        self.persisted = Persisted::default();
        self
    }

    /// What it targets, or targeted.
    #[must_use]
    pub fn target(&self) -> &NetworkKey {
        &self.target
    }

    /// Whether the record is of a half with this target.
    #[must_use]
    pub fn targets(&self, target: &NetworkKey) -> bool {
        self.target == *target
    }

    /// Shares this copy of the target's name, if it is the same name, to save memory.
    #[must_use]
    pub fn sharing(mut self, target: &NetworkKey) -> Self {
        if self.target == *target {
            self.target = target.clone();
        }
        self
    }

    /// As written in `external_ids`.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(self)
    }
}

/// The routes to peers that a network's guests get, and since when. A guest that asked earlier must
/// ask again to get them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestRecord {
    /// Since when.
    pub since: Timestamp,
    /// The routes by DHCP, in order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dhcp: BTreeSet<IpNet>,
    /// The routes by router advertisements, in order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ra: BTreeSet<IpNet>,
}

impl GuestRecord {
    /// As written in `external_ids`.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(self)
    }
}

impl NetworkRecord {
    /// As written in `external_ids`.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(self)
    }
}

/// Plain structs of strings always serialise. An empty record would be repaired at the next
/// comparison.
pub(super) fn to_text(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

/// The network's record among a registration's `external_ids`.
#[must_use]
pub fn network_record(external_ids: ValueRef<'_>) -> Option<NetworkRecord> {
    serde_json::from_str(external_ids.get(NETWORK_KEY)?).ok()
}

/// The record of the routes that the guests get.
#[must_use]
pub fn guest_record(external_ids: ValueRef<'_>) -> Option<GuestRecord> {
    serde_json::from_str(external_ids.get(GUESTS_KEY)?).ok()
}

/// The record of one half.
#[must_use]
pub fn half_record(external_ids: ValueRef<'_>, name: &str) -> Option<HalfRecord> {
    serde_json::from_str(external_ids.get(&half_key(name))?).ok()
}

/// All names that have a record, readable or not.
pub fn half_names(external_ids: ValueRef<'_>) -> impl Iterator<Item = &str> {
    external_ids.entries().filter_map(|(key, _)| half_name(key))
}

/// The name of the half whose record has this key; `None` if it is no record of a half.
pub fn half_name(key: &str) -> Option<&str> {
    key.strip_prefix(HALF_PREFIX)
}
