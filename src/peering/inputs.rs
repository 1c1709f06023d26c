//! The inputs for a pair, and what follows from these alone.

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

/// The rank of peerings that want the same prefix: those that are up come first, the oldest of them
/// first; then the others by name. A total order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) new: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) key: PeeringKey,
}

/// The end of a pair that may use the other end's gateway, unless another pair comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) end: End,
    /// Whether it uses it already.
    pub(super) holds: bool,
}

/// The inputs of both ends.
pub(super) struct Inputs<'a> {
    /// Whether one half is enough for both.
    pub(super) auto: bool,
    /// Whether it is to take the place of a link of others.
    pub(super) replaces: bool,
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
    /// Whether the other end's half is enough for this one, too.
    pub(super) implied: bool,
    pub(super) frozen: Option<Box<Frozen>>,
    /// The other end's frozen address space, if this end's half was enough for both.
    pub(super) frozen_remote: Option<Box<Frozen>>,
    pub(super) routed: BTreeSet<IpNet>,
    pub(super) port: LinkFacts,
    /// Whether it uses the other end's gateway now.
    pub(super) holds_gateway: bool,
}

/// A half that may count, with its record.
pub(super) struct Declared<'a> {
    pub(super) half: &'a Half,
    pub(super) record: Option<Arc<HalfRecord>>,
    pub(super) request: Request,
    pub(super) over: Option<Over>,
    pub(super) frozen: Persisted,
}

impl Declared<'_> {
    /// If several halves have one target, the least in this order counts: the linked one, else the
    /// first one that can be answered.
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

    /// The prefixes that a present link routes already at each end.
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
        // One half was enough for both, and the other one may be added at any time.
        let since = if self.auto { a.max(b) } else { a.zip(b).map(|(a, b)| a.max(b)) };
        Rank { new: since.is_none(), since, key: key.clone() }
    }
}

pub(super) fn is_linked(record: &HalfRecord) -> bool {
    record.state == RecordedState::Linked
}
