//! What must outlive the daemon: the records in a network's registration.
//!
//! A registration is the pair of Address_Sets that hold a network's prefixes, one per family. The
//! IPv4 one carries, in `external_ids`, who the network is, how it was bound, and one record per
//! half. A fresh host with the same files goes on where the last one stopped. A record that does
//! not parse counts as none: it is written anew.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::declare::{
    ConfiguredStatus, Directory, FileId, Half, HalfKey, Network, NetworkKey, NetworkType, RouterRef,
};
use crate::ovsdb::Value;

/// The key of the record of the network itself.
pub const NETWORK_KEY: &str = "ovn-peerd-network";
/// Before the half's name, the key of its record.
pub const HALF_PREFIX: &str = "ovn-peerd-half:";

/// The key of a half's record.
#[must_use]
pub fn half_key(name: &str) -> String {
    format!("{HALF_PREFIX}{name}")
}

/// Who a registration speaks for, and how the network was last bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// The project.
    pub project: String,
    /// The network.
    pub name: String,
    /// The binding; none while the network is declared by nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingRecord>,
}

/// A network's binding, as its file gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRecord {
    file: String,
    router: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    may_export: Vec<IpNet>,
}

impl NetworkRecord {
    /// The record of a network and its binding, if any.
    #[must_use]
    pub fn new(key: &NetworkKey, binding: Option<(&Network, &FileId)>) -> Self {
        Self {
            project: key.project.to_string(),
            name: key.name.to_string(),
            binding: binding.map(|(network, file)| BindingRecord::new(network, file)),
        }
    }

    /// Whom the registration speaks for.
    #[must_use]
    pub fn key(&self) -> NetworkKey {
        NetworkKey::new(self.project.as_str(), self.name.as_str())
    }

    /// The binding and the file that gave it.
    #[must_use]
    pub fn bound(&self) -> Option<(FileId, Network)> {
        let binding = self.binding.as_ref()?;
        let kind = binding.r#type.as_deref();
        let network = Network {
            key: self.key(),
            router: match binding.router.parse() {
                Ok(uuid) => RouterRef::Uuid(uuid),
                Err(_) => RouterRef::Name(binding.router.as_str().into()),
            },
            zone: binding.zone.as_deref().map(Into::into),
            region: binding.region.as_deref().map(Into::into),
            kind: kind.map_or(NetworkType::Private, |kind| NetworkType::Other(kind.into())),
            may_export: binding.may_export.clone(),
        };
        let file = FileId { directory: Directory::Networks, name: binding.file.as_str().into() };
        Some((file, network))
    }
}

impl BindingRecord {
    fn new(network: &Network, file: &FileId) -> Self {
        Self {
            file: file.name.to_string(),
            router: network.router.to_string(),
            zone: network.zone.as_deref().map(Into::into),
            region: network.region.as_deref().map(Into::into),
            r#type: match &network.kind {
                NetworkType::Private => None,
                NetworkType::Other(kind) => Some(kind.to_string()),
            },
            may_export: network.may_export.clone(),
        }
    }
}

/// The part of a half's state that lasts. `provisioning` and `active` are both `linked`: which of
/// the two holds is seen from the rows and from `sb_cfg`, so that no write is needed to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedState {
    /// The other side has not declared.
    Pending,
    /// The rows stand, or are written with this record.
    Linked,
    /// Down on this side.
    Disabled,
    /// Down on the other side.
    PeerDisabled,
    /// It was linked, and the other side withdrew.
    Disconnected,
    /// Failed, with the reason's word.
    Failed(String),
}

/// What lasts of a half: its last good declaration, and where it stands since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfRecord {
    /// The host that declares it.
    pub host: String,
    file: String,
    /// Project and network.
    target: (String, String),
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    config: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested: Option<Timestamp>,
    /// Where it stands.
    pub state: RecordedState,
    /// Since when.
    pub since: Timestamp,
    /// Whether it has ever been linked to this target: a peering that was up and lost the other
    /// side is disconnected, not pending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_linked: bool,
}

impl HalfRecord {
    /// The record of a half that stands in `state` since `since`.
    #[must_use]
    pub fn new(
        half: &Half,
        file: &FileId,
        host: &str,
        state: RecordedState,
        since: Timestamp,
        was_linked: bool,
    ) -> Self {
        Self {
            host: host.into(),
            file: file.name.to_string(),
            target: (half.target.project.to_string(), half.target.name.to_string()),
            description: half.description.clone(),
            disabled: half.configured_status == ConfiguredStatus::Disabled,
            config: half.config.clone(),
            requested: half.requested,
            was_linked: was_linked || state == RecordedState::Linked,
            state,
            since,
        }
    }

    /// Whether the record speaks of a half with this target.
    #[must_use]
    pub fn targets(&self, target: &NetworkKey) -> bool {
        self.target.0 == *target.project && self.target.1 == *target.name
    }

    /// The last good declaration, and the file that gave it.
    #[must_use]
    pub fn declaration(&self, network: NetworkKey, name: &str) -> (FileId, Half) {
        let half = Half {
            key: HalfKey { network, name: name.into() },
            target: NetworkKey::new(self.target.0.as_str(), self.target.1.as_str()),
            description: self.description.clone(),
            configured_status: if self.disabled {
                ConfiguredStatus::Disabled
            } else {
                ConfiguredStatus::Active
            },
            config: self.config.clone(),
            requested: self.requested,
        };
        let file = FileId { directory: Directory::Peerings, name: self.file.as_str().into() };
        (file, half)
    }

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

/// Plain structs of strings always serialise; an empty record would be repaired at the next look.
fn to_text(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

/// The network's record among a registration's `external_ids`.
#[must_use]
pub fn network_record(external_ids: &Value) -> Option<NetworkRecord> {
    serde_json::from_str(external_ids.get(NETWORK_KEY)?).ok()
}

/// The record of one half.
#[must_use]
pub fn half_record(external_ids: &Value, name: &str) -> Option<HalfRecord> {
    serde_json::from_str(external_ids.get(&half_key(name))?).ok()
}

/// All names that have a record, readable or not, with the record where it is.
pub fn half_records(external_ids: &Value) -> impl Iterator<Item = (&str, Option<HalfRecord>)> {
    external_ids.entries().filter_map(|(key, text)| {
        let name = key.strip_prefix(HALF_PREFIX)?;
        Some((name, serde_json::from_str(text).ok()))
    })
}

/// All names that have a record, readable or not.
pub fn half_names(external_ids: &Value) -> impl Iterator<Item = &str> {
    external_ids.entries().filter_map(|(key, _)| key.strip_prefix(HALF_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> FileId {
        FileId { directory: Directory::Peerings, name: "blue.toml".into() }
    }

    #[test]
    fn a_declaration_survives_its_record() {
        let half = Half {
            key: HalfKey { network: NetworkKey::new("blue", "web"), name: "to-db".into() },
            target: NetworkKey::new("green", "db"),
            description: "web \"tier\"".into(),
            configured_status: ConfiguredStatus::Disabled,
            config: BTreeMap::from([("user.ticket".into(), "NET-42".into())]),
            requested: None,
        };
        let record = HalfRecord::new(
            &half,
            &file(),
            "hv1",
            RecordedState::Pending,
            Timestamp::UNIX_EPOCH,
            false,
        );
        let read: HalfRecord = serde_json::from_str(&record.to_text()).expect("own text");
        assert_eq!(read, record);
        assert_eq!(read.declaration(half.key.network.clone(), "to-db"), (file(), half));
    }

    #[test]
    fn a_binding_survives_its_record() {
        let network = Network {
            key: NetworkKey::new("blue", "web"),
            router: RouterRef::Name("blue-web-lr".into()),
            zone: Some("az1".into()),
            region: None,
            kind: NetworkType::Other("public".into()),
            may_export: vec!["10.64.0.0/12".parse().expect("a prefix")],
        };
        let file = FileId { directory: Directory::Networks, name: "blue.toml".into() };
        let record = NetworkRecord::new(&network.key, Some((&network, &file)));
        let read: NetworkRecord = serde_json::from_str(&record.to_text()).expect("own text");
        assert_eq!(read.bound(), Some((file, network)));
    }
}
