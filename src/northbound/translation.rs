//! The NAT rows that translate sources, and how their owners restrict them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use uuid::Uuid;

use crate::ovsdb::Replica;

use super::rows::{is_ours, parse_prefix};
use super::tables::{ADDRESS_SET, NAT, nat};

/// A NAT row of somebody else that translates the sources of packets that leave a gateway router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Translation {
    /// The row.
    pub row: Uuid,
    /// The sources, without host bits.
    pub sources: IpNet,
    /// Its effect, as written: for messages.
    pub text: Arc<str>,
    /// How its owner has restricted it already, so that we cannot exempt our prefixes by a set.
    pub chosen: Option<Choice>,
}

/// A row of somebody else that translates the sources of packets to the outside, on a router of any
/// kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceNat {
    /// The sources, without host bits.
    pub sources: IpNet,
    /// The address that replaces them.
    pub external: IpAddr,
    /// The gateway port that translates, if the row names one.
    pub gateway_port: Option<Uuid>,
    /// Whether its owner has restricted it to some packets.
    pub restricted: bool,
}

/// How the owner of a NAT row restricts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// By destinations: `allowed_ext_ips` or `exempted_ext_ips`.
    Destinations,
    /// By `match`; OVN 24.09 and later.
    Match,
}

impl Translation {
    /// Reads a row; none if it does not exist, is ours, or has no prefix.
    pub(super) fn read(uuid: Uuid, replica: &Replica) -> Option<Self> {
        let row = replica.row(NAT, uuid).filter(|row| !is_ours(row.get(nat::EXTERNAL_IDS)))?;
        let logical = row.get(nat::LOGICAL_IP).string();
        let [kind, external] = [nat::TYPE, nat::EXTERNAL_IP].map(|column| row.get(column).string());
        let exempted = row.get(nat::EXEMPTED_EXT_IPS).uuid();
        // We read only our own sets.
        let ours = exempted.is_none_or(|set| replica.row(ADDRESS_SET, set).is_some());
        Some(Self {
            row: uuid,
            sources: parse_prefix(logical)?,
            text: format!("{kind} of {logical} to {external}").into(),
            chosen: if !ours || !row.get(nat::ALLOWED_EXT_IPS).is_empty() {
                Some(Choice::Destinations)
            } else {
                (!row.get(nat::MATCH).is_blank()).then_some(Choice::Match)
            },
        })
    }
}

impl SourceNat {
    /// Reads a row; none if it does not translate sources alone, is ours, or does not parse.
    pub(super) fn read(uuid: Uuid, replica: &Replica) -> Option<Self> {
        let row = replica.row(NAT, uuid).filter(|row| row.get(nat::TYPE).is_string("snat"))?;
        let Translation { sources, chosen, .. } = Translation::read(uuid, replica)?;
        Some(Self {
            sources,
            external: row.get(nat::EXTERNAL_IP).string().parse().ok()?,
            gateway_port: row.get(nat::GATEWAY_PORT).uuid(),
            restricted: chosen.is_some(),
        })
    }
}
