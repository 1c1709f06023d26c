//! The declarations of each host for a network, in the registration of that network.
//!
//! Each host writes its own entries of `external_ids`, and only these: its binding of the network
//! under `ovn-peerd-host:HOST`, each half under `ovn-peerd-declared:HOST:NAME`, each rejection
//! under `ovn-peerd-rejects:HOST:PROJECT:NETWORK`. The declarations of a host that is down stay. An
//! entry that does not parse counts as missing, and its host writes it again. The last two may also
//! have `@store` in the place of a host: what clients declare by command.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::declare::{
    ConfiguredStatus, Directory, FileId, Giver, Half, HalfKey, Network, NetworkKey, NetworkType,
    Rejection, RejectionKey, RouterRef, RulesDigest, Source, Stored, TellGuests, Terms,
    ToolNetwork,
};
use crate::ovsdb::ValueRef;

use super::registration::{NETWORK_KEY, to_text};

/// The key of a host's entry for the network itself is this and the host's name.
const HOST_PREFIX: &str = "ovn-peerd-host:";
/// The key of a half is this, the host's name, a colon and the half's name.
const DECLARED_PREFIX: &str = "ovn-peerd-declared:";

/// The key of a rejection is this, the host's name, a colon and the rejected network.
const REJECTS_PREFIX: &str = "ovn-peerd-rejects:";

/// A host's entry for a network: the names of the network, and the binding if this host has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    project: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<BindingRecord>,
    /// A digest of the host's rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<String>,
}

/// A network's binding, as in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BindingRecord {
    file: String,
    router: String,
    /// The tool's network that it is bound by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    may_export: Vec<IpNet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tell_guests: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
}

/// A half, as in its file or in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DeclaredRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The uid of the file's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
    target: NetworkKey,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    config: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<Terms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
}

/// A rejection, as in its file or in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RejectionRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
}

/// Where a declaration is from, as records have it: a file with its owner, or the store.
type SourceRecord = (Option<String>, Option<u32>, Option<Stored>);

fn source_record(source: &Source) -> SourceRecord {
    match source {
        Source::File(giver) => file_record(giver),
        Source::Store(stored) => (None, None, Some(stored.clone())),
    }
}

fn file_record(giver: &Giver) -> SourceRecord {
    (Some(giver.file.name.to_string()), giver.owner, None)
}

/// None if the record has neither.
fn source_of((file, owner, stored): SourceRecord) -> Option<Source> {
    match (file, stored) {
        (_, Some(stored)) => Some(Source::Store(stored)),
        (Some(file), None) => Some(Source::File(Giver { file: FileId::peerings(&file), owner })),
        (None, None) => None,
    }
}

/// The declarations of one host for a network, with their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Its binding.
    pub binding: Option<(FileId, Network)>,
    /// The network's halves.
    pub halves: Vec<(Giver, Half)>,
    /// The networks that the network rejects.
    pub rejections: Vec<(Giver, Rejection)>,
}

/// An entry that a host writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The host's entry for the network itself.
    Host(Cow<'a, str>),
    /// A half.
    Half(Cow<'a, str>, &'a str),
    /// A rejection.
    Rejection(Cow<'a, str>, NetworkKey),
}

impl<'a> Entry<'a> {
    /// Parses a key of `external_ids`; none if it is not a host's entry.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        if let Some(host) = key.strip_prefix(HOST_PREFIX) {
            return Some(Self::Host(plain(host)));
        }
        if let Some(rest) = key.strip_prefix(REJECTS_PREFIX) {
            let (host, from) = rest.split_once(':')?;
            let (project, network) = from.split_once(':')?;
            let from = NetworkKey::new(&*plain(project), &*plain(network));
            return Some(Self::Rejection(plain(host), from));
        }
        let (host, name) = key.strip_prefix(DECLARED_PREFIX)?.split_once(':')?;
        Some(Self::Half(plain(host), name))
    }

    /// The host that writes it.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::Host(host) | Self::Half(host, _) | Self::Rejection(host, _) => host,
        }
    }
}

/// The separators of a key may not be part of a name in it.
fn escaped(host: &str) -> String {
    host.replace('%', "%25").replace(':', "%3A")
}

fn plain(host: &str) -> Cow<'_, str> {
    if host.contains('%') {
        return host.replace("%3A", ":").replace("%25", "%").into();
    }
    host.into()
}

/// A host's entry for a network itself.
#[must_use]
pub fn host_entry(
    host: &str,
    key: &NetworkKey,
    binding: Option<(&Network, &FileId)>,
    rules: &RulesDigest,
) -> (String, String) {
    let record = HostRecord {
        project: key.project.to_string(),
        name: key.name.to_string(),
        binding: (binding.filter(|(network, _)| network.is_known()))
            .map(|(network, file)| BindingRecord::new(network, file)),
        rules: rules.as_deref().map(str::to_owned),
    };
    (format!("{HOST_PREFIX}{}", escaped(host)), to_text(&record))
}

/// The entry of a half that a host declares in a file.
#[must_use]
pub fn half_entry(host: &str, half: &Half, giver: &Giver) -> (String, String) {
    (half_entry_key(host, &half.key.name), half_text(half, file_record(giver)))
}

/// The entry of a half that a host or the store contains.
pub(super) fn half_entry_of(host: &str, half: &Half, source: &Source) -> (String, String) {
    (half_entry_key(host, &half.key.name), half_text(half, source_record(source)))
}

/// The key of the entry of a half.
pub(super) fn half_entry_key(host: &str, name: &str) -> String {
    format!("{DECLARED_PREFIX}{}:{name}", escaped(host))
}

fn half_text(half: &Half, (file, owner, stored): SourceRecord) -> String {
    to_text(&DeclaredRecord {
        file,
        owner,
        stored,
        target: half.target.clone(),
        description: half.description.clone(),
        disabled: !half.is_up(),
        config: half.config.clone(),
        requested: half.requested,
        terms: half.terms.as_deref().cloned(),
        uuid: half.uuid,
    })
}

/// The entry of a rejection that a host declares in a file.
#[must_use]
pub fn rejection_entry(host: &str, key: &RejectionKey, giver: &Giver) -> (String, String) {
    (rejection_entry_key(host, &key.from), rejection_text(file_record(giver)))
}

/// The entry of a rejection that a host or the store contains.
pub(super) fn rejection_entry_of(
    host: &str,
    key: &RejectionKey,
    source: &Source,
) -> (String, String) {
    (rejection_entry_key(host, &key.from), rejection_text(source_record(source)))
}

/// The key of the entry of a rejection.
pub(super) fn rejection_entry_key(host: &str, from: &NetworkKey) -> String {
    let (project, network) = (escaped(&from.project), escaped(&from.name));
    format!("{REJECTS_PREFIX}{}:{project}:{network}", escaped(host))
}

fn rejection_text((file, owner, stored): SourceRecord) -> String {
    to_text(&RejectionRecord { file, owner, stored })
}

/// The keys of a host's entries.
pub fn keys_of<'a>(external_ids: ValueRef<'a>, host: &'a str) -> impl Iterator<Item = &'a str> {
    let keys = external_ids.entries().map(|(key, _)| key);
    keys.filter(move |key| Entry::parse(key).is_some_and(|entry| entry.host() == host))
}

/// Whether there is an entry of any host.
#[must_use]
pub fn is_declared(external_ids: ValueRef<'_>) -> bool {
    external_ids.entries().any(|(key, _)| Entry::parse(key).is_some())
}

/// The network of a registration: from its own record, else from a host's entry.
#[must_use]
pub fn network_of(external_ids: ValueRef<'_>) -> Option<NetworkKey> {
    let of = |text: &str| {
        let found: Named = serde_json::from_str(text).ok()?;
        Some(NetworkKey::new(found.project, found.name))
    };
    external_ids.get(NETWORK_KEY).and_then(&of).or_else(|| {
        let hosts = external_ids.entries().filter(|(key, _)| key.starts_with(HOST_PREFIX));
        hosts.map(|(_, text)| text).find_map(of)
    })
}

/// The part that all records of a network itself have in common.
#[derive(Deserialize)]
struct Named {
    project: String,
    name: String,
}

/// The declarations of one host for a network. A host reads its own ones when it starts.
#[must_use]
pub fn declared_by(host: &str, network: &NetworkKey, external_ids: ValueRef<'_>) -> Own {
    let mut own = Own::default();
    for (entry, text) in entries(external_ids).filter(|(entry, _)| entry.host() == host) {
        match entry {
            Entry::Host(_) => own.binding = host_record(text).and_then(|it| it.bound(network)),
            Entry::Half(_, name) => {
                own.halves.extend(half(network, name, text).and_then(from_file));
            }
            Entry::Rejection(_, by) => {
                own.rejections.extend(rejection(network, by, text).and_then(from_file));
            }
        }
    }
    own
}

fn from_file<T>((source, value): (Source, T)) -> Option<(Giver, T)> {
    match source {
        Source::File(giver) => Some((giver, value)),
        Source::Store(_) => None,
    }
}

pub(super) fn entries(external_ids: ValueRef<'_>) -> impl Iterator<Item = (Entry<'_>, &str)> {
    external_ids.entries().filter_map(|(key, text)| Some((Entry::parse(key)?, text)))
}

pub(super) fn host_record(text: &str) -> Option<HostRecord> {
    serde_json::from_str(text).ok()
}

impl HostRecord {
    pub(super) fn rules(&self) -> RulesDigest {
        self.rules.as_deref().map(Arc::from)
    }

    pub(super) fn bound(self, network: &NetworkKey) -> Option<(FileId, Network)> {
        let binding = self.binding?;
        let text = |text: Option<String>| text.map(Into::into);
        let bound = Network {
            key: network.clone(),
            router: RouterRef::named(&binding.router),
            of: (binding.of.as_deref()).and_then(ToolNetwork::parse).map(Arc::new),
            zone: text(binding.zone),
            region: text(binding.region),
            kind: (binding.r#type)
                .map_or(NetworkType::Private, |kind| NetworkType::Other(kind.into())),
            may_export: binding.may_export,
            mtu: binding.mtu,
            // An unknown word is from a newer version, and ignored.
            tell_guests: (binding.tell_guests.iter())
                .fold(TellGuests::default(), |tell, word| tell.and(word).unwrap_or(tell)),
            uuid: binding.uuid,
        };
        Some((FileId { directory: Directory::Networks, name: binding.file.into() }, bound))
    }
}

pub(super) fn half(network: &NetworkKey, name: &str, text: &str) -> Option<(Source, Half)> {
    let record: DeclaredRecord = serde_json::from_str(text).ok()?;
    let source = source_of((record.file, record.owner, record.stored))?;
    let half = Half {
        key: HalfKey::new(network.clone(), name),
        target: record.target,
        description: record.description,
        configured_status: if record.disabled {
            ConfiguredStatus::Disabled
        } else {
            ConfiguredStatus::Active
        },
        config: record.config,
        requested: record.requested,
        terms: record.terms.map(Arc::new),
        uuid: record.uuid,
    };
    Some((source, half))
}

pub(super) fn rejection(
    network: &NetworkKey,
    from: NetworkKey,
    text: &str,
) -> Option<(Source, Rejection)> {
    let record: RejectionRecord = serde_json::from_str(text).ok()?;
    let key = RejectionKey { network: network.clone(), from };
    Some((source_of((record.file, record.owner, record.stored))?, Rejection { key }))
}

impl BindingRecord {
    fn new(network: &Network, file: &FileId) -> Self {
        Self {
            file: file.name.to_string(),
            router: network.router.to_string(),
            of: network.of.as_ref().map(|of| of.record()),
            zone: network.zone.as_deref().map(Into::into),
            region: network.region.as_deref().map(Into::into),
            r#type: match &network.kind {
                NetworkType::Private => None,
                NetworkType::Other(kind) => Some(kind.to_string()),
            },
            may_export: network.may_export.clone(),
            mtu: network.mtu,
            tell_guests: network.tell_guests.words().into_iter().map(str::to_owned).collect(),
            uuid: network.uuid,
        }
    }
}

#[cfg(test)]
mod tests;
