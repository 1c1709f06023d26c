//! The rules for one pair of networks: two halves, two routers, one verdict each.
//!
//! The only place that produces a [`Verdict`], with `alone` for halves that are not linked and
//! `linking` for two ends that agree. Until both halves stand, nothing of the other
//! network is looked at (S0.10, S0.11): a verdict on one half alone is made from that half.

use std::collections::BTreeSet;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{AddressSpace, ConfiguredStatus, Exchange, Half, NetworkKey, PeeringKey};
use crate::northbound::{End, Frozen, Id, LinkFacts, Namesake};

use super::conflict::Claim;
use super::local::{Local, Ready};
use super::mtu::Gauge;
use super::outcome::{Resolution, Verdict};
use super::prefix::Prefixes;
use super::quota::Over;
use super::request::Request;
use super::space::Space;
use super::state::Reason;

/// What is known of one end.
#[derive(Debug)]
pub struct Side<'a> {
    /// Its network.
    pub network: &'a NetworkKey,
    /// The network's identity in names.
    pub network_id: Id,
    /// The half that counts, if the end has declared one.
    pub half: Option<&'a Half>,
    /// The network on its own; `None` while it has declared nothing at all.
    pub local: Option<&'a Local>,
    /// The half as a request.
    pub request: Request,
    /// The limit that leaves the half without a place.
    pub over: Option<Over>,
    /// Whether the end's owner rejects the other end.
    pub rejects: bool,
    /// Whether the other end's half stands for this end, too (S1.12).
    pub implied: bool,
    /// Whether the half is recorded as having been linked to this target.
    pub was_linked: bool,
    /// The end's address space as it was frozen last.
    pub frozen: Option<&'a Frozen>,
    /// The other end's prefixes that this end's router routes over the link now.
    pub routed: &'a BTreeSet<IpNet>,
    /// This end's link port as it stands.
    pub port: &'a LinkFacts,
    /// How many pairs its network is part of.
    pub pairs: usize,
}

/// Asks what a peering that comes first has of a prefix at one end.
pub type ClaimBefore<'a> = Box<dyn Fn(End, &IpNet) -> Option<Claim> + 'a>;

/// Asks whether a path would be too deep with the pair linked.
pub type TooDeep<'a> = Box<dyn Fn() -> bool + 'a>;

/// A pair to decide on.
pub struct Pair<'a> {
    /// The peering.
    pub key: &'a PeeringKey,
    /// Its identity in names.
    pub id: Id,
    /// Both ends.
    pub a: Side<'a>,
    /// Both ends.
    pub b: Side<'a>,
    /// Whether both halves are recorded as linked: such a peering is kept where it can be.
    pub stands: bool,
    /// What becomes of a change of subnets.
    pub address_space: AddressSpace,
    /// Whether a network needs a VM's port before it may peer.
    pub require_workload: bool,
    /// The moment.
    pub now: Timestamp,
    /// Ports of others that have the name of one of its ports; nearly always none.
    pub namesakes: &'a [Namesake],
    /// The claim of a peering that comes first on what it would route at one end.
    pub claim: ClaimBefore<'a>,
    /// Whether a path would be too deep with it.
    pub too_deep: TooDeep<'a>,
}

impl<'a> Pair<'a> {
    pub(super) fn side(&self, end: End) -> &Side<'a> {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// What each end's router is to route if only conflicts can still stand between the two.
    #[must_use]
    pub fn wanted(&self) -> [Prefixes; 2] {
        match self.candidate() {
            Some((a, b)) => [self.space(End::B, b).prefixes, self.space(End::A, a).prefixes],
            None => Default::default(),
        }
    }

    fn candidate(&self) -> Option<(&'a Ready, &'a Ready)> {
        let ready = |side: &Side<'a>| match side.local {
            Some(Local::Ready(ready))
                if side.is_willing()
                    && !self.lacks_workload(ready)
                    && !self.lacks_ownership(side, ready) =>
            {
                Some(ready.as_ref())
            }
            _ => None,
        };
        let (a, b) = (ready(&self.a)?, ready(&self.b)?);
        mismatch(a, b).is_none().then_some((a, b))
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self) -> Resolution {
        let mut resolution = match self.candidate() {
            Some((a, b)) => self.decide_link(a, b),
            None => {
                let verdict = |end: End| {
                    let (side, other) = (self.side(end), self.side(end.other()));
                    side.half.map(|half| self.verdict_alone(half, side, other).into())
                };
                Resolution { verdicts: [verdict(End::A), verdict(End::B)], link: None, due: None }
            }
        };
        let [at_a, at_b] = &mut resolution.verdicts;
        for (side, at) in [(&self.a, at_a), (&self.b, at_b)] {
            let Some(verdict) = at else { continue };
            verdict.lasting.expired = side.request.expired();
            resolution.due = earlier(resolution.due, due(side, verdict.reason));
            at.take_if(|verdict| **verdict == Verdict::linked());
        }
        resolution
    }

    /// S1.10 asks for a VM before a peering is made; one that stands stays when the last VM goes.
    pub(super) fn lacks_workload(&self, ready: &Ready) -> bool {
        self.require_workload && !self.stands && !ready.router.workload
    }

    /// An end's address space as the other end shall route it.
    pub(super) fn space(&self, end: End, ready: &Ready) -> Space {
        let mut space = self.whole_space(end, ready);
        self.filter(end, &mut space);
        space
    }

    /// The same before filters.
    fn whole_space(&self, end: End, ready: &Ready) -> Space {
        if self.address_space == AddressSpace::Follow {
            return Space::follow(&ready.prefixes);
        }
        let side = self.side(end);
        // A half that stands for both renews both.
        let half = side.half.or(self.side(end.other()).half);
        let requested = half.and_then(|half| half.requested);
        Space::freeze(&ready.prefixes, side.frozen.filter(|_| self.stands), requested, self.now)
    }
}

impl Side<'_> {
    /// The terms of its half, where they are not the default.
    pub(super) fn terms(&self) -> Option<&Exchange> {
        self.half?.exchange.as_deref()
    }

    pub(super) fn gauge(&self, ready: &Ready) -> Gauge {
        let mtu = ready.network.mtu.or(ready.router.mtu);
        Gauge { mtu, checks: self.port.checks_size, pairs: self.pairs }
    }

    /// Whether there is a half that the other side may see.
    pub(super) fn counts(&self) -> bool {
        self.half.is_some() && self.request.is_open() && self.over.is_none()
    }

    /// Whether this end agrees to be linked now.
    fn is_willing(&self) -> bool {
        let active = |half: &Half| half.configured_status == ConfiguredStatus::Active;
        self.implied || (self.counts() && self.half.is_some_and(active))
    }
}

/// The moment at which time alone changes what is said of a half.
fn due(side: &Side, reason: Option<Reason>) -> Option<Timestamp> {
    match side.request {
        Request::Open { until } => until.filter(|_| reason == Some(Reason::AwaitingPeer)),
        // It has expired in vain if the clock is put back: so it is looked at then.
        Request::Expired { renewed, .. } => Some(renewed.unwrap_or(Timestamp::MAX)),
    }
}

pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Whether two networks may not peer for where they are (S1.8, S3.6); compared where both say it.
pub(super) fn mismatch(one: &Ready, other: &Ready) -> Option<(Reason, String)> {
    let differ = |a: &Option<std::sync::Arc<str>>, b: &Option<std::sync::Arc<str>>| match (a, b) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    let (one, other) = (&one.network, &other.network);
    if differ(&one.region, &other.region) {
        return Some((Reason::RegionMismatch, "the two networks are in different regions".into()));
    }
    if differ(&one.zone, &other.zone) {
        return Some((Reason::ZoneMismatch, "the two networks are in different zones".into()));
    }
    None
}
