//! What the rules decide: a verdict per half, and the link that shall stand, if any; and of which
//! pairs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use sorted_vec::SortedSet;
use uuid::Uuid;

use crate::declare::{NetworkKey, PeeringKey, PlacedRoute};
use crate::northbound::{End, Family, Id, Persisted, RecordedState, UnitId};

use super::prefix::Prefixes;
use super::state::{Reason, State};

/// The verdict on a half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is not linked; none where the link shall stand.
    pub reason: Option<Reason>,
    /// The same in a sentence; none when linked.
    pub explanation: Option<String>,
    /// What to do about it.
    pub next_step: Option<String>,
    /// What is not as it should be although it is linked.
    pub degraded: Vec<String>,
    /// What of it must outlast the moment.
    pub persisted: Persisted,
}

impl Verdict {
    /// That the link shall stand, and nothing else is to be said.
    #[must_use]
    pub fn linked() -> Self {
        Self {
            reason: None,
            explanation: None,
            next_step: None,
            degraded: Vec::new(),
            persisted: Persisted::default(),
        }
    }

    /// Whether the link shall stand.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.reason.is_none()
    }

    /// The state that is recorded with it.
    #[must_use]
    pub fn recorded(&self) -> RecordedState {
        let Some(reason) = self.reason else { return RecordedState::Linked };
        match reason.state() {
            State::PendingPeer => RecordedState::Pending,
            State::Provisioning | State::Active => RecordedState::Linked,
            State::Disabled => RecordedState::Disabled,
            State::PeerDisabled => RecordedState::PeerDisabled,
            State::Disconnected => RecordedState::Disconnected,
            State::Rejected => RecordedState::Rejected,
            State::Expired => RecordedState::Expired,
            State::Deleted => RecordedState::Deleted,
            State::Failed => RecordedState::Failed(reason.as_str().into()),
        }
    }
}

/// A link between two routers: everything the rows are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The peering.
    pub key: PeeringKey,
    /// Its identity in names.
    pub id: Id,
    /// Whether a switch stands between the routers: a direct link to a gateway router fails.
    pub has_switch: bool,
    /// The end whose network sorts first.
    pub a: LinkEnd,
    /// The other end.
    pub b: LinkEnd,
}

impl Link {
    /// One end.
    #[must_use]
    pub fn end(&self, end: End) -> &LinkEnd {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// The same, to be changed.
    pub(super) fn end_mut(&mut self, end: End) -> &mut LinkEnd {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// Both ends, this network's own first.
    #[must_use]
    pub fn ends_from(&self, network: &NetworkKey) -> [&LinkEnd; 2] {
        if self.a.network == *network { [&self.a, &self.b] } else { [&self.b, &self.a] }
    }

    /// The end that is not this network's.
    #[must_use]
    pub fn remote_of(&self, network: &NetworkKey) -> &LinkEnd {
        let [_, remote] = self.ends_from(network);
        remote
    }
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    /// The network.
    pub network: NetworkKey,
    /// Its identity in names.
    pub network_id: Id,
    /// Its router.
    pub router: Uuid,
    /// The router's name, which guards the transaction.
    pub router_name: Arc<str>,
    /// The router's own inward address of each linked family.
    pub addresses: Box<[IpAddr]>,
    /// The route tables of the router that need the other end's prefixes.
    pub tables: Arc<SortedSet<Arc<str>>>,
    /// Where the owner makes the routes, each with its table; none where they are automatic: one
    /// for each of the other end's prefixes in each of the tables.
    pub routes: Option<Box<[PlacedRoute]>>,
    /// The MTU for which its port checks; at one end at the most.
    pub mtu: Option<u16>,
    /// Ports of somebody else on its router that lead to the other one's, too; nearly always none.
    pub beside: Vec<Arc<str>>,
    /// This end's prefixes that the other end takes, of linked families.
    pub prefixes: Prefixes,
    /// The families in which these are not all prefixes of the network; nearly always none. In the
    /// others the registration's sets say the same, and follow it without a change of the link's
    /// policies.
    pub partial: Box<[Family]>,
}

impl LinkEnd {
    /// The routes over the link on this end's router: those that its owner makes, else one for each
    /// of the other end's prefixes in each of the tables. Each with its table.
    pub fn routes_to<'a>(
        &'a self,
        remote: &'a Self,
    ) -> impl Iterator<Item = (&'a Arc<str>, IpNet)> {
        let placed = self.routes.iter().flatten().map(|(table, prefix)| (table, *prefix));
        let tables = self.tables.iter().filter(|_| self.routes.is_none());
        let automatic =
            tables.flat_map(|table| remote.prefixes.iter().map(move |prefix| (table, *prefix)));
        placed.chain(automatic)
    }

    /// The address of a family, if that is linked.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| Family::of(&(*address).into()) == family)
    }
}

/// What the rules say of one peering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The verdict on the half of each end that counts; none where an end has not declared, and
    /// where it would be [`Verdict::linked`], as it is nearly always.
    pub verdicts: [Option<Box<Verdict>>; 2],
    /// The link that shall stand.
    pub link: Option<Box<Link>>,
    /// The next moment at which the rules may say something else, although nothing changes.
    pub due: Option<Timestamp>,
}

impl Resolution {
    /// Whether it is refused for the depth of the mesh.
    pub(super) fn is_too_deep(&self) -> bool {
        let mut verdicts = self.verdicts.iter().flatten();
        verdicts.any(|verdict| verdict.reason == Some(Reason::MeshTooDeep))
    }

    /// The verdict on one end's half, if the end has declared one.
    #[must_use]
    pub fn verdict(&self, end: End) -> Option<Verdict> {
        let [a, b] = &self.verdicts;
        let verdict = match end {
            End::A => a.as_deref(),
            End::B => b.as_deref(),
        };
        verdict.cloned().or_else(|| self.link.is_some().then(Verdict::linked))
    }
}

/// What a pass of the rules did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Pairs decided anew.
    pub pairs: BTreeSet<PeeringKey>,
    /// Units of which nothing is declared any more.
    pub orphans: BTreeSet<UnitId>,
    /// Networks whose registration or own guard may differ.
    pub networks: BTreeSet<NetworkKey>,
}

/// The earlier of two moments, where there are any.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
