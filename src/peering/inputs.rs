//! What is read of a pair before the rules decide, and what follows from that alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{Half, HalfKey, PeeringKey};
use crate::northbound::{
    End, Frozen, HalfRecord, Id, LinkFacts, NameCollision, Persisted, RecordedState,
};

use super::prefix::Prefixes;
use super::quota::Over;
use super::request::Request;

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
    /// Whether one half may stand for both.
    pub(super) auto: bool,
    pub(super) collisions: Vec<NameCollision>,
    pub(super) a: EndInputs<'a>,
    pub(super) b: EndInputs<'a>,
}

pub(super) struct EndInputs<'a> {
    pub(super) network_id: Id,
    /// The half that counts.
    pub(super) half: Option<&'a Half>,
    pub(super) record: Option<Arc<HalfRecord>>,
    pub(super) request: Request,
    pub(super) over: Option<Over>,
    pub(super) rejects: bool,
    /// Whether the other end's half stands for this one, too.
    pub(super) implied: bool,
    pub(super) frozen: Option<Box<Frozen>>,
    /// The other end's address space, where this end's half stood for both.
    pub(super) frozen_remote: Option<Box<Frozen>>,
    pub(super) routed: BTreeSet<IpNet>,
    pub(super) port: LinkFacts,
}

/// A half that may count, with what is known of it.
pub(super) struct Declared<'a> {
    pub(super) half: &'a Half,
    pub(super) record: Option<Arc<HalfRecord>>,
    pub(super) request: Request,
    pub(super) over: Option<Over>,
    pub(super) frozen: Persisted,
}

impl Declared<'_> {
    /// Of several halves with one target the least counts: the one that is linked, else the first
    /// that can be answered.
    pub(super) fn rank(&self) -> (bool, bool, bool, Arc<str>) {
        let linked = self.record.as_deref().is_some_and(is_linked);
        let name = Arc::clone(&self.half.key.name);
        (!linked, !self.request.is_open(), self.over.is_some(), name)
    }
}

impl<'a> Inputs<'a> {
    pub(super) fn end(&self, end: End) -> &EndInputs<'a> {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    pub(super) fn counting(&self) -> [Option<HalfKey>; 2] {
        [&self.a, &self.b].map(|side| side.half.map(|half| half.key.clone()))
    }

    /// At each end, what is routed already of a link that stands.
    pub(super) fn held(&self, rank: &Rank, wanted: &[Prefixes; 2]) -> [Prefixes; 2] {
        if rank.new {
            return Default::default();
        }
        let held = |side: &EndInputs, wanted: &Prefixes| {
            let is_routed = |prefix: &&IpNet| side.routed.contains(prefix);
            if wanted.iter().all(|prefix| is_routed(&prefix)) {
                return Prefixes::clone(wanted);
            }
            wanted.iter().filter(is_routed).copied().collect()
        };
        let [at_a, at_b] = wanted;
        [held(&self.a, at_a), held(&self.b, at_b)]
    }

    pub(super) fn rank(&self, key: &PeeringKey) -> Rank {
        let linked = |side: &EndInputs| {
            side.record.as_deref().filter(|record| is_linked(record)).map(|record| record.since)
        };
        let (a, b) = (linked(&self.a), linked(&self.b));
        // One half stood for both, and may be joined by the other one at any time.
        let since = if self.auto { a.max(b) } else { a.zip(b).map(|(a, b)| a.max(b)) };
        Rank { new: since.is_none(), since, key: key.clone() }
    }
}

pub(super) fn is_linked(record: &HalfRecord) -> bool {
    record.state == RecordedState::Linked
}
