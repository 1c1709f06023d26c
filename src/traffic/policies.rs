//! What one router has to do with the packets that enter by a link.

use ipnet::IpNet;

use super::entry::Action;
use super::nets::meet;
use super::protocol::Protocol;

/// Most policies of one router for one link, and most rules of one direction.
pub(super) const MOST_RULES: usize = 256;

/// The ranked policies of one router. What none matches is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Whether ICMP errors pass, before all else: that is, whether anything may open either way.
    pub pass_errors: bool,
    /// Whether what is shaped like an opening is dropped before replies pass.
    pub drop_openings: bool,
    /// In order of kind, rank, action and addresses.
    pub list: Box<[Policy]>,
    /// What the network's switches drop of openings, because the router would let it pass as a
    /// reply. Only a half that asks for it has any.
    pub guard: Box<[Policy]>,
}

/// A policy: which packets it decides on, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which packets it is for.
    pub kind: Kind,
    /// Its rank among those of its kind: 0 is decided first. Of two policies of one rank that
    /// match a packet in common, both allow or both deny.
    pub rank: u8,
    /// Whether it allows.
    pub action: Action,
    /// The protocol, with ports or types as the side that opens has them: of replies and echo
    /// replies the match has to be mirrored.
    pub protocol: Protocol,
    /// The sources of the packets, as they enter.
    pub sources: Box<[IpNet]>,
    /// Their destinations.
    pub destinations: Box<[IpNet]>,
}

/// The kinds of packets, in the order in which they are decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What the other side opens, and all that follows.
    Forward,
    /// Replies of the other side to what this side has opened.
    Reply,
    /// Echo replies of the router itself, which have the port by which the request came.
    Echo,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Forward, Self::Reply, Self::Echo];

    /// How many ranks it may have: priorities are limited.
    #[must_use]
    pub fn ranks(self) -> u8 {
        match self {
            Self::Forward => 30,
            Self::Reply | Self::Echo => 29,
        }
    }
}

impl Policy {
    /// Whether it allows.
    pub(super) fn allows(&self) -> bool {
        self.action == Action::Allow
    }

    /// One policy instead of two that differ in ports or types alone; `None` if they differ in more.
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        let protocol = self.protocol.or(&other.protocol)?;
        self.is_beside(other).then(|| Self { protocol, ..self.clone() })
    }

    /// Whether both differ in their protocols alone.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.order() == other.order()
    }

    /// Its place in the list.
    pub(super) fn order(&self) -> impl Ord + '_ {
        (self.kind, self.rank, self.action, &self.sources, &self.destinations)
    }

    /// Whether a packet may match both. Of a reply the ports are at the other end, so two policies
    /// of different kinds are compared without ports.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let protocol = if self.kind == other.kind {
            self.protocol.and(&other.protocol).is_some()
        } else {
            self.protocol.whole().and(&other.protocol.whole()).is_some()
        };
        protocol
            && [false, true].into_iter().any(|ip6| {
                meet(&self.sources, &other.sources, ip6)
                    && meet(&self.destinations, &other.destinations, ip6)
            })
    }
}

/// Two lists that together need more than a router can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    /// Too many rules of one direction, or too many policies.
    #[error("they need more than {MOST_RULES} rules on one router")]
    Rules,
    /// Too many entries that are exceptions of each other.
    #[error("more than {0} entries are exceptions of each other")]
    Ranks(u8),
    /// Too many parts of what the other side may not open, of one protocol.
    #[error("what may not be opened has more than {0} parts, which `stateful` needs one by one")]
    Guard(usize),
}
