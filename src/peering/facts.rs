//! The facts for the decision on a pair: two halves, two networks, the present link, and the
//! peerings with a higher rank.
//!
//! Plain values, collected before any decision. Until both halves are declared, they contain
//! nothing of the other network: the verdict on one half alone depends only on that half.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{AddressSpace, Filters, Half, NetworkKey, PeeringKey, Terms};
use crate::northbound::{End, Frozen, Id, LinkFacts, NameCollision, Northbound};

use super::conflict::RivalPrefix;
use super::local::{Local, Ready};
use super::mtu::MtuInput;
use super::outcome::Link;
use super::quota::Over;
use super::request::Request;

/// The facts of one end.
#[derive(Debug)]
pub(super) struct EndFacts<'a> {
    /// Its network.
    pub(super) network: &'a NetworkKey,
    /// The network's identity in names.
    pub(super) network_id: Id,
    /// The half that counts, if the end has declared one.
    pub(super) half: Option<&'a Half>,
    /// The network on its own; `None` while it has declared nothing at all.
    pub(super) local: Option<&'a Local>,
    /// The state of the half as a request.
    pub(super) request: Request,
    /// The limit that excludes the half.
    pub(super) over: Option<Over>,
    /// Whether the end's owner rejects the other end.
    pub(super) rejects: bool,
    /// Whether the other end's half is enough for this end, too.
    pub(super) implied: bool,
    /// Whether the half's record says that it was linked to this target.
    pub(super) was_linked: bool,
    /// The end's frozen address space.
    pub(super) frozen: Option<&'a Frozen>,
    /// The other end's prefixes that this end's router routes over the link now.
    pub(super) routed: &'a BTreeSet<IpNet>,
    /// This end's present link port.
    pub(super) port: &'a LinkFacts,
    /// Whether this end's router uses the other end's gateway now.
    pub(super) holds_gateway: bool,
    /// The number of its network's pairs.
    pub(super) pairs: usize,
}

/// Finds the claim of a peering with a higher rank to a prefix at one end.
pub(super) type RivalBefore<'a> = Box<dyn Fn(End, &IpNet) -> Option<RivalPrefix> + 'a>;

/// Finds the network of a pair that comes first in using a gateway at one end; the flag says whether
/// the pair itself uses one already.
pub(super) type RivalGateway<'a> = Box<dyn Fn(End, bool) -> Option<NetworkKey> + 'a>;

/// Finds the claim of any other peering to a prefix at one end.
pub(super) type Claimed<'a> = Box<dyn Fn(End, &IpNet) -> Option<RivalPrefix> + 'a>;

/// The link of another half of a network, and the end of that network there.
pub(super) struct Partner<'a> {
    pub(super) link: &'a Link,
    pub(super) hub: End,
}

/// Finds the link of another half of one end's network, by the half's name.
pub(super) type PartnerOf<'a> = Box<dyn Fn(End, &str) -> Option<Partner<'a>> + 'a>;

/// Finds the peer of a network to which a virtual address at one end belongs before this pair.
pub(super) type VipRival<'a> = Box<dyn Fn(End, IpAddr) -> Option<&'a NetworkKey> + 'a>;

/// Whether guests of one end are told a name by a pair of a higher rank.
pub(super) type NameRival<'a> = Box<dyn Fn(End, &Arc<str>) -> bool + 'a>;

/// Finds whether a path would be too deep with the pair linked.
pub(super) type TooDeep<'a> = Box<dyn Fn() -> bool + 'a>;

/// A pair to decide on.
pub(super) struct PairFacts<'a> {
    /// The peering.
    pub(super) key: &'a PeeringKey,
    /// Its identity in names.
    pub(super) id: Id,
    /// Both ends.
    pub(super) a: EndFacts<'a>,
    /// Both ends.
    pub(super) b: EndFacts<'a>,
    /// Whether both halves are recorded as linked: such a peering stays up if possible.
    pub(super) stands: bool,
    /// Whether it is to take the place of a link of others.
    pub(super) replaces: bool,
    /// How a change of subnets affects the peering.
    pub(super) address_space: AddressSpace,
    /// Whether a network must have a port of a VM before it may peer.
    pub(super) require_workload: bool,
    /// What may open where a half has no list.
    pub(super) filters: Filters,
    /// The moment.
    pub(super) now: Timestamp,
    /// Ports of others that have the name of one of its ports; nearly always none.
    pub(super) collisions: &'a [NameCollision],
    /// The claim of a peering with a higher rank to a prefix that this one would route at one end.
    pub(super) rival: RivalBefore<'a>,
    /// The network by whose gateway one end goes in the place of this pair's.
    pub(super) rival_gateway: RivalGateway<'a>,
    /// Whether a path would be too deep with it.
    pub(super) too_deep: TooDeep<'a>,
    /// The claim of any other peering at one end.
    pub(super) claimed: Claimed<'a>,
    /// The links of other halves of its networks.
    pub(super) partner: PartnerOf<'a>,
    /// For the load balancers of two networks that agree.
    pub(super) northbound: &'a Northbound,
    /// Whose a virtual address is already.
    pub(super) vip_rival: VipRival<'a>,
    /// Whether guests of one end are told a name by a pair of a higher rank.
    pub(super) name_rival: NameRival<'a>,
}

impl<'a> PairFacts<'a> {
    pub(super) fn end(&self, end: End) -> &EndFacts<'a> {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// The policy may require a VM before a new peering; a peering that is up stays when the last
    /// VM is removed.
    pub(super) fn lacks_workload(&self, ready: &Ready) -> bool {
        self.require_workload && !self.stands && !ready.router.workload
    }

    /// Whether a half names prefixes that its network does not own. A peering that is up stays up
    /// without them.
    pub(super) fn lacks_ownership(&self, end: &EndFacts, ready: &Ready) -> bool {
        !self.stands && !end.not_owned(ready).is_empty()
    }

    /// Whether any term narrows the prefixes that cross.
    pub(super) fn is_narrowed(&self) -> bool {
        [&self.a, &self.b].into_iter().filter_map(EndFacts::terms).any(Terms::narrow)
    }
}

impl<'a> EndFacts<'a> {
    /// The terms of its half, if they are not the default.
    pub(super) fn terms(&self) -> Option<&'a Terms> {
        self.half?.terms.as_deref()
    }

    /// The prefixes that its half names and the network does not own.
    pub(super) fn not_owned(&self, ready: &Ready) -> Vec<IpNet> {
        self.terms().map(|terms| ready.not_owned(terms)).unwrap_or_default()
    }

    pub(super) fn mtu_input(&self, ready: &Ready) -> MtuInput {
        let mtu = ready.network.mtu.or(ready.router.mtu);
        MtuInput { mtu, checks: self.port.checks_size, pairs: self.pairs }
    }

    /// Whether the end has a half that the other side may see.
    pub(super) fn counts(&self) -> bool {
        self.half.is_some() && self.request.is_open() && self.over.is_none()
    }

    /// Whether this end agrees to be linked now.
    pub(super) fn is_willing(&self) -> bool {
        self.implied || (self.counts() && self.half.is_some_and(Half::is_up))
    }
}
