//! What is read of a pair before the rules decide, and what follows from that alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{Half, HalfKey, PeeringKey};
use crate::northbound::{End, HalfRecord, Id, RecordedState};

/// Who comes first where two peerings want what only one can have: those that stand, the oldest
/// first; then by name. A total order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) new: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) key: PeeringKey,
}

/// What is read of both ends before deciding.
pub(super) struct Inputs<'a> {
    pub(super) a: InputSide<'a>,
    pub(super) b: InputSide<'a>,
}

pub(super) struct InputSide<'a> {
    pub(super) network_id: Id,
    /// The half that counts.
    pub(super) half: Option<&'a Half>,
    pub(super) record: Option<HalfRecord>,
    pub(super) routed: BTreeSet<IpNet>,
    pub(super) port_addresses: Vec<IpAddr>,
}

impl<'a> Inputs<'a> {
    pub(super) fn side(&self, end: End) -> &InputSide<'a> {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    pub(super) fn counting(&self) -> [Option<HalfKey>; 2] {
        [&self.a, &self.b].map(|side| side.half.map(|half| half.key.clone()))
    }

    /// At each end, what is routed already of a link that stands.
    pub(super) fn held(&self, rank: &Rank, wanted: &[Vec<IpNet>; 2]) -> [Vec<IpNet>; 2] {
        let held = |side: &InputSide, wanted: &Vec<IpNet>| -> Vec<IpNet> {
            let routed = wanted.iter().filter(|prefix| side.routed.contains(prefix));
            routed.filter(|_| !rank.new).copied().collect()
        };
        let [at_a, at_b] = wanted;
        [held(&self.a, at_a), held(&self.b, at_b)]
    }

    pub(super) fn rank(&self, key: &PeeringKey) -> Rank {
        let linked = |side: &InputSide| {
            side.record.as_ref().filter(|record| is_linked(record)).map(|record| record.since)
        };
        let since = linked(&self.a).zip(linked(&self.b)).map(|(a, b)| a.max(b));
        Rank { new: since.is_none(), since, key: key.clone() }
    }
}

pub(super) fn is_linked(record: &HalfRecord) -> bool {
    record.state == RecordedState::Linked
}
